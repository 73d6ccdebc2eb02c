"""Sums over the calls in a ledger by the names of `Usage`, for `grok-mcp-server usage` and `grok://usage`."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from grok_mcp.accounting.reading import SUMS, Key, Reading, Which
from grok_mcp.state import is_gone
from grok_mcp.usage import COUNTS, TICKS_PER_USD

_TIMES: dict[Key, str] = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m"}
"""How the keys that are times are written."""
_OWN_SUMS = SUMS[: -len(COUNTS)]
"""Those of the sums that have a field of `Totals` each."""


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
            if self.durations is None:
                self.durations = Counter()
            self.durations.update(other.durations)
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
    ledger: Reading,
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
    which = Which(since, caller, sandbox)
    totals: dict[Any, Totals] = {}
    for name, *sums in ledger.sums(by, which):
        totals.setdefault(name, Totals(name)).add(_totals(sums))
    if durations:
        _add_durations(ledger.durations(by, which), totals)
    for name, owner, expired, count in ledger.begun(by, which):
        if expired or is_gone(owner):
            lost = Totals(calls=count, calls_without_cost=count, unknown_ends=count)
            totals.setdefault(name, Totals(name)).add(lost)
    if by in ("hour", "day", "month"):
        totals = _by_name_of_time(totals, by)
    return [totals[name] for name in sorted(totals)]


def _add_durations(durations: Iterable[tuple[Any, Mapping[float, int]]], totals: dict[Any, Totals]) -> None:
    """Count how long the calls of each key took that ended well."""
    for part in totals.values():
        part.durations = Counter()
    for name, counted in durations:
        known = totals[name].durations
        assert known is not None  # as all of them have some
        known.update(counted)


def _by_name_of_time(totals: dict[Any, Totals], by: Key) -> dict[Any, Totals]:
    """The same by date or hour as people write it."""
    named: dict[Any, Totals] = {}
    for number, part in totals.items():
        moment = datetime.fromtimestamp(number * (3_600 if by == "hour" else 86_400), UTC)
        name = f"{moment:{_TIMES[by]}}"
        named.setdefault(name, Totals(name)).add(part)
    return named


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


def last_calls(ledger: Reading, count: int, *, since: float = 0.0, sandbox: bool = False) -> list[EndedCall]:
    """The newest calls that have ended, the newest last."""
    calls = []
    for row in reversed(ledger.newest(count, Which(since, sandbox=sandbox))):
        call = EndedCall(*row)
        cost = None if call.cost_usd is None else Decimal(call.cost_usd) / TICKS_PER_USD
        calls.append(call._replace(sent=None if call.sent is None else bool(call.sent), cost_usd=cost))
    return calls


def _totals(sums: Iterable[Any]) -> Totals:
    """The sums of `SUMS`, in that order."""
    named: dict[str, Any] = dict(zip(SUMS, (total or 0 for total in sums), strict=True))
    return Totals(**{name: named[name] for name in _OWN_SUMS}, counts={name: named[name] for name in COUNTS})


def add_up(parts: Iterable[Totals]) -> Totals:
    """All of them together."""
    whole = Totals()
    for part in parts:
        whole.add(part)
    return whole


def json_values(values: dict[str, Any]) -> dict[str, Any]:
    """The same with money as JSON numbers, which hold a tick exactly below 100,000 USD."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in values.items()}
