"""The books of a ledger: what is written of calls, where, and what is known of spending meanwhile.

All of it runs on the ledger's thread. Where the file can't be used, calls are counted in memory until it
can; no call ever fails because of it. SQLite is loaded with the first call.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from grok_mcp.accounting.records import (
    RESERVED_S,
    Entry,
    LedgerError,
    Reservation,
    Standing,
    ledger_path,
    midnight,
)

if TYPE_CHECKING:
    from grok_mcp.accounting.redis import RedisBudget
    from grok_mcp.accounting.sqlite import Store

RENEW_S = RESERVED_S / 3
AGAIN_S = 30.0
"""How long a file that can't be used is left alone."""

logger = logging.getLogger("grok_mcp.accounting.ledger")
T = TypeVar("T")


class Books:
    """Rows of calls and reservations, in a file of this folder; None takes the user's own."""

    def __init__(self, folder: Path | None, shared: "RedisBudget | None", renew_s: float) -> None:
        self.rows: deque[tuple[Entry, Reservation | None]] = deque()
        """Calls that have ended and are not written yet; any thread may add to it."""
        self.renew_s = renew_s
        self._folder = folder
        self._shared = shared
        self._disk: Store | None = None
        self._memory: Store | None = None
        self._try_again_at = 0.0
        self._renew_at = 0.0
        self._warned = False
        self._reserved: dict[str, Reservation] = {}
        self._spent: dict[tuple[str, bool], tuple[float, int]] = {}  # in a day, should the file go away

    @property
    def has_calls_in_flight(self) -> bool:
        """Whether reservations have to be renewed."""
        return bool(self._reserved)

    def flush(self) -> None:
        """Write the rows that have come; a failure is reported once and loses no more than them."""
        rows = [self.rows.popleft() for _ in range(len(self.rows))]
        if not rows:
            return
        settled = [(entry, reservation) for entry, reservation in rows if reservation]
        try:
            entries, ids = [entry for entry, _ in rows], [reservation.id for _, reservation in settled]
            self.with_store(lambda store: store.write(entries, ids))
            for entry, reservation in settled:
                self._settle(entry, reservation)
        except Exception as error:
            self._warn(error)
        for _, reservation in settled:
            self._reserved.pop(reservation.id, None)

    def _settle(self, entry: Entry, reservation: Reservation) -> None:
        place, since = (entry.caller, entry.sandbox), midnight(entry.at)
        day, spent = self._spent.get(place, (0.0, 0))
        if day == since:
            self._spent[place] = day, spent + (entry.ticks or 0)
        if self._shared is not None and reservation.id in self._reserved:
            self._shared.settle(reservation, entry.ticks or 0, since)

    def reserve(self, wanted: Reservation, tool: str, model: str, cap: int) -> Standing:
        """Let a call begin within `cap` ticks a day; as `Ledger.reserve`."""
        now = time.time()
        since = midnight(now)
        caller, sandbox = place = wanted.caller, wanted.sandbox
        day, known = self._spent.get(place, (0.0, 0))
        known = known if day == since else 0
        ticks = self.with_store(lambda store: store.estimate(caller, tool, model, sandbox=sandbox))
        wanted = wanted._replace(ticks=ticks)
        if self._shared is None:
            standing = self.with_store(lambda store: store.reserve(wanted, cap, since, known, now))
        else:
            here = self.with_store(lambda store: store.spent(caller, since, sandbox=sandbox))
            standing = self._shared.reserve(wanted, cap, since, max(here, known))
        self._spent[place] = since, standing.spent
        if standing.admitted:
            self._reserved[wanted.id] = wanted
        return standing

    def problem(self) -> str | None:
        """Why nothing can be reserved now, None where it can."""
        if find_spec("sqlite3") is None or find_spec("_sqlite3") is None:
            return "the budget can't be counted: this Python has no SQLite"
        if self._shared is not None and not self._shared.answers():
            return "the budget can't be checked: Redis can't be reached"
        return None

    def renew(self) -> None:
        """Say that the calls in flight still are."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + self.renew_s
        reserved = list(self._reserved.values())
        try:
            if self._shared is not None:
                self._shared.renew(reserved)
            elif reserved:
                self.with_store(lambda store: store.renew(reserved, time.time()))
        except Exception as error:
            self._warn(error)

    def with_store(self, work: "Callable[[Store], T]") -> T:
        """Do the work with the file; with what stands in for it where the file can't be used."""
        import sqlite3  # with the first call: no start should wait for it

        from grok_mcp.accounting.sqlite import Store

        if self._disk is not None and not self._disk.is_current():
            self._disk.close()
            self._disk = None
        if self._disk is None and time.monotonic() >= self._try_again_at:
            try:
                self._disk = Store(ledger_path(self._folder))
                if self._memory is not None:
                    self._disk.take_over(self._memory)
                    self._memory.close()
                    self._memory = None
            except (sqlite3.Error, OSError, RuntimeError, LedgerError) as error:
                self._give_up(error)
        if self._disk is not None:
            try:
                return work(self._disk)
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
        if self._memory is None:
            self._memory = Store(None)
            self._memory.renew(self._reserved.values(), time.time())
        return work(self._memory)

    def _give_up(self, error: Exception) -> None:
        """Leave the file alone for a while."""
        self._warn(error)
        if self._disk is not None:
            self._disk.close()
            self._disk = None
        self._try_again_at = time.monotonic() + AGAIN_S

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "the ledger in %s can't be used (%s): usage is counted in memory only until it can; "
                "repair or move it, or set GROK_MCP_STATE_DIR",
                *(self._folder or "the user's state folder", error),
            )

    def close(self) -> None:
        """Write what can still be written, and close all files and connections."""
        if self._memory is not None:  # the last chance for what it holds
            self._try_again_at = 0.0
            with suppress(Exception):
                self.with_store(lambda store: None)
        for store in (self._disk, self._memory, self._shared):
            if store is not None:
                store.close()
        self._disk = self._memory = None
