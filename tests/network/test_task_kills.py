"""Processes that are killed while their tasks run: each task comes to its end at another process.

GROK_TEST_KILLS=200 kills more of them than a run of all tests does, and prints what became of their tasks.
"""

import os
import random
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.network.redis import RedisServer, redis
from tests.network.server import serving
from tests.network.tasks import Json, TaskClient
from tests.support.endpoint import Endpoint, Reply, Request, chat
from tests.support.ledger import query

__all__ = ["redis"]

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("GROK_TEST_KILLS", "6"))
SIDE_BY_SIDE = 6
CALLS = 3
"""Of each process."""
END_S = 15.0
PHASE_S = 5.0
"""Calls end, and their process is killed, within so long."""
PIECES = ("The first part, ", "the second part ", "and the end.")
TEXT = "".join(PIECES)


class Upstream:
    """Answers each question in its own time: so many pieces at once, the rest later."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.releases = defaultdict[str, anyio.Event](anyio.Event)
        """By question, which may be set before it has come."""

    def choose(self, request: Request) -> Reply:
        question = request.body["model"]
        self.asked[question] += 1
        hold = random.Random(question).randrange(len(PIECES))
        return Reply(chat(*PIECES).pieces, hold=hold, release=self.releases[question])


@dataclass
class Ends:
    """What became of all tasks, and how long after the kill that was known."""

    kinds: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0

    def note(self, task: Json, passed_s: float) -> None:
        """Count a task that has ended; it is whole, a beginning of what was written, or a failure."""
        assert task["status"] in ("completed", "failed"), task
        self.longest_s = max(self.longest_s, passed_s)
        result = task["result"]
        text = result["content"][0]["text"]
        if result["isError"]:
            assert result["_meta"]["grok-mcp/error"]["code"] == "interrupted", result
            kind = "failed"
        elif result["_meta"]["grok-mcp/answer"]["finish_reason"] == "stop":
            assert text.startswith(TEXT)
            kind = "whole"
        else:
            assert result["_meta"]["grok-mcp/answer"]["finish_reason"] == "interrupted", result
            begun, _, note = text.partition("\n\nNote: ")
            assert begun and TEXT.startswith(begun), text
            assert note.startswith("The answer is incomplete: [interrupted]"), text
            kind = "partial"
        self.kinds[kind] += 1


async def test_each_task_of_a_killed_process_ends_elsewhere_and_ledger_and_endpoint_agree(
    redis: RedisServer,
) -> None:
    upstream, ends = Upstream(), Ends()
    places = anyio.Semaphore(SIDE_BY_SIDE)
    async with Endpoint(choose=upstream.choose) as endpoint:
        with serving(endpoint.url, GROK_MCP_REDIS_URL=redis.url) as survivor:

            async def kill_one(number: int) -> None:
                async with places:
                    await _Owner(number, upstream, ends).run(endpoint.url, TaskClient(survivor.url), redis)

            async with anyio.create_task_group() as group:
                for number in range(KILLS):
                    group.start_soon(kill_one, number)
    sys.stdout.write(f"{KILLS} kills: {dict(ends.kinds)}, at the latest {ends.longest_s:.1f} s after them\n")
    assert set(upstream.asked.values()) <= {1}, "a call was sent twice"
    ended = Counter(row["model_asked"] for row in query("SELECT model_asked FROM calls"))
    begun = Counter(row["model_asked"] for row in query("SELECT model_asked FROM in_flight WHERE sent"))
    recorded = ended + begun
    assert set(recorded.values()) == {1}
    assert upstream.asked.keys() <= recorded.keys(), "a request went out without a row"
    assert len(recorded) - len(upstream.asked) <= CALLS * KILLS // 10 + 1, (
        "no more than were about to be sent"
    )
    assert ends.kinds["whole"] <= len(ended), "an answer was delivered without its row"


class _Owner:
    """A process that runs a few tasks until it is killed."""

    def __init__(self, number: int, upstream: Upstream, ends: Ends) -> None:
        self._number = number
        self._upstream = upstream
        self._ends = ends
        self._random = random.Random(number)
        self._tasks: list[str] = []
        self._killed_at = 0.0

    async def run(self, url: str, survivor: TaskClient, redis: RedisServer) -> None:
        context = serving(url, GROK_MCP_REDIS_URL=redis.url)
        served = await anyio.to_thread.run_sync(context.__enter__)
        try:
            async with anyio.create_task_group() as group:
                for call in range(CALLS):
                    group.start_soon(self._call, TaskClient(served.url), f"server {self._number} call {call}")
                await anyio.sleep(self._random.uniform(0, PHASE_S))
                served.process.kill()
                self._killed_at = time.monotonic()
                group.cancel_scope.cancel()
            async with anyio.create_task_group() as group:
                for task_id in self._tasks:
                    group.start_soon(self._find_out, survivor, task_id)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(context.__exit__, None, None, None)

    async def _call(self, client: TaskClient, question: str) -> None:
        """Ask, and let the answer come to its end after a while."""
        try:
            task = await client.call(model=question)
        except httpx2.TransportError:
            return  # it was killed before
        assert task["resultType"] == "task", task
        self._tasks.append(task["taskId"])
        await anyio.sleep(self._random.uniform(0, PHASE_S))
        self._upstream.releases[question].set()

    async def _find_out(self, survivor: TaskClient, task_id: str) -> None:
        task = await survivor.end_of(task_id, END_S)
        self._ends.note(task, time.monotonic() - self._killed_at)
        again = await survivor.get(task_id)
        assert (again["status"], again["result"]) == (task["status"], task["result"])
