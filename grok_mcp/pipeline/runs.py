"""Tool calls in tasks of their own, which may outlive the request that they came with.

A call that takes longer than its host may be kept waiting is handed over: the host gets an `answer_id`, and
the call goes on. Its end is collected by `grok_result`, or by the host itself where it has tasks. The same
call that comes again meanwhile joins the one that is under way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, Protocol

import anyio

from grok_mcp import events
from grok_mcp.errors import GrokError, OverloadedError
from grok_mcp.events import Observer
from grok_mcp.messages import Answer, Call, Collected, Outcome, Running
from grok_mcp.pipeline.fold import StreamedText
from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.stores import (
    LIFETIME_S,
    OFFERED_S,
    AnswerStore,
    Held,
    cancelled,
    fresh,
    interrupted,
    new_answer_id,
    not_found,
)

HEARTBEAT_S = 2.5
"""How often other processes hear of a call that goes on; more often at first, when most of them end."""
FIRST_HEARTBEAT_S = 0.3
CANCEL_CHECK_S = 0.5
"""How often a process asks whether another one was told to end a call that it runs."""
PUBLISHED_WITHIN_S = 3.0
"""How long a host waits until other processes have heard of its call, if it has to."""
CHECKED_WITHIN_S = 20.0
"""How long a call may take until it is clear what it may cost, where its user can be asked about that."""
CLOSE_S = 2.0
MAX_HANDED_OVER = 1_000
"""Calls of one caller that were handed over and are not in the store yet: they run, or Redis is away.

