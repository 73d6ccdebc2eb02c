"""What an entry in a host's file starts or reaches, and whether that is this server."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from grok_mcp import bounds
from grok_mcp.foreign import mapping
from grok_mcp.hosts.entry import DEFAULT_NAME, DISTRIBUTION, REFERENCE
from grok_mcp.hosts.host import Host, Part
from grok_mcp.redaction import mask_secrets, quote

MODULE = "grok_mcp"
ALIAS = "grok-mcp"
"""Our second console script. A stranger's package has a command and a name like that."""

_PYTHON_RUNNERS = (["uvx"], ["uv", "tool", "run"], ["pipx", "run"])
_RUNNERS = (*_PYTHON_RUNNERS, ["npx"], ["bunx"])
_VALUED = re.compile(
    r"--(?:from|with|python|index-url|extra-index-url|index|default-index|spec|directory|project|env-file|extra)"
    r"|-[piwCP]"
)
"""Options of runners that take a value."""
_IS_SOURCE = re.compile(r"[/\\]|^\.|\.whl$|^git\+")
"""What a runner takes in place of a package's name: a folder, a file or an address."""
_WRAPPERS = ("uv", "poetry", "pdm", "hatch")
"""Programs that start ours by its name behind `run`, from a folder with it."""
_TOKEN = re.compile(r"\bgmt_[\w-]{43}")
"""What `token` makes."""
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
    has_our_token: bool = False
    """Whether the entry sends a token of ours, or what a variable or an input named after Grok holds."""

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
            mapping(value).keys()
            <= {"type", "url", "headers", *remote, *(limit.key for limit in host.limits)},
            any(_is_our_token(part, entry.get(key)) for key, part in remote.items()),
        )

    @property
    def is_ours(self) -> bool:
        """Whether that is this server, however it is started; the name of an entry proves nothing."""
        if not self.command:
            return bool(self.url) and self._is_our_url
        program = _stem(self.command)
        if program in (DISTRIBUTION, ALIAS):
            return program == DISTRIBUTION or Path(self.command).with_name(DISTRIBUTION).exists()
        line = self.arguments[: bounds.ENTRY_WORDS]
        run = _run_by(self.command, line)
        if run is not None:
            return run.is_ours
        if ("-m", MODULE) in pairwise(line) and any(
            map(_PYTHON.fullmatch, map(_stem, (self.command, *line)))
        ):
            return True
        if program not in _WRAPPERS or "run" not in line:
            return False
        return _stem(_split(line[line.index("run") + 1 :])[1]) == DISTRIBUTION

    @property
    def is_bare(self) -> bool:
        """Whether a runner starts the package without a version or an extra: what `install` writes."""
        run = _run_by(self.command, self.arguments) if self.command else None
        return run is not None and not run.origin and run.started == DISTRIBUTION

    @property
    def is_pinned(self) -> bool:
        """Whether a runner starts the package of ours by its name, with a version or an extra of it."""
        run = _run_by(self.command, self.arguments) if self.command else None
        if run is None or not (run.is_ours and run.package == DISTRIBUTION):
            return False
        return (run.origin or run.started) != DISTRIBUTION

    @property
    def _is_our_url(self) -> bool:
        """A remote server does not say what it is: the entry has our form, and its address or token ours."""
        if not (self.written_alike and re.match(r"https?://", self.url)):
            return False
        try:
            parts = urlsplit(self.url)
        except ValueError:
            return False
        return self.has_our_token or DEFAULT_NAME in f"{parts.hostname} {parts.path}".lower()

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
    return (run.package or None) if run else None


class _Run(NamedTuple):
    """What a runner fetches, and the program of it that it starts."""

    runner: Sequence[str]
    package: str
    started: str
    origin: str
    """The package as the line has it, where it is named apart from the program."""

    @property
    def is_ours(self) -> bool:
        if self.runner not in _PYTHON_RUNNERS:
            return False
        if not self.origin:
            return self.package == DISTRIBUTION
        if _IS_SOURCE.search(self.package):
            return _stem(self.started) == DISTRIBUTION
        return self.package == DISTRIBUTION and _stem(self.started) in (DISTRIBUTION, ALIAS)


def _run_by(command: str, arguments: Sequence[str]) -> _Run | None:
    line = [_stem(command), *arguments]
    if line[0] == "cmd" and len(line) > 2 and line[1].lower() == "/c":
        line = [_stem(line[2]), *line[3:]]
    runner = next((runner for runner in _RUNNERS if line[: len(runner)] == runner), None)
    if runner is None:
        return None
    options, started = _split(line[len(runner) :])
    origin = options.get("--from") or options.get("--spec") or ""
    package = origin or started
    if not _IS_SOURCE.search(package):
        package = re.split(r"[@=<>!~\[; ]", package, maxsplit=1)[0].lower().replace("_", "-")
    return _Run(runner, package, started, origin)


def _split(line: Sequence[str]) -> tuple[dict[str, str], str]:
    """The options with their values before the first word that is none, and that word."""
    options: dict[str, str] = {}
    rest = iter(line)
    for word in rest:
        if not word.startswith("-"):
            return options, word
        option, equals, value = word.partition("=")
        options[option] = next(rest, "") if not equals and _VALUED.fullmatch(option) else value
    return options, ""


def _is_our_token(part: Any, value: Any) -> bool:
    """Whether the value of a part of a remote entry is a token of ours, or names where it is."""
    if part is Part.TOKEN_VARIABLE:
        return isinstance(value, str) and DEFAULT_NAME in value.lower()
    texts = mapping(value).values() if part is Part.HEADERS else ()
    return any(
        bool(_TOKEN.search(text)) or any(DEFAULT_NAME in name.lower() for name in REFERENCE.findall(text))
        for text in texts
        if isinstance(text, str)
    )


def _stem(command: str) -> str:
    name = PureWindowsPath(command).name.lower()
    return name.removesuffix(".exe").removesuffix(".cmd")
