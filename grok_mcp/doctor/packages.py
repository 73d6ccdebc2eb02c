"""Which package a command fetches and starts, for runners such as uvx, pipx and npx."""

import re
from collections.abc import Sequence
from pathlib import PureWindowsPath

_RUNNERS = (["uvx"], ["uv", "tool", "run"], ["pipx", "run"], ["npx"], ["bunx"])
_VALUED = re.compile(r"--(?:from|with|python|index-url|extra-index-url|index|default-index|spec)|-[piw]")
"""Options of runners that are followed by a value."""


def package_of(command: str, arguments: Sequence[str]) -> str | None:
    """The package that a runner such as uvx or pipx fetches and starts; None for other commands."""
    words = [PureWindowsPath(command).stem.lower(), *arguments]
    if words[0] == "cmd" and len(words) > 2 and words[1].lower() == "/c":
        words = [PureWindowsPath(words[2]).stem.lower(), *words[3:]]
    for runner in _RUNNERS:
        if words[: len(runner)] == runner:
            return _first_package(words[len(runner) :])
    return None


def _first_package(words: Sequence[str]) -> str | None:
    named: dict[str, str] = {}
    position = 0
    while position < len(words) and words[position].startswith("-"):
        option, equals, value = words[position].partition("=")
        if not equals and _VALUED.fullmatch(option):
            position += 1
            value = words[position] if position < len(words) else ""
        named[option] = value
        position += 1
    started = words[position] if position < len(words) else ""
    package = named.get("--from") or named.get("--spec") or started
    return re.split(r"[@=<>!~\[; ]", package)[0].lower().replace("_", "-") or None
