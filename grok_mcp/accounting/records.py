"""What the ledger holds of a call, while it is in flight and after its end: plain values.

Apart from `sqlite.py`, so that a server that starts need not load SQLite.
"""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from grok_mcp import bounds
from grok_mcp.state import state_folder
from grok_mcp.usage import COUNTS, TICKS_PER_USD, Usage

FILE = "ledger.sqlite3"

SANDBOX = "sandbox"
"""The gateway whose prices are made up: its calls are never summed with others."""

RESERVED_S = 60.0
"""How long a call counts as in flight without being renewed: its process is gone then."""

LEAST_ESTIMATE = TICKS_PER_USD // 1_000
"""What a call in flight counts as where nothing is known of such calls: 0.001 USD."""

COLUMNS = (
    *("at", "tool", "caller", "gateway", "model_asked", "model"),
    *COUNTS,
    *(
        "cost_ticks",
        "cost_source",
        "duration_s",
        "finish_reason",
        "error",
        "service_tier",
        "sent",
        "caller_group",
    ),
)
"""The columns of an `Entry`, in the order of its `values`."""


class LedgerError(Exception):
    """The ledger can't be used; the message is the reason, as the end of a sentence."""


class Entry(NamedTuple):
    """One tool call that has ended.

    `error` is the code of its failure. `unpriced`: it may have cost something even if nobody says what.
    `sent`: a request for it has gone out, or was about to; None where that is not known. `group`: that of its
    caller, empty where there is none.
    """

    at: float
    tool: str
    caller: str
    gateway: str
    model_asked: str = ""
    model: str = ""
    usage: Usage | None = None
    duration_s: float = 0.0
    finish_reason: str | None = None
    error: str | None = None
    unpriced: bool = False
    sent: bool | None = None
    group: str = ""

    @property
    def ticks(self) -> int | None:
        """The cost in whole ticks, None where it is unknown."""
        cost = self.usage.cost_usd if self.usage else None
        return None if cost is None else to_ticks(cost)

    @property
    def sandbox(self) -> bool:
        """Whether its cost is made up."""
        return self.gateway == SANDBOX

    def values(self) -> tuple[object, ...]:
        """The columns of its row."""
        usage = self.usage or Usage()
        counts = (getattr(usage, name) for name in COUNTS)
        source = "unknown" if self.unpriced and usage.cost_usd is None else usage.cost_source
        return (
            *self[:6],
            *(None if count is None else min(count, bounds.COUNT) for count in counts),
            *(self.ticks, source, self.duration_s, self.finish_reason, self.error, usage.service_tier),
            self.sent,
            self.group or None,
        )


class Begun(NamedTuple):
    """One tool call that has not ended yet.

    `ticks` is what it may cost, None where nobody has estimated it. `sent`: a request for it has gone out, or
    is about to. `group`: as in `Entry`.
    """

    id: str
    at: float
    tool: str
    caller: str
    gateway: str
    model_asked: str = ""
    ticks: int | None = None
    sent: bool = False
    group: str = ""

    @property
    def sandbox(self) -> bool:
        """Whether its cost is made up."""
        return self.gateway == SANDBOX


class Caps(NamedTuple):
    """Ticks that may be spent in a day, by a caller and by all of its group; None where there is no cap."""

    caller: int | None
    group: int | None = None


class Standing(NamedTuple):
    """A caller's day as a call begins, in ticks: what is spent, what calls in flight may cost, how many they
    are, and what calls of unknown end may have cost. `of_group`: the same of its group, whose cap was
    reached; else `group_spent` is what that has spent.
    """

    admitted: bool
    spent: int
    in_flight: int
    calls: int
    unknown: int = 0
    of_group: bool = False
    group_spent: int = 0


def to_ticks(usd: Decimal) -> int:
    """US dollars in whole ticks."""
    return int(min((usd * TICKS_PER_USD).to_integral_value(), Decimal(bounds.COUNT)))


def midnight(at: float) -> float:
    """When the day began, in UTC."""
    return datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def ledger_path(folder: Path | None) -> Path:
    """The file of the ledger in this folder; for None, in the one that the system has for a user's state."""
    return state_folder(folder) / FILE
