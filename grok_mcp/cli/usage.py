"""`grok-mcp-server usage`: what all calls in the ledger have used and cost."""

import csv
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple, get_args

import click
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from grok_mcp.accounting import (
    OK,
    SANDBOX,
    EndedCall,
    Key,
    LedgerError,
    Reading,
    Totals,
    json_values,
    last_calls,
    ledger_place,
    midnight,
    read_ledger,
    read_totals,
)
from grok_mcp.cli.console import BAD_USAGE, fail, symbol
from grok_mcp.environment import read_settings
from grok_mcp.settings import Settings

BAR = 20
LEAST_BAR = 5
"""A shorter bar says nothing."""
MAX_KEY = 40
MAX_LAST = 1_000
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
    "--by",
    type=click.Choice(get_args(Key)),
    default="day",
    metavar="KEY",
    help="Make a row for each hour, day (default), month, model, tool, gateway, caller, group or error. "
    "Calls that ended well have the error ok.",
)
@click.option(
    "--since",
    callback=read_since,
    metavar="TIME",
    help="Begin at a date, today, or 7d or 24h ago.",
)
@click.option(
    "--last", type=click.IntRange(1, MAX_LAST), metavar="N", help="List the last calls, in place of sums."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line of values for each row.")
@click.option(
    "--sandbox", is_flag=True, help="Show the calls that the sandbox answered, at its made-up prices."
)
@click.pass_context
def usage(
    ctx: click.Context,
    by: Key,
    since: float | None,
    last: int | None,
    as_json: bool,
    as_csv: bool,
    sandbox: bool,
) -> None:
    """Show what your calls have used and cost.

    Counts the calls of all servers and commands that share the folder of GROK_MCP_STATE_DIR, or the Postgres
    of GROK_MCP_LEDGER_URL. Days are in UTC. Seconds are those of calls that ended well: half of them took no
    longer than the median.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if last and ctx.get_parameter_source("by") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--by and --last exclude each other")
    settings = read_settings()
    if settings is None:
        ctx.exit(BAD_USAGE)
    wanted = _Wanted(by, since, last, sandbox or settings.gateway == SANDBOX)
    try:
        report = _read(settings, wanted)
    except (OSError, RuntimeError, LedgerError) as error:
        fail(f"the ledger can't be read: {error}")
    if as_json:
        _print_json(report)
    elif as_csv:
        _print_csv(report)
    else:
        _print_table(report)


class _Wanted(NamedTuple):
    """What was asked for."""

    by: Key
    since: float | None
    last: int | None
    sandbox: bool

    def begin(self, form: str) -> str:
        """When it begins; empty where it has no beginning."""
        return "" if self.since is None else f"{datetime.fromtimestamp(self.since, UTC):{form}}"


@dataclass(frozen=True)
class _Report:
    """The requested sums or calls. `elsewhere` is the number of calls in the other book: sandbox, or not."""

    place: str
    wanted: _Wanted
    sandbox: bool
    rows: list[Totals] = field(default_factory=list)
    calls: list[EndedCall] = field(default_factory=list)
    elsewhere: int = 0

    @cached_property
    def whole(self) -> Totals:
        """All rows together."""
        whole = Totals(durations=Counter())
        for row in self.rows:
            whole.add(row)
        return whole

    @cached_property
    def cells(self) -> list[list[tuple[str, str]]]:
        """The columns of each row with their heads, which take a while where there are many calls."""
        return [list(_cells(row, self.wanted.by)) for row in self.rows]


def _read(settings: Settings, wanted: _Wanted) -> _Report:
    """The rows of one book: the sandbox's also where it has answered every call so far."""
    place, since = ledger_place(settings), wanted.since or 0.0

    def read(ledger: Reading) -> _Report:
        play = wanted.sandbox or not ledger.has_real()
        if wanted.last:
            calls = last_calls(ledger, wanted.last, since=since, sandbox=play)
            return _Report(place, wanted, play, calls=calls)
        rows = read_totals(ledger, wanted.by, since=since, sandbox=play, durations=True)
        ended = sum(row.calls - row.unknown_ends for row in rows)
        return _Report(place, wanted, play, rows, elsewhere=ledger.count(since) - ended)

    return read_ledger(settings, read) or _Report(place, wanted, wanted.sandbox)


def _print_json(report: _Report) -> None:
    """The totals and the rows under the names of an answer's usage, or the calls, as one object."""
    wanted = report.wanted
    document: dict[str, Any] = {"since": wanted.begin("%Y-%m-%dT%H:%M:%SZ") or None}
    if wanted.last:
        calls = [json_values(call.to_dict()) for call in report.calls]
        document |= {"last": wanted.last, "sandbox": report.sandbox, "calls": calls}
    else:
        document |= {
            "by": wanted.by,
            "sandbox": report.sandbox,
            **json_values(report.whole.to_dict()),
            "rows": [{"key": row.key, **json_values(row.to_dict())} for row in report.rows],
        }
    click.echo(json.dumps(document, indent=1))


def _print_csv(report: _Report) -> None:
    """A head and the rows; amounts are exact decimals."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if report.wanted.last:
        writer.writerow(EndedCall._fields)
        writer.writerows([_csv_value(value) for value in call.to_dict().values()] for call in report.calls)
        return
    writer.writerow([report.wanted.by, *Totals(durations=Counter()).to_dict()])
    for row in report.rows:
        writer.writerow([_csv_value(value) for value in (row.key, *row.to_dict().values())])


def _csv_value(value: Any) -> Any:
    """A value that a spreadsheet takes as what it is."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):  # a formula
        return f"'{value}"
    return str(value).lower() if isinstance(value, bool) else value


def _print_table(report: _Report) -> None:
    """A table, or lines where it does not fit, and what a reader has to know about the sums."""
    console = Console(highlight=False, soft_wrap=False)
    begin = report.wanted.begin(" since %Y-%m-%d %H:%M UTC")
    if report.calls:
        _print_calls(console, report.calls)
    elif report.rows:
        console.print(f"Calls{begin}, by {report.wanted.by}", style="bold")
        _print_sums(console, report)
    else:
        console.print(
            Text(f"No calls{begin}." if begin else f"No calls yet: the first begins {report.place}.")
        )
    for line in [] if report.wanted.last else _notes(report):
        console.print(Text(line))


def _print_sums(console: Console, report: _Report) -> None:
    """The table with bars, else without them, else closer together, else a few lines for each row."""
    plain, close = _table(report), _table(report, gap=0)
    rest = console.width - _measured(console, plain) - 3
    if rest >= LEAST_BAR:
        console.print(_table(report, bar=min(rest, BAR)))
    elif rest >= -3:
        console.print(plain)
    elif _measured(console, close) <= console.width:
        console.print(close)
    else:
        names = [*(row.key for row in report.rows), "in all"]
        rows = [*report.cells, list(_cells(report.whole, report.wanted.by))]
        for key, cells in zip(names, rows, strict=True):
            console.print(Text(key, "bold"))
            lines = (f"  {name}: {cell}" for name, cell in cells if cell)
            console.print(Text("\n".join(lines)))


def _measured(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(width=500), table).maximum


def _table(report: _Report, *, bar: int = 0, gap: int = 1) -> Table:
    """The rows, with bars of at most so many blocks."""
    by, whole = report.wanted.by, report.whole
    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False, padding=(0, gap))
    costs = whole.cost_ticks > 0
    table.add_column(by, "in all", overflow="fold", max_width=MAX_KEY)
    for name, foot in _cells(whole, by):
        table.add_column(name, foot, justify="right", no_wrap=True)
    weights = [row.cost_ticks if costs else row.calls for row in report.rows]
    if bar:
        table.add_column("cost" if costs else "calls", no_wrap=True)
    for row, cells, weight in zip(report.rows, report.cells, weights, strict=True):
        length = round(bar * weight / max(weights))
        if weight:
            length = max(length, 1)
        bars = [Text(symbol("█", "#") * length, "cyan")] if bar else []
        table.add_row(Text(row.key), *(cell for _, cell in cells), *bars)
    return table


