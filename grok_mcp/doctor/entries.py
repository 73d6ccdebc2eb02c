"""An entry of this server in a host's file: what it starts, with which key, and for how long."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from grok_mcp.doctor.findings import Finding
from grok_mcp.doctor.installation import STRANGER
from grok_mcp.environment import is_unknown
from grok_mcp.foreign import mapping
from grok_mcp.hosts import (
    DISTRIBUTION,
    KEY_SOURCES,
    Forwarded,
    Host,
    Part,
    Reference,
    Started,
    TimeLimit,
    package_of,
)
from grok_mcp.invocation import command as typed
from grok_mcp.settings import bare, key_problem

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
        self.started = Started.by(self.host, key, entry)
        self._command, self._arguments = self.started.command, self.started.arguments
        self.environment = {
            name: str(value)
            for name, value in mapping(parts.get(Part.ENVIRONMENT)).items()
            if isinstance(value, str | int | float)
        }
        forwarded = parts.get(Part.FORWARDED)
        self._forwarded = [str(name) for name in forwarded] if isinstance(forwarded, list) else []

    @property
    def is_ours(self) -> bool:
        """Whether it starts or reaches this server."""
        return self.started.is_ours

    @property
    def is_of_interest(self) -> bool:
        """Whether it is ours, starts the stranger's package, or has a name of ours."""
        named = self.key.lower() in ("grok", "grok-mcp", DISTRIBUTION)
        return self.is_ours or named or self._starts_stranger

    @property
    def _starts_stranger(self) -> bool:
        return package_of(self._command, self._arguments) == STRANGER

    def check(self) -> Iterator[Finding]:
        """What is wrong with it, in the order in which a user would meet it."""
        if not (self.is_ours or self._starts_stranger):
            message = f"{self.key} starts {self.started}, which is not known to be this server"
            if not self._command:
                message = f"{self.key} reaches {self.started}, which is not known to be this server"
            words = typed("install", self.host.name, "--name", "grok-server")
            yield _doubtful(message, f"If you want this server too, run: {words}")
            return
        if self._entry.get("disabled") is True or self._entry.get("enabled") is False:
            yield _doubtful("the entry is switched off", "Enable it in {host}.")
        if self._command:
            yield from self._check_command()
            yield from self._check_key()
            for name in self.environment:
                if is_unknown(name):
                    message = f"{name} is not a setting of this version"
                    yield _doubtful(message, f"Correct {name}, or remove it.")
        else:
            yield from self._check_remote()
        for limit in self.host.limits:
            yield from self._check_limit(limit, self._entry.get(limit.key))

    def _check_remote(self) -> Iterator[Finding]:
        """Whether the keys of a remote server's entry are those that the host reads."""
        remote = self.host.remote or {}
        keys = {part: key for key, part in remote.items() if isinstance(part, Part)}
        url = str(self._entry.get("url") or "")
        is_sse = url.rstrip("/").endswith("/sse")
        if keys and url and keys[Part.URL] != "url" and not is_sse:
            message = '{host} does not read "url" for a Streamable HTTP server'
            yield _wrong(message, f'Write "{keys[Part.URL]}" in place of "url".')
        kind = remote.get("type")
        if url and kind and "type" not in self._entry:
            message = 'without a "type", {host} refuses a "url" or takes it for the older SSE'
            yield _wrong(message, f'Add "type": "{"sse" if is_sse else kind}".')
        if keys and "headers" in self._entry and keys[Part.HEADERS] != "headers":
            token = keys.get(Part.TOKEN_VARIABLE)
            also = f", or take {token}" if token else ""
            fix = f"Write {keys[Part.HEADERS]} in place of headers{also}."
            yield _wrong("{host} silently ignores headers", fix)

    def _check_command(self) -> Iterator[Finding]:
        command = self._command
        if self._starts_stranger:
            yield _wrong(
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
            yield _wrong(f"the command {command} is not found", fix)
        elif self.host.short_path and not absolute and not program.startswith(("/usr/bin/", "/bin/")):
            message = f"{{host}} is started with a short PATH, in which {command} may not be found"
            yield _doubtful(message, f"Give its absolute path as command: {program}.")

    def _check_key(self) -> Iterator[Finding]:
        """Whether a key reaches the server."""
        way, environment = self.host.key, self.environment
        shell = {} if self.host.withholds else self._shell
        gateway = environment.get("GROK_MCP_GATEWAY") or shell.get("GROK_MCP_GATEWAY", "")
        if gateway.lower() == "sandbox" or self._entry.get("envFile"):
            return
        if environment.get("GROK_MCP_API_KEY_FILE") or environment.get("GROK_MCP_ENV_FILE"):
            return
        for name in KEYS:
            if value := bare(environment.get(name, "")):
                yield from self._check_value(name, value)
                return
        forwarded = KEY_SOURCES & set(self._forwarded)
        if self.host.withholds and isinstance(way, Forwarded) and not forwarded:
            (names,) = (key for key, part in self.host.local.items() if part is Part.FORWARDED)
            message = "{host} passes on only the variables that the entry names, and it names no key"
            yield _wrong(message, f'Add {names} = ["XAI_API_KEY"].')
        elif self.host.withholds and not forwarded:
            value = way.to(KEYS[0]) if isinstance(way, Reference) else "the key itself"
            yield _wrong("the entry has no key", f"Set XAI_API_KEY to {value} in the entry's environment.")
        elif not any(self._shell.get(name, "").strip() for name in forwarded or KEY_SOURCES):
            yield _not_set("XAI_API_KEY")

    def _check_value(self, name: str, value: str) -> Iterator[Finding]:
        """What is wrong with the value of a key's variable; a value that may be a key is never shown."""
        error, way = key_problem(value), self.host.key
        placeholder = error is not None and "placeholder" in error
        if placeholder and isinstance(way, Reference) and way.expands(value):
            yield from self._check_reference(name, value)
        elif placeholder:
            quoted = re.sub(r":-.*", ":-…}", value) if re.match(r"[$%{]", value) else "it"
            message = f"{name} is a placeholder, and {{host}} does not replace {quoted}"
            if isinstance(way, Reference):
                yield _wrong(message, f"Write {way.to(name)} or the key itself.")
            else:
                yield _wrong(message, f"Write the key itself as {name}.")
        elif error:
            yield _wrong(f"{name} {error}", f"Copy the key again into {name}.")

    def _check_reference(self, name: str, value: str) -> Iterator[Finding]:
        """Whether a placeholder has a value."""
        source = re.sub(r"^\$?\{?(?:env:)?|(?::-.*)?\}?$", "", value)
        if source.startswith("input:"):
            inputs = self._document.get("inputs")
            known = [mapping(item).get("id") for item in inputs] if isinstance(inputs, list) else []
            wanted = source.removeprefix("input:")
            if wanted not in known:
                fix = f'Add {{"type": "promptString", "id": "{wanted}", "password": true}} to "inputs".'
                yield _wrong(f"{name} is {value}, but there is no such input", fix)
        elif not self._shell.get(source, "").strip() and ":-" not in value:
            yield _not_set(source)

    def _check_limit(self, limit: TimeLimit, value: Any) -> Iterator[Finding]:
        fix = f"Set {limit.key} to {limit.value}: it is in {limit.unit}."
        if value is None:
            if limit.needed:
                message = f"without {limit.key}, {{host}} gives the server little time to start and to answer"
                yield _doubtful(message, fix)
        elif not isinstance(value, int | float) or isinstance(value, bool):
            yield _wrong(f"{limit.key} is not a number", fix)
        elif value < limit.least or value > (limit.most or value):
            yield _wrong(f"{limit.key} is {value}, which looks like the wrong unit", fix)
        elif value * limit.seconds < min(SHORT_S, limit.seconds) * limit.value:
            message = f"{limit.key} is {value}, too short for an answer with reasoning or a search"
            yield _doubtful(message, fix)


def _wrong(message: str, fix: str) -> Finding:
    return Finding(False, message, fix)


def _doubtful(message: str, fix: str) -> Finding:
    return Finding(True, message, fix)


def _not_set(variable: str) -> Finding:
    """The same cause for each host that takes the key from there."""
    message = f"the key comes from {variable}, which is not set in this shell"
    return _doubtful(message, f"Set {variable} where {{host}} is started.")
