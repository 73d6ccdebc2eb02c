"""Sums over the calls in a ledger by the names of `Usage`, for `grok-mcp usage` and `grok://usage`."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from grok_mcp.accounting.owners import is_gone
from grok_mcp.accounting.records import SANDBOX
from grok_mcp.usage import COUNTS, TICKS_PER_USD

if TYPE_CHECKING:
    import sqlite3

Key = Literal["day", "model", "tool", "caller"]

_DAY_S = 86_400.0
_KEYS: dict[Key, str] = {
    "day": "CAST(at / 86400 AS INTEGER)",
    "model": "COALESCE(NULLIF(model, ''), model_asked)",
    "tool": "tool",
    "caller": "caller",
}
_SUMS = (
    "COUNT(*)",
    "SUM(error IS NOT NULL)",
    "SUM(cost_source IS 'estimated')",
    "SUM(cost_source IS 'unknown')",
    "SUM(cost_ticks)",
    "SUM(CASE cost_source WHEN 'estimated' THEN cost_ticks END)",
    "SUM(duration_s)",
    *(f"SUM({name})" for name in COUNTS),
)


@dataclass
class Totals:
    """The sums of some calls, costs in whole ticks, so that nothing is lost by adding.

    What no endpoint reported counts as zero; `calls_without_cost` is the number of calls whose cost that is.
    `unknown_ends` are calls whose process was gone before they had ended: what they cost is unknown too.
    """

    key: str = ""
    calls: int = 0
    failed_calls: int = 0
    calls_estimated: int = 0
    calls_without_cost: int = 0
    unknown_ends: int = 0
    cost_ticks: int = 0
    estimated_ticks: int = 0
    duration_s: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    def add(self, other: "Totals") -> None:
        """Add the sums of other calls."""
        self.calls += other.calls
        self.failed_calls += other.failed_calls
        self.calls_estimated += other.calls_estimated
        self.calls_without_cost += other.calls_without_cost
        self.unknown_ends += other.unknown_ends
        self.cost_ticks += other.cost_ticks
        self.estimated_ticks += other.estimated_ticks
        self.duration_s += other.duration_s
        for name, count in other.counts.items():
            self.counts[name] += count

    @property
    def cost_usd(self) -> Decimal:
        """The known cost, exactly."""
        return Decimal(self.cost_ticks) / TICKS_PER_USD

    @property
    def estimated_usd(self) -> Decimal:
        """How much of it was estimated from public prices."""
        return Decimal(self.estimated_ticks) / TICKS_PER_USD

    def to_dict(self) -> dict[str, Any]:
        """JSON values by their published names, money as `Decimal`."""
        return {
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            **self.counts,
            "cost_usd": self.cost_usd,
            "estimated_cost_usd": self.estimated_usd,
            "calls_with_estimated_cost": self.calls_estimated,
            "calls_without_cost": self.calls_without_cost,
            "calls_with_unknown_end": self.unknown_ends,
            "duration_s": round(self.duration_s, 3),
        }


def read_totals(
    db: "sqlite3.Connection",
    by: Key | None = None,
    *,
    since: float = 0.0,
    caller: str | None = None,
    sandbox: bool = False,
) -> list[Totals]:
    """A sum for each value of `by`, one in all for None, over the calls from `since` (of the epoch) on.

    Calls of the sandbox are summed alone or not at all, because its prices are made up.
    """
    key = _KEYS[by] if by else "''"
    wanted = "(gateway = ?) = ?" + (" AND caller = ?" if caller is not None else "")
    values = [SANDBOX, sandbox, *([caller] if caller is not None else [])]
    totals: dict[Any, Totals] = {}
    statement = f"SELECT {key}, {', '.join(_SUMS)} FROM calls WHERE at >= ? AND at < ? AND {wanted}"
    if by not in (None, "day"):  # the calls of a day are one group
        statement += " GROUP BY 1"
    for day in _days(db, since):
        for name, *sums in db.execute(statement, (*day, *values)):
            if sums[0]:
                totals.setdefault(name, Totals(name)).add(_totals(sums))
    begun = db.execute(
        f"SELECT {key}, owner, expires_at, COUNT(*) FROM (SELECT *, '' AS model FROM in_flight WHERE sent) "
        f"WHERE at >= ? AND {wanted} GROUP BY 1, 2, 3",
        (since, *values),
    )
    for name, owner, expires_at, count in begun:
        if expires_at <= time.time() or is_gone(owner):
            lost = Totals(calls=count, calls_without_cost=count, unknown_ends=count)
            totals.setdefault(name, Totals(name)).add(lost)
    if by == "day":
        for number, part in totals.items():
            part.key = _date(number)
    return [totals[name] for name in sorted(totals)]


def _days(db: "sqlite3.Connection", since: float) -> Iterator[tuple[float, float]]:
    """The days that have calls. Their sums are made one by one: to group all calls at once takes memory."""
    while first := db.execute("SELECT at FROM calls WHERE at >= ? ORDER BY at LIMIT 1", (since,)).fetchone():
        begin = max(first[0] // _DAY_S * _DAY_S, since)
        since = (first[0] // _DAY_S + 1) * _DAY_S
        yield begin, since


def count_calls(db: "sqlite3.Connection", *, since: float = 0.0, sandbox: bool = False) -> int:
    """How many calls have ended, from `since` on."""
    row = db.execute(
        "SELECT COUNT(*) FROM calls WHERE +at >= ? AND (gateway = ?) = ?", (since, SANDBOX, sandbox)
    )
    return int(row.fetchone()[0])


def _date(day: int) -> str:
    """The ISO date of a day of the epoch; SQLite would take twice as long to name each call's."""
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


def _totals(sums: Iterable[Any]) -> Totals:
    calls, failed, estimated, without, ticks, estimated_ticks, duration_s, *counts = (
        total or 0 for total in sums
    )
    return Totals(
        calls=calls,
        failed_calls=failed,
        calls_estimated=estimated,
        calls_without_cost=without,
        cost_ticks=ticks,
        estimated_ticks=estimated_ticks,
        duration_s=duration_s,
        counts=dict(zip(COUNTS, counts, strict=True)),
    )


def add_up(parts: Iterable[Totals]) -> Totals:
    """All of them together."""
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole


def json_values(values: dict[str, Any]) -> dict[str, Any]:
    """The same with money as JSON numbers, which hold a tick exactly below 100,000 USD."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}
