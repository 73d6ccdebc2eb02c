"""The commands of `grok-mcp`. Those with a module of their own load when they are needed."""

import os
import shutil
import signal
from decimal import Decimal
from functools import cached_property
from importlib import import_module
from threading import Event
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import SecretStr

from grok_mcp import __version__, serving
from grok_mcp.addresses import is_loopback
from grok_mcp.cli.console import BAD_USAGE, INTERRUPTED, did_you_mean, fail
from grok_mcp.cli.flags import complete_from, model_ids
from grok_mcp.environment import variables_of
from grok_mcp.invocation import PROGRAM, command
from grok_mcp.settings import Settings
from grok_mcp.streams import guarded_stdout

MAX_PACE_S = 0.1

COMMANDS: dict[str, str] = {
    "ask": "grok_mcp.cli.call:ask",
    "doctor": "grok_mcp.cli.doctor:doctor",
    "install": "grok_mcp.cli.install:install",
    "models": "grok_mcp.cli.models:models",
    "search": "grok_mcp.cli.call:search",
    "structured": "grok_mcp.cli.call:structured",
    "token": "grok_mcp.cli.token:token",
    "uninstall": "grok_mcp.cli.install:uninstall",
    "usage": "grok_mcp.cli.usage:usage",
}
"""Commands with a module of their own: name → "module:function". To add one, add a line."""


GROUPS = {
    "Ask Grok": ("ask", "search", "structured", "models"),
    "Set up": ("install", "uninstall", "doctor", "demo", "completion"),
    "Look back": ("usage",),
    "Serve": ("serve", "token", "sandbox"),
}
"""Where the help lists a command; one that no group names stands behind them."""


class Commands(click.Group):
    """A group that loads a command when it is needed, and ends quietly when the user interrupts it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted([*super().list_commands(ctx), *COMMANDS])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, imported if `COMMANDS` lists it."""
        if name not in COMMANDS:
            return super().get_command(ctx, name)
        module, function = COMMANDS[name].split(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant, or a usage error with the nearest known one."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}.{did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands in groups, each with the whole of its first sentence."""
        names = self.list_commands(ctx)
        others = tuple(name for name in names if not any(name in group for group in GROUPS.values()))
        for title, group in {**GROUPS, "More": others}.items():
            known = [(name, self.get_command(ctx, name)) for name in group if name in names]
            rows = [(name, one.get_short_help_str(200)) for name, one in known if one and not one.hidden]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=12)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line; where nothing can be printed, end with one line."""
        with guarded_stdout():
            return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C is not an error to report."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


class ServeCommand(click.Command):
    """`serve`, with a flag for every setting but those that hold secrets."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, then a flag for each setting."""
        own = super().get_params(ctx)
        return [*own[:-1], *self._flags, own[-1]]  # --help stays the last

    @cached_property
    def _flags(self) -> list[click.Parameter]:
        flags: list[click.Parameter] = []
        for name, field in Settings.model_fields.items():
            kind = field.annotation
            if SecretStr in (kind, *get_args(kind)):
                continue
            flag = [f"--{name.replace('_', '-')}"]
            help = f"{field.description} ({variables_of(name)[-1]})"
            if kind is bool:
                flags.append(click.Option(flag, is_flag=True, flag_value="true", help=help))
            else:
                takes = _metavar(kind)
                words = model_ids() if name == "model" else takes.split("|") if "|" in takes else []
                option = click.Option(flag, metavar=takes, help=help, shell_complete=complete_from(words))
                flags.append(option)
        return flags


def _metavar(annotation: Any) -> str:
    """What a flag takes, from the type of its setting."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)] or [annotation]
    if Literal in (get_origin(annotation), *map(get_origin, kinds)):
        literal = annotation if get_origin(annotation) is Literal else kinds[-1]
        words = "|".join(map(str, get_args(literal)))
        return f"{words}|NUMBER" if float in kinds else words
    return {int: "N", float: "NUMBER", Decimal: "USD", str: "TEXT"}.get(kinds[0], "PATH")


def _narrow() -> int | None:
    """The width of help on a terminal that is narrower than click believes any to be."""
    columns = shutil.get_terminal_size().columns
    return max(columns - 1, 30) if columns <= 51 else None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _narrow()},
)
@click.version_option(__version__, prog_name="grok-mcp-server", message="%(prog)s %(version)s")
def cli() -> None:
    """MCP server for Grok.

    Without a command it is the MCP server on stdin and stdout: what a host runs. COMMAND --help says more of
    each.
    """


@cli.command(cls=ServeCommand)
@click.pass_context
def serve(ctx: click.Context, /, **flags: str | None) -> None:
    """Serve MCP; a flag wins over the environment.

    Keys have no flag, because other users can see a command line: set XAI_API_KEY or use --api-key-file.
    """
    for name, value in flags.items():
        if value is None:
            continue
        variables = variables_of(name)
        for variable in [variable for variable in os.environ if variable.upper() in variables]:
            del os.environ[variable]
        os.environ[variables[0]] = value
    ctx.exit(serving.serve())


@cli.command()
@click.option(
    "--pace",
    type=click.FloatRange(0, MAX_PACE_S),
    metavar="SECONDS",
    help="Wait so long between two words of an answer.",
)
@click.pass_context
def demo(ctx: click.Context, pace: float | None) -> None:
    """See the tools at work, without a key."""
    from grok_mcp.demo import PACE_S, play

    ctx.exit(play(PACE_S if pace is None else pace))


@cli.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the script that completes commands, flags and values in a shell.

    \b
    bash: add to ~/.bashrc                    eval "$(grok-mcp-server completion bash)"
    zsh:  add to ~/.zshrc, below compinit     eval "$(grok-mcp-server completion zsh)"
    fish: type once
      grok-mcp-server completion fish > ~/.config/fish/completions/grok-mcp-server.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None  # click has all three
    click.echo(made(cli, {}, PROGRAM, f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE").source())


@cli.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Listen at this port; 0 takes a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen at this loopback address.")
@click.option(
    "--pace",
    type=click.FloatRange(0),
    default=0.03,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long between two words of an answer.",
)
def sandbox(port: int, host: str, pace: float) -> None:
    """Run the sandbox endpoint alone, until Ctrl-C."""
    from grok_mcp.sandbox import SandboxServer  # brings a web framework

    if not is_loopback(host):
        fail(f"--host: the sandbox serves this machine only; {host!r} is not a loopback address", BAD_USAGE)
    server = SandboxServer(port, host=host, pace=pace)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        url = server.start()
    except OSError as error:
        fail(f"the sandbox can't listen on {host}:{port}: {error.strerror or error}")
    try:
        click.echo(_HOW_TO.format(url=url, command=command()))
        while not stop.wait(1):
            pass
    finally:
        server.stop()


_HOW_TO = """\
Sandbox endpoint at {url}
No model answers there, nothing is charged, any key is good. Ctrl-C ends it. To use it:

  XAI_BASE_URL={url} XAI_API_KEY=sandbox {command}
  curl {url}/models -H 'Authorization: Bearer sandbox'"""
