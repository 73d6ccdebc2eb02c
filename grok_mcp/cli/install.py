"""The commands `grok-mcp-server install [HOST]...` and `uninstall HOST`. See `grok_mcp.hosts`."""

import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from grok_mcp.addresses import is_loopback
from grok_mcp.cli.choosing import HostName, choose_hosts, found_hosts, offer_doctor
from grok_mcp.cli.console import FAILED, did_you_mean, fail, fitted
from grok_mcp.doctor import survey
from grok_mcp.environment import VARIABLES
from grok_mcp.foreign import mapping
from grok_mcp.gateways import GATEWAYS
from grok_mcp.hosts import (
    COMMAND,
    DEFAULT_NAME,
    DISTRIBUTION,
    HOSTS,
    KEY_SOURCES,
    KEY_VARIABLE,
    PLACEHOLDER,
    Change,
    EntrySpec,
    Host,
    HostError,
    Machine,
    Part,
    Started,
    Verbatim,
    adopted_name,
    build_entry,
    carry_out,
    is_literal,
    looks_secret,
    mask_all_but_references,
    plan_install,
    plan_uninstall,
)
from grok_mcp.invocation import command, own_command, runner_of, source
from grok_mcp.redaction import mask_secrets, quote
from grok_mcp.settings import bare, key_problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
"""A server's name that every host accepts, and that leaves room in the names of tools."""

MAX_COMPARED = 2000
MAX_SHOWN = 500

_ARGUMENTS = "grok_mcp.arguments"
"""Where the context keeps what follows `--`."""
_BOM = "\ufeff"
_OTHERS = 0o077

_PROJECT = click.option(
    "--project", is_flag=True, help="use the host's file in the current folder, not the user's"
)


def _check_name(ctx: click.Context, option: click.Parameter, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r}: at most 32 letters, digits, - and _", ctx, option)
    return name


_NAMED = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, callback=_check_name, help="the server's name there"
)


