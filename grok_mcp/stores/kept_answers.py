"""Answers on stdio: in the memory of this process, and in a file that outlives it.

A host that restarts its servers loses nothing that was paid for: the next server of the same user serves
what this one has handed over or cut, for an hour. What this process holds it serves from memory, so that a
file that is broken, full, read-only or somebody else's costs nobody an answer while it lives.
The file is touched by one thread alone, for which nothing waits for long; `kept_file.py` is what is in it.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

import anyio

from grok_mcp import events
from grok_mcp.errors import OverloadedError
from grok_mcp.events import Observer
from grok_mcp.messages import Outcome, Running
from grok_mcp.state import new_owner, state_folder
from grok_mcp.stores.answers import (
    FIRST_PAUSE_S,
    LIFETIME_S,
    LONGEST_PAUSE_S,
    MAX_ANSWERS,
    MAX_CHARACTERS,
    OFFERED_S,
    Held,
    LocalAnswers,
    Name,
    fresh,
    given_at,
    given_up,
    silent,
)
from grok_mcp.stores.documents import Row, pack_outcome

if TYPE_CHECKING:
    from grok_mcp.stores.kept_file import Found, KeptFile

FILE = "answers.sqlite3"
WRITTEN_S = 1.0
"""How long a result waits until the file has its answer."""
READ_S = 3.0
"""How long a reader waits for the file."""
HANGS_S = 5.0
"""After that a disk hangs; nothing waits for it then."""
AGAIN_S = 30.0
"""How long a file that can't be used is left alone."""
BUSY_AGAIN_S = 2.0
"""The same for one that other processes keep busy."""
MAX_TO_WRITE = 200
"""Answers that wait for a file that can't be used at the moment."""
TIDY_S = 300.0
"""How often what has expired is dropped, while the file is open."""
CLOSE_S = 1.0
LAST_CHANCE_S = 6.0
"""Time for a process to write again that is silent and may only have been suspended."""
LAST_WORD_S = 3.0
"""The same for who asks only how far a call is; more than `runs.HEARTBEAT_S`."""
_ENDED = "The process of this server that received it has ended."

logger = logging.getLogger(__name__)
T = TypeVar("T")


