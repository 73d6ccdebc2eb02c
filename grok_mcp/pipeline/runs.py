"""Tool calls in tasks of their own, which may outlive the request that they came with.

A call that takes longer than its host may be kept waiting is handed over: the host gets what has been written
and an `answer_id`, the call goes on, and `grok_result` collects its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

import anyio

from grok_mcp import events
from grok_mcp.errors import GrokError, OverloadedError
from grok_mcp.events import Observer
from grok_mcp.messages import Answer, Call, Collected, Outcome, Running
from grok_mcp.pipeline.fold import StreamedText
from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.stores import LIFETIME_S, AnswerStore, fresh, interrupted, new_answer_id, not_found

HEARTBEAT_S = 5.0
"""How often other processes hear of a call that goes on."""
PUBLISHED_WITHIN_S = 3.0
"""How long a host waits until other processes have heard of its call, if it has to."""
CLOSE_S = 2.0
MAX_HANDED_OVER = 1_000
"""Calls of one caller that were handed over and are not in the store yet: they run, or Redis is away.

Past it a new call is refused, which costs nothing; to end an older one would throw away what is paid for.
"""

Ended = Answer | GrokError
Work = Callable[[Call], Awaitable[Ended]]
"""Serves one call to its end; raises no GrokError."""


class Run:
    """One call in a task of its own, and what it has brought so far."""

    def __init__(self, call: Call, work: Work, *, as_data: bool) -> None:
        self._as_data = as_data
        self._observers = [call.observe]
        self._call = call.watched_by(self._observe)
        self._outcome: Ended | None = None
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._run(work))

    async def _run(self, work: Work) -> None:
        try:
            with self._scope:
                self._outcome = await work(self._call)
        finally:
            self._call.forget()

    def _observe(self, event: events.Event, added: str) -> None:
        for observe in self._observers:
            observe(event, added)

    async def ended(self, within_s: float | None) -> bool:
        """Wait for the end; False where it has not come in time."""
        if not self._task.done():
            await asyncio.wait((self._task,), timeout=within_s)
        return self._task.done()

    @property
    def outcome(self) -> Ended | None:
        """How the call ended, also where it was cut off; None while it goes on."""
        return (self._outcome or interrupted()) if self._task.done() else None

    def running(self, answer_id: str) -> Running:
        """How far the call has come."""
        text = StreamedText()
        for event, added in self._call.replay():
            text.add(event, added)
        return Running(answer_id, text.take(), text.model, as_data=self._as_data)

    def leave(self) -> None:
        """Whoever has watched from the beginning watches no longer."""
        self._observers.clear()

    @contextmanager
    def watched(self, observe: Observer) -> Iterator[None]:
        """Let one more observer watch while the block runs, after what has been so far."""
        for event, added in self._call.replay():
            observe(event, added)
        self._observers.append(observe)
        try:
            yield
        finally:
            self._observers.remove(observe)

    async def stop(self) -> None:
        """End it now and wait until it is gone, whoever is cancelled meanwhile."""
        self._scope.cancel()
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self.ended(None)


class Runs:
    """The calls of this process that were handed over, and the answers that are stored."""

    def __init__(
        self, in_flight: InFlight, store: AnswerStore, max_handed_over: int = MAX_HANDED_OVER
    ) -> None:
        self._in_flight = in_flight
        self._store = store
        self._max_handed_over = max_handed_over
        in_flight.collectable = store.shared
        self._running: dict[str, dict[str, Run]] = {}  # by caller and answer_id
        self._minders: set[asyncio.Task[None]] = set()

    async def within(self, call: Call, work: Work, *, as_data: bool) -> Outcome:
        """How a call ends, or how far it has come once its host has waited long enough.

        Until then it ends with the request that asked for it. Raises OverloadedError, before anything is
        sent, where too many calls of this caller have been handed over and still run.
        """
        if call.wait_s is None:
            return await work(call)
        if len(self._running.get(call.caller, ())) >= self._max_handed_over:
            raise OverloadedError(
                f"{self._max_handed_over:,} slow calls of yours are still running: nothing was sent.",
                "Collect them with grok_result, and try again when some of them have ended.",
            )
        run = Run(call, work, as_data=as_data)
        try:
            ended = await run.ended(call.wait_s)
            ending = self._in_flight.ending or self._in_flight.closing
            if not ended and ending and not self._store.shared:  # nobody could collect it
                await run.ended(None)
            return run.outcome or await self._hand_over(run, call.caller)
        except BaseException:
            await run.stop()
            raise

    async def _hand_over(self, run: Run, caller: str) -> Running:
        run.leave()
        running = run.running(new_answer_id())
        self._running.setdefault(caller, {})[running.answer_id] = run
        published, ends = asyncio.Event(), ExitStack()
        ends.enter_context(self._in_flight.track())
        minder = asyncio.create_task(self._mind(run, running.answer_id, caller, published, ends))
        self._minders.add(minder)
        minder.add_done_callback(self._minders.discard)
        if self._store.shared:
            with anyio.move_on_after(PUBLISHED_WITHIN_S):
                await published.wait()
        return running

    async def _mind(
        self, run: Run, answer_id: str, caller: str, published: asyncio.Event, ends: ExitStack
    ) -> None:
        """Store how a call ends once nobody need wait for it; other processes hear that it goes on."""
        with ends:
            ended = False
            while not ended:
                if self._store.shared:
                    await self._store.put(answer_id, caller, run.outcome or run.running(answer_id))
                    published.set()
                ended = await run.ended(HEARTBEAT_S if self._store.shared else None)
            outcome = run.outcome or interrupted()
            for _ in range(int(LIFETIME_S / HEARTBEAT_S)):
                if await self._store.put(answer_id, caller, fresh(outcome)) or not self._store.shared:
                    break  # the store of this process would refuse it again
                await anyio.sleep(HEARTBEAT_S)
            del self._running[caller][answer_id]
            if not self._running[caller]:
                del self._running[caller]

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
        run = self._running.get(call.caller, {}).get(answer_id)
        outcome: Outcome | None
        if run is None:
            outcome = await self._store.get(answer_id, call.caller, call.wait_s, call.observe)
            if outcome is None:
                raise not_found()
        else:
            with run.watched(call.observe):
                await run.ended(call.wait_s)
                outcome = fresh(run.outcome or run.running(answer_id))
        if isinstance(outcome, GrokError):
            raise outcome
        return Collected(outcome, answer_id, offset)

    async def aclose(self) -> None:
        """End what still runs, and store that it did not come to its end."""
        for run in [run for runs in self._running.values() for run in runs.values()]:
            await run.stop()
        if self._minders:
            _, late = await asyncio.wait(self._minders, timeout=CLOSE_S)
            for minder in late:
                minder.cancel()