class InstallCommand(click.Command):
    """`install`: what follows `--` are the arguments of --command, and not hosts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments of --command away, then read the rest."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_ARGUMENTS] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The line that shows how it is called."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGUMENTS]"]


@click.command(cls=InstallCommand, epilog="HOST: " + ", ".join(HOSTS))
@click.argument("hosts", nargs=-1, type=HostName(), metavar="[HOST]...")
@click.option("--all", "everywhere", is_flag=True, help="take every host that is found on this machine")
@_NAMED
@_PROJECT
@click.option("--print", "preview", is_flag=True, help="show what would be written, and write nothing")
@click.option("--replace", is_flag=True, help="overwrite an entry of that name that has other values")
@click.option("--command", metavar="PROGRAM", help="start this program; its arguments follow --")
@click.option("--this", is_flag=True, help="start this installation, by its path")
@click.option("--published", is_flag=True, help=f"start the published package: {COMMAND} {DISTRIBUTION}")
@click.option("--url", help="use a server that runs elsewhere")
@click.option("--token-env", metavar="VARIABLE", help="the variable that holds the token for --url")
@click.option("--gateway", type=click.Choice(list(GATEWAYS)), help="sets GROK_MCP_GATEWAY")
@click.option("--model", help="sets GROK_MCP_MODEL")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="sets any variable; can be repeated")
@click.option(
    "--write-key", is_flag=True, help=f"write the key from {KEY_VARIABLE} (or the token) into the file"
)
@click.pass_context
def install(
    ctx: click.Context, /, hosts: tuple[Host, ...], everywhere: bool, name: str, project: bool, **flags: Any
) -> None:
    """Add this server to the configuration files of hosts.

    Without HOST it shows the hosts that are found on this machine and what each of them has; on a terminal it
    then asks which to add the server to.

    Nothing else in a file changes, and FILE.grok-mcp.bak is a copy of it as it was. An entry of this server
    that is there already is brought up to date. Keys are written only with --write-key.

    From a checkout or a local wheel, hosts are set up to start that very installation, unless --published is
    given.
    """
    preview, replace = flags.pop("preview"), flags.pop("replace")
    options = _Options(arguments=ctx.meta.get(_ARGUMENTS, ()), **flags)
    machine = _machine()
    options.check()
    if hosts and everywhere:
        raise click.UsageError("--all is every host that is found: leave out HOST")
    if not hosts:
        states = survey(machine, machine.environment)
        hosts = found_hosts(states) if everywhere else choose_hosts(states)
        if not hosts:
            if everywhere:
                fail("no host is found on this machine; name one: " + ", ".join(HOSTS))
            return
    order = _Order(machine, options, name, _is_given("name"), project, preview, replace)
    done = 0
    for host in hosts:
        try:
            result = order.carry_out(host)
        except HostError as error:
            click.echo(f"grok-mcp-server: {host.title}: {error}", err=True)
            continue
        click.echo(f"\n{result}" if done else result)
        done += 1
    if done and not preview:
        offer_doctor(ctx)
    if done < len(hosts):
        ctx.exit(FAILED)


@click.command(epilog="HOST: " + ", ".join(HOSTS))
@click.argument("host", type=HostName(), metavar="HOST")
@_NAMED
@_PROJECT
@click.option("--print", "preview", is_flag=True, help="show what would be changed, and change nothing")
@click.option("--force", is_flag=True, help="remove the entry also if it does not start this server")
def uninstall(host: Host, name: str, project: bool, preview: bool, force: bool) -> None:
    """Remove this server from the configuration file of HOST.

    If the file has not changed since `install`, it is restored to the byte. An entry of that name that starts
    something else stays there, unless --force is given.
    """
    try:
        plan = partial(plan_uninstall, host, host.file(_machine(), project=project), name, force=force)
        change = plan() if preview else carry_out(plan)
    except HostError as error:
        fail(str(error))
    click.echo(_preview(change, ()) if preview else _uninstalled(change, name))


def _is_given(parameter: str) -> bool:
    """Whether the user gave the parameter on the command line."""
    source = click.get_current_context().get_parameter_source(parameter)
    return source is ParameterSource.COMMANDLINE


@dataclass(frozen=True)
class _Options:
    """The options that describe an entry."""

    command: str | None
    arguments: tuple[str, ...]
    this: bool
    published: bool
    url: str | None
    token_env: str | None
    gateway: str | None
    model: str | None
    env: tuple[str, ...]
    write_key: bool

    def check(self) -> None:
        """Options that exclude each other are a usage error."""
        if sum(map(bool, (self.this, self.published, self.command))) > 1:
            raise click.UsageError("--this, --published and --command exclude each other")
        if self.arguments and not self.command:
            raise click.UsageError("arguments after -- need --command")
        if self.token_env and self.url is None:
            raise click.UsageError("--token-env needs --url")


@dataclass(frozen=True)
class _Order:
    """What is to be written into each of the hosts' files."""

    machine: Machine
    options: _Options
    name: str
    named: bool
    """Whether the user named it: else an entry of ours with another name is the one that is meant."""
    project: bool
    preview: bool
    replace: bool

    def carry_out(self, host: Host) -> str:
        """Change the file of a host, or show the change; returns what to print, raises HostError."""
        path = host.file(self.machine, project=self.project)
        name = self.name if self.named else adopted_name(host, path, self.name)
        spec = _spec(host, self.machine, name, self.options)
        in_use = host.is_found(self.machine, project=self.project)
        entry = build_entry(host, spec)
        plan = partial(plan_install, host, path, entry, replace=self.replace, private=bool(spec.secrets))
        change = plan() if self.preview else carry_out(plan)
        if spec.token_variable and _in_the_clear(spec.url):
            warning = f"warning: {spec.url} is http: whoever is on the way can read the token; use https"
            click.echo(warning, err=True)
        if self.preview:
            return _preview(change, spec.secrets)
        words = ["uninstall", host.name]
        if name != DEFAULT_NAME:
            words += ["--name", name]
        if self.project:
            words.append("--project")
        if not Started.by(host, name, entry.value).is_ours:
            words.append("--force")
        return _installed(change, spec, self, in_use=in_use, undo=command(*words))


