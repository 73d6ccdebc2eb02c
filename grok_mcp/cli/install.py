"""The commands `grok-mcp-server install HOST` and `grok-mcp-server uninstall HOST`. See `grok_mcp.hosts`."""

import difflib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from grok_mcp.addresses import is_loopback
from grok_mcp.cli.console import fail
from grok_mcp.environment import VARIABLES
from grok_mcp.gateways import GATEWAYS
from grok_mcp.hosts import (
    COMMAND,
    DEFAULT_NAME,
    DISTRIBUTION,
    HOSTS,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    PLACEHOLDER,
    Change,
    EntrySpec,
    Host,
    HostError,
    Machine,
    Verbatim,
    build_entry,
    carry_out,
    looks_secret,
    plan_install,
    plan_uninstall,
)
from grok_mcp.invocation import command
from grok_mcp.redaction import mask_secrets
from grok_mcp.settings import bare, key_problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""A server's name that every host accepts, and that leaves room in the names of tools."""

_UV_CACHE = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders in uv's cache that hold what `uvx` runs."""

MAX_COMPARED = 2000
MAX_SHOWN = 500

_BOM = "\ufeff"
_OTHERS = 0o077

_HOST = click.argument("host", type=click.Choice(list(HOSTS)), metavar="HOST")
_PROJECT = click.option(
    "--project", is_flag=True, help="the host's file in the current folder, in place of the user's"
)


def _check_name(ctx: click.Context, option: click.Parameter, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r}: at most 32 letters, digits, - and _", ctx, option)
    return name


_NAMED = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, callback=_check_name, help="the server's name there"
)


@click.command(epilog="HOST: " + ", ".join(HOSTS))
@_HOST
@_NAMED
@_PROJECT
@click.option("--print", "preview", is_flag=True, help="show what would be written, and write nothing")
@click.option("--replace", is_flag=True, help="write over another entry of that name")
@click.option("--command", metavar="PROGRAM", help="start this program; its arguments follow --")
@click.option("--this", is_flag=True, help="start this installation, by its absolute path")
@click.option("--url", help="use a server that runs elsewhere")
@click.option("--token-env", metavar="VARIABLE", help="the variable that holds the token for --url")
@click.option("--gateway", type=click.Choice(list(GATEWAYS)), help="sets GROK_MCP_GATEWAY")
@click.option("--model", help="sets GROK_MCP_MODEL")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="sets any variable; can be repeated")
@click.option(
    "--write-key", is_flag=True, help=f"write the key from {KEY_VARIABLE} (or the token) into the file"
)
@click.argument("arguments", nargs=-1)
def install(host: str, name: str, project: bool, preview: bool, replace: bool, **options: Any) -> None:
    """Add this server to the configuration file of HOST.

    Nothing else in that file changes, and FILE.grok-mcp.bak is a copy of it as it was. Keys are written only
    with --write-key.
    """
    machine, row = _machine(), HOSTS[host]
    try:
        spec = _spec(row, machine, name, _Options(**options))
        path = row.file(machine, project=project)
        in_use = row.is_in_use(machine, project=project)
        entry = build_entry(row, spec)
        plan = partial(plan_install, row, path, entry, replace=replace, private=bool(spec.secrets))
        change = plan() if preview else carry_out(plan)
    except HostError as error:
        fail(str(error))
    if spec.token_variable and _in_the_clear(spec.url):
        warning = f"warning: --url {spec.url} is http: whoever is on the way can read the token; use https"
        click.echo(warning, err=True)
    if preview:
        click.echo(_preview(change, spec.secrets))
        return
    words = ["uninstall", host]
    if name != DEFAULT_NAME:
        words += ["--name", name]
    if project:
        words.append("--project")
    undo = command(*words)
    click.echo(_installed(change, spec, machine, in_use=in_use, undo=undo))


@click.command(epilog="HOST: " + ", ".join(HOSTS))
@_HOST
@_NAMED
@_PROJECT
@click.option("--print", "preview", is_flag=True, help="show what would be changed, and change nothing")
def uninstall(host: str, name: str, project: bool, preview: bool) -> None:
    """Remove this server from the configuration file of HOST.

    If the file has not changed since `install`, it is restored to the byte.
    """
    row = HOSTS[host]
    try:
        plan = partial(plan_uninstall, row, row.file(_machine(), project=project), name)
        change = plan() if preview else carry_out(plan)
    except HostError as error:
        fail(str(error))
    click.echo(_preview(change, ()) if preview else _uninstalled(change, name))


