"""The ledger of one process: takes tool calls, and writes them.

A call is written here before its request goes out, and again when it has ended; the budget asks before it
begins. `books.py` says what is written where. A row is written at once, which takes 20 µs, where nobody else
writes and the disk is a local one and not slow; else by a thread of its own, which may wait. Whatever comes
while that thread writes is its next transaction: many calls at once share one. A thread that hangs holds
nobody up: rows wait for it, and calls do not.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio

from grok_mcp.accounting.books import RENEW_S, Books, FileBooks
from grok_mcp.accounting.reading import Reading
from grok_mcp.accounting.records import Begun, Caps, Entry, LedgerError, Standing
from grok_mcp.errors import OverloadedError

if TYPE_CHECKING:
    from grok_mcp.accounting.redis import RedisBudget

WRITTEN_S = 1.0
"""How long a request, or an answer, waits for its row: a disk that hangs holds no call back for longer."""
HANGS_S = 10.0
"""After that a disk hangs: another writer is waited for in half of the time. Nothing waits for it then."""
READERS = 4
"""Threads that read at once: each has the ledger open once more."""
CLOSE_S = 6.0
CLOSE_HUNG_S = 0.5

T = TypeVar("T")

_Job = Callable[[], None] | Literal["row", "end"]


class Writer:
    """A thread that does one job after the other, and keeps the books up to date before each."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._at_work = Lock()  # on the books
        self._nudge: asyncio.TimerHandle | None = None
        self._thread: Thread | None = None
        self._busy_since: float | None = None

    @property
    def hangs(self) -> bool:
        """Whether the thread has been at one job for longer than any may take."""
        since = self._busy_since
        return since is not None and time.monotonic() - since > HANGS_S

    def do(self, job: _Job) -> None:
        """Do a job soon; does not wait. "row" says that there is a row to write."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = Thread(target=self._work, name="ledger", daemon=True)
            self._thread.start()

    async def write(self) -> None:
        """Write the rows that have come, or wait until they are written, but not for long."""
        loop = asyncio.get_running_loop()
        if self._write_at_once(loop):
            return
        if self.hangs:
            self._books.report_hanging(HANGS_S)
            if self._jobs.empty():  # for when it comes back
                self.do("row")
            return
        if self._books.is_away:
            self.do("row")
            return
        written = loop.create_future()
        late = loop.call_later(WRITTEN_S, _release, (written,))
        self._waiting.append(written)
        self.do("row")
        try:
            await written
        finally:
            late.cancel()

    def _write_at_once(self, loop: asyncio.AbstractEventLoop) -> bool:
        if self._waiting or not self._at_work.acquire(blocking=False):
            return False
        try:
            written = self._books.flush_at_once()
        finally:
            self._at_work.release()
        if self._books.is_untidy:
            self.do("row")
        if self._books.has_calls_in_flight and self._nudge is None:  # the thread will renew them
            self._nudge = loop.call_later(self._books.renew_s / 2, self._wake)
        return written

    def _wake(self) -> None:
        self._nudge = None
        if self._books.has_calls_in_flight:
            self.do("row")

    async def ask(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, once all rows before it are written.

        Raises OverloadedError where the ledger hangs.
        """
        future: Future[T] = Future()

        def job() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        if not self.hangs:
            self.do(job)
            with suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.wrap_future(future), HANGS_S)
            future.cancel()
        self._books.report_hanging(HANGS_S)
        raise self._books.hanging()

    async def aclose(self) -> None:
        """Write what is to be written, for some seconds at most."""
        if self._nudge is not None:
            self._nudge.cancel()
        if self._thread is not None:
            self.do("end")
            wait_s = CLOSE_HUNG_S if self.hangs else CLOSE_S
            await anyio.to_thread.run_sync(self._thread.join, wait_s)
            self._thread = None

    def _work(self) -> None:
        job: _Job = "row"
        while job != "end":
            job = self._next_job()
            self._busy_since = time.monotonic()
            with self._at_work:
                self._do(job)
            self._busy_since = None
        self._books.close()

    def _do(self, job: _Job) -> None:
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]  # their rows have come
        self._books.flush()
        if waiting:
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                waiting[0].get_loop().call_soon_threadsafe(_release, waiting)
        self._books.renew()
        self._books.tidy()
        if callable(job):
            job()

    def _next_job(self) -> _Job:
        """The next thing to do; rows that have come meanwhile are one."""
        job: _Job = "row"
        with suppress(Empty):
            job = self._jobs.get(timeout=self._books.wake_s)
            while job == "row":
                job = self._jobs.get_nowait()
        return job


def _release(waiting: Iterable[asyncio.Future[None]]) -> None:
    for written in waiting:
        if not written.done():
            written.set_result(None)


class Ledger:
    """Rows of calls, which many processes share: in these books, else in a file of this folder; None takes
    the user's own.
    """

    def __init__(
        self,
        folder: Path | None = None,
        shared: "RedisBudget | None" = None,
        *,
        renew_s: float = RENEW_S,
        books: Books | None = None,
    ) -> None:
        self._books = books or FileBooks(folder, shared, renew_s)
        self._writer = Writer(self._books)
        self._readers = anyio.CapacityLimiter(READERS)

    async def begin(self, call: Begun) -> None:
        """Write that a request of this call goes out."""
        self._books.begun.append(call._replace(sent=True))
        await self._writer.write()

    async def end(self, entry: Entry, call_id: str) -> None:
        """Write a call that has ended, in the place of what was reserved for it or begun."""
        self._books.ended.append((entry, call_id))
        await self._writer.write()

    def record(self, entry: Entry, call_id: str = "") -> None:
        """The same for one that waits for nothing."""
        self._books.ended.append((entry, call_id))
        self._writer.do("row")

    async def reserve(self, wanted: Begun, caps: Caps) -> Standing:
        """Let a call begin within the budgets of a day; `record` gives the reservation back.

        Its size is estimated here. Raises OverloadedError, and ImportError for a Python without SQLite.
        """
        return await self._writer.ask(lambda: self._books.reserve(wanted, caps))

    async def problem(self) -> str | None:
        """Why nothing can be reserved now, None where it can."""
        try:
            return await self._writer.ask(self._books.problem)
        except OverloadedError:
            return "the budget can't be counted: the ledger does not answer"

    async def read(self, work: Callable[[Reading], T]) -> T:
        """What `work` finds in the ledger, on disk and in memory, with all calls that have ended before.

        No call waits for it. Raises OverloadedError where the ledger hangs, or is out of reach.
        """
        with suppress(OSError, RuntimeError, LedgerError):  # found out again below
            read = await self._writer.ask(self._books.reader)
            result = await anyio.to_thread.run_sync(read, work, limiter=self._readers)
            if result is not None:
                return result
        return await self._writer.ask(lambda: self._books.read_here(work))

    async def aclose(self) -> None:
        """Write what is to be written, for some seconds at most."""
        await self._writer.aclose()
