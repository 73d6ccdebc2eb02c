"""The books of a ledger in Postgres: what is written there, and what is done while it is out of reach.

All of it runs on the ledger's thread. Calls go on without it: their rows wait in memory, and are written
when it is back. Under a budget no call begins meanwhile, since what others spend is unknown. psycopg is
loaded with the first call.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from grok_mcp import bounds
from grok_mcp.accounting.books import RENEW_S, Books
from grok_mcp.accounting.places import place_of
from grok_mcp.accounting.reading import Reader, Reading
from grok_mcp.accounting.records import Begun, Caps, Entry, LedgerError, Standing, midnight
from grok_mcp.errors import OverloadedError
from grok_mcp.state import new_owner

if TYPE_CHECKING:
    from grok_mcp.accounting.postgres import PostgresStore

AGAIN_S = 2.0
"""How long a database that can't be used is left alone."""
_AT_ONCE = 1_000
"""Rows of one write, which is far from the time that a statement may take."""
_WRITES = 20
"""Writes in a row, before others get their turn."""

logger = logging.getLogger("grok_mcp.accounting.ledger")
T = TypeVar("T")


class PostgresBooks(Books):
    """Rows of calls, in the database at this address."""

    def __init__(self, url: str, renew_s: float = RENEW_S) -> None:
        super().__init__(renew_s)
        self._url = url
        self._place = place_of(url)
        self._owner = new_owner()
        self._store: PostgresStore | None = None
        self._unwritten: deque[tuple[Entry, str]] = deque(maxlen=bounds.LEDGER_ROWS)
        self._is_full = False
        self._try_again_at = 0.0
        self._renew_at = 0.0
        self._reason: str | None = None  # why it is away
        self._spent: dict[tuple[str, bool], tuple[float, int]] = {}  # in a day, should the database lose it
        self._today = 0

    @property
    def wake_s(self) -> float | None:
        """Soon, where rows wait or the database is away."""
        if self.is_away:
            return AGAIN_S
        return 0.0 if self._unwritten else super().wake_s

    @property
    def is_away(self) -> bool:
        """Whether it could not be used when it was last tried."""
        return self._reason is not None

    def flush(self) -> None:
        """Write the rows that have come; where that can't be, those of calls that have ended wait.

        Calls in flight are written when they are renewed, which is at once when the database is back.
        """
        ended = [self.ended.popleft() for _ in range(len(self.ended))]
        begun = {
            call.id: self._begin(call) for call in [self.begun.popleft() for _ in range(len(self.begun))]
        }
        for entry, call_id in ended:
            self._note(entry)
            begun.pop(call_id, None)
            self._in_flight.pop(call_id, None)
            self._is_full = self._is_full or len(self._unwritten) == self._unwritten.maxlen
            self._unwritten.append((entry, call_id))
        for _ in range(_WRITES):
            rows = list(islice(self._unwritten, _AT_ONCE))
            if not rows and not begun:
                return
            try:
                self._with_store(partial(_write, begun=list(begun.values()), ended=rows))
            except LedgerError:
                return
            begun = {}
            for _ in rows:
                self._unwritten.popleft()

    def _note(self, entry: Entry) -> None:
        place, since = (entry.caller, entry.sandbox), midnight(entry.at)
        day, spent = self._spent.get(place, (0.0, 0))
        if day == since:
            self._spent[place] = day, spent + (entry.ticks or 0)

    def renew(self) -> None:
        """Report that the calls in flight still are; find out whether the database is back."""
        if time.monotonic() < self._renew_at or (
            self._store is None and not self._in_flight and not self.is_away
        ):
            return
        calls, today = list(self._in_flight.values()), int(time.time() // 86_400)
        with suppress(LedgerError):
            self._with_store(lambda store: store.renew(calls))
            self._renew_at = time.monotonic() + self.renew_s
            if today != self._today:
                self._with_store(lambda store: store.forget_days(today))
                self._today = today

    def reserve(self, wanted: Begun, caps: Caps) -> Standing:
        """Let a call begin within the caps of a day; as `Ledger.reserve`."""
        since = midnight(time.time())
        place = wanted.caller, wanted.sandbox
        day, spent = self._spent.get(place, (0.0, 0))
        known = spent if day == since else 0
        try:
            standing, ticks = self._with_store(lambda store: store.reserve(wanted, caps, since, known))
        except LedgerError:
            raise OverloadedError(
                "The budget can't be checked, because the ledger's Postgres can't be used: nothing was sent.",
                "Try again soon.",
            ) from None
        if not standing.of_group:
            self._spent[place] = since, standing.spent
        if standing.admitted:
            self._in_flight[wanted.id] = wanted._replace(ticks=ticks)
        return standing

    def problem(self) -> str | None:
        """Why nothing can be reserved now; the log says more."""
        try:
            self._with_store(lambda store: store.ping())
        except LedgerError:
            return "the budget can't be counted: the ledger in Postgres can't be used"
        return None

    def reader(self) -> Reader:
        """Reads the database, once its tables are there."""
        from grok_mcp.accounting.postgres import read_postgres

        self._with_store(lambda store: None)
        return partial(read_postgres, self._url)

    def read_here(self, work: Callable[[Reading], T]) -> T:
        """Nothing: what is in memory is not what the callers have used."""
        raise OverloadedError(
            "The ledger can't be read, because its Postgres can't be used now.", "Try again soon."
        )

    def report_hanging(self, after_s: float) -> None:
        """Warn of a server, or of a search for its name, beyond all bounds; by any thread."""
        self._go_away(f"it has not answered for {after_s:g} s")

    def hanging(self) -> OverloadedError:
        """Names the database."""
        return OverloadedError(
            "The ledger can't be reached: its Postgres does not answer. Nothing was sent.", "Try again soon."
        )

    def close(self) -> None:
        """Write what can still be written, and close the connection."""
        self._try_again_at = 0.0
        self.flush()
        self._close()

    def _with_store(self, work: "Callable[[PostgresStore], T]") -> T:
        """Do the work with the database; raises LedgerError where it can't be used.

        A connection that was cut is opened anew, and the same is done once more.
        """
        if time.monotonic() < self._try_again_at:
            raise LedgerError(self._reason or "")
        try:  # loaded with the first call: no start should wait for it
            from grok_mcp.accounting.postgres import PostgresStore, is_contended, may_pass, reason_of
        except ImportError as error:  # of libpq, say
            reason = f"psycopg can't be loaded ({error})"
            self._go_away(reason)
            raise LedgerError(reason) from None
        while True:
            is_new = self._store is None
            try:
                if self._store is None:
                    self._store = PostgresStore(self._url, self._owner)
                result = work(self._store)
            except Exception as error:  # whatever it is, calls go on
                self._close()
                if not is_new and may_pass(error):
                    continue
                reason = reason_of(error, self._url)
                if not is_contended(error):
                    self._go_away(reason)
                raise LedgerError(reason) from None
            self._come_back()
            return result

    def _go_away(self, reason: str) -> None:
        self._try_again_at = time.monotonic() + AGAIN_S
        self._renew_at = 0.0
        before, self._reason = self._reason, reason
        if before is None:
            logger.warning(
                "the ledger in Postgres (%s) can't be used: %s; until it can, calls are counted in memory, "
                "and under a budget none begins",
                *(self._place, reason),
            )

    def _come_back(self) -> None:
        if self._reason is not None:
            self._reason = None
            rest = f", but only the newest {self._unwritten.maxlen:,} of them" if self._is_full else ""
            self._is_full = False
            logger.warning(
                "the ledger in Postgres (%s) is back: the calls that have ended meanwhile are written%s",
                *(self._place, rest),
            )

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None


def _write(store: "PostgresStore", begun: list[Begun], ended: list[tuple[Entry, str]]) -> None:
    store.write(begun, ended)