def _machine() -> Machine:
    """This machine, with what starts this installation if it is unpublished; or what a test made up."""
    if machine := click.get_current_context().find_object(Machine):
        return machine
    return replace(Machine.here(), own_command=tuple(own_command()) if source() else ())


def _spec(host: Host, machine: Machine, name: str, options: _Options) -> EntrySpec:
    """The entry that the options describe; wrong ones are a usage error."""
    environment = _environment(options)
    if options.url is not None:
        return _remote(machine, name, environment, options)
    key = None
    if options.write_key and KEY_VARIABLE not in environment:
        key = _secret(machine, KEY_VARIABLE)
    if options.command:
        words: tuple[str, ...] = (options.command, *options.arguments)
    elif options.this:
        words = machine.own_command or _this()
    else:
        words = () if options.published else machine.own_command
        words = words or (COMMAND, DISTRIBUTION)
    program, arguments = words[0], words[1:]
    if host.short_path and program == COMMAND:
        program = machine.program(COMMAND) or COMMAND
    return EntrySpec(name, program, arguments, environment, key)


def _remote(machine: Machine, name: str, environment: dict[str, str], options: _Options) -> EntrySpec:
    url, variable = options.url, options.token_env
    if environment or options.command or options.this or options.published:
        raise click.UsageError(
            "--url is for a server that runs elsewhere: leave out the options about a command and its "
            "environment"
        )
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
            raise click.UsageError(
                f"--env: there is no setting {variable}.{did_you_mean(variable.upper(), VARIABLES)}"
            )
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


def _this() -> tuple[str, ...]:
    """The command that starts this installation, which is from a package index."""
    if runner := runner_of(sys.executable):
        raise HostError(
            f"--this: {runner} runs this from a cache that may be cleaned at any time; leave --this out"
        )
    return tuple(own_command())


def _installed(change: Change, spec: EntrySpec, order: _Order, *, in_use: bool, undo: str) -> str:
    """What has changed, and what is left to do; `undo` is the command that reverts it."""
    host, path, machine = change.host, change.path, order.machine
    rows = list(_start(change, spec, order))
    rows += [("time limit", _limits(host))] if spec.url is None or host.limits else []
    rows.append(
        ("token" if spec.url else "key", "; ".join(_kept(change, spec) or _origin(host, spec, machine)))
    )
    if change.outcome == "already there":
        return _page(f"{host.title}: {spec.name} is already in {path}; nothing changed", rows)
    if change.backup == "write" and change.before is not None:
        rows.insert(0, ("backup", str(change.backup_path)))
    rows += [("note", note) for note in _notes(change, spec, order, in_use)]
    rows += [("next", host.restart), ("undo", undo)]
    verb = {"added": "added to", "updated": "brought up to date in"}.get(change.outcome, "replaced in")
    return _page(f"{host.title}: {spec.name} was {verb} {path}", rows)


def _start(change: Change, spec: EntrySpec, order: _Order) -> Iterator[tuple[str, str]]:
    """What the host starts, where that is not the published package as it is."""
    started = Started.by(change.host, spec.name, change.entry)
    if started.is_pinned and not order.options.command:
        yield "starts", f"{started}, as it stood in the file; --replace takes the version away"
        return
    own, options = order.machine.own_command, order.options
    if own and spec.url is None and not (options.command or options.published):
        yield "starts", f"{shlex.join(own)} (this installation, which is not from PyPI; see --published)"


def _uninstalled(change: Change, name: str) -> str:
    host, path = change.host, change.path
    if change.outcome == "not there":
        return f"{host.title}: {name} is not in {path}; nothing changed"
    if change.after is None:
        return f"{host.title}: {path} was removed: install had created it, and it held only {name}"
    if change.backup == "remove":
        return f"{host.title}: {path} is as it was before {name} was added"
    return _page(f"{host.title}: {name} was removed from {path}", [("backup", str(change.backup_path))])


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
        lines += [line if ours and line.startswith("+") else mask_all_but_references(line) for line in diff]
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
        return [f"too many lines to show, from line {start + 3} on"]
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
    lines = (fitted(f"  {name.ljust(width)}  {text}", width + 4) for name, text in rows)
    return "\n".join([fitted(head), *lines])


