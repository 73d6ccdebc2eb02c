"""Tool calls in tasks of their own, which may outlive the request that they came with.

`server.py` starts each call here. One that takes longer than its host may be kept waiting is handed over: the
host gets what has been written and an `answer_id`, the call goes on, and `grok_result` collects its end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import anyio

from grok_mcp import events
from grok_mcp.messages import Answer
from grok_mcp.pipeline.draft import Draft
from grok_mcp.pipeline.in_flight import Calls
from grok_mcp.pipeline.turn import Observer
from grok_mcp.stores.answers import (
    LIFETIME_S,
    HeldAnswers,
    Outcome,
    fresh,
    interrupted,
    new_answer_id,
    not_found,
)

BEAT_S = 5.0
"""How often other processes are told of a call that goes on."""
TOLD_S = 3.0
"""How long a host waits for other processes to be told of its call, if it has to."""
CLOSE_S = 2.0

Work = Callable[[Observer], Awaitable[Outcome]]


class Run:
    """One call in a task of its own; `outcome` is there once it has ended."""

    def __init__(self, work: Work, observe: Observer, *, has_data: bool) -> None:
        self.outcome: Outcome | None = None
        self._has_data = has_data
        self._observers = [observe]
        self._so_far: Callable[[], Iterable[tuple[Any, str]]] = tuple
        self._scope = anyio.CancelScope()
        self._task = asyncio.create_task(self._run(work))

    async def _run(self, work: Work) -> None:
        with self._scope:
            self.outcome = await work(self._observe)

    def _observe(self, event: events.Event, added: str) -> None:
        if type(event) is events.Began:
            self._so_far = event.so_far
        for observe in self._observers:
            observe(event, added)

    async def ended(self, within_s: float | None) -> bool:
        """Wait for the end; False where it has not come in time."""
        if not self._task.done():
            await asyncio.wait((self._task,), timeout=within_s)
        return self._task.done()

    @property
    def result(self) -> Outcome:
        """How it ended, also where it was cut off; before the end, how far it has come."""
        if self._task.done():
            return self.outcome or interrupted()
        draft = Draft()
        for event, added in self._so_far():
            draft.add(event, added)
        return Answer(text=draft.take(), has_data=self._has_data, finish_reason="running", model=draft.model)

    def leave(self) -> None:
        """Whoever has watched from the beginning watches no longer."""
        self._observers.clear()

    @contextmanager
    def watched(self, observe: Observer) -> Iterator[None]:
        """Let one more observer watch while the block runs, told first what has been so far."""
        for event, added in self._so_far():
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
    """The calls of this process that were handed over, and the answers that are kept."""

    def __init__(self, calls: Calls, kept: HeldAnswers) -> None:
        self._calls = calls
        self._kept = kept
        calls.collectable = kept.shared
        self._running: dict[tuple[str, str], Run] = {}
        self._minders: set[asyncio.Task[None]] = set()

    async def within(
        self, wait_s: float | None, work: Work, caller: str, observe: Observer, *, has_data: bool
    ) -> Outcome:
        """How the work ends, or how far it has come after `wait_s` seconds, with an `answer_id`.

        Until then it ends with the request that asked for it.
        """
        if wait_s is None:
            return await work(observe)
        run = Run(work, observe, has_data=has_data)
        try:
            ended = await run.ended(wait_s)
            ending = self._calls.ending or self._calls.closing
            if not ended and ending and not self._kept.shared:  # nobody could collect it any more
                ended = await run.ended(None)
            return run.result if ended else await self._hand_over(run, caller)
        except BaseException:
            await run.stop()
            raise

    async def _hand_over(self, run: Run, caller: str) -> Outcome:
        run.leave()
        answer_id, so_far = new_answer_id(), run.result
        assert isinstance(so_far, Answer)
        self._running[caller, answer_id] = run
        told, ends = asyncio.Event(), ExitStack()
        ends.enter_context(self._calls.track())
        minder = asyncio.create_task(self._mind(run, answer_id, caller, told, ends))
        self._minders.add(minder)
        minder.add_done_callback(self._minders.discard)
        if self._kept.shared:
            with anyio.move_on_after(TOLD_S):
                await told.wait()
        return replace(so_far, answer_id=answer_id)

    async def _mind(
        self, run: Run, answer_id: str, caller: str, told: asyncio.Event, ends: ExitStack
    ) -> None:
        """Keep how a call ends once nobody need wait for it; other processes hear that it goes on."""
        with ends:
            ended = False
            while not ended:
                if self._kept.shared:
                    await self._kept.keep(answer_id, caller, run.result)
                    told.set()
                ended = await run.ended(BEAT_S if self._kept.shared else None)
            for _ in range(int(LIFETIME_S / BEAT_S)):
                if await self._kept.keep(answer_id, caller, fresh(run.result)):
                    break
                await anyio.sleep(BEAT_S)
            del self._running[caller, answer_id]

    async def keep(self, answer: Answer, caller: str) -> str | None:
        """Keep a complete answer; returns its `answer_id`, None where it can't be kept at the moment."""
        answer_id = new_answer_id()
        return answer_id if await self._kept.keep(answer_id, caller, answer) else None

    async def collect(
        self, answer_id: str, offset: int, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome:
        """How a call ended, or how far it has come after `wait_s` seconds; `offset` is what is known of it.

        Raises AnswerNotFoundError for an id that is unknown, expired or another caller's.
        """
        observe(events.Resumed(offset), "")
        run = self._running.get((caller, answer_id))
        if run is None:
            found = await self._kept.find(answer_id, caller, wait_s, observe)
            if found is None:
                raise not_found()
        else:
            with run.watched(observe):
                await run.ended(wait_s)
                found = fresh(run.result)
        return replace(found, answer_id=answer_id) if isinstance(found, Answer) else found

    async def aclose(self) -> None:
        """End what still runs, and keep that it did not come to its end."""
        for run in tuple(self._running.values()):
            await run.stop()
        if self._minders:
            _, late = await asyncio.wait(self._minders, timeout=CLOSE_S)
            for minder in late:
                minder.cancel()
