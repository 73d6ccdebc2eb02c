"""An entry of this server in a host's file: what it starts, with which key, and for how long."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from grok_mcp.doctor.findings import Check, doubtful, wrong
from grok_mcp.doctor.installation import STRANGER
from grok_mcp.environment import VARIABLES
from grok_mcp.foreign import mapping
from grok_mcp.hosts import DISTRIBUTION, Forwarded, Host, Part, Reference, TimeLimit
from grok_mcp.settings import PREFIX, bare, key_problem

SHORT_S = 60.0

KEYS = ("XAI_API_KEY", "GROK_MCP_API_KEY")


class ReadFile(NamedTuple):
    """A host's file; `shell` is the environment that doctor runs in."""

    host: Host
    path: Path
    document: Mapping[str, Any]
    shell: Mapping[str, str]


class HostEntry:
    """A server's entry in a host's file."""

    def __init__(self, file: ReadFile, key: str, entry: Mapping[str, Any]) -> None:
        self.host, self.path, self._document, self._shell = file
        self.key = key
        self._entry = {**entry, **mapping(entry.get("transport"))}  # where Cline's command line nests it
        parts = {
            part: self._entry.get(name) for name, part in self.host.local.items() if isinstance(part, Part)
        }
        words = _words(parts.get(Part.WORDS))
        command = parts.get(Part.COMMAND)
        self._command = words[0] if words else command if isinstance(command, str) else ""
        self._arguments = words[1:] or _words(parts.get(Part.ARGUMENTS))
        self.environment = {
            name: str(value)
            for name, value in mapping(parts.get(Part.ENVIRONMENT)).items()
            if isinstance(value, str | int | float)
        }
        self._forwarded = _words(parts.get(Part.FORWARDED))

    @property
    def is_ours(self) -> bool:
        """Whether it is meant to start or reach this server."""
        words = " ".join([self._command, *self._arguments])
        named = self.key.lower() in ("grok", "grok-mcp", DISTRIBUTION)
        return named or bool(re.search(r"\bgrok[-_]mcp\b", words))

    def _wrong(self, message: str, fix: str) -> Check:
        return wrong(f"host {self.host.name}", f"{self.path}: {message}", fix)

    def _doubtful(self, message: str, fix: str) -> Check:
        return doubtful(f"host {self.host.name}", f"{self.path}: {message}", fix)

    def check(self) -> Iterator[Check]:
        """What is wrong with it, in the order in which a user would meet it."""
        if self._entry.get("disabled") is True or self._entry.get("enabled") is False:
            yield self._doubtful("the entry is switched off", f"Enable it in {self.host.title}.")
        if self._command:
            yield from self._check_command()
            yield from self._check_key()
            for name in self.environment:
                variable = name.upper()
                if variable.startswith(PREFIX) and variable not in {*VARIABLES, f"{PREFIX}ENV_FILE"}:
                    message = f"{name} is not a setting of this version"
                    yield self._doubtful(message, f"Correct {name}, or remove it.")
        else:
            yield from self._check_remote()
        for limit in self.host.limits:
            yield from self._check_limit(limit, self._entry.get(limit.key))

    def _check_remote(self) -> Iterator[Check]:
        """Whether the keys of a remote server's entry are those that the host reads."""
        title, remote = self.host.title, self.host.remote or {}
        keys = {part: key for key, part in remote.items() if isinstance(part, Part)}
        url = str(self._entry.get("url") or "")
        is_sse = url.rstrip("/").endswith("/sse")
        if keys and url and keys[Part.URL] != "url" and not is_sse:
            message = f'{title} does not read "url" for a Streamable HTTP server'
            yield self._wrong(message, f'Write "{keys[Part.URL]}" in place of "url".')
        kind = remote.get("type")
        if url and kind and "type" not in self._entry:
            message = (
                f'{title} needs a "type" with a "url": else it refuses the entry or assumes the older SSE'
            )
            yield self._wrong(message, f'Add "type": "{"sse" if is_sse else kind}".')
        if keys and "headers" in self._entry and keys[Part.HEADERS] != "headers":
            token = keys.get(Part.TOKEN_VARIABLE)
            also = f", or take {token}" if token else ""
            fix = f"Write {keys[Part.HEADERS]} in place of headers{also}."
            yield self._wrong(f"{title} silently ignores headers", fix)

    def _check_command(self) -> Iterator[Check]:
        command = self._command
        if package_of(command, self._arguments) == STRANGER:
            yield self._wrong(
                f"it starts the package {STRANGER}, which is somebody else's program and gets your key",
                f"Write {DISTRIBUTION} in place of {STRANGER}; if it ever ran with your key, change the key.",
            )
        if re.search(r"[$%{]", command):
            return
        path = self.environment.get("PATH") or self._shell.get("PATH")
        program = None
        with suppress(RuntimeError, ValueError, OSError):  # a home that is not known; no path at all
            program = shutil.which(str(Path(command).expanduser()), path=path)
        absolute = Path(command).is_absolute()
        if program is None:
            fix = f"Install {Path(command).name}, or give its absolute path as command."
            if Path(command).stem in ("uvx", "uv"):
                fix += " uv is at https://docs.astral.sh/uv/."
            yield self._wrong(f"the command {command} is not found", fix)
        elif self.host.short_path and not absolute and not program.startswith(("/usr/bin/", "/bin/")):
            message = f"{self.host.title} is started with a short PATH, in which {command} may not be found"
            yield self._doubtful(message, f"Give its absolute path as command: {program}.")

    def _check_key(self) -> Iterator[Check]:
        """Whether a key reaches the server."""
        title, way, environment = self.host.title, self.host.key, self.environment
        if environment.get("GROK_MCP_GATEWAY", "").lower() == "sandbox" or self._entry.get("envFile"):
            return
        if environment.get("GROK_MCP_API_KEY_FILE") or environment.get("GROK_MCP_ENV_FILE"):
            return
        for name in KEYS:
            if value := bare(environment.get(name, "")):
                yield from self._check_value(name, value)
                return
        if isinstance(way, Forwarded) and not set(KEYS) & set(self._forwarded):
            (names,) = (key for key, part in self.host.local.items() if part is Part.FORWARDED)
            message = f"{title} passes on no key that the entry does not name"
            yield self._wrong(message, f'Add {names} = ["XAI_API_KEY"].')
        elif self.host.withholds and not isinstance(way, Forwarded):
            value = way.to(KEYS[0]) if isinstance(way, Reference) else "the key itself"
            yield self._wrong("the entry has no key", f"Add XAI_API_KEY with {value} to its environment.")
        elif not any(self._shell.get(name, "").strip() for name in KEYS):
            fix = f"Set XAI_API_KEY where {title} is started, or add it to the entry."
            yield self._doubtful("the entry has no key, and this shell has none to pass on", fix)

    def _check_value(self, name: str, value: str) -> Iterator[Check]:
        """What is wrong with the value of a key's variable; a value that may be a key is never shown."""
        error, way = key_problem(value), self.host.key
        placeholder = error is not None and "placeholder" in error
        if placeholder and isinstance(way, Reference) and way.expands(value):
            yield from self._check_reference(name, value)
        elif placeholder:
            quoted = re.sub(r":-.*", ":-…}", value) if re.match(r"[$%{]", value) else "it"
            message = f"{name} is a placeholder, and {self.host.title} does not replace {quoted}"
            if isinstance(way, Reference):
                yield self._wrong(message, f"Write {way.to(name)} or the key itself.")
            else:
                yield self._wrong(message, f"Write the key itself as {name}.")
        elif error:
            yield self._wrong(f"{name} {error}", f"Copy the key again into {name}.")

    def _check_reference(self, name: str, value: str) -> Iterator[Check]:
        """Whether a placeholder has a value."""
        source = re.sub(r"^\$?\{?(?:env:)?|(?::-.*)?\}?$", "", value)
        if source.startswith("input:"):
            inputs = self._document.get("inputs")
            known = [mapping(item).get("id") for item in inputs] if isinstance(inputs, list) else []
            wanted = source.removeprefix("input:")
            if wanted not in known:
                fix = f'Add {{"type": "promptString", "id": "{wanted}", "password": true}} to "inputs".'
                yield self._wrong(f"{name} is {value}, but there is no such input", fix)
        elif not self._shell.get(source, "").strip() and ":-" not in value:
            message = f"{name} is {value}, and {source} is not set in this shell"
            yield self._doubtful(message, f"Set {source} where {self.host.title} is started.")

    def _check_limit(self, limit: TimeLimit, value: Any) -> Iterator[Check]:
        fix = f"Set {limit.key} to {limit.value}: it is in {limit.unit}."
        if value is None:
            if limit.needed:
                title = self.host.title
                message = f"without {limit.key}, {title} gives the server little time to start and to answer"
                yield self._doubtful(message, fix)
        elif not isinstance(value, int | float) or isinstance(value, bool):
            yield self._wrong(f"{limit.key} is not a number", fix)
        elif value < limit.least or value > (limit.most or value):
            yield self._wrong(f"{limit.key} is {value}, which looks like the wrong unit", fix)
        elif value * limit.seconds < min(SHORT_S, limit.seconds) * limit.value:
            message = f"{limit.key} is {value}, too short for an answer with reasoning or a search"
            yield self._doubtful(message, fix)