@dataclass(frozen=True)
class _Options:
    """The options that describe an entry."""

    command: str | None
    arguments: tuple[str, ...]
    this: bool
    url: str | None
    token_env: str | None
    gateway: str | None
    model: str | None
    env: tuple[str, ...]
    write_key: bool


def _machine() -> Machine:
    return click.get_current_context().find_object(Machine) or Machine.here()


def _spec(host: Host, machine: Machine, name: str, options: _Options) -> EntrySpec:
    """The entry that the options describe; options that exclude each other are a usage error."""
    environment = _environment(options)
    if options.url is not None:
        return _remote(machine, name, environment, options)
    if options.token_env:
        raise click.UsageError("--token-env needs --url")
    if options.this and options.command:
        raise click.UsageError("--this and --command exclude each other")
    if options.arguments and not options.command:
        raise click.UsageError("arguments after -- need --command")
    key = None
    if options.write_key and KEY_VARIABLE not in environment:
        key = _secret(machine, KEY_VARIABLE)
    if options.command:
        program, arguments = options.command, options.arguments
    elif options.this:
        program, arguments = _this()
    else:
        program, arguments = (host.short_path and machine.program(COMMAND)) or COMMAND, (DISTRIBUTION,)
    return EntrySpec(name, program, arguments, environment, key)


def _remote(machine: Machine, name: str, environment: dict[str, str], options: _Options) -> EntrySpec:
    url, variable = options.url, options.token_env
    if environment or options.command or options.this or options.arguments:
        raise click.UsageError("a server at --url has its own command and environment")
    if not re.match(r"https?://[^/\s]+", url or ""):
        raise click.UsageError(f"--url: {url!r} is not an http or https address")
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise click.UsageError("--token-env takes the name of a variable, not the token")
    token = _secret(machine, variable) if options.write_key and variable else None
    return EntrySpec(name, url=url, token_variable=variable, token=token)


def _environment(options: _Options) -> dict[str, str]:
    """The variables of --env and of its short forms; wrong ones are a usage error."""
    environment = {}
    for pair in options.env:
        variable, equals, value = pair.partition("=")
        if not equals or not _VARIABLE.fullmatch(variable):
            raise click.UsageError("--env takes NAME=VALUE")
        if variable.startswith(("GROK_MCP_", "XAI_")) and variable not in VARIABLES:
            raise click.UsageError(f"--env: there is no setting {variable}")
        if not options.write_key and looks_secret(variable, value):
            raise click.UsageError(
                f"--env: the value of {variable} looks like a secret; --write-key writes it anyway"
            )
        environment[variable] = value
    for variable, short in (("GROK_MCP_GATEWAY", options.gateway), ("GROK_MCP_MODEL", options.model)):
        if short is not None:
            environment.setdefault(variable, short)
    return environment


def _secret(machine: Machine, variable: str) -> str:
    value = bare(machine.environment.get(variable, ""))
    if error := key_problem(value):
        raise HostError(f"--write-key: {variable} in your environment {error}; set it and run this again")
    return value


def _this() -> tuple[str, tuple[str, ...]]:
    """The command that starts this installation: its console script, or its interpreter with the module."""
    if any(_UV_CACHE.fullmatch(part) for part in Path(sys.executable).parts):
        raise HostError("--this: uvx runs this from a cache that uv may clean at any time; leave --this out")
    script = Path(sys.executable).with_name(DISTRIBUTION + (".exe" if os.name == "nt" else ""))
    return (str(script), ()) if script.exists() else (sys.executable, ("-m", "grok_mcp"))


def _installed(change: Change, spec: EntrySpec, machine: Machine, *, in_use: bool, undo: str) -> str:
    """What has changed, and what is left to do; `undo` is the command that reverts it."""
    host, path = change.host, change.path
    rows = [("time limit", _limits(host))] if spec.url is None or host.limits else []
    rows.append(("token" if spec.url else "key", "; ".join(_origin(host, spec, machine))))
    if change.outcome == "already there":
        return _page(f"{host.title}: '{spec.name}' is already in {path}; nothing changed", rows)
    if change.backup == "write" and change.before is not None:
        rows.insert(0, ("backup", str(change.backup_path)))
    rows += [("note", note) for note in _notes(change, spec, machine, in_use)]
    rows += [("next", host.restart), ("undo", undo)]
    verb = "added to" if change.outcome == "added" else "replaced in"
    return _page(f"{host.title}: '{spec.name}' was {verb} {path}", rows)


