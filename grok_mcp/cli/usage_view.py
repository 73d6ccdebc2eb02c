"""How `grok-mcp usage` shows its report: a table with bars for people, JSON and CSV for programs."""

import csv
import io
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grok_mcp.accounting import Key, Totals, add_up, json_values

BAR = 20
MAX_KEY = 40


@dataclass(frozen=True)
class Report:
    """The sums that were asked for. `elsewhere` is the number of calls in the other book: sandbox, or not."""

    path: Path
    by: Key
    since: float | None
    sandbox: bool
    rows: list[Totals] = field(default_factory=list)
    elsewhere: int = 0


def print_json(report: Report) -> None:
    """The totals and the rows under the names of an answer's usage, as one object."""
    since = None if report.since is None else f"{_moment(report.since):%Y-%m-%dT%H:%M:%SZ}"
    document = {
        "since": since,
        "by": report.by,
        "sandbox": report.sandbox,
        **json_values(add_up(report.rows).to_dict()),
        "rows": [{"key": row.key, **json_values(row.to_dict())} for row in report.rows],
    }
    _write(json.dumps(document, indent=1) + "\n")


def print_csv(report: Report) -> None:
    """A head and the rows; amounts are exact decimals."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([report.by, *Totals().to_dict()])
    for row in report.rows:
        values = row.to_dict() | {
            "cost_usd": f"{row.cost_usd:f}",
            "estimated_cost_usd": f"{row.estimated_usd:f}",
        }
        writer.writerow([_inert(row.key), *values.values()])
    _write(out.getvalue())


def print_table(report: Report) -> None:
    """A table with a bar for each row, and what is to be known of the sums."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a pipe on Windows may have no letters for it all
    console = Console(highlight=False, soft_wrap=False)
    begin = "" if report.since is None else f" since {_moment(report.since):%Y-%m-%d %H:%M} UTC"
    if report.rows:
        console.print(f"Calls{begin}, by {report.by}", style="bold")
        console.print(_table(report, console))
    for line in _notes(report, begin):
        console.print(Text(line))


def _table(report: Report, console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    whole = add_up(report.rows)
    costs = whole.cost_ticks > 0
    table.add_column(report.by, "in all", overflow="fold", max_width=MAX_KEY)
    for name, foot in zip(("calls", "input", "output", "USD"), _cells(whole), strict=True):
        table.add_column(name, foot, justify="right", no_wrap=True)
    table.add_column("cost" if costs else "calls", no_wrap=True)
    weights = [row.cost_ticks if costs else row.calls for row in report.rows]
    block = "█" if console.encoding.startswith("utf") else "#"
    for row, weight in zip(report.rows, weights, strict=True):
        bar = block * (round(BAR * weight / max(weights)) or (weight > 0))
        table.add_row(Text(row.key), *_cells(row), Text(bar, "cyan"))
    return table


def _cells(row: Totals) -> tuple[str, str, str, str]:
    counts = row.counts
    return (
        f"{row.calls:,}",
        f"{counts['input_tokens']:,}",
        f"{counts['output_tokens']:,}",
        f"{row.cost_usd:.6f}",
    )


def _notes(report: Report, begin: str) -> list[str]:
    """Sentences below the table; in place of it where there is nothing to show."""
    whole, notes = add_up(report.rows), []
    if not report.rows:
        notes.append(f"No calls{begin}." if begin else f"No calls yet: the first one begins {report.path}.")
    if whole.calls:
        counts = whole.counts
        searches = counts["web_searches"] + counts["x_searches"]
        notes.append(
            f"Of the input {counts['cached_tokens']:,} tokens were cached, of the output "
            f"{counts['reasoning_tokens']:,} were reasoning; {searches:,} searches, "
            f"{counts['sources_used']:,} sources."
        )
    if whole.failed_calls:
        notes.append(f"Calls that failed or were cancelled: {whole.failed_calls:,}.")
    if whole.calls_estimated:
        notes.append(
            f"Of the cost {whole.estimated_usd:.6f} USD are estimated from public prices: tokens, without "
            f"search fees. Calls with such a cost: {whole.calls_estimated:,}."
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


def _inert(key: str) -> str:
    """The key, with a mark before what a spreadsheet would take for a formula."""
    return f"'{key}" if key[:1] in ("=", "+", "-", "@") else key


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _write(text: str) -> None:
    sys.stdout.write(text)