Past it a new call is refused, which costs nothing; to end an older one would throw away what is paid for.
"""
MAX_JOINABLE = 10_000

JOINED = "The same call was under way already: this is its answer, and it is billed once."

Ended = Answer | GrokError
Work = Callable[[Call], Awaitable[Ended]]
"""Serves one call to its end; raises no GrokError."""


class Status(Protocol):
    """Watches a call, and has words for its present phase."""

    changed_at: float
    """When the phase began, in seconds since the epoch."""

    def __call__(self, event: events.Event, added: str) -> None:
        """Take note of one event."""
        ...

    def message(self) -> str:
        """The present phase."""
        ...


class Run:
    """One call in a task of its own, and what it has brought so far."""

    def __init__(self, call: Call, work: Work, *, as_data: bool) -> None:
        self.answer_id = ""
        """Collects it, once it was handed over."""
        self.is_known = False
        """Whether a host has got the `answer_id`, so that the call goes on without a request."""
        self.requests = 0
        """How many requests wait for it."""
        self.holders = 0
        """How many hosts have got its `answer_id`; it is cancelled when the last of them wants it to be."""
        self.published = asyncio.Event()
        """Whether other processes have heard of it."""
        self.ended_at = 0.0
        self._as_data = as_data
        self._status: Status | None = None
        self._observers: list[Observer] = []
        self._call = call.watched_by(self._observe)
        self._outcome: Ended | None = None
        self._is_cancelled = False
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._run(work))

    async def _run(self, work: Work) -> None:
        try:
            with self._scope:
                self._outcome = await work(self._call)
        finally:
            self.ended_at = time.time()
            self._call.forget()

    def _observe(self, event: events.Event, added: str) -> None:
        for observe in self._observers:
            observe(event, added)

    async def ended(self, within_s: float | None) -> bool:
        """Wait for the end; False where it has not come in time."""
        if not self._task.done():
            await asyncio.wait((self._task,), timeout=within_s)
        return self._task.done()

    async def checked(self) -> bool:
        """Wait until the call has been sent or has ended, as a call does soon; whether it has ended."""
        with anyio.move_on_after(CHECKED_WITHIN_S):
            while not (self._task.done() or self._call.meter.is_sending):
                await anyio.sleep(0.02)
        return self._task.done()

    @property
    def outcome(self) -> Ended | None:
        """How the call ended, also where it was cut off; None while it goes on."""
        if not self._task.done():
            return None
        return self._outcome or (cancelled() if self._is_cancelled else interrupted())

    def running(self) -> Running:
        """How far the call has come."""
        text = StreamedText()
        for event, added in self._call.replay():
            text.add(event, added)
        running = Running(self.answer_id, text.take(), text.model, as_data=self._as_data)
        if self._status is None:
            return running
        return running._replace(status=self._status.message(), since=self._status.changed_at)

    @property
    def held(self) -> Held:
        """How it ended or how far it has come, and since when that is so."""
        if outcome := self.outcome:
            return Held(fresh(outcome), self.ended_at)
        running = self.running()
        return Held(running, running.since or time.time())

    def describe_by(self, status: Status) -> None:
        """Let the first of these watch from now on, whoever else comes and goes."""
        if self._status is None:
            self._status = status
            self._begin(status)

    def _begin(self, observe: Observer) -> None:
        for event, added in self._call.replay():
            observe(event, added)
        self._observers.append(observe)

    @contextmanager
    def watched(self, observe: Observer) -> Iterator[None]:
        """Let one more observer watch while the block runs, after what has been so far."""
        self._begin(observe)
        try:
            yield
        finally:
            self._observers.remove(observe)

    def cancel(self) -> None:
        """End it, as its caller wishes."""
        self._is_cancelled = True
        self._scope.cancel()

    async def stop(self) -> None:
        """End it now and wait until it is gone, whoever is cancelled meanwhile."""
        self._scope.cancel()
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self.ended(None)


class _Joinable(NamedTuple):
    """What answers the same call again: one that runs, or the end of one that was handed over."""

    run: Run | None
    answer_id: str = ""
    until: float = float("inf")


class Runs:
    """The calls of this process that were handed over, and the answers that are stored."""

    def __init__(
        self, in_flight: InFlight, store: AnswerStore, max_handed_over: int = MAX_HANDED_OVER
    ) -> None:
        self._in_flight = in_flight
        self._store = store
        self._max_handed_over = max_handed_over
        in_flight.is_collectable = lambda: store.lasts
        self._running: dict[str, dict[str, Run]] = {}  # by caller and answer_id
        self._joinable: dict[tuple[str, str], _Joinable] = {}  # by caller and request, the oldest first
        self._minders: set[asyncio.Task[None]] = set()
        self._canceller: asyncio.Task[None] | None = None

    async def within(
        self, call: Call, work: Work, *, as_data: bool, request: str = "", status: Status | None = None
    ) -> Outcome:
        """How a call ends, or how far it has come once its host has waited long enough.

        Until then it ends with the request that asked for it. `request` is the same for calls that ask for
        the same, and empty for those that nobody may join. With `status` the host takes a `Running` for a
        task: it gets none before every process finds it. Raises OverloadedError, before anything is sent,
        where too many calls of this caller have been handed over and still run.
        """
        if call.wait_s is None:
            return await work(call)
        if request and (joined := await self._join(call, request, status)):
            return joined
        if len(self._running.get(call.owner, ())) >= self._max_handed_over:
            raise OverloadedError(
                f"{self._max_handed_over:,} slow calls of yours are still running: nothing was sent.",
                "Collect them with grok_result, and try again when some of them have ended.",
            )
        run = Run(call, work, as_data=as_data)
        if request:
            self._offer(call.owner, request, _Joinable(run))
        return await self._wait(run, call, request, status)

    async def _wait(self, run: Run, call: Call, request: str, status: Status | None) -> Outcome:
        """The end of a run, or the hand-over; a run that nobody waits for and nobody knows ends here."""
        run.requests += 1
        try:
            if status:
                run.describe_by(status)
            with run.watched(call.observe):
                ended = await run.ended(call.wait_s)
                if not ended and call.may_ask:  # nobody could answer once it is handed over
                    ended = await run.checked()
                ending = self._in_flight.ending or self._in_flight.closing
                if not ended and ending and not self._store.elsewhere:  # nobody could collect it now
                    await run.ended(None)
            if run.outcome is None:
                found = await self._hand_over(run, call.owner, request)
                if found or not status:
                    run.is_known = True
                    run.holders += 1
                    return run.running()
                with run.watched(call.observe):
                    await run.ended(None)
            self._joinable.pop((call.owner, request), None)
            if run.answer_id:
                await self._store.withdraw(run.answer_id, call.owner)
            assert run.outcome
            return fresh(run.outcome)
        except BaseException:
            if run.requests == 1 and not run.is_known:
                self._joinable.pop((call.owner, request), None)
                await run.stop()
            raise
        finally:
            run.requests -= 1

    async def _join(self, call: Call, request: str, status: Status | None) -> Outcome | None:
        """What answers the same call that came before, if anything does."""
        joinable = self._joinable.get((call.owner, request))
        outcome: Outcome | None = None
        answer_id: str | None = None
        if joinable is None:
            answer_id = await self._store.offered(request, call.owner)
            if answer_id is None:  # one may have begun meanwhile
                joinable = self._joinable.get((call.owner, request))
        if joinable and joinable.run:
            if isinstance(joinable.run.outcome, GrokError):
                return None  # who asks again wants an answer
            outcome = await self._wait(joinable.run, call, request, status)
            return outcome if isinstance(outcome, GrokError) else outcome.with_warnings([JOINED])
        if joinable and joinable.until >= time.monotonic():
            answer_id = joinable.answer_id
        if answer_id:
            outcome = await self._store.get(answer_id, call.owner, call.wait_s, call.observe)
        if outcome is None:
            return None
        if not isinstance(outcome, Running):
            await self._collected(answer_id or "", call.owner)
        if isinstance(outcome, GrokError) or (
            isinstance(outcome, Answer) and outcome.finish_reason == "interrupted"
        ):
            return None
        return outcome.with_warnings([JOINED])

    def _offer(self, caller: str, request: str, joinable: _Joinable) -> None:
        self._joinable.pop((caller, request), None)
        self._joinable[caller, request] = joinable
        if len(self._joinable) > MAX_JOINABLE:
            del self._joinable[next(iter(self._joinable))]

    async def _collected(self, answer_id: str, caller: str) -> None:
        """An answer that somebody has got is no answer to anybody else's call."""
        for name, joinable in self._joinable.items():
            if answer_id in (joinable.answer_id, joinable.run and joinable.run.answer_id):
                del self._joinable[name]
                break
        await self._store.withdraw(answer_id, caller)

    async def _hand_over(self, run: Run, caller: str, request: str) -> bool:
        """Let a run go on without its request; whether every process finds it by its `answer_id`."""
        if not run.answer_id:
            run.answer_id = new_answer_id()
            self._running.setdefault(caller, {})[run.answer_id] = run
            ends = ExitStack()
            ends.enter_context(self._in_flight.track())
            minder = asyncio.create_task(self._mind(run, caller, request, ends))
            self._minders.add(minder)
            minder.add_done_callback(self._minders.discard)
        if not self._store.shared:
            return True
        if self._canceller is None or self._canceller.done():
            self._canceller = asyncio.create_task(self._cancel_on_request())
        with anyio.move_on_after(PUBLISHED_WITHIN_S):
            await run.published.wait()
        return run.published.is_set()

    async def _mind(self, run: Run, caller: str, request: str, ends: ExitStack) -> None:
        """Store how a call ends once nobody need wait for it; other processes hear that it goes on."""
        until = time.monotonic() + OFFERED_S
        with ends:
            ended, beat_s = False, FIRST_HEARTBEAT_S
            while not ended:
                if self._store.shared:
                    outcome: Outcome = run.outcome or run.running()
                    if await self._store.put(run.answer_id, caller, outcome) and not run.published.is_set():
                        if request:
                            await self._store.offer(request, caller, run.answer_id)
                        run.published.set()
                ended = await run.ended(beat_s if self._store.shared else None)
                beat_s = min(2 * beat_s, HEARTBEAT_S)
            end = fresh(run.outcome or interrupted())
            for _ in range(int(LIFETIME_S / HEARTBEAT_S)):
                if await self._store.put(run.answer_id, caller, end) or not self._store.shared:
                    break  # the store of this process would refuse it again
                await anyio.sleep(HEARTBEAT_S)
            offered = self._joinable.get((caller, request))
            if offered and offered.run is run:  # nobody has got it yet, as far as this process knows
                del self._joinable[caller, request]
                if not self._store.shared:
                    self._offer(caller, request, _Joinable(None, run.answer_id, until))
            del self._running[caller][run.answer_id]
            if not self._running[caller]:
                del self._running[caller]

    async def _cancel_on_request(self) -> None:
        """End the calls that another process was asked to end, as long as any run here."""
        while self._running:
            await asyncio.sleep(CANCEL_CHECK_S)
            names = [(caller, answer_id) for caller, runs in self._running.items() for answer_id in runs]
            for caller, answer_id in await self._store.cancel_requests(names) if names else ():
                if run := self._running.get(caller, {}).get(answer_id):
                    await self._cancel(run, caller)

    async def keep(self, answer: Answer, caller: str) -> str | None:
        """Store a complete answer; returns its `answer_id`, None where it can't be stored at the moment."""
        answer_id = new_answer_id()
        return answer_id if await self._store.put(answer_id, caller, answer) else None

    async def collect(self, answer_id: str, offset: int, call: Call) -> Collected:
        """What has become of a call, or how far it has come after `call.wait_s` seconds.

        The caller knows the text up to `offset`. Raises AnswerNotFoundError for an id that is unknown,
        expired or another caller's, and the error that the call has ended with.
        """
        call.observe(events.Resumed(offset), "")
        run = self._running.get(call.owner, {}).get(answer_id)
        outcome: Outcome | None
        if run is None:
            outcome = await self._store.get(answer_id, call.owner, call.wait_s, call.observe)
            if outcome is None:
                raise not_found()
        else:
            with run.watched(call.observe):
                await run.ended(call.wait_s)
                outcome = fresh(run.outcome or run.running())
        if not isinstance(outcome, Running):
            await self._collected(answer_id, call.owner)
        if isinstance(outcome, GrokError):
            raise outcome
        return Collected(outcome, answer_id, offset)

    async def look(self, answer_id: str, caller: str, *, delivers: bool = True) -> Held:
        """What has become of a call, at once; with `delivers`, its end goes to its caller.

        Raises AnswerNotFoundError for an id that is unknown, expired or another caller's.
        """
        run = self._running.get(caller, {}).get(answer_id)
        held = run.held if run else await self._store.look(answer_id, caller)
        if held is None:
            raise not_found()
        if delivers and not isinstance(held.outcome, Running):
            await self._collected(answer_id, caller)
        return held

    async def cancel(self, answer_id: str, caller: str) -> None:
        """End a call, wherever it runs, once all who got it wish that; one that has ended stays as it is.

        Raises AnswerNotFoundError for an id that is unknown, expired or another caller's.
        """
        if run := self._running.get(caller, {}).get(answer_id):
            run.holders -= 1
            if run.holders <= 0:
                await self._cancel(run, caller)
            return
        held = await self._store.look(answer_id, caller)
        if held is None:
            raise not_found()
        if isinstance(held.outcome, Running):
            await self._store.withdraw(answer_id, caller)
            await self._store.request_cancel(answer_id, caller)

    async def _cancel(self, run: Run, caller: str) -> None:
        """End a run that nobody may join any more."""
        run.cancel()
        await self._collected(run.answer_id, caller)

    async def aclose(self) -> None:
        """End what still runs, and store that it did not come to its end."""
        for run in [run for runs in self._running.values() for run in runs.values()]:
            await run.stop()
        if self._minders:
            _, late = await asyncio.wait(self._minders, timeout=CLOSE_S)
            for minder in late:
                minder.cancel()
        if self._canceller:
            self._canceller.cancel()