def _cells(row: Totals, by: Key) -> Iterator[tuple[str, str]]:
    """The columns of a row with their heads: how fast and how dear is of things that one can choose."""
    yield "calls", f"{row.calls:,}"
    yield "input", f"{row.counts['input_tokens']:,}"
    yield "output", f"{row.counts['output_tokens']:,}"
    yield "USD", f"{row.cost_usd:.6f}"
    if by not in ("tool", "model", "gateway", "caller", "group"):
        return
    cost = row.cost_per_call_usd
    yield "USD a call", "" if cost is None else f"{cost:.6f}"
    for name, part in (("median", 0.5), ("90 %", 0.9)):
        seconds = row.quantile_s(part)
        yield name, "" if seconds is None else f"{seconds:.1f} s"


def _print_calls(console: Console, calls: list[EndedCall]) -> None:
    """A line for each call, or two where they do not fit; the newest is the last."""
    for gap in (1, 0):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap))
        for name in ("UTC", "tool", "model", "outcome"):
            table.add_column(name, no_wrap=True)
        for name in ("input", "output", "USD", "seconds"):
            table.add_column(name, justify="right", no_wrap=True)
        for call in calls:
            table.add_row(*map(Text, _call_cells(call)))
        if _measured(console, table) <= console.width:
            console.print(table)
            return
    for call in calls:
        moment, tool, model, outcome, received, written, usd, seconds = _call_cells(call)
        console.print(Text.assemble((moment, "bold"), f" {tool} {model}"))
        tokens = f"{received} in, {written} out" if received or written else ""
        money = f"{usd} USD" if usd else ""
        console.print(Text("  " + " · ".join(filter(None, (outcome, tokens, money, f"{seconds} s")))))


