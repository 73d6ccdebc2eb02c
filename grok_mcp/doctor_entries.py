"""Checks of one entry of ours in a host's file: what it starts, with which key, and for how long."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from grok_mcp.doctor_installation import STRANGER
from grok_mcp.environment import variables_of
from grok_mcp.keys import fault_of
from grok_mcp.settings import PREFIX, Settings

OURS = "grok-mcp-server"
SHORT_S = 60.0
LONGEST_S = 24 * 3600.0

KEYS = ("XAI_API_KEY", "GROK_MCP_API_KEY")


class Timeout(NamedTuple):
    """A time limit in an entry: its key, the unit in seconds, what we advise, and whether it is needed."""

    key: str
    unit_s: float
    advised_s: int
    longest: float = LONGEST_S
    needed: bool = False

    @property
    def advice(self) -> str:
        """The setting that we advise, as it is to be written."""
        unit = "seconds" if self.unit_s == 1 else "milliseconds"
        return f"{self.key} to {round(self.advised_s / self.unit_s)}, which is in {unit}"


@dataclass(frozen=True)
class Host:
    """What is particular about a host's entries.

    `expands` matches the placeholders that it replaces, `forwards` is the list of variables that it hands on.
    `ignored` are keys that it does not read, with those that it does; `bare_url` is what a lone `url` means
    to it, and what to write.
    """

    name: str
    title: str
    expands: str = r"(?!)"
    passes_environment: bool = False
    forwards: str | None = None
    timeouts: tuple[Timeout, ...] = ()
    comments: bool = False
    ignored: Mapping[str, str] = field(default_factory=dict)
    bare_url: tuple[str, str] | None = None


class Finding(NamedTuple):
    """What is wrong with an entry; `breaks` where it can't work so."""

    breaks: bool
    message: str
    fix: str


