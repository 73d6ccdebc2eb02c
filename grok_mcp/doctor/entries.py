"""Checks of one entry of ours in a host's file: what it starts, with which key, and for how long."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from grok_mcp.doctor.installation import STRANGER
from grok_mcp.environment import VARIABLES
from grok_mcp.hosts import Forwarded, Host, Part, Reference, TimeLimit
from grok_mcp.settings import PREFIX, fault_of

OURS = "grok-mcp-server"
SHORT_S = 60.0

KEYS = ("XAI_API_KEY", "GROK_MCP_API_KEY")


class Finding(NamedTuple):
    """What is wrong with an entry; `breaks` where it can't work so."""

    breaks: bool
    message: str
    fix: str


class Local(NamedTuple):
    """What an entry starts, in whichever form its host has."""

    command: str
    arguments: list[str]
    environment: dict[str, str]
    forwarded: list[str]


def local_part(host: Host, entry: Mapping[str, Any]) -> Local:
    """The parts of an entry that starts a program; empty where it has none."""
    entry = _flat(entry)
    parts = {part: entry.get(key) for key, part in host.local.items() if isinstance(part, Part)}
    command, arguments = parts.get(Part.COMMAND), _words(parts.get(Part.ARGUMENTS))
    if words := _words(parts.get(Part.WORDS)):
        command, arguments = words[0], words[1:]
    given = parts.get(Part.ENVIRONMENT)
    environment = {name: str(value) for name, value in given.items()} if isinstance(given, dict) else {}
    return Local(str(command or ""), arguments, environment, _words(parts.get(Part.FORWARDED)))


