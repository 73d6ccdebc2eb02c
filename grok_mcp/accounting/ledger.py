"""The ledger of one process: takes tool calls without waiting, and writes them on a thread of its own.

Every call that has ended is recorded here; the budget asks it before one begins. `books.py` says what is
written where.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio

from grok_mcp.accounting.books import RENEW_S, Books
from grok_mcp.accounting.records import Entry, LedgerError, Reservation, Standing

if TYPE_CHECKING:
    from sqlite3 import Connection

    from grok_mcp.accounting.redis import RedisBudget

GATHER_S = 0.01
"""How long a call waits for others to be written with it; by then its answer is on its way."""
CLOSE_S = 6.0

T = TypeVar("T")

_Job = Callable[[], None] | Literal["row", "end"]


class Writer:
    """A thread that does one job after the other, and keeps the books up to date before each."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread: Thread | None = None

    def do(self, job: _Job) -> None:
        """Do a job soon; does not wait. "row" says that there is a row to write."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = Thread(target=self._work, name="ledger", daemon=True)
            self._thread.start()

    async def ask(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, once all rows before it are written."""
        future: Future[T] = Future()

        def job() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        self.do(job)
        return await asyncio.wrap_future(future)

    async def aclose(self) -> None:
        """Write what is to be written, for some seconds at most."""
        if self._thread is not None:
            self.do("end")
            await anyio.to_thread.run_sync(self._thread.join, CLOSE_S)
            self._thread = None

    def _work(self) -> None:
        job: _Job = "row"
        while job != "end":
            job = self._next_job()
            self._books.flush()
            self._books.renew()
            if callable(job):
                job()
        self._books.close()

    def _next_job(self) -> _Job:
        """The next thing to do; rows that come one shortly after the other are one."""
        job: _Job = "row"
        try:
            job = self._jobs.get(timeout=self._books.renew_s if self._books.has_calls_in_flight else None)
            until = time.monotonic() + GATHER_S
            while job == "row":
                job = self._jobs.get(timeout=max(until - time.monotonic(), 0))
        except Empty:
            pass
        return job


class Ledger:
    """Rows of calls in a file of this folder, which many processes share; None takes the user's own."""

    def __init__(
        self, folder: Path | None, shared: "RedisBudget | None" = None, *, renew_s: float = RENEW_S
    ) -> None:
        self._books = Books(folder, shared, renew_s)
        self._writer = Writer(self._books)

    def record(self, entry: Entry, reservation: Reservation | None = None) -> None:
        """Add a call that has ended, and give its reservation back; does not wait."""
        self._books.rows.append((entry, reservation))
        self._writer.do("row")

    async def reserve(self, wanted: Reservation, tool: str, model: str, cap: int) -> Standing:
        """Let a call begin within a budget of `cap` ticks a day; `record` gives the reservation back.

        Its size is estimated here. Raises OverloadedError, and ImportError for a Python without SQLite.
        """
        return await self._writer.ask(lambda: self._books.reserve(wanted, tool, model, cap))

    async def problem(self) -> str | None:
        """Why nothing can be reserved now, None where it can."""
        return await self._writer.ask(self._books.problem)

    async def read(self, work: "Callable[[Connection], T]") -> T:
        """What `work` finds in the ledger, with all calls that have ended before; no call waits for it."""
        import sqlite3

        from grok_mcp.accounting.sqlite import read_file

        file = await self._writer.ask(lambda: self._books.with_store(lambda store: store.path))
        if file is not None:
            with suppress(sqlite3.Error, OSError, LedgerError):  # the same will be found out below
                result = await anyio.to_thread.run_sync(read_file, file, work)
                if result is not None:
                    return result
        return await self._writer.ask(lambda: self._books.with_store(lambda store: work(store.connection)))

    async def flush(self) -> None:
        """Wait until what was recorded is written."""
        await self._writer.ask(lambda: None)

    async def aclose(self) -> None:
        """Write what is to be written, for some seconds at most."""
        await self._writer.aclose()