def _words(value: Any) -> list[str]:
    return (
        [str(word) for word in value if isinstance(word, str | int | float)]
        if isinstance(value, list)
        else []
    )


_RUNNERS = (["uvx"], ["uv", "tool", "run"], ["pipx", "run"], ["npx"], ["bunx"])
_VALUED = re.compile(r"--(?:from|with|python|index-url|extra-index-url|index|default-index|spec)|-[piw]")
"""Options of runners that take a value."""


def package_of(command: str, arguments: Sequence[str]) -> str | None:
    """The package that a runner such as uvx or pipx fetches and starts; None for other commands."""
    words = [PureWindowsPath(command).stem.lower(), *arguments]
    if words[0] == "cmd" and len(words) > 2 and words[1].lower() == "/c":
        words = [PureWindowsPath(words[2]).stem.lower(), *words[3:]]
    runner = next((runner for runner in _RUNNERS if words[: len(runner)] == runner), None)
    if runner is None:
        return None
    options: dict[str, str] = {}
    started = ""
    rest = iter(words[len(runner) :])
    for word in rest:
        if not word.startswith("-"):
            started = word
            break
        option, equals, value = word.partition("=")
        options[option] = next(rest, "") if not equals and _VALUED.fullmatch(option) else value
    package = options.get("--from") or options.get("--spec") or started
    return re.split(r"[@=<>!~\[; ]", package, maxsplit=1)[0].lower().replace("_", "-") or None
