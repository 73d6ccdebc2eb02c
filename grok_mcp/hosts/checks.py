"""Looks at a host's file as its host will: is our entry in it, and will it work?

`grok-mcp doctor` shows what is found here, and `grok-mcp install` nothing of it: it writes what is right.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grok_mcp.hosts.entry import DEFAULT_NAME, DISTRIBUTION, KEY_VARIABLE
from grok_mcp.hosts.host import Host, HostError, Machine, Part
from grok_mcp.hosts.hostfile import HostFile
from grok_mcp.hosts.rows import HOSTS
from grok_mcp.keys import fault_of

State = Literal["no file", "unreadable", "no entry", "entry"]

_TABLES = {host.table for host in HOSTS.values()}
_ADDRESSES = {"url", "httpUrl", "serverUrl"}
_OURS = re.compile(r"\bgrok[-_]mcp\b", re.IGNORECASE)
_STRANGER = DISTRIBUTION.removesuffix("-server")
_RUNNERS = {"uvx", "pipx"}
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Problem:
    """Something that will not work, and how to mend it; both are sentences for the user."""

    message: str
    fix: str


@dataclass(frozen=True)
class Finding:
    """What there is of us in one host's file."""

    host: Host
    path: Path
    state: State
    name: str | None = None
    """The name of our entry."""
    entry: Mapping[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    in_use: bool = False
    """Whether the host seems to be in use on this machine."""


def look_everywhere(machine: Machine) -> list[Finding]:
    """What there is of us in the files of all hosts."""
    return [look(host, machine) for host in HOSTS.values()]


def look(host: Host, machine: Machine, *, name: str = DEFAULT_NAME, project: bool = False) -> Finding:
    """What there is of us in the file of one host: the entry of that name, else one that starts us."""
    path = host.file(machine, project=project)
    in_use = host.is_there(machine, project=project)
    try:
        file = HostFile.read(host, path)
    except HostError as error:
        mend = Problem(str(error), f"mend {path} by hand; {host.title} can't read it either")
        return Finding(host, path, "unreadable", problems=(mend,), in_use=in_use)
    if file.bytes is None:
        return Finding(host, path, "no file", in_use=in_use)
    found = name if name in file.servers else next((one for one in file.servers if _is_ours(file, one)), None)
    if found is None:
        return Finding(host, path, "no entry", problems=tuple(_elsewhere(file, name)), in_use=in_use)
    entry = file.servers[found]
    if isinstance(entry, dict):
        problems = tuple(_problems(host, entry, machine))
    else:
        problems = (Problem(f"«{found}» in {path} is no object", _again(host)),)
    return Finding(host, path, "entry", found, entry, problems, in_use)


def _again(host: Host) -> str:
    return f"run grok-mcp install {host.name} --replace"


def _with_key(host: Host) -> str:
    return f"run grok-mcp install {host.name} --write-key --replace"


def _words(entry: Mapping[str, Any]) -> list[str]:
    command, arguments = entry.get("command", []), entry.get("args", [])
    words = [*(command if isinstance(command, list) else [command])]
    return [str(word) for word in [*words, *(arguments if isinstance(arguments, list) else [])]]


def _is_ours(file: HostFile, name: str) -> bool:
    entry = file.servers[name]
    return isinstance(entry, dict) and bool(_OURS.search(" ".join(_words(entry))))


def _elsewhere(file: HostFile, name: str) -> Iterator[Problem]:
    """Our entry under a key that other hosts read."""
    for table in sorted(_TABLES - {file.host.table}):
        servers = file.data.get(table)
        if isinstance(servers, dict) and name in servers:
            yield Problem(
                f"«{name}» stands under {table!r}; {file.host.title} reads {file.host.table!r}",
                f"run grok-mcp install {file.host.name}, then remove it under {table!r}",
            )


def _problems(host: Host, entry: Mapping[str, Any], machine: Machine) -> Iterator[Problem]:
    if entry.get("disabled") is True or entry.get("enabled") is False:
        yield Problem("the entry is switched off", f"switch it on in {host.title}")
    addresses = _ADDRESSES & set(entry)
    if addresses:
        yield from _remote_problems(host, entry, addresses)
    else:
        yield from _command_problems(host, entry, machine)
        yield from _key_problems(host, entry, machine)
    yield from _limit_problems(host, entry)


def _remote_problems(host: Host, entry: Mapping[str, Any], addresses: set[str]) -> Iterator[Problem]:
    if host.remote is None:
        yield Problem(
            f"{host.title} takes no remote server in its file", "add it in the settings of the host"
        )
        return
    wanted = next(key for key, part in host.remote.items() if part is Part.URL)
    if wanted not in addresses:
        yield Problem(
            f"{host.title} wants the address under {wanted!r}, not {min(addresses)!r}", _again(host)
        )
    kind = host.remote.get("type")
    if kind is not None and "type" not in entry and "transport" not in entry:
        yield Problem(
            f"a remote server needs a type, as in {kind!r}", f'write "type": "{kind}" beside its address'
        )
    if host.format == "toml" and "headers" in entry:
        yield Problem(f"{host.title} ignores headers", "name them http_headers, or use bearer_token_env_var")


def _command_problems(host: Host, entry: Mapping[str, Any], machine: Machine) -> Iterator[Problem]:
    words = _words(entry)
    if not words or not words[0]:
        yield Problem("the entry has no command", _again(host))
        return
    command, *arguments = words
    program = command.replace("\\", "/").rpartition("/")[2].removesuffix(".exe")
    packages = [word.partition("@")[0].partition("=")[0] for word in arguments]
    if program in _RUNNERS and _STRANGER in packages and DISTRIBUTION not in packages:
        yield Problem(
            f"the entry starts {_STRANGER}, which is somebody else's program; ours is {DISTRIBUTION}",
            _again(host),
        )
    if os.path.isabs(command):
        if not os.path.exists(command):
            yield Problem(f"the command {command} does not exist", _again(host))
    elif machine.program(command) is None:
        yield Problem(
            f"the command {command!r} is not on the PATH",
            "install uv (https://docs.astral.sh/uv/)" if command in ("uvx", "uv") else _again(host),
        )
    elif host.short_path:
        yield Problem(f"{host.title} may not find {command!r}, because its PATH is short", _again(host))


def _key_problems(host: Host, entry: Mapping[str, Any], machine: Machine) -> Iterator[Problem]:
    where = next((key for key, part in host.local.items() if part is Part.ENVIRONMENT), "env")
    environment = entry.get(where) or {}
    if not isinstance(environment, dict):
        yield Problem(f"{where!r} of the entry is no object", _again(host))
        return
    if {"GROK_MCP_API_KEY", "GROK_MCP_API_KEY_FILE"} & set(environment) or environment.get(
        "GROK_MCP_GATEWAY"
    ) == "sandbox":
        return
    value = environment.get(KEY_VARIABLE)
    forwarded = entry.get("env_vars")
    if value is None:
        named = isinstance(forwarded, list) and KEY_VARIABLE in forwarded
        if host.withholds and not named:
            yield Problem(f"{host.title} does not hand {KEY_VARIABLE} on to the server", _again(host))
        else:
            yield from _unset(host, KEY_VARIABLE, machine)
    elif not isinstance(value, str):
        yield Problem(f"{KEY_VARIABLE} is no text", _again(host))
    elif (variable := _reference(host, value)) is not None:
        if not host.asks:
            yield from _unset(host, variable, machine)
    elif (fault := fault_of(value)) is not None:
        if "placeholder" in fault and re.search(r"[${%]", value):
            yield Problem(f"{host.title} does not expand {value!r}", _again(host))
        else:
            yield Problem(
                f"{KEY_VARIABLE} {fault}"
                if "placeholder" not in fault
                else f"{KEY_VARIABLE} holds no key yet",
                f"put your key there, or {_with_key(host)}",
            )


def _reference(host: Host, value: str) -> str | None:
    """The name in a value that refers to a variable in this host's way."""
    before, percent, after = host.key.partition("%s")
    if not percent or not value.startswith(before) or not value.endswith(after):
        return None
    named = value[len(before) : len(value) - len(after)]
    return named if host.asks or _NAME.fullmatch(named) else None


def _unset(host: Host, variable: str, machine: Machine) -> Iterator[Problem]:
    if not machine.environment.get(variable):
        yield Problem(
            f"{variable} is not set in this environment",
            f"export it where {host.title} is started, or {_with_key(host)}",
        )


def _limit_problems(host: Host, entry: Mapping[str, Any]) -> Iterator[Problem]:
    for limit in host.limits:
        value = entry.get(limit.key)
        wanted = f"set it to {limit.value} ({limit.unit})"
        if value is None:
            if limit.needed:
                yield Problem(f"{host.title} gives a server too little time without {limit.key!r}", wanted)
        elif not (type(value) is int and limit.least <= value <= (limit.most or value)):
            yield Problem(f"{limit.key!r} is {value}; {host.title} reads it as {limit.unit}", wanted)