def is_ours(key: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry is meant to start or reach this server."""
    entry = _flat(entry)
    words = " ".join([str(entry.get("command", "")), *_words(entry.get("args"))])
    return bool(re.search(r"\bgrok[-_]mcp\b", words)) or key.lower() in ("grok", "grok-mcp", OURS)


def check_entry(
    host: Host, entry: Mapping[str, Any], document: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """What is wrong with an entry of ours, in the order in which it would be met."""
    entry = _flat(entry)
    if entry.get("disabled") is True or entry.get("enabled") is False:
        yield Finding(False, "the entry is switched off", f"Enable it in {host.title}.")
    yield from _ignored(host, entry)
    if "command" in entry:
        yield from _command(host, entry, environment)
        yield from _key(host, entry, document, environment)
        yield from _unknown(entry)
    elif host.bare_url and "url" in entry and "type" not in entry:
        message, fix = host.bare_url
        yield Finding("refused" in message, message, f"Write {fix}.")
    for timeout in host.timeouts:
        yield from _timeout(host, timeout, entry.get(timeout.key))


def _flat(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with what Cline's command line nests."""
    nested = entry.get("transport")
    return {**entry, **nested} if isinstance(nested, dict) else entry


def _words(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _ignored(host: Host, entry: Mapping[str, Any]) -> Iterator[Finding]:
    for key, right in host.ignored.items():
        if key in entry:
            yield Finding(True, f"{host.title} does not read {key}", f"Write {right} in place of {key}.")


def _command(host: Host, entry: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[Finding]:
    command, arguments = str(entry["command"]), _words(entry.get("args"))
    if package_of(command, arguments) == STRANGER:
        yield Finding(
            True,
            f"it starts the package {STRANGER}, which is somebody else's program and is given your key",
            f"Write {OURS} in place of {STRANGER}; if it ever ran with your key, make a new key.",
        )
    if re.search(r"[$%{]", command):
        return
    path = _environment(entry).get("PATH") or environment.get("PATH")
    if shutil.which(str(Path(command).expanduser()), path=path) is None:
        fix = f"Install {Path(command).name}, or give its absolute path as command."
        if Path(command).stem in ("uvx", "uv"):
            fix += " uv is at https://docs.astral.sh/uv/."
        yield Finding(True, f"the command {command} is not found", fix)
    elif host.name == "claude-desktop" and not Path(command).is_absolute():
        found = shutil.which(command, path=path)
        if found and not found.startswith(("/usr/bin/", "/bin/")) and not PureWindowsPath(found).drive:
            message = f"{host.title} is started with a short PATH, in which {command} may not be found"
            yield Finding(False, message, f"Give its absolute path as command: {found}.")


_VALUED = re.compile(
    r"--(?:from|with|python|index-url|extra-index-url|index|default-index|spec|cache-dir)|-[piw]"
)


def package_of(command: str, arguments: Sequence[str]) -> str | None:
    """The package that a runner such as uvx or pipx fetches and starts; None for other commands."""
    words = [PureWindowsPath(command).stem.lower(), *arguments]
    if words[0] == "cmd" and len(words) > 2 and words[1].lower() == "/c":
        words = [PureWindowsPath(words[2]).stem.lower(), *words[3:]]
    for runner in (["uvx"], ["uv", "tool", "run"], ["uv", "x"], ["pipx", "run"], ["npx"], ["bunx"]):
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
    package = named.get("--from") or named.get("--spec") or (words[position] if position < len(words) else "")
    return re.split(r"[@=<>!~\[; ]", package)[0].lower().replace("_", "-") or None


def own_settings(entry: Mapping[str, Any]) -> dict[str, str]:
    """What the environment of an entry says to this server."""
    known = {variable for name in Settings.model_fields for variable in variables_of(name)}
    return {name: value for name, value in _environment(_flat(entry)).items() if name in known}


def _environment(entry: Mapping[str, Any]) -> dict[str, str]:
    given = entry.get("env")
    return {name: str(value) for name, value in given.items()} if isinstance(given, dict) else {}


def _key(
    host: Host, entry: Mapping[str, Any], document: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Whether a key reaches the server."""
    given = _environment(entry)
    if given.get("GROK_MCP_GATEWAY", "").lower() == "sandbox" or given.get("GROK_MCP_API_KEY_FILE"):
        return
    if entry.get("envFile") or given.get("GROK_MCP_ENV_FILE"):
        return
    for name in KEYS:
        if given.get(name, "").strip():
            yield from _value(host, name, given[name].strip(), document, environment)
            return
    forwarded = [name for name in KEYS if host.forwards and name in _words(entry.get(host.forwards))]
    from_outside = list(KEYS) if host.passes_environment else forwarded
    if any(environment.get(name, "").strip() for name in from_outside):
        return
    if from_outside:
        message = f"{host.title} hands {from_outside[0]} on, but it is not set in this shell"
        yield Finding(False, message, f"Set {from_outside[0]} where {host.title} is started.")
    elif host.forwards:
        fix = f'Add {host.forwards} = ["XAI_API_KEY"].'
        yield Finding(True, f"{host.title} hands no key on that the entry does not name", fix)
    else:
        yield Finding(True, "the entry has no key", "Add XAI_API_KEY to its env.")


def _value(
    host: Host, name: str, value: str, document: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """What is wrong with the value of a key's variable; it is not shown where it may be a key."""
    fault = fault_of(value)
    if re.fullmatch(host.expands, value):
        source = re.sub(r"^\$\{?(?:env:)?|(?::-.*)?\}?$", "", value)
        if source.startswith("input:"):
            inputs = document.get("inputs")
            known = (
                [one.get("id") for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
            )
            if source.removeprefix("input:") not in known:
                fix = f'Add {{"type": "promptString", "id": "{source[6:]}", "password": true}} to "inputs".'
                yield Finding(True, f"{name} is {value}, but there is no such input", fix)
        elif not environment.get(source, "").strip() and ":-" not in value:
            message = f"{name} is {value}, and {source} is not set in this shell"
            yield Finding(False, message, f"Set {source} where {host.title} is started.")
    elif fault and "placeholder" in fault:
        kept = value if re.match(r"[$%{]", value) else "what stands there"
        fix = f"Write the key itself as {name}."
        yield Finding(True, f"{name} is a placeholder, and {host.title} does not replace {kept}", fix)
    elif fault:
        yield Finding(True, f"{name} {fault}", f"Copy the key anew into {name}.")


def _unknown(entry: Mapping[str, Any]) -> Iterator[Finding]:
    known = {variable for name in Settings.model_fields for variable in variables_of(name)}
    for name in _environment(entry):
        if name.upper().startswith(PREFIX) and name.upper() not in known | {f"{PREFIX}ENV_FILE"}:
            yield Finding(False, f"{name} is no setting of this version", f"Correct {name}, or take it out.")


def _timeout(host: Host, timeout: Timeout, value: Any) -> Iterator[Finding]:
    if value is None:
        if timeout.needed:
            message = f"without {timeout.key}, {host.title} gives the server 3 seconds to start and a call 60"
            yield Finding(False, message, f"Set {timeout.advice}.")
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        yield Finding(True, f"{timeout.key} is no number", f"Set {timeout.advice}.")
        return
    seconds = value * timeout.unit_s
    if seconds < 1 or seconds > timeout.longest:
        message = f"{timeout.key} is {value}, which looks like the wrong unit"
        yield Finding(True, message, f"Set {timeout.advice}.")
    elif seconds < min(SHORT_S, timeout.advised_s):
        message = f"{timeout.key} is {value}, too short for an answer that takes thought or a search"
        yield Finding(False, message, f"Set {timeout.advice}.")
