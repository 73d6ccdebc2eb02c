"""What `grok://usage` tells one caller: totals of their own calls, and where their budget stands."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from grok_mcp.entries import SANDBOX, midnight
from grok_mcp.grok import Grok
from grok_mcp.totals import Key, Totals, add_up, json_values, read_totals

if TYPE_CHECKING:
    from grok_mcp.ledger_store import Store


async def usage_of(grok: Grok, caller: str) -> Mapping[str, Any]:
    """The document of `grok://usage` for this caller."""
    today = midnight(time.time())
    month = datetime.fromtimestamp(today, UTC).replace(day=1).timestamp()
    sandbox = grok.gateway.name == SANDBOX

    def read(store: "Store") -> tuple[list[Totals], ...]:
        def of(since: float, by: Key | None = None) -> list[Totals]:
            return read_totals(store.connection, by, since=since, caller=caller, sandbox=sandbox)

        return of(today), of(month), of(0.0), of(0.0, "model")

    of_day, of_month, of_all, by_model = await grok.ledger.read(read)
    document: dict[str, Any] = {"caller": caller, "sandbox": sandbox}
    if grok.budget:
        document["budget_usd_per_day"] = float(grok.budget.cap_usd)
    return {
        **document,
        "today": _shown(add_up(of_day)),
        "this_month": _shown(add_up(of_month)),
        "all_time": _shown(add_up(of_all)),
        "by_model": [{"key": one.key, **_shown(one)} for one in by_model],
    }


def _shown(totals: Totals) -> dict[str, Any]:
    return json_values(totals.to_dict())