def _limits(host: Host) -> str:
    if not host.limits:
        return host.without_limit
    return ", ".join(
        f"{limit.seconds} s for a {limit.of.replace(' and ', ' and a ')} "
        + (
            f"({limit.key} in {limit.unit})"
            if limit.written
            else f"(its own default; {limit.key} changes it)"
        )
        for limit in host.limits
    )


def _origin(host: Host, spec: EntrySpec, machine: Machine) -> Iterator[str]:
    """Where the key or the token comes from, and what the user has to do for it."""
    variable = (spec.token_variable if spec.url else KEY_VARIABLE) or ""
    named = sorted(KEY_SOURCES & set(spec.environment))
    if spec.url and not variable:
        yield "none is sent; --token-env names the variable that holds one"
    elif spec.key or spec.token:
        yield "is in the file (--write-key)"
    elif spec.url is None and spec.is_sandbox:
        yield "the sandbox needs none"
    elif spec.url is None and named:
        if named[0].endswith("_FILE"):
            yield f"is read from {spec.environment[named[0]]}"
        else:
            yield "comes from --env"
    elif host.asks_user:
        yield f"{host.title} asks for it when it starts the server, and stores it"
    elif spec.url is None and isinstance(host.key, Verbatim):
        yield f"put it into the file in place of {PLACEHOLDER}; {host.title} does not expand variables there"
        yield "or run this again with --write-key --replace"
    else:
        yield f"comes from {variable} in the environment that {host.title} is started in"
        if not machine.environment.get(variable):
            yield f"{variable} is not set in this shell"


def _kept(change: Change, spec: EntrySpec) -> tuple[str, ...]:
    """What the entry had of a key or headers before, and has still; nothing where all of it is of now."""
    shape = (change.host.remote or {}) if spec.url else change.host.local
    held = {part: change.entry.get(key) for key, part in shape.items() if isinstance(part, Part)}
    if spec.url:
        stays = held.get(Part.HEADERS) and not (spec.token or spec.token_variable)
        return ("the headers that stand in the file stay",) if stays else ()
    environment = mapping(held.get(Part.ENVIRONMENT))
    ours = mapping(build_entry(change.host, spec).value.get(_environment_key(change.host)))
    for name in sorted(KEY_SOURCES & environment.keys()):
        value = environment[name]
        if not isinstance(value, str) or value == ours.get(name) or not value.strip():
            continue
        if name.endswith("_FILE"):
            return (f"is read from {value}, as before",)
        if is_literal(value):
            return ("the key that stands in the file stays",)
        if "$" in value or value.startswith("{"):
            return (f"comes from {quote(mask_secrets(value))}, which stands in the file, as before",)
    return ()


def _environment_key(host: Host) -> str:
    return next((key for key, part in host.local.items() if part is Part.ENVIRONMENT), "")


def _in_the_clear(url: str | None) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(url or "")
    return parts.scheme == "http" and not is_loopback(parts.hostname)


def _notes(change: Change, spec: EntrySpec, order: _Order, in_use: bool) -> Iterator[str]:
    path, machine = change.path, order.machine
    if not in_use:
        yield f"{change.host.title} was not found on this machine; {path} is where it would look"
    if Path(spec.command).name == COMMAND and spec.url is None:
        if machine.program(COMMAND) is None:
            instead = "" if runner_of(sys.executable) else ", or use --this"
            yield f"{COMMAND} is not on the PATH: install uv (https://docs.astral.sh/uv/){instead}"
        elif runner_of(sys.executable) is None:
            once = shlex.join((COMMAND, *spec.arguments, "--version"))
            yield f"run `{once}` once: the first start downloads"
    if spec.secrets and os.name == "posix" and path.exists() and path.stat().st_mode & _OTHERS:
        yield f"other users of this machine can read {path}, which now holds a secret"
    if spec.secrets and order.project:
        yield "this file belongs to a project: keep it out of version control"
