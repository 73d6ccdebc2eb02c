"""Sums over the calls in a ledger by the names of `Usage`, for `grok-mcp-server usage` and `grok://usage`."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from grok_mcp.accounting.records import SANDBOX
from grok_mcp.state import is_gone
from grok_mcp.usage import COUNTS, TICKS_PER_USD

if TYPE_CHECKING:
    import sqlite3

Key = Literal["day", "model", "tool", "caller"]

_DAY_S = 86_400.0
_PIECE = 4_000
"""Rows that are summed at a time: less than a megabyte, which SQLite keeps in memory."""
_LAST_ID = 2**63 - 1
_FEW = 4
"""Keys among them for which each is looked for anew, which is sooner done than to sort the rows by them."""
_KEYS: dict[Key, str] = {
    "day": "CAST(at / 86400 AS INTEGER)",
    "model": "COALESCE(NULLIF(model, ''), model_asked)",
    "tool": "tool",
    "caller": "caller",
}
_WITH_KEY: dict[Key, str] = {
    "day": "+at >= 86400 * :key AND +at < 86400 * (:key + 1)",
    "model": "(model = :key OR model = '' AND model_asked = :key)",
    "tool": "tool = :key",
    "caller": "+caller = :key",
}
"""The same as conditions. A plus keeps SQLite from an index: rows are read one after the other."""
_SUMS = (
    "COUNT(*)",
    "COUNT(error)",
    "COUNT(CASE cost_source WHEN 'estimated' THEN 1 END)",
    "COUNT(CASE cost_source WHEN 'unknown' THEN 1 END)",
    "SUM(cost_ticks)",
    "SUM(CASE cost_source WHEN 'estimated' THEN cost_ticks END)",
    "SUM(duration_s)",
    "COUNT(CASE service_tier WHEN 'priority' THEN 1 END)",
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
    priority_calls: int = 0
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
        self.priority_calls += other.priority_calls
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
            "calls_with_priority": self.priority_calls,
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
    wanted = f"gateway {'=' if sandbox else '<>'} :sandbox" + (
        " AND caller = :caller" if caller is not None else ""
    )
    values = {"sandbox": SANDBOX, "caller": caller, "since": since}
    totals: dict[Any, Totals] = {}
    for name, *sums in _sums(db, by, wanted, values):
        totals.setdefault(name, Totals(name)).add(_totals(sums))
    begun = db.execute(
        f"SELECT {key}, owner, expires_at, COUNT(*) FROM (SELECT *, '' AS model FROM in_flight WHERE sent) "
        f"WHERE at >= :since AND {wanted} GROUP BY 1, 2, 3",
        values,
    )
    for name, owner, expires_at, count in begun:
        if expires_at <= time.time() or is_gone(owner):
            lost = Totals(calls=count, calls_without_cost=count, unknown_ends=count)
            totals.setdefault(name, Totals(name)).add(lost)
    if by == "day":
        for number, part in totals.items():
            part.key = _date(number)
    return [totals[name] for name in sorted(totals)]


def _sums(
    db: "sqlite3.Connection", by: Key | None, wanted: str, values: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """Keys and their sums, piece by piece: to group all calls at once takes time and memory."""
    key = _KEYS[by] if by else "''"
    for piece, ends in _pieces(db, values):
        among = f"FROM calls WHERE {piece} AND {wanted}"
        here = values | ends
        keys = db.execute(f"SELECT DISTINCT {key} {among} LIMIT {_FEW + 1}", here).fetchall()
        if len(keys) > _FEW:
            yield from db.execute(f"SELECT {key}, {', '.join(_SUMS)} {among} GROUP BY 1", here)
            continue
        if by and len(keys) > 1:
            among += f" AND {_WITH_KEY[by]}"
        for (name,) in keys:
            yield from db.execute(f"SELECT :key, {', '.join(_SUMS)} {among}", here | {"key": name})


def _pieces(db: "sqlite3.Connection", values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Conditions that each meet some calls, and all of them together each call once.

    A caller's calls are found by their index, those of a day at a time. All calls are read as they lie.
    """
    since = values["since"]
    if values["caller"] is not None:
        first = "SELECT at FROM calls WHERE caller = ? AND at >= ? ORDER BY at LIMIT 1"
        while row := db.execute(first, (values["caller"], since)).fetchone():
            begin, since = max(row[0] // _DAY_S * _DAY_S, since), (row[0] // _DAY_S + 1) * _DAY_S
            yield "at >= :begin AND at < :end", {"begin": begin, "end": since}
        return
    (begin,) = db.execute("SELECT MIN(id) - 1 FROM calls WHERE at >= ?", (since,)).fetchone()
    while begin is not None:
        after = "SELECT id FROM calls WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
        end = db.execute(after, (begin, _PIECE - 1)).fetchone() or (None,)
        last = _LAST_ID if end[0] is None else end[0]
        yield "id > :begin AND id <= :last AND +at >= :since", {"begin": begin, "last": last}
        (begin,) = end


def count_calls(db: "sqlite3.Connection", *, since: float = 0.0) -> int:
    """How many calls have ended, from `since` on, those of the sandbox among them."""
    return int(db.execute("SELECT COUNT(*) FROM calls WHERE at >= ?", (since,)).fetchone()[0])


def _date(day: int) -> str:
    """The ISO date of a day of the epoch; SQLite would take twice as long to name each call's."""
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


def _totals(sums: Iterable[Any]) -> Totals:
    calls, failed, estimated, without, ticks, estimated_ticks, duration_s, priority, *counts = (
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
        priority_calls=priority,
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
