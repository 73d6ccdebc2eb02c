"""Which hosts are meant: names with a hint for misspelt ones, the table of those found, and the choice."""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grok_mcp.cli.console import did_you_mean
from grok_mcp.doctor import HostState
from grok_mcp.hosts import HOSTS, Host
from grok_mcp.invocation import command

FILE_COLUMNS = 72
"""A terminal narrower than this has no room for the files."""
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
    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(_table(found, with_files=console.width >= FILE_COLUMNS))
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))
    if any(state.has_findings for state in found):
        click.echo()
        console.print(Text(f"What to fix, and how: {command('doctor')}"), soft_wrap=True)
    if others:
        click.echo()
        console.print(Text(f"Not found: {others}"))
    click.echo()
    if sys.stdin.isatty() and sys.stdout.isatty():
        return _picked([state.host for state in found])
    console.print(Text(f"To add this server: {command('install')} HOST..., or --all"), soft_wrap=True)
    return ()


def _table(found: Sequence[HostState], *, with_files: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("host", no_wrap=True)
    table.add_column("state", overflow="fold")
    if with_files:
        table.add_column("file", overflow="fold")
    home = os.path.expanduser("~")
    for number, state in enumerate(found, 1):
        row = [str(number), state.host.name, state.state]
        table.add_row(*map(Text, row if not with_files else [*row, _short(state.path, home)]))
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
        click.echo(f"Please type numbers from 1 to {len(hosts)}, as in 1 3.")
    return ()


def offer_doctor(ctx: click.Context) -> None:
    """On a terminal, ask whether to check the set-up now; else say how."""
    from grok_mcp.cli.doctor import doctor  # needed only where the answer is yes

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(f"\nTo check the set-up: {command('doctor')}")
    elif click.confirm("\nCheck the set-up now?", default=True):
        ctx.invoke(doctor)
