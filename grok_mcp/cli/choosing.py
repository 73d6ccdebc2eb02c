"""Which hosts are meant: names with a hint for misspelt ones, the table of those found, and the choice."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grok_mcp.cli.console import did_you_mean, hanging
from grok_mcp.doctor import HostState
from grok_mcp.hosts import HOSTS, Host
from grok_mcp.invocation import command

TABLE_COLUMNS = 60
"""On a terminal narrower than this each host has lines of its own."""
STATE_COLUMNS = 18
"""What a state needs at least beside the files."""
UNWRAPPED = 10_000
"""The width of what is no terminal: a line is a line there."""
ATTEMPTS = 5


class HostName(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """The name of a known host."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Host:
        """The host of that name."""
        if isinstance(value, Host):
            return value
        if host := HOSTS.get(str(value).lower()):
            return host
        hint = did_you_mean(str(value).lower(), HOSTS)
        self.fail(f"{value!r} is not a known host.{hint} Known hosts: {', '.join(HOSTS)}.", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The hosts that begin like that."""
        return [CompletionItem(name) for name in HOSTS if name.startswith(incomplete)]


def found_hosts(states: Iterable[HostState]) -> tuple[Host, ...]:
    """Those that are on this machine."""
    return tuple(state.host for state in states if state.found)


def choose_hosts(states: Sequence[HostState]) -> tuple[Host, ...]:
    """Show what is found on this machine; on a terminal, let the user pick some of it."""
    found = [state for state in states if state.found]
    others = ", ".join(state.host.name for state in states if not state.found)
    if not found:
        click.echo("No host was found on this machine.")
        click.echo(f"To set one up anyway: {command('install')} HOST")
        click.echo(f"HOST: {', '.join(HOSTS)}")
        return ()
    click.echo("Hosts on this machine:\n")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED)
    click.echo("\n".join(_listed(found, console)))
    if any(state.has_findings for state in found):
        click.echo()
        console.print(Text(f"What to fix, and how: {command('doctor')}"), soft_wrap=True)
    if others:
        click.echo()
        click.echo(hanging(f"Not found: {others}", console.width))
    click.echo()
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _picked([state.host for state in found])
    console.print(Text(f"To add this server: {command('install')} HOST..., or --all"), soft_wrap=True)
    return ()


def _listed(found: Sequence[HostState], console: Console) -> Iterator[str]:
    """The lines of a table, or a few lines for each host where that would break paths."""
    home = os.path.expanduser("~")
    rows = [
        (str(number), state.host.name, state.state, _short(state.path, home))
        for number, state in enumerate(found, 1)
    ]
    widest = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    needed = widest[0] + widest[1] + min(widest[2], STATE_COLUMNS) + widest[3] + 6
    if console.width >= max(needed, TABLE_COLUMNS):
        with console.capture() as capture:
            console.print(_table(rows))
        yield from (line.rstrip() for line in capture.get().splitlines())
        return
    for number, name, state, path in rows:
        indent = widest[0] + 2
        lines = hanging(f"{name}: {state}", console.width - indent, 2).split("\n")
        yield f"{number.rjust(widest[0])}  {lines[0]}"
        yield from (" " * indent + line for line in lines[1:])
        if path:
            yield " " * indent + "  " + path


def _table(rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("host", no_wrap=True)
    table.add_column("state", overflow="fold")
    table.add_column("file", no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _short(path: Path | None, home: str) -> str:
    """The path, from the home folder where it is in it."""
    text = str(path or "")
    return f"~{text.removeprefix(home)}" if text.startswith(home + os.sep) else text


def _picked(hosts: Sequence[Host]) -> tuple[Host, ...]:
    """What the user picks by numbers; nothing by an empty line, or after a few that make no sense."""
    for _ in range(ATTEMPTS):
        answer = click.prompt(
            "Add the server to (numbers, a for all, Enter for none)", default="", show_default=False
        )
        words = re.split(r"[\s,]+", answer.strip().lower())
        if words == [""]:
            return ()
        if words in (["a"], ["all"]):
            return tuple(hosts)
        if all(word.isascii() and word.isdigit() and 1 <= int(word[:6]) <= len(hosts) for word in words):
            return tuple(hosts[number - 1] for number in dict.fromkeys(map(int, words)))
        click.echo(f"Please type numbers from 1 to {len(hosts)}, as in 1 3, or a for all.")
    return ()


def offer_doctor(ctx: click.Context) -> None:
    """On a terminal, ask whether to check the set-up now; else say how."""
    from grok_mcp.cli.doctor import doctor  # needed only where the answer is yes

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(f"\nTo check the set-up: {command('doctor')}")
    elif click.confirm("\nCheck the set-up now?", default=True):
        ctx.invoke(doctor)