class KeptAnswers:
    """The store of one process on stdio, which later processes of the same user can read."""

    shared: ClassVar[bool] = True
    elsewhere: ClassVar[bool] = False
    number: ClassVar[None] = None

    def __init__(
        self,
        folder: Path | None,
        maximum: int = MAX_ANSWERS,
        max_bytes: int = MAX_CHARACTERS,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        self._memory = LocalAnswers(maximum, lifetime_s, max_bytes)
        self._maximum = maximum
        self._offers: dict[Name, str] = {}  # the answer_id by caller and request, the oldest first
        self._reading_offers: asyncio.Task[None] | None = None
        """Takes over those of processes that are gone; with the first call, and again where it failed."""
        self._read_offers_at = 0.0
        self._keeper = _Keeper(folder, (maximum, max_bytes, lifetime_s))

    @property
    def lasts(self) -> bool:
        """Whether the file takes what is stored, as far as is known at the moment."""
        return self._keeper.writes

    async def put(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended, or how far it has come; False where neither memory nor file takes it."""
        in_memory = isinstance(outcome, Running) or await self._memory.put(answer_id, caller, outcome)
        in_file = await self._keeper.keep((caller, answer_id), outcome)
        return in_memory or in_file

    async def get(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """How a call ended, or how far it has come after `wait_s` seconds; None where nothing is stored.

        Raises OverloadedError where the file does not answer in time.
        """
        if held := await self._memory.look(answer_id, caller):
            return held.outcome
        heard_s = anyio.current_time()
        until = math.inf if wait_s is None else heard_s + wait_s
        observed, pause_s = 0, FIRST_PAUSE_S
        while (found := await self._find(answer_id, caller)) and isinstance(found.outcome, Running):
            if found.is_gone:
                return given_up(found.outcome, _ENDED)
            text = found.outcome.text
            if len(text) > observed:
                piece, observed = text[observed:], len(text)
                observe(events.TextDelta(piece, events.FIRST), piece)
            now = anyio.current_time()
            if not found.silent_s:
                heard_s = now
                if now >= until:
                    return found.outcome
            elif now - heard_s > LAST_CHANCE_S:
                return given_up(found.outcome, silent(round(found.silent_s)))
            await anyio.sleep(min(pause_s, max(until - now, FIRST_PAUSE_S)))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return found and found.outcome

    async def look(self, answer_id: str, caller: str) -> Held | None:
        """What is stored, at once; a call whose process is gone has ended. Raises OverloadedError.

        Waits a moment where the process may have been suspended and be about to write.
        """
        if held := await self._memory.look(answer_id, caller):
            return held
        until = anyio.current_time() + LAST_WORD_S
        while found := await self._find(answer_id, caller):
            at, outcome, is_gone, silent_s = found
            if not isinstance(outcome, Running) or not (is_gone or silent_s):
                return Held(outcome, (isinstance(outcome, Running) and outcome.since) or at)
            if is_gone or anyio.current_time() >= until:
                return Held(given_up(outcome, _ENDED if is_gone else silent(round(silent_s))), at)
            await anyio.sleep(FIRST_PAUSE_S)
        return None

    async def _find(self, answer_id: str, caller: str) -> "Found | None":
        try:
            return await self._keeper.ask(lambda file: file.look((caller, answer_id)), READ_S)
        except TimeoutError:
            raise _away() from None

    async def request_cancel(self, answer_id: str, caller: str) -> None:
        """Leave word for the process that runs the call. Raises OverloadedError."""

        def request(file: "KeptFile") -> bool:
            file.request_cancel((caller, answer_id))
            return True

        with suppress(TimeoutError):
            if await self._keeper.ask(request, READ_S):
                return
        raise _away()

    async def cancel_requests(self, running: Collection[Name]) -> Collection[Name]:
        """Which of these calls somebody has left word to end; none while the file can't be used."""
        if self.lasts:  # else nobody has seen them
            with suppress(TimeoutError):
                found = await self._keeper.ask(lambda file: file.cancel_requests(), WRITTEN_S)
                return set(found or ()).intersection(running)
        return ()

    async def offer(self, request: str, caller: str, answer_id: str) -> None:
        """Let the same call find this one, here and in later processes."""
        self._offers.pop((caller, request), None)
        self._offers[caller, request] = answer_id
        if len(self._offers) > self._maximum:
            del self._offers[next(iter(self._offers))]
        self._keeper.note(lambda file: file.offer((caller, answer_id), request))

    async def offered(self, request: str, caller: str) -> str | None:
        """The call that answers the same request, here or in a process before this one.

        What other processes offer is read once, with the first call: so nothing is paid for twice where a
        host has restarted its servers, and no further call waits for the file.
        """
        if self._reading_offers is None and time.monotonic() >= self._read_offers_at:
            self._reading_offers = asyncio.create_task(self._read_offers())
        if self._reading_offers:
            await asyncio.shield(self._reading_offers)  # all calls that come at once wait for it
        answer_id = self._offers.get((caller, request))
        if not answer_id or time.time() - given_at(answer_id) >= OFFERED_S:
            return None
        with suppress(TimeoutError):  # another process may have delivered it
            if await self._keeper.ask(
                lambda file: file.is_offered((caller, answer_id), request), WRITTEN_S
            ) in (True, None):
                return answer_id
        return None

    async def _read_offers(self) -> None:
        try:
            found = await self._keeper.ask(lambda file: file.offers(), WRITTEN_S)
        except TimeoutError:
            self._reading_offers, self._read_offers_at = None, time.monotonic() + BUSY_AGAIN_S
            return
        earlier = {(one, asked): answer_id for one, asked, answer_id in found or ()}
        self._offers = {**earlier, **self._offers}

    async def withdraw(self, answer_id: str, caller: str) -> None:
        """No longer offer a call: somebody has got its answer."""
        for name, offered in self._offers.items():
            if (name[0], offered) == (caller, answer_id):
                del self._offers[name]
                break
        self._keeper.note(lambda file: file.offer((caller, answer_id), None))

    def tidy(self) -> None:
        """Drop what has expired, also of processes that are gone; does not wait."""
        self._keeper.do(self._keeper.tidy)

    async def aclose(self) -> None:
        """Write what is to be written, for a second at most."""
        await self._keeper.aclose()


def _away() -> OverloadedError:
    return OverloadedError("The file of kept answers can't be reached.", "Try again soon.")


class _Keeper:
    """The thread that alone touches the file, and what it has to write."""

    def __init__(self, folder: Path | None, bounds: tuple[int, int, float]) -> None:
        self._folder = folder
        self._bounds = bounds
        self._to_write: dict[Name, tuple[Outcome, float]] = {}
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._busy_since: float | None = None
        self._owner = ""
        self._file: KeptFile | None = None
        self._failing = False
        """Whether it did not take what was to be written last."""
        self._try_again_at = 0.0
        self._warned = False

    # ------------------------------------------------------------------ on the loop

    @property
    def writes(self) -> bool:
        """Whether the file takes what is written, as far as is known."""
        return not self._failing and not self._hangs

    @property
    def _hangs(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > HANGS_S

    async def keep(self, name: Name, outcome: Outcome) -> bool:
        """Write an outcome, and wait until it is written, but not for long; whether it is."""
        if self._hangs:
            self._warn(f"its disk has not answered for {HANGS_S:g} s")
        self._to_write[name] = fresh(outcome), time.time()
        if len(self._to_write) > MAX_TO_WRITE:
            del self._to_write[next(iter(self._to_write))]
        if self._hangs or time.monotonic() < self._try_again_at:
            return False  # it is written when the file can be used again
        with suppress(TimeoutError):
            await self._done(self._nothing, WRITTEN_S)  # all is written before any job
            return self.writes
        return False

    async def ask(self, work: "Callable[[KeptFile], T]", within_s: float) -> T | None:
        """What `work` finds in the file; None where there is none, or none that can be used.

        Raises TimeoutError, also where other processes keep it busy.
        """
        if self._hangs:
            raise TimeoutError
        return await self._done(lambda: self._with_file(work), within_s)

    def note(self, work: "Callable[[KeptFile], None]") -> None:
        """Do a work soon that nobody waits for, unless the disk hangs."""

        def job() -> None:
            with suppress(TimeoutError):
                self._with_file(work)

        if not self._hangs:
            self.do(job)

    async def _done(self, work: Callable[[], T], within_s: float) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, *, is_busy: bool) -> None:
            if future.done():
                return
            if is_busy:
                future.set_exception(TimeoutError())
            else:
                future.set_result(cast(T, result))

        def job() -> None:
            result, is_busy = None, False
            try:
                result = work()
            except TimeoutError:
                is_busy = True
            with suppress(RuntimeError):  # the loop is closed, and nobody waits
                loop.call_soon_threadsafe(partial(settle, result, is_busy=is_busy))

        self.do(job)
        return await asyncio.wait_for(future, within_s)

    def do(self, job: Callable[[], None] | None) -> None:
        """Do a job soon, which raises nothing; None ends the thread."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = Thread(target=self._work, name="kept answers", daemon=True)
            self._thread.start()

    async def aclose(self) -> None:
        if self._thread is not None:
            self.do(None)
            await anyio.to_thread.run_sync(self._thread.join, 0.1 if self._hangs else CLOSE_S)
            self._thread = None

    # ------------------------------------------------------------------ on the thread

    def _work(self) -> None:
        job: Callable[[], None] | None = self._nothing
        while job:
            try:
                job = self._jobs.get(timeout=self._idle_s())
            except Empty:
                job = self.tidy
            self._busy_since = time.monotonic()
            self._write(is_last=job is None)
            (job or self.tidy)()
            self._busy_since = None
        self._close_file()

    def _idle_s(self) -> float | None:
        """How long the thread may wait for a job."""
        if self._to_write:
            return max(self._try_again_at - time.monotonic(), FIRST_PAUSE_S)
        return TIDY_S if self._file else None

    def _nothing(self) -> None:
        """The job of who waits for what is written before it."""

    def _write(self, *, is_last: bool) -> None:
        """Write what there is, unless the file could not be used a moment ago; what fails is tried again."""
        if time.monotonic() < self._try_again_at and not is_last:
            return
        rows, taken = [], {}
        while self._to_write:
            name, (outcome, at) = self._to_write.popitem()
            with suppress(RecursionError):  # data that is nested too deeply
                rows.append(Row(name, at, isinstance(outcome, Running), pack_outcome(outcome)))
                taken[name] = outcome, at
        if not rows:
            return
        again_s = AGAIN_S
        try:
            self._failing = not self._with_file(lambda file: file.write(rows), begin=True)
        except TimeoutError:
            self._failing, again_s = True, BUSY_AGAIN_S
        self._try_again_at = time.monotonic() + again_s if self._failing else 0.0
        if self._failing:
            for name, unwritten in taken.items():
                self._to_write.setdefault(name, unwritten)

    def tidy(self) -> None:
        """Drop what has expired, and the file with the last of it."""
        with suppress(TimeoutError):
            if self._with_file(lambda file: file.tidy()):
                self._close_file()

    def _with_file(self, work: "Callable[[KeptFile], T]", *, begin: bool = False) -> T | None:
        """What the work finds in the file, which only `begin` may make; None where it can't be used.

        Raises TimeoutError where other processes keep it busy.
        """
        for is_last in (False, True):
            try:
                file = self._open(begin=begin)
                return work(file) if file else None
            except Exception as error:  # whatever it is, the answers in memory are served
                if not self._may_go_well(error) or is_last:
                    if self._is_busy(error):
                        raise TimeoutError from None
                    if begin:  # else nothing is lost by it yet
                        self._warn(str(error))
                    break
        return None

    def _open(self, *, begin: bool) -> "KeptFile | None":
        if self._file and not self._file.is_in_place():
            self._close_file()
        if self._file is None:
            path = self._path()
            if not begin and not path.exists():
                return None
            from grok_mcp.stores.kept_file import KeptFile

            self._owner = self._owner or new_owner()
            self._file = KeptFile(path, self._owner, *self._bounds)
        return self._file

    def _path(self) -> Path:
        return state_folder(self._folder) / FILE

    def _is_busy(self, error: Exception) -> bool:
        try:
            from grok_mcp.stores.kept_file import is_busy

            return is_busy(error)
        except Exception:  # a Python without SQLite
            return False

    def _may_go_well(self, error: Exception) -> bool:
        """Whether it may with another opening; a file that is damaged makes room for a new one."""
        self._close_file()
        try:
            from grok_mcp.stores.kept_file import may_go_well, remove_damaged

            if remove_damaged(self._path(), error):
                logger.warning("the file of kept answers %s was damaged: it is begun anew", self._path())
            return may_go_well(error)
        except Exception:
            return False

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "answers can't be kept in %s in %s (%s): what is not collected is lost with this server; "
                "repair or move it, or set GROK_MCP_STATE_DIR, or GROK_MCP_KEEP=off",
                *(FILE, self._folder or "the user's state folder", reason),
            )

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(Exception):
                self._file.close()
            self._file = None
