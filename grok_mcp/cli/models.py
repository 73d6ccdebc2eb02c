"""`grok-mcp-server models`: which models there are, and what somebody would choose each for."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import anyio
import click
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grok_mcp.accounting import SANDBOX, LedgerError, add_speeds, read_ledger, read_speeds
from grok_mcp.cli.console import BAD_USAGE
from grok_mcp.environment import read_settings
from grok_mcp.models import LONG_CONTEXT_TOKENS
from grok_mcp.pipeline import Grok
from grok_mcp.settings import Settings

LISTED_WITHIN_S = 5.0
TABLE_COLUMNS = 100
"""A terminal of fewer gets a few lines for each model."""
UNKNOWN = "-"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as grok://models has it.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """Show the models to choose from, with prices and speed.

    What each is good for, what it costs, how much it reads, which efforts it takes.

    The list is the endpoint's own where there is a key and it answers soon. Speed is that of your own calls.
    """
    settings = read_settings()
    if settings is None:
        ctx.exit(BAD_USAGE)
    document = anyio.run(_document, settings)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        _print(document)


async def _document(settings: Settings) -> dict[str, Any]:
    """What `grok://models` holds, with the speed of all callers."""
    alone = {"redis_url": None, "limits_file": None}  # nothing that is shared is needed
    grok = Grok(settings.model_copy(update=alone))
    try:
        document = await grok.catalog.published(LISTED_WITHIN_S)
    finally:
        await grok.aclose()
    with suppress(OSError, RuntimeError, LedgerError):  # then no speed is known
        sandbox = grok.gateway.name == SANDBOX
        add_speeds(document, read_ledger(settings, lambda ledger: read_speeds(ledger, sandbox=sandbox)) or {})
    return document


def _print(document: Mapping[str, Any]) -> None:
    """A table where there is room for it, else a few lines for each model."""
    console = Console(highlight=False, soft_wrap=False)
    entries = document["models"]
    if not console.is_terminal:
        for entry in entries:
            click.echo("\n  ".join(_lines(entry, document)) + "\n")
    elif console.width >= TABLE_COLUMNS:
        console.print(_table(document))
    else:
        for entry in entries:
            first, *others = _lines(entry, document)
            console.print(Text(first, "bold"))
            console.print(Padding(Text("\n".join(others)), (0, 0, 1, 2)))
    for note in _notes(document):
        if console.is_terminal:
            console.print(Text(note))
        else:
            click.echo(note)


def _table(document: Mapping[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold")
    for name in ("in", "cached", "out"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("context", justify="right", no_wrap=True)
    table.add_column("effort", max_width=16)
    table.add_column("speed", no_wrap=True)
    for entry in document["models"]:
        cell = Text(_name(entry, document), "bold")
        if good_for := entry.get("good_for"):
            cell.append(f"\n{good_for}", "not bold dim")
        table.add_row(cell, *_prices(entry), _context(entry), Text(" ".join(_efforts(entry))), _speed(entry))
    return table


def _lines(entry: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """One model: its name, then a fact on each line."""
    lines = [_name(entry, document)]
    if good_for := entry.get("good_for"):
        lines.append(good_for)
    if (prices := _prices(entry)) != [UNKNOWN] * 3:
        lines.append("{} in, {} cached, {} out".format(*prices))
    lines.append(f"context {_context(entry)}")
    if efforts := _efforts(entry):
        lines.append(f"effort {', '.join(efforts)}")
    if "speed" in entry:
        lines.append(f"speed {_speed(entry)}")
    return lines


def _name(entry: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    is_default = document["default_model"] in (entry["id"], *entry.get("aliases", ()))
    return f"{entry['id']} (default)" if is_default else str(entry["id"])


def _prices(entry: Mapping[str, Any]) -> list[str]:
    """USD per million tokens of input, of cached input and of output."""
    prices = [entry.get(f"{kind}_usd_per_million") for kind in ("input", "cached", "output")]
    return [UNKNOWN if price is None else f"{price:.2f}" for price in prices]


def _context(entry: Mapping[str, Any]) -> str:
    tokens = entry.get("context_window")
    if tokens is None:
        return UNKNOWN
    return f"{tokens / 1_000_000:g}M" if tokens >= 1_000_000 else f"{tokens / 1_000:g}k"


def _efforts(entry: Mapping[str, Any]) -> list[str]:
    """The values of `reasoning_effort`, the default first."""
    efforts, default = entry.get("reasoning_efforts", []), entry.get("default_reasoning_effort")
    return sorted(efforts, key=lambda effort: effort != default)


def _speed(entry: Mapping[str, Any]) -> str:
    speed = entry.get("speed")
    if speed is None:
        return UNKNOWN
    rate = speed.get("output_tokens_per_s")
    return f"{speed['median_s']:.1f} s" + (f", {rate:.0f}/s" if rate is not None else "")


def _notes(document: Mapping[str, Any]) -> list[str]:
    """Sentences below the models."""
    entries, notes = document["models"], []
    if any("input_usd_per_million" in entry for entry in entries):
        notes.append(
            "Prices are USD for a million tokens; of a request with "
            f"{LONG_CONTEXT_TOKENS:,} tokens of input or more all cost twice as much."
        )
    if any("reasoning_efforts" in entry for entry in entries):
        notes.append("The first effort is the default.")
    if any("speed" in entry for entry in entries):
        notes.append(
            "Speed: medians of your calls in 30 days, of a whole call and of output tokens a second."
        )
    if document["source"] != "endpoint":
        notes.append(f"These are the facts of this version. {document.get('note', '')}".rstrip())
    return notes
