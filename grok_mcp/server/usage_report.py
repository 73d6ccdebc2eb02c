"""What `grok://usage` tells one caller: totals of their own calls, and where their budget stands."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from grok_mcp.accounting.records import SANDBOX
from grok_mcp.accounting.totals import Totals, add_up, json_values, read_totals
from grok_mcp.pipeline.grok import Grok

if TYPE_CHECKING:
    import sqlite3


async def usage_of(grok: Grok, caller: str) -> Mapping[str, Any]:
    """The document of `grok://usage` for this caller."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    sandbox = grok.gateway.name == SANDBOX

    def read(db: "sqlite3.Connection") -> tuple[list[Totals], list[Totals]]:
        days = read_totals(db, "day", caller=caller, sandbox=sandbox)
        return days, read_totals(db, "model", caller=caller, sandbox=sandbox)

    days, by_model = await grok.ledger.read(read)

    def of(date: str) -> dict[str, Any]:
        return _shown(add_up(one for one in days if one.key.startswith(date)))

    document: dict[str, Any] = {"caller": caller, "sandbox": sandbox}
    if grok.budget:
        document["budget_usd_per_day"] = float(grok.budget.cap_usd)
    return {
        **document,
        "today": of(today),
        "this_month": of(today[: len("2026-11")]),
        "all_time": of(""),
        "by_model": [{"key": one.key, **_shown(one)} for one in by_model],
    }


def _shown(totals: Totals) -> dict[str, Any]:
    return json_values(totals.to_dict())