def _uninstalled(change: Change, name: str) -> str:
    host, path = change.host, change.path
    if change.outcome == "not there":
        return f"{host.title}: '{name}' is not in {path}; nothing changed"
    if change.after is None:
        return f"{host.title}: {path} was removed: `install` had created it, and it held only '{name}'"
    if change.backup == "remove":
        return f"{host.title}: {path} is as it was before '{name}' was added"
    return _page(f"{host.title}: '{name}' was removed from {path}", [("backup", str(change.backup_path))])


def _preview(change: Change, secrets: tuple[str, ...]) -> str:
    """The file and the lines that would change in it, without secrets, also those of others."""
    lines = [f"{change.host.title}: {change.path}"]
    if change.before == change.after:
        lines.append(f"{change.outcome}; nothing would change")
    elif change.before is None:
        lines += ["would be created:", *_lines(change.after)]
    else:
        if change.after is None:
            lines.append("would be removed:")
        diff = [_cut(line) for line in _difference(_lines(change.before), _lines(change.after))]
        ours = not any(line.startswith("-") for line in diff)  # then all new lines are ours
        lines += [line if ours and line.startswith("+") else mask_secrets(line) for line in diff]
    text = "\n".join(lines)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _difference(old: list[str], new: list[str]) -> list[str]:
    """The lines that differ, with two around them. What a long file has in common at its ends is left out
    beforehand: to find it is quadratic for lines that often come again.
    """
    if max(len(old), len(new)) <= MAX_COMPARED:
        return list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    start = max(_common(old, new) - 2, 0)
    old, new = old[start:], new[start:]
    end = max(_common(old[::-1], new[::-1]) - 2, 0)
    old, new = old[: len(old) - end], new[: len(new) - end]
    if max(len(old), len(new)) > MAX_COMPARED:
        return [f"from line {start + 3} on: too many lines to be shown"]
    diff = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    return [line for line in diff if not line.startswith("@@")]


def _common(old: list[str], new: list[str]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((index for index, (one, other) in pairs if one != other), min(len(old), len(new)))


def _cut(line: str) -> str:
    """A line that fits on a screen; some files are one long line."""
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]}… ({len(line)} characters)"


def _lines(data: bytes | None) -> list[str]:
    return [] if data is None else data.decode().removeprefix(_BOM).splitlines()


def _page(head: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in rows)
    return "\n".join([head, *(f"  {name.ljust(width)}  {text}" for name, text in rows)])


def _limits(host: Host) -> str:
    if not host.limits:
        return host.without_limit
    return ", ".join(
        f"{limit.seconds} s for a {limit.of.replace(' and ', ' and a ')} ({limit.key} in {limit.unit})"
        for limit in host.limits
    )


def _origin(host: Host, spec: EntrySpec, machine: Machine) -> Iterator[str]:
    """Where the key or the token comes from, and what the user has to do for it."""
    variable = spec.token_variable if spec.url else KEY_VARIABLE
    if spec.url and variable is None:
        yield "none is sent; --token-env names the variable that holds one"
    elif spec.key or spec.token:
        yield "is in the file, because of --write-key"
    elif KEY_VARIABLE in spec.environment:
        yield "is the one from --env"
    elif KEY_FILE_VARIABLE in spec.environment:
        yield f"is read from {spec.environment[KEY_FILE_VARIABLE]}"
    elif host.asks_user:
        yield f"{host.title} asks for it when it starts the server, and stores it"
    elif isinstance(host.key, Verbatim):
        yield f"put it into the file in place of {PLACEHOLDER}; {host.title} does not expand variables there"
        yield "or run this again with --write-key --replace"
    else:
        yield f"comes from {variable} in the environment that {host.title} is started in"
        if not machine.environment.get(variable or ""):
            yield f"{variable} is not set in this shell: export it"


def _in_the_clear(url: str | None) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(url or "")
    return parts.scheme == "http" and not is_loopback(parts.hostname)


def _notes(change: Change, spec: EntrySpec, machine: Machine, in_use: bool) -> Iterator[str]:
    path = change.path
    if not in_use:
        yield f"{change.host.title} does not seem to be in use here: {path.parent} did not exist"
    if spec.command == COMMAND and spec.url is None:
        if machine.program(COMMAND) is None:
            yield f"{COMMAND} is not on the PATH: install uv (https://docs.astral.sh/uv/), or use --this"
        else:
            yield f"run `{COMMAND} {' '.join(spec.arguments)} --version` once: the first start downloads"
    if spec.secrets and path.exists() and path.stat().st_mode & _OTHERS:
        yield f"other users of this machine can read {path}, which now holds a secret"
    if spec.secrets and change.host.project_file and path.match(change.host.project_file):
        yield "this file belongs to a project: keep it out of version control"
