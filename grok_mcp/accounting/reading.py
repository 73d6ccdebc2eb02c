"""What can be read of a ledger, whichever database holds it: sums by a key, and single calls.

`sqlite_reading.py` and `postgres_reading.py` do it, each in the words of its database. What is made of the
figures is the same for both: `totals.py`, `speeds.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from grok_mcp.usage import COUNTS

Key = Literal["hour", "day", "month", "model", "tool", "gateway", "caller", "group", "error"]

OK = "ok"
"""The key of calls without an error."""
NO_GROUP = "none"
"""The key of calls whose caller is in no group."""
UNKNOWN_END = "unknown end"
"""That of calls whose process was gone."""

SUMS = (
    *("calls", "failed_calls", "calls_not_sent", "calls_estimated", "calls_without_cost", "calls_with_cost"),
    *("cost_ticks", "estimated_ticks", "duration_s", "priority_calls"),
    *COUNTS,
)
"""The names of the sums over some calls, in the order in which they are read."""

T = TypeVar("T")


class Which(NamedTuple):
    """Calls from `since` (of the epoch) on, of one caller or of all, of the sandbox or of all others."""

    since: float = 0.0
    caller: str | None = None
    sandbox: bool = False


class Reading(Protocol):
    """A ledger as it is at one moment."""

    def sums(self, by: Key | None, which: Which) -> Iterable[tuple[Any, ...]]:
        """A key and the sums of its calls in the order of `SUMS`; a key may come several times.

        Keys that are times are whole hours since the epoch, or whole days, for months too.
        """
        ...

    def durations(self, by: Key | None, which: Which) -> Iterable[tuple[Any, Mapping[float, int]]]:
        """Of calls that ended well: a key, and how many of its calls took so many seconds, to 10 ms.

        A key may come several times.
        """
        ...

    def begun(self, by: Key | None, which: Which) -> Iterable[tuple[Any, str, bool, int]]:
        """Of calls that were sent and have not ended: a key, who renews them, whether that was long ago, and
        how many they are.
        """
        ...

    def newest(self, count: int, which: Which) -> list[tuple[Any, ...]]:
        """Calls that have ended, the newest first: the fields of `EndedCall`, the cost in ticks."""
        ...

    def speeds(self, count: int, which: Which) -> Iterable[tuple[str, float, int | None]]:
        """Model, seconds and tokens of output of the newest calls that ended well."""
        ...

    def count(self, since: float) -> int:
        """How many calls have ended from then on, those of the sandbox among them."""
        ...

    def has_real(self) -> bool:
        """Whether any other gateway than the sandbox was called."""
        ...


class Reader(Protocol):
    """Does some work with a ledger that it opens for that."""

    def __call__(self, work: Callable[[Reading], T]) -> T | None:
        """What the work finds; None for a ledger that nobody has begun. Raises OSError, LedgerError."""
        ...
