"""Sums over the calls in a ledger by the names of `Usage`, for `grok-mcp-server usage` and `grok://usage`."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from grok_mcp.accounting.records import SANDBOX
from grok_mcp.state import is_gone
from grok_mcp.usage import COUNTS, TICKS_PER_USD

if TYPE_CHECKING:
    import sqlite3

Key = Literal["hour", "day", "month", "model", "tool", "gateway", "caller", "group", "error"]

OK = "ok"
"""The key of calls without an error."""
NO_GROUP = "none"
"""The key of calls whose caller is in no group."""
UNKNOWN_END = "unknown end"
"""That of calls whose process was gone."""
_DAY_S = 86_400.0
_PIECE = 4_000
"""Rows that are summed at a time: less than a megabyte, which SQLite keeps in memory."""
_LAST_ID = 2**63 - 1
_TIMES: dict[Key, str] = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""How the keys that are times are written; SQLite would take twice as long to name each call's."""
_FEW = 4
"""Keys among them for which each is looked for anew, which is sooner done than to sort the rows by them."""
_KEYS: dict[Key, str] = {
    "hour": "CAST(at / 3600 AS INTEGER)",
    "day": "CAST(at / 86400 AS INTEGER)",
    "month": "CAST(at / 86400 AS INTEGER)",  # days, which are added up
    "model": "COALESCE(NULLIF(model, ''), model_asked)",
    "tool": "tool",
    "gateway": "gateway",
    "caller": "caller",
    "group": f"COALESCE(caller_group, '{NO_GROUP}')",
    "error": f"COALESCE(error, '{OK}')",
}
_WITH_KEY: dict[Key, str] = {
    "hour": "+at >= 3600 * :key AND +at < 3600 * (:key + 1)",
    "day": "+at >= 86400 * :key AND +at < 86400 * (:key + 1)",
    "month": "+at >= 86400 * :key AND +at < 86400 * (:key + 1)",
    "model": "(model = :key OR model = '' AND model_asked = :key)",
    "tool": "tool = :key",
    "gateway": "gateway = :key",
    "caller": "+caller = :key",
    "group": f"COALESCE(caller_group, '{NO_GROUP}') = :key",
    "error": f"COALESCE(error, '{OK}') = :key",
}
"""The same as conditions. A plus keeps SQLite from an index: rows are read one after the other."""
_SUMS = (
    "COUNT(*)",
    "COUNT(CASE WHEN sent IS NOT 0 THEN error END)",
    "COUNT(CASE WHEN sent IS 0 THEN error END)",
    "COUNT(CASE cost_source WHEN 'estimated' THEN 1 END)",
    "COUNT(CASE cost_source WHEN 'unknown' THEN 1 END)",
    "COUNT(cost_ticks)",
    "SUM(cost_ticks)",
    "SUM(CASE cost_source WHEN 'estimated' THEN cost_ticks END)",
    "SUM(duration_s)",
    "COUNT(CASE service_tier WHEN 'priority' THEN 1 END)",
    *(f"SUM({name})" for name in COUNTS),
)
_SUM_NAMES = (
    *("calls", "failed_calls", "calls_not_sent", "calls_estimated", "calls_without_cost", "calls_with_cost"),
    *("cost_ticks", "estimated_ticks", "duration_s", "priority_calls"),
)
"""The fields of `Totals` that these sums are, before the counts."""


