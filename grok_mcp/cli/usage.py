"""`grok-mcp usage`: what all calls in the ledger of this machine's user have used and cost."""

import re
import sqlite3
import time
from datetime import UTC, datetime
from typing import get_args

import click

from grok_mcp.accounting import (
    SANDBOX,
    Key,
    LedgerError,
    add_up,
    ledger_path,
    midnight,
    read_ledger,
    read_totals,
)
from grok_mcp.cli.usage_view import Report, print_csv, print_json, print_table
from grok_mcp.environment import read_settings
from grok_mcp.settings import Settings

BAD_USAGE = 2
_UNITS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}


def read_since(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds of the epoch for `today`, an ISO date, or hours, days or weeks back as in `24h`; all in UTC."""
    if value is None:
        return None
    now, text = time.time(), value.strip()
    if text.lower() == "today":
        return midnight(now)
    counted = re.fullmatch(r"(\d{1,5})([hdw])", text.lower())
    if counted:
        return max(now - int(counted[1]) * _UNITS[counted[2]], 0.0)
    try:
        given = datetime.fromisoformat(text)
        return given.replace(tzinfo=given.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        message = f"{value!r} is no date as 2026-11-01, nor today, nor a time back as 7d or 24h"
        raise click.BadParameter(message, ctx, parameter) from None


@click.command()
@click.option(
    "--by", type=click.Choice(get_args(Key)), default="day", show_default=True, help="what a row is"
)
@click.option(
    "--since", callback=read_since, metavar="TIME", help="a date, today, or a time back as 7d or 24h (UTC)"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@click.option("--csv", "as_csv", is_flag=True, help="a line of values for each row")
@click.option("--sandbox", is_flag=True, help="the calls that the sandbox answered, at its made-up prices")
@click.pass_context
def usage(
    ctx: click.Context, by: Key, since: float | None, as_json: bool, as_csv: bool, sandbox: bool
) -> None:
    """Tell what your calls have used and cost.

    Counts the calls of all servers and commands that share the folder of GROK_MCP_STATE_DIR. Days are in UTC.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    settings = read_settings()
    if settings is None:
        ctx.exit(BAD_USAGE)
    try:
        report = _read(settings, by, since, sandbox=sandbox or settings.gateway == SANDBOX)
    except (sqlite3.Error, OSError, RuntimeError, LedgerError) as error:
        click.echo(f"grok-mcp: the ledger can't be read: {error}", err=True)
        ctx.exit(1)
    if as_json:
        print_json(report)
    elif as_csv:
        print_csv(report)
    else:
        print_table(report)


def _read(settings: Settings, by: Key, since: float | None, *, sandbox: bool) -> Report:
    """The rows that are asked for. Where the sandbox answered every call that there is, they are its."""
    path = ledger_path(settings.state_dir)

    def read(db: sqlite3.Connection) -> Report:
        found = db.execute("SELECT EXISTS (SELECT 1 FROM calls WHERE gateway <> ?)", (SANDBOX,))
        play = sandbox or not found.fetchone()[0]
        rows, others = (read_totals(db, by, since=since or 0.0, sandbox=book) for book in (play, not play))
        return Report(path, by, since, play, rows, add_up(others).calls)

    return read_ledger(path, read) or Report(path, by, since, sandbox)