def _flat(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry with what Cline's command line nests."""
    nested = entry.get("transport")
    return {**entry, **nested} if isinstance(nested, dict) else entry


def _words(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def is_ours(host: Host, key: str, entry: Mapping[str, Any]) -> bool:
    """Whether an entry is meant to start or reach this server."""
    local = local_part(host, entry)
    words = " ".join([local.command, *local.arguments])
    return bool(re.search(r"\bgrok[-_]mcp\b", words)) or key.lower() in ("grok", "grok-mcp", OURS)


def own_settings(host: Host, entry: Mapping[str, Any]) -> dict[str, str]:
    """What the environment of an entry says to this server."""
    known = VARIABLES.keys()
    given = local_part(host, entry).environment
    return {name: value for name, value in given.items() if name in known}


def check_entry(
    host: Host, entry: Mapping[str, Any], document: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """What is wrong with an entry of ours, in the order in which it would be met."""
    local, entry = local_part(host, entry), _flat(entry)
    if entry.get("disabled") is True or entry.get("enabled") is False:
        yield Finding(False, "the entry is switched off", f"Enable it in {host.title}.")
    if local.command:
        yield from _command(host, local, environment)
        yield from _key(host, entry, local, document, environment)
        yield from _unknown(local)
    else:
        yield from _remote(host, entry)
    for limit in host.limits:
        yield from _limit(host, limit, entry.get(limit.key))


def _remote(host: Host, entry: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the keys of a remote server's entry are those that the host reads."""
    right = {part: key for key, part in (host.remote or {}).items() if isinstance(part, Part)}
    url = str(entry.get("url") or "")
    if right and url and right[Part.URL] != "url" and not url.rstrip("/").endswith("/sse"):
        message = f'{host.title} does not take "url" for the address of a server of today'
        yield Finding(True, message, f'Write "{right[Part.URL]}" in place of "url".')
    kind = (host.remote or {}).get("type")
    if url and kind and "type" not in entry:
        wanted = "sse" if url.rstrip("/").endswith("/sse") else kind
        message = f'{host.title} wants a "type" beside a "url", else it is refused or taken for the older SSE'
        yield Finding(True, message, f'Add "type": "{wanted}".')
    if right and "headers" in entry and right[Part.HEADERS] != "headers":
        token = right.get(Part.TOKEN_VARIABLE)
        also = f", or take {token}" if token else ""
        message = f"{host.title} ignores headers without a word"
        yield Finding(True, message, f"Write {right[Part.HEADERS]} in place of headers{also}.")


def _command(host: Host, local: Local, environment: Mapping[str, str]) -> Iterator[Finding]:
    command = local.command
    if package_of(command, local.arguments) == STRANGER:
        yield Finding(
            True,
            f"it starts the package {STRANGER}, which is somebody else's program and is given your key",
            f"Write {OURS} in place of {STRANGER}; if it ever ran with your key, make a new key.",
        )
    if re.search(r"[$%{]", command):
        return
    path = local.environment.get("PATH") or environment.get("PATH")
    found = shutil.which(str(Path(command).expanduser()), path=path)
    if found is None:
        fix = f"Install {Path(command).name}, or give its absolute path as command."
        if Path(command).stem in ("uvx", "uv"):
            fix += " uv is at https://docs.astral.sh/uv/."
        yield Finding(True, f"the command {command} is not found", fix)
    elif host.short_path and not Path(command).is_absolute() and not found.startswith(("/usr/bin/", "/bin/")):
        message = f"{host.title} is started with a short PATH, in which {command} may not be found"
        yield Finding(False, message, f"Give its absolute path as command: {found}.")


def _key(
    host: Host,
    entry: Mapping[str, Any],
    local: Local,
    document: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Iterator[Finding]:
    """Whether a key reaches the server."""
    given = local.environment
    elsewhere = ("GROK_MCP_API_KEY_FILE", "GROK_MCP_ENV_FILE")
    if given.get("GROK_MCP_GATEWAY", "").lower() == "sandbox" or any(map(given.get, elsewhere)):
        return
    if entry.get("envFile"):
        return
    for name in KEYS:
        if value := given.get(name, "").strip():
            yield from _value(host, name, value, document, environment)
            return
    if isinstance(host.key, Forwarded) and not set(KEYS) & set(local.forwarded):
        (list_of_names,) = (key for key, part in host.local.items() if part is Part.FORWARDED)
        fix = f'Add {list_of_names} = ["XAI_API_KEY"].'
        yield Finding(True, f"{host.title} hands on no key that the entry does not name", fix)
    elif host.withholds and not isinstance(host.key, Forwarded):
        value = host.key.to(KEYS[0]) if isinstance(host.key, Reference) else "the key itself"
        yield Finding(True, "the entry has no key", f"Add XAI_API_KEY with {value} to its environment.")
    elif not any(environment.get(name, "").strip() for name in KEYS):
        fix = f"Set XAI_API_KEY where {host.title} is started, or add it to the entry."
        yield Finding(False, "the entry has no key, and this shell has none to hand on", fix)


def _value(
    host: Host, name: str, value: str, document: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """What is wrong with the value of a key's variable; it is not shown where it may be a key."""
    fault = fault_of(value)
    placeholder = bool(re.fullmatch(r"\{\w+:\w+\}", value)) or (fault is not None and "placeholder" in fault)
    way = host.key
    if placeholder and isinstance(way, Reference) and way.expands(value):
        yield from _reference(host, name, value, document, environment)
    elif placeholder:
        kept = re.sub(r":-.*", ":-…}", value) if re.match(r"[$%{]", value) else "what stands there"
        fix = f"Write the key itself as {name}."
        if isinstance(way, Reference):
            fix = f"Write {way.to(name)} or the key itself."
        yield Finding(True, f"{name} is a placeholder, and {host.title} does not replace {kept}", fix)
    elif fault:
        yield Finding(True, f"{name} {fault}", f"Copy the key anew into {name}.")


def _reference(
    host: Host, name: str, value: str, document: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[Finding]:
    """Whether there is something behind a placeholder."""
    source = re.sub(r"^\$?\{?(?:env:)?|(?::-.*)?\}?$", "", value)
    if source.startswith("input:"):
        inputs = document.get("inputs")
        known = [one.get("id") for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
        wanted = source.removeprefix("input:")
        if wanted not in known:
            fix = f'Add {{"type": "promptString", "id": "{wanted}", "password": true}} to "inputs".'
            yield Finding(True, f"{name} is {value}, but there is no such input", fix)
    elif not environment.get(source, "").strip() and ":-" not in value:
        message = f"{name} is {value}, and {source} is not set in this shell"
        yield Finding(False, message, f"Set {source} where {host.title} is started.")


def _unknown(local: Local) -> Iterator[Finding]:
    known = VARIABLES.keys()
    for name in local.environment:
        if name.upper().startswith(PREFIX) and name.upper() not in known | {f"{PREFIX}ENV_FILE"}:
            yield Finding(False, f"{name} is no setting of this version", f"Correct {name}, or take it out.")


def _limit(host: Host, limit: TimeLimit, value: Any) -> Iterator[Finding]:
    advice = f"Set {limit.key} to {limit.value}: it is in {limit.unit}."
    if value is None:
        if limit.needed:
            message = f"without {limit.key}, {host.title} gives the server little time to start and to answer"
            yield Finding(False, message, advice)
    elif not isinstance(value, int | float) or isinstance(value, bool):
        yield Finding(True, f"{limit.key} is no number", advice)
    elif value < limit.least or value > (limit.most or value):
        yield Finding(True, f"{limit.key} is {value}, which looks like the wrong unit", advice)
    elif value / limit.value * limit.seconds < min(SHORT_S, limit.seconds):
        message = f"{limit.key} is {value}, too short for an answer that takes thought or a search"
        yield Finding(False, message, advice)


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
