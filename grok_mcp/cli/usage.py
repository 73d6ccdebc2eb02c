"""`grok-mcp-server usage`: what all calls in the ledger of this machine's user have used and cost."""

import csv
import json
import re
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grok_mcp.accounting import (
    SANDBOX,
    Key,
    LedgerError,
    Totals,
    add_up,
    count_calls,
    json_values,
    ledger_path,
    midnight,
    read_ledger,
    read_totals,
)
from grok_mcp.cli.console import BAD_USAGE, fail, symbol
from grok_mcp.environment import read_settings
from grok_mcp.settings import Settings

BAR = 20
MAX_KEY = 40
_UNITS = {"h": 3_600, "d": 86_400, "w": 7 * 86_400}


def read_since(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Seconds of the epoch for `today`, an ISO date, or a time span like `24h`, `7d` or `2w`; all in UTC."""
    if value is None:
        return None
    now, text = time.time(), value.strip()
    if text.lower() == "today":
        return midnight(now)
    if span := re.fullmatch(r"(\d{1,5})([hdw])", text.lower()):
        return max(now - int(span[1]) * _UNITS[span[2]], 0.0)
    try:
        date = datetime.fromisoformat(text)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        message = f"{value!r} is not a date like 2026-11-01, nor today, nor a time span like 7d or 24h"
        raise click.BadParameter(message, ctx, parameter) from None


@click.command()
@click.option(
    "--by", type=click.Choice(get_args(Key)), default="day", show_default=True, help="what a row is"
)
@click.option(
    "--since", callback=read_since, metavar="TIME", help="a date, today, or a time span like 7d or 24h (UTC)"
)
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
@click.option("--csv", "as_csv", is_flag=True, help="a line of values for each row")
@click.option("--sandbox", is_flag=True, help="the calls that the sandbox answered, at its made-up prices")
@click.pass_context
def usage(
    ctx: click.Context, by: Key, since: float | None, as_json: bool, as_csv: bool, sandbox: bool
) -> None:
    """Show what your calls have used and cost.

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
        fail(f"the ledger can't be read: {error}")
    if as_json:
        _print_json(report)
    elif as_csv:
        _print_csv(report)
    else:
        _print_table(report)


@dataclass(frozen=True)
class _Report:
    """The requested sums. `elsewhere` is the number of calls in the other book: sandbox, or not."""

    path: Path
    by: Key
    since: float | None
    sandbox: bool
    rows: list[Totals] = field(default_factory=list)
    elsewhere: int = 0

    def begin(self, form: str) -> str:
        """When the sums begin; empty where they have no beginning."""
        return "" if self.since is None else f"{datetime.fromtimestamp(self.since, UTC):{form}}"


def _read(settings: Settings, by: Key, since: float | None, *, sandbox: bool) -> _Report:
    """The rows of one book: the sandbox's also where it has answered every call so far."""
    path = ledger_path(settings.state_dir)

    def read(db: sqlite3.Connection) -> _Report:
        real = db.execute(
            "SELECT EXISTS (SELECT 1 FROM calls WHERE gateway <> ?) OR "
            "EXISTS (SELECT 1 FROM in_flight WHERE gateway <> ?)",
            (SANDBOX, SANDBOX),
        )
        play = sandbox or not real.fetchone()[0]
        rows = read_totals(db, by, since=since or 0.0, sandbox=play)
        ended = sum(row.calls - row.unknown_ends for row in rows)
        return _Report(path, by, since, play, rows, count_calls(db, since=since or 0.0) - ended)

    return read_ledger(path, read) or _Report(path, by, since, sandbox)


def _print_json(report: _Report) -> None:
    """The totals and the rows under the names of an answer's usage, as one object."""
    document = {
        "since": report.begin("%Y-%m-%dT%H:%M:%SZ") or None,
        "by": report.by,
        "sandbox": report.sandbox,
        **json_values(add_up(report.rows).to_dict()),
        "rows": [{"key": row.key, **json_values(row.to_dict())} for row in report.rows],
    }
    click.echo(json.dumps(document, indent=1))


def _print_csv(report: _Report) -> None:
    """A head and the rows; amounts are exact decimals."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([report.by, *Totals().to_dict()])
    for row in report.rows:
        amounts = {"cost_usd": f"{row.cost_usd:f}", "estimated_cost_usd": f"{row.estimated_usd:f}"}
        formula = row.key[:1] in ("=", "+", "-", "@")  # to a spreadsheet
        writer.writerow([f"'{row.key}" if formula else row.key, *(row.to_dict() | amounts).values()])


def _print_table(report: _Report) -> None:
    """A table with a bar for each row, and what a reader has to know about the sums."""
    console = Console(highlight=False, soft_wrap=False)
    begin = report.begin(" since %Y-%m-%d %H:%M UTC")
    if report.rows:
        console.print(f"Calls{begin}, by {report.by}", style="bold")
        console.print(_table(report))
    else:
        console.print(
            Text(f"No calls{begin}." if begin else f"No calls yet: the first begins {report.path}.")
        )
    for line in _notes(report, add_up(report.rows)):
        console.print(Text(line))


def _table(report: _Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    whole = add_up(report.rows)
    costs = whole.cost_ticks > 0
    table.add_column(report.by, "in all", overflow="fold", max_width=MAX_KEY)
    for name, foot in zip(("calls", "input", "output", "USD"), _cells(whole), strict=True):
        table.add_column(name, foot, justify="right", no_wrap=True)
    table.add_column("cost" if costs else "calls", no_wrap=True)
    weights = [row.cost_ticks if costs else row.calls for row in report.rows]
    for row, weight in zip(report.rows, weights, strict=True):
        length = round(BAR * weight / max(weights))
        if weight:
            length = max(length, 1)
        table.add_row(Text(row.key), *_cells(row), Text(symbol("█", "#") * length, "cyan"))
    return table


def _cells(row: Totals) -> list[str]:
    tokens = row.counts["input_tokens"], row.counts["output_tokens"]
    return [*(f"{count:,}" for count in (row.calls, *tokens)), f"{row.cost_usd:.6f}"]


def _notes(report: _Report, whole: Totals) -> list[str]:
    """Sentences below the table."""
    notes, counts = [], whole.counts
    if whole.calls:
        notes.append(
            f"Of the input {counts['cached_tokens']:,} tokens were cached, of the output "
            f"{counts['reasoning_tokens']:,} were reasoning; "
            f"{counts['web_searches'] + counts['x_searches']:,} searches, {counts['sources_used']:,} sources."
        )
    tools = (
        ("posts of X", "x_posts_fetched"),
        ("profiles of X", "x_users_fetched"),
        ("runs of code", "code_runs"),
        ("searches of files", "documents_searched"),
    )
    if told := [f"{counts[name]:,} {words}" for words, name in tools if counts[name]]:
        notes.append(f"Tools at the endpoint: {', '.join(told)}.")
    if whole.priority_calls:
        notes.append(f"Calls that were served with priority: {whole.priority_calls:,}.")
    if whole.failed_calls:
        notes.append(f"Calls that failed or were cancelled: {whole.failed_calls:,}.")
    if whole.unknown_ends:
        notes.append(
            f"Calls with an unknown end: {whole.unknown_ends:,}. Their server was killed meanwhile; what "
            "they may have cost counts against a budget."
        )
    if whole.calls_estimated:
        notes.append(
            f"Of the cost {whole.estimated_usd:.6f} USD are estimated from public prices: tokens and fees of "
            f"tools that the endpoint counted. Calls with such a cost: {whole.calls_estimated:,}."
        )
    if whole.calls_without_cost:
        notes.append(f"Calls whose cost is unknown, and not in the sum: {whole.calls_without_cost:,}.")
    if report.sandbox and whole.calls:
        notes.append("The sandbox answered these calls: its prices are made up, nothing was charged.")
    if report.elsewhere and not report.sandbox:
        notes.append(
            f"Calls of the sandbox, which are not counted: {report.elsewhere:,}; --sandbox shows them."
        )
    return notes
