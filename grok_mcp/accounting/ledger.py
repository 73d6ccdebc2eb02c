"""The ledger of one process: takes tool calls without waiting, and writes them on a thread of its own.

`accounts.py` hands it each call that has ended, `budget.py` asks it before one begins. SQLite is loaded with
the first call. Where the file can't be used, calls are kept in memory until it can; no call ever fails of it.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio

from grok_mcp.accounting.records import RESERVED_S, Entry, Reservation, SharedBudget, Standing, midnight

if TYPE_CHECKING:
    from sqlite3 import Connection

    from grok_mcp.accounting.sqlite import Store

GATHER_S = 0.01
"""How long a call waits for others to be written with it; by then its answer is on its way."""

RENEW_S = RESERVED_S / 3
AGAIN_S = 30.0
"""How long a file that can't be used is left alone."""

CLOSE_S = 6.0

logger = logging.getLogger(__name__)
T = TypeVar("T")

_Job = Callable[[], None] | Literal["row", "end"]


class Ledger:
    """Rows of calls in a file of this folder, which many processes share; None takes the user's own."""

    def __init__(
        self, folder: Path | None, shared: SharedBudget | None = None, *, renew_s: float = RENEW_S
    ) -> None:
        self._folder = folder
        self._renew_s = renew_s
        self._shared = shared
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._rows: deque[tuple[Entry, Reservation | None]] = deque()
        self._thread: Thread | None = None
        self._disk: Store | None = None
        self._memory: Store | None = None
        self._try_again_at = 0.0
        self._renew_at = 0.0
        self._warned = False
        self._reserved: dict[str, Reservation] = {}
        self._known: dict[tuple[str, bool], tuple[float, int]] = {}  # spent in a day, should the file go away

    def record(self, entry: Entry, reservation: Reservation | None = None) -> None:
        """Add a call that has ended, and give its reservation back; does not wait."""
        self._rows.append((entry, reservation))
        self._do("row")

    async def reserve(self, wanted: Reservation, tool: str, model: str, cap: int) -> Standing:
        """Let a call begin within a budget of `cap` ticks a day; `record` gives the reservation back.

        Its size is estimated here. Raises OverloadedError, and ImportError for a Python without SQLite.
        """
        return await self._ask(lambda: self._reserve(wanted, tool, model, cap))

    async def read(self, work: "Callable[[Connection], T]") -> T:
        """What `work` finds in the ledger, with all calls that have ended before; no call waits for it."""
        import sqlite3

        from grok_mcp.accounting.sqlite import LedgerError, read_file

        file = await self._ask(lambda: self._with_store(lambda store: store.path))
        if file is not None:
            with suppress(sqlite3.Error, OSError, LedgerError):  # the same will be found out below
                found = await anyio.to_thread.run_sync(read_file, file, work)
                if found is not None:
                    return found
        return await self._ask(lambda: self._with_store(lambda store: work(store.connection)))

    async def flush(self) -> None:
        """Wait until what was recorded is written."""
        await self._ask(lambda: None)

    async def aclose(self) -> None:
        """Write what is to be written, for some seconds at most."""
        if self._thread is not None:
            self._do("end")
            await anyio.to_thread.run_sync(self._thread.join, CLOSE_S)
            self._thread = None

    def _do(self, job: _Job) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = Thread(target=self._work, name="ledger", daemon=True)
            self._thread.start()

    async def _ask(self, work: Callable[[], T]) -> T:
        future: Future[T] = Future()

        def job() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        self._do(job)
        return await asyncio.wrap_future(future)

    # From here on all runs on the ledger's thread.

    def _work(self) -> None:
        while True:
            job = self._next_job()
            self._flush()
            self._renew()
            if job == "end":
                break
            if callable(job):
                job()
        if self._memory is not None:  # the last chance for what it holds
            self._try_again_at = 0.0
            with suppress(Exception):
                self._with_store(lambda store: None)
        for store in (self._disk, self._memory, self._shared):
            if store is not None:
                store.close()
        self._disk = self._memory = None

    def _next_job(self) -> _Job:
        """The next thing to do; rows that come one shortly after the other are one."""
        job: _Job = "row"
        try:
            job = self._jobs.get(timeout=self._renew_s if self._reserved else None)
            until = time.monotonic() + GATHER_S
            while job == "row":
                job = self._jobs.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            pass
        return job

    def _flush(self) -> None:
        """Write the rows that have come; a fault is told once and costs no more than them."""
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        if not rows:
            return
        settled = [(entry, reservation) for entry, reservation in rows if reservation]
        try:
            entries, ids = [entry for entry, _ in rows], [reservation.id for _, reservation in settled]
            self._with_store(lambda store: store.write(entries, ids))
            for entry, reservation in settled:
                self._settle(entry, reservation)
        except Exception as error:
            self._warn(error)
        for _, reservation in settled:
            self._reserved.pop(reservation.id, None)

    def _settle(self, entry: Entry, reservation: Reservation) -> None:
        place, since = (entry.caller, entry.sandbox), midnight(entry.at)
        day, spent = self._known.get(place, (0.0, 0))
        if day == since:
            self._known[place] = day, spent + (entry.ticks or 0)
        if self._shared is not None and reservation.id in self._reserved:
            self._shared.settle(reservation, entry.ticks or 0, since)

    def _reserve(self, wanted: Reservation, tool: str, model: str, cap: int) -> Standing:
        now = time.time()
        since = midnight(now)
        caller, sandbox = place = wanted.caller, wanted.sandbox
        day, known = self._known.get(place, (0.0, 0))
        known = known if day == since else 0
        ticks = self._with_store(lambda store: store.estimate(caller, tool, model, sandbox=sandbox))
        wanted = wanted._replace(ticks=ticks)
        if self._shared is None:
            standing = self._with_store(lambda store: store.reserve(wanted, cap, since, known, now))
        else:
            here = self._with_store(lambda store: store.spent(caller, since, sandbox=sandbox))
            standing = self._shared.reserve(wanted, cap, since, max(here, known))
        self._known[place] = since, standing.spent
        if standing.admitted:
            self._reserved[wanted.id] = wanted
        return standing

    def _renew(self) -> None:
        """Say that the calls in flight still are."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + self._renew_s
        reserved = list(self._reserved.values())
        try:
            if self._shared is not None:
                self._shared.renew(reserved)
            elif reserved:
                self._with_store(lambda store: store.renew(reserved, time.time()))
        except Exception as error:
            self._warn(error)

    def _with_store(self, work: "Callable[[Store], T]") -> T:
        """Do the work with the file; with what stands in for it where the file can't be used."""
        import sqlite3  # with the first call: no start should wait for it

        from grok_mcp.accounting.sqlite import LedgerError, Store, ledger_path

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
                "mend or move it, or set GROK_MCP_STATE_DIR",
                *(self._folder or "the user's state folder", error),
            )
