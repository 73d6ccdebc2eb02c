"""The commands `grok-mcp install HOST` and `grok-mcp uninstall HOST`. See `grok_mcp.hosts`."""

import os
import re
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from grok_mcp.cli import install_report as report
from grok_mcp.gateways import GATEWAYS
from grok_mcp.hosts import (
    COMMAND,
    DEFAULT_NAME,
    DISTRIBUTION,
    HOSTS,
    KEY_VARIABLE,
    EntrySpec,
    Host,
    HostError,
    Machine,
    build_entry,
    carry_out,
    looks_secret,
    plan_install,
    plan_uninstall,
)
from grok_mcp.settings import fault_of

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""A server's name that every host accepts, and that leaves room in the names of tools."""

_UV_CACHE = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders in uv's cache in which `uvx` keeps what it runs."""

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
@click.option("--command", metavar="PROGRAM", help="start this; its arguments stand behind --")
@click.option("--this", is_flag=True, help="start this installation, by its whole path")
@click.option("--url", help="use a server that runs elsewhere")
@click.option("--token-env", metavar="VARIABLE", help="the variable that holds the token for --url")
@click.option("--gateway", type=click.Choice(list(GATEWAYS)), help="sets GROK_MCP_GATEWAY")
@click.option("--model", help="sets GROK_MCP_MODEL")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="sets any variable; can be repeated")
@click.option(
    "--write-key", is_flag=True, help=f"write the key from {KEY_VARIABLE} (or the token) into the file"
)
@click.argument("arguments", nargs=-1)
@click.pass_context
def install(
    ctx: click.Context, /, host: str, name: str, project: bool, preview: bool, replace: bool, **options: Any
) -> None:
    """Put this server into the file of HOST.

    Everything else in that file stays as it is, and FILE.grok-mcp.bak keeps what it was. No key is written
    unless you say so.
    """
    machine, row = _machine(ctx), HOSTS[host]
    try:
        spec = _spec(ctx, row, machine, name, _Options(**options))
        path = row.file(machine, project=project)
        in_use = row.is_in_use(machine, project=project)
        entry = build_entry(row, spec)
        plan = partial(plan_install, row, path, entry, replace=replace, private=bool(spec.secrets))
        change = plan() if preview else carry_out(plan)
    except HostError as error:
        _fail(ctx, str(error))
    if preview:
        click.echo(report.preview(change, spec.secrets))
        return
    undo = f"grok-mcp uninstall {host}"
    if name != DEFAULT_NAME:
        undo += f" --name {name}"
    if project:
        undo += " --project"
    click.echo(report.installed(change, spec, machine, in_use=in_use, undo=undo))


@click.command(epilog="HOST: " + ", ".join(HOSTS))
@_HOST
@_NAMED
@_PROJECT
@click.option("--print", "preview", is_flag=True, help="show what would be changed, and change nothing")
@click.pass_context
def uninstall(ctx: click.Context, host: str, name: str, project: bool, preview: bool) -> None:
    """Take this server out of the file of HOST.

    If nobody has changed the file since `install`, it is afterwards what it was before, to the byte.
    """
    row = HOSTS[host]
    try:
        path = row.file(_machine(ctx), project=project)
        plan = partial(plan_uninstall, row, path, name)
        change = plan() if preview else carry_out(plan)
    except HostError as error:
        _fail(ctx, str(error))
    click.echo(report.preview(change, ()) if preview else report.uninstalled(change, name))


@dataclass(frozen=True)
class _Options:
    """The options that describe the entry."""

    command: str | None
    arguments: tuple[str, ...]
    this: bool
    url: str | None
    token_env: str | None
    gateway: str | None
    model: str | None
    env: tuple[str, ...]
    write_key: bool


def _machine(ctx: click.Context) -> Machine:
    return ctx.find_object(Machine) or Machine.here()


def _spec(ctx: click.Context, host: Host, machine: Machine, name: str, options: _Options) -> EntrySpec:
    """The entry that the options describe; options that exclude each other are a usage error."""
    environment = _environment(ctx, options)
    if options.url is not None:
        return _remote(ctx, machine, name, environment, options)
    if options.token_env:
        raise click.UsageError("--token-env belongs to --url", ctx)
    key = None
    if options.write_key and KEY_VARIABLE not in environment:
        key = _secret(machine, KEY_VARIABLE)
    command, arguments = _command(ctx, host, machine, options)
    return EntrySpec(name, command, arguments, environment, key)


def _command(
    ctx: click.Context, host: Host, machine: Machine, options: _Options
) -> tuple[str, tuple[str, ...]]:
    """The program to start, and its arguments."""
    if options.this and options.command:
        raise click.UsageError("--this and --command exclude each other", ctx)
    if options.arguments and not options.command:
        raise click.UsageError("arguments behind -- belong to --command", ctx)
    if options.command:
        return options.command, options.arguments
    if options.this:
        return _this()
    program = machine.program(COMMAND) if host.short_path else None
    return program or COMMAND, (DISTRIBUTION,)


def _remote(
    ctx: click.Context, machine: Machine, name: str, environment: dict[str, str], options: _Options
) -> EntrySpec:
    url, variable = options.url, options.token_env
    if environment or options.command or options.this or options.arguments:
        raise click.UsageError("a server at --url has its own command and environment", ctx)
    if not re.match(r"https?://[^/\s]+", url or ""):
        raise click.UsageError(f"--url: {url!r} is not an http or https address", ctx)
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise click.UsageError("--token-env takes the name of a variable, not the token", ctx)
    token = _secret(machine, variable) if options.write_key and variable else None
    return EntrySpec(name, url=url, token_variable=variable, token=token)


def _environment(ctx: click.Context, options: _Options) -> dict[str, str]:
    """The variables of --env and of its short forms; what is wrong with them is a usage error."""
    environment = {}
    for pair in options.env:
        variable, equals, value = pair.partition("=")
        if not equals or not _VARIABLE.fullmatch(variable):
            raise click.UsageError("--env takes NAME=VALUE", ctx)
        if variable.startswith(("GROK_MCP_", "XAI_")) and variable not in _settings():
            raise click.UsageError(f"--env: there is no setting {variable}", ctx)
        if not options.write_key and looks_secret(variable, value):
            raise click.UsageError(
                f"--env: the value of {variable} looks like a secret; --write-key writes it anyway", ctx
            )
        environment[variable] = value
    for variable, short in (("GROK_MCP_GATEWAY", options.gateway), ("GROK_MCP_MODEL", options.model)):
        if short is not None:
            environment.setdefault(variable, short)
    return environment


def _settings() -> set[str]:
    from grok_mcp.environment import VARIABLES

    return set(VARIABLES)


def _secret(machine: Machine, variable: str) -> str:
    value = machine.environment.get(variable, "").strip()
    fault = fault_of(value)
    if fault:
        raise HostError(f"--write-key: {variable} in your environment {fault}; set it and run this again")
    return value


def _this() -> tuple[str, tuple[str, ...]]:
    """The command that starts this installation: its console script, or its interpreter with the module."""
    if any(_UV_CACHE.fullmatch(part) for part in Path(sys.executable).parts):
        raise HostError("--this: uvx runs this from a cache that uv may clean at any time; leave --this out")
    script = Path(sys.executable).with_name(DISTRIBUTION + (".exe" if os.name == "nt" else ""))
    return (str(script), ()) if script.exists() else (sys.executable, ("-m", "grok_mcp"))


def _fail(ctx: click.Context, message: str) -> Any:
    click.echo(f"grok-mcp: {message}", err=True)
    ctx.exit(1)