@dataclass
class Totals:
    """The sums of some calls, costs in whole ticks, so that nothing is lost by adding.

    What no endpoint reported counts as zero; `calls_without_cost` is the number of calls whose cost that is.
    `unknown_ends` are calls whose process was gone before they had ended: what they cost is unknown too.
    `calls_not_sent` failed before anything left this machine; `failed_calls` are the others that failed.
    `durations` is how many calls that ended well took so many seconds, None where nobody asked.
    """

    key: str = ""
    calls: int = 0
    failed_calls: int = 0
    calls_estimated: int = 0
    calls_without_cost: int = 0
    unknown_ends: int = 0
    calls_not_sent: int = 0
    calls_with_cost: int = 0
    cost_ticks: int = 0
    estimated_ticks: int = 0
    duration_s: float = 0.0
    priority_calls: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    durations: Counter[float] | None = None

    def add(self, other: "Totals") -> None:
        """Add the sums of other calls."""
        self.calls += other.calls
        self.failed_calls += other.failed_calls
        self.calls_estimated += other.calls_estimated
        self.calls_without_cost += other.calls_without_cost
        self.unknown_ends += other.unknown_ends
        self.calls_not_sent += other.calls_not_sent
        if other.durations is not None:
            self.durations = (self.durations or Counter()) + other.durations
        self.calls_with_cost += other.calls_with_cost
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

    @property
    def cost_per_call_usd(self) -> Decimal | None:
        """The known cost divided among the calls that have one; None where none has."""
        return self.cost_usd / self.calls_with_cost if self.calls_with_cost else None

    def quantile_s(self, part: float) -> float | None:
        """The seconds that this part of the calls that ended well did not exceed, to 10 ms."""
        if not self.durations:
            return None
        rank, passed = math.ceil(part * self.durations.total()), 0
        for seconds in sorted(self.durations):
            passed += self.durations[seconds]
            if passed >= rank:
                return seconds
        return None  # pragma: no cover - the last one has passed all

    def to_dict(self) -> dict[str, Any]:
        """JSON values by their published names, money as `Decimal`."""
        known = self._sums()
        if self.durations is None:
            return known
        cost = self.cost_per_call_usd
        return {
            **known,
            "cost_per_call_usd": None if cost is None else round(cost, 10),
            "median_s": self.quantile_s(0.5),
            "p90_s": self.quantile_s(0.9),
        }

    def _sums(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "calls_not_sent": self.calls_not_sent,
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
    durations: bool = False,
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
    if durations:
        _add_durations(db, by, wanted, values, totals)
    begun = db.execute(
        f"SELECT {key}, owner, expires_at, COUNT(*) FROM "
        f"(SELECT *, '' AS model, '{UNKNOWN_END}' AS error, NULL AS caller_group "
        f"FROM in_flight WHERE sent) "
        f"WHERE at >= :since AND {wanted} GROUP BY 1, 2, 3",
        values,
    )
    for name, owner, expires_at, count in begun:
        if expires_at <= time.time() or is_gone(owner):
            lost = Totals(calls=count, calls_without_cost=count, unknown_ends=count)
            totals.setdefault(name, Totals(name)).add(lost)
    if by in ("hour", "day", "month"):
        totals = _by_name_of_time(totals, by)
    return [totals[name] for name in sorted(totals)]


def _add_durations(
    db: "sqlite3.Connection", by: Key | None, wanted: str, values: dict[str, Any], totals: dict[Any, Totals]
) -> None:
    """Count how long the calls of each key took that ended well."""
    for part in totals.values():
        part.durations = Counter()
    key = _KEYS[by] if by else "''"
    for piece, ends in _pieces(db, values):
        rows = db.execute(
            f"SELECT {key}, ROUND(duration_s, 2), COUNT(*) FROM calls "
            f"WHERE {piece} AND {wanted} AND error IS NULL GROUP BY 1, 2",
            values | ends,
        )
        for name, seconds, count in rows:
            counted = totals[name].durations
            assert counted is not None  # as all of them have some
            counted[seconds] += count


def _by_name_of_time(totals: dict[Any, Totals], by: Key) -> dict[Any, Totals]:
    """The same by date or hour as people write it."""
    named: dict[Any, Totals] = {}
    for number, part in totals.items():
        moment = datetime.fromtimestamp(number * (3_600 if by == "hour" else 86_400), UTC)
        name = f"{moment:{_TIMES[by]}}"
        named.setdefault(name, Totals(name)).add(part)
    return named


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


class EndedCall(NamedTuple):
    """A call as a list shows it; `outcome` is `ok`, else how its answer ended, or the code of its error."""

    at: float
    tool: str
    model: str
    gateway: str
    caller: str
    outcome: str
    sent: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    duration_s: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values, the time in ISO form, money as `Decimal`."""
        moment = datetime.fromtimestamp(self.at, UTC)
        return {**self._asdict(), "at": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}


def last_calls(
    db: "sqlite3.Connection", count: int, *, since: float = 0.0, sandbox: bool = False
) -> list[EndedCall]:
    """The newest calls that have ended, the newest last."""
    rows = db.execute(
        f"SELECT at, tool, {_KEYS['model']}, gateway, caller, "
        f"COALESCE(error, NULLIF(finish_reason, 'stop'), '{OK}'), sent, input_tokens, output_tokens, "
        f"cost_ticks, duration_s FROM calls WHERE at >= ? AND gateway {'=' if sandbox else '<>'} ? "
        "ORDER BY at DESC, id DESC LIMIT ?",
        (since, SANDBOX, count),
    ).fetchall()
    calls = []
    for *known, sent, received, written, ticks, duration_s in reversed(rows):
        cost = None if ticks is None else Decimal(ticks) / TICKS_PER_USD
        was_sent = None if sent is None else bool(sent)
        at, tool, model, gateway, caller, outcome = known
        calls.append(
            EndedCall(
                at, tool, model, gateway, caller, outcome, was_sent, received, written, cost, duration_s
            )
        )
    return calls


def count_calls(db: "sqlite3.Connection", *, since: float = 0.0) -> int:
    """How many calls have ended, from `since` on, those of the sandbox among them."""
    return int(db.execute("SELECT COUNT(*) FROM calls WHERE at >= ?", (since,)).fetchone()[0])


def _totals(sums: Iterable[Any]) -> Totals:
    """The sums of `_SUMS`, in that order."""
    numbers: list[Any] = [total or 0 for total in sums]
    counts = dict(zip(COUNTS, numbers[len(_SUM_NAMES) :], strict=True))
    named: dict[str, Any] = dict(zip(_SUM_NAMES, numbers, strict=False))
    return Totals(**named, counts=counts)


def add_up(parts: Iterable[Totals]) -> Totals:
    """All of them together."""
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole


def json_values(values: dict[str, Any]) -> dict[str, Any]:
    """The same with money as JSON numbers, which hold a tick exactly below 100,000 USD."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}
