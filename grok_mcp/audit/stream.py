"""Writes the lines of the audit stream, on a thread of its own: a slow disk holds up no other call.

Whoever waits for a line waits a second at most; it is written afterwards then. What can't be written is lost,
counted, and told once in the log, unless the stream is strict: then it is kept and tried again, and until it
is written no further call begins.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

import anyio

from grok_mcp.audit.sinks import File, Sink, Stream
from grok_mcp.errors import OverloadedError
from grok_mcp.reports import CallReport
from grok_mcp.settings import Settings

WRITTEN_S = 1.0
"""How long an answer, or a request, waits for the stream."""
MAX_WAITING = 10_000
"""Lines in memory, while the disk takes none; further ones are lost."""
CLOSE_S = 3.0

logger = logging.getLogger(__name__)


class Counted(Protocol):
    """Hears how many lines were written and how many were lost, on any thread."""

    def __call__(self, *, written: int = 0, lost: int = 0) -> None:
        """Count them."""
        ...


class Audit:
    """The stream of one process; `make` makes where it goes to, on the thread that writes there."""

    def __init__(self, make: Callable[[], Sink], counted: Counted, *, strict: bool) -> None:
        self._make = make
        self._counted = counted
        self._strict = strict
        self._sink: Sink | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._unwritten: deque[CallReport] = deque()
        """Lines that failed, the oldest first; only a strict stream keeps them."""
        self._fails = False
        self._lost = 0
        self._busy_since: float | None = None
        self._thread: Thread | None = None
        self._do(self._begin)

    async def write(self, report: CallReport) -> None:
        """Have the line written; returns when it is, or after a second. Raises nothing."""
        if self._hangs:  # nobody waits for a disk that does not answer
            self.note(report)
        else:
            await self._done(lambda: self._write(report))

    def note(self, report: CallReport) -> None:
        """The same for a call that must not wait."""
        if self._jobs.qsize() < MAX_WAITING:
            self._do(lambda: self._write(report))
        else:
            self._lose(1, "its disk does not answer")

    async def check(self) -> None:
        """Raise OverloadedError where a strict stream would not be written now."""
        if not self._strict:
            return
        found: list[str | None] = []
        if not self._hangs:
            await self._done(lambda: found.append(self._problem()))
        if found != [None]:
            why = found[0] if found else "its disk does not answer"
            error = OverloadedError(
                f"The audit stream of this server can't be written ({why}), and no call may go without its "
                "line: nothing was sent.",
                "Try again later; whoever runs the server has to make room for it.",
            )
            error.gate = "audit"
            raise error

    async def aclose(self) -> None:
        """Write what is to be written, for some seconds at most."""
        if self._thread is not None:
            self._jobs.put(None)
            await anyio.to_thread.run_sync(self._thread.join, CLOSE_S)
            self._thread = None

    @property
    def _hangs(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > WRITTEN_S

    async def _done(self, job: Callable[[], object]) -> None:
        """Wait until the thread has done a job, but not for long."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def release() -> None:
            if not done.done():
                done.set_result(None)

        def work() -> None:
            try:
                job()
            finally:
                with suppress(RuntimeError):  # the loop is closed, and nobody waits
                    loop.call_soon_threadsafe(release)

        late = loop.call_later(WRITTEN_S, release)
        self._do(work)
        try:
            await done
        finally:
            late.cancel()

    def _do(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = Thread(target=self._work, name="audit", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._busy_since = time.monotonic()
            try:
                job()
            except Exception:
                logger.exception("a line of the audit stream failed")
            self._busy_since = None
        if self._unwritten:
            self._write_again()
            self._lose(len(self._unwritten), "this process ends")
        if self._sink is not None:
            self._sink.close()

    def _begin(self) -> None:
        if problem := self._problem():
            self._warn(f"{problem}: no call begins until it can" if self._strict else problem)

    def _write(self, report: CallReport) -> None:
        problem = self._write_again()
        if problem is None:
            problem = self._try(report)
        if problem is None:
            return
        if self._strict and len(self._unwritten) < MAX_WAITING:
            self._unwritten.append(report)
            self._warn(f"{problem}: no call begins until it can")
        else:
            self._lose(1, problem)

    def _write_again(self) -> str | None:
        """Write what could not be written before; why it still can't be."""
        while self._unwritten:
            if problem := self._try(self._unwritten[0]):
                return problem
            self._unwritten.popleft()
        return None

    def _try(self, report: CallReport) -> str | None:
        try:
            self._opened().write(report)
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
        self._counted(written=1)
        if self._fails:
            self._fails = False
            lost = f"; {self._lost} lines were lost" if self._lost else ""
            logger.warning("the audit stream is written again%s", lost)
            self._lost = 0
        return None

    def _opened(self) -> Sink:
        if self._sink is None:
            self._sink = self._make()
        return self._sink

    def _problem(self) -> str | None:
        try:
            if problem := self._write_again():
                return problem
            self._opened().check()
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
        return None

    def _lose(self, number: int, why: str) -> None:
        self._lost += number
        self._counted(lost=number)
        self._warn(f"{why}: lines are lost")

    def _warn(self, why: str) -> None:
        if not self._fails:
            self._fails = True
            place = self._sink.name if self._sink else "where it should go"
            logger.warning("the audit stream can't be written to %s: %s", place, why)


def open_audit(settings: Settings, counted: Counted) -> Audit | None:
    """The stream that the settings ask for, None where they ask for none."""
    makers: Mapping[str, Callable[[], Sink]] = {
        "stdout": lambda: Stream(1),
        "stderr": lambda: Stream(2),
        "otlp": _otlp,
    }
    if settings.audit == "off":
        return None
    make = makers.get(settings.audit, lambda: File(Path(settings.audit)))
    return Audit(make, counted, strict=settings.audit_strict == "on")


def _otlp() -> Sink:
    from grok_mcp.audit.otlp import Otlp  # needs an extra, and a quarter of a second

    return Otlp()
