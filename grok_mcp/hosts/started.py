"""What an entry in a host's file starts or reaches, and whether that is this server."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

from grok_mcp import bounds
from grok_mcp.foreign import mapping
from grok_mcp.hosts.entry import DEFAULT_NAME, DISTRIBUTION
from grok_mcp.hosts.host import Host, Part
from grok_mcp.redaction import mask_secrets, quote

MODULE = "grok_mcp"
ALIAS = "grok-mcp"
"""Our second console script. A stranger's package has a command and a name like that."""

_RUNNERS = (["uvx"], ["uv", "tool", "run"], ["pipx", "run"], ["npx"], ["bunx"])
_VALUED = re.compile(r"--(?:from|with|python|index-url|extra-index-url|index|default-index|spec)|-[piw]")
"""Options of runners that take a value."""
_IS_SOURCE = re.compile(r"[/\\]|^\.|\.whl$|^git\+")
"""What a runner takes in place of a package's name: a folder, a file or an address."""
_OURS = re.compile(rf"{DISTRIBUTION}(?:\.exe|\[[\w,-]*\])*(?:[@:=<>~!].*)?", re.IGNORECASE)
_WRAPPERS = ("uv", "docker", "podman", "poetry", "pdm", "hatch")
"""Programs that start ours by its name behind `run`."""
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*w?|py", re.IGNORECASE)


@dataclass(frozen=True)
class Started:
    """What an entry starts, or where it connects to."""

    name: str
    command: str
    arguments: tuple[str, ...]
    url: str
    written_alike: bool
    """Whether nothing stands in the entry that we never write."""

    @classmethod
    def by(cls, host: Host, name: str, value: Any) -> "Started":
        """By an entry of a host's file, whatever its types are."""
        entry = {**mapping(value), **mapping(mapping(value).get("transport"))}
        parts = {part: entry.get(key) for key, part in host.local.items() if isinstance(part, Part)}
        listed = words(parts.get(Part.WORDS))
        command = parts.get(Part.COMMAND)
        remote = host.remote or {}
        urls = [key for key, part in remote.items() if part is Part.URL]
        url = next((entry[key] for key in (*urls, "url") if isinstance(entry.get(key), str)), "")
        return cls(
            name,
            listed[0] if listed else command if isinstance(command, str) else "",
            tuple(listed[1:] or words(parts.get(Part.ARGUMENTS))),
            url,
            mapping(value).keys() <= {*remote, *(limit.key for limit in host.limits)},
        )

    @property
    def is_ours(self) -> bool:
        """Whether that is this server, however it is started."""
        if not self.command:
            return bool(self.url) and self._is_our_url
        program = _stem(self.command)
        if program in (DISTRIBUTION, ALIAS):
            return program == DISTRIBUTION or Path(self.command).with_name(DISTRIBUTION).exists()
        line = self.arguments[: bounds.ENTRY_WORDS]
        run = _run_by(self.command, line)
        if run is not None:
            package, started = run
            return package == DISTRIBUTION or bool(_IS_SOURCE.search(package) and _OURS.fullmatch(started))
        if ("-m", MODULE) in pairwise(line) and any(
            map(_PYTHON.fullmatch, map(_stem, (self.command, *line)))
        ):
            return True
        return (
            program in _WRAPPERS
            and "run" in line
            and any(_OURS.fullmatch(PureWindowsPath(word).name) for word in line[line.index("run") :])
        )

    @property
    def _is_our_url(self) -> bool:
        """A remote server does not say what it is: the entry has our form, and its name or address ours."""
        parts = urlsplit(self.url) if re.match(r"https?://", self.url) else None
        where = f"{parts.hostname} {parts.path}" if parts else ""
        named = DEFAULT_NAME in self.name.lower() or DEFAULT_NAME in where.lower()
        return self.written_alike and named

    def __str__(self) -> str:
        if self.command:
            shown = shlex.join((self.command, *self.arguments[: bounds.ENTRY_WORDS]))
            return quote(mask_secrets(shown), limit=200)
        return quote(mask_secrets(self.url), limit=200) or "nothing"


def words(value: Any) -> list[str]:
    """The words of a list, whatever else is in it."""
    if not isinstance(value, list):
        return []
    return [str(word) for word in value if isinstance(word, str | int | float)]


def package_of(command: str, arguments: Sequence[str]) -> str | None:
    """The package that a runner such as uvx or pipx fetches and starts; None for other commands.

    A folder, file or address in place of a name stays as it is.
    """
    run = _run_by(command, arguments)
    return (run[0] or None) if run else None


def _run_by(command: str, arguments: Sequence[str]) -> tuple[str, str] | None:
    """The package that a runner fetches, and the program of it that it starts."""
    line = [_stem(command), *arguments]
    if line[0] == "cmd" and len(line) > 2 and line[1].lower() == "/c":
        line = [_stem(line[2]), *line[3:]]
    runner = next((runner for runner in _RUNNERS if line[: len(runner)] == runner), None)
    if runner is None:
        return None
    options: dict[str, str] = {}
    started = ""
    rest = iter(line[len(runner) :])
    for word in rest:
        if not word.startswith("-"):
            started = word
            break
        option, equals, value = word.partition("=")
        options[option] = next(rest, "") if not equals and _VALUED.fullmatch(option) else value
    package = options.get("--from") or options.get("--spec") or started
    if not _IS_SOURCE.search(package):
        package = re.split(r"[@=<>!~\[; ]", package, maxsplit=1)[0].lower().replace("_", "-")
    return package, started


def _stem(command: str) -> str:
    name = PureWindowsPath(command).name.lower()
    return name.removesuffix(".exe").removesuffix(".cmd")