def _call_cells(call: EndedCall) -> list[str]:
    unsent = " (not sent)" if call.sent is False and call.outcome != OK else ""
    return [
        f"{datetime.fromtimestamp(call.at, UTC):%m-%d %H:%M:%S}",
        call.tool,
        call.model[:MAX_KEY],
        f"{call.outcome}{unsent}",
        *("" if count is None else f"{count:,}" for count in (call.input_tokens, call.output_tokens)),
        "" if call.cost_usd is None else f"{call.cost_usd:.6f}",
        f"{call.duration_s:.1f}",
    ]


def _notes(report: _Report) -> list[str]:
    """Sentences below the table: on what was used, then on calls that count otherwise."""
    whole = report.whole
    estimated = (
        f"Of the cost {whole.estimated_usd:.6f} USD are estimated from public prices: tokens and fees of "
        "tools that the endpoint counted. Calls with such a cost: {:,}."
    )
    told = (
        (whole.priority_calls, "Calls that were served with priority: {:,}."),
        (whole.calls_not_sent, "Calls that never left this machine: {:,}."),
        (whole.failed_calls, "Calls that failed or were cancelled: {:,}."),
        (
            whole.unknown_ends,
            "Calls with an unknown end: {:,}. Their server was killed meanwhile; what they may have cost "
            "counts against a budget.",
        ),
        (whole.calls_estimated, estimated),
        (whole.calls_without_cost, "Calls whose cost is unknown, and not in the sum: {:,}."),
        (
            whole.calls if report.sandbox else 0,
            "The sandbox answered these calls: its prices are made up, nothing was charged.",
        ),
        (
            0 if report.sandbox else report.elsewhere,
            "Calls of the sandbox, which are not counted: {:,}; --sandbox shows them.",
        ),
    )
    return [*_used(whole.counts), *(sentence.format(number) for number, sentence in told if number)]


def _used(counts: Mapping[str, int]) -> Iterator[str]:
    if counts["total_tokens"]:
        yield (
            f"Of the input {counts['cached_tokens']:,} tokens were cached, of the output "
            f"{counts['reasoning_tokens']:,} were reasoning."
        )
    tools = (
        ("searches of the web", "web_searches"),
        ("searches of X", "x_searches"),
        ("searches of files", "documents_searched"),
        ("posts of X read", "x_posts_fetched"),
        ("profiles of X read", "x_users_fetched"),
        ("runs of code", "code_runs"),
    )
    if named := [f"{counts[name]:,} {words}" for words, name in tools if counts[name]]:
        yield f"Tools at the endpoint: {', '.join(named)}."
    if counts["sources_used"]:
        yield f"Sources of the answers, each once for an answer: {counts['sources_used']:,}."
