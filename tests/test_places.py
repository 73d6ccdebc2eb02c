"""The places upstream, and calls that were handed over: no caller waits for all that another has asked."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest

from grok_mcp import events
from grok_mcp.errors import OverloadedError
from grok_mcp.events import Event
from grok_mcp.messages import LOCAL, Answer, Call, Running
from grok_mcp.pipeline.grok import Grok
from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.pipeline.places import CALLERS, Places
from grok_mcp.pipeline.runs import Runs
from grok_mcp.settings import Settings
from grok_mcp.stores.answers import LocalAnswers
from grok_mcp.tools import TOOLS, run_tool
from tests.support.endpoint import Endpoint, Reply, Request, chat
from tests.support.host import host_on
from tests.support.pace import within

pytestmark = pytest.mark.anyio


class Crowd:
    """Calls of several callers, by one letter each, which have their places until they are told to leave."""

    def __init__(self, places: Places, group: anyio.abc.TaskGroup) -> None:
        self.order = ""
        self.refused = ""
        self._places = places
        self._group = group
        self._calls: list[tuple[str, anyio.Event, anyio.CancelScope]] = []

    async def come(self, callers: str) -> None:
        for caller in callers:
            leave, scope = anyio.Event(), anyio.CancelScope()
            self._calls.append((caller, leave, scope))
            self._group.start_soon(self._call, caller, leave, scope)
            await anyio.wait_all_tasks_blocked()

    async def _call(self, caller: str, leave: anyio.Event, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                async with self._places.take(caller, lambda: None):
                    self.order += caller
                    await leave.wait()
            except OverloadedError:
                self.refused += caller

    async def leave(self, callers: str) -> None:
        """The oldest call of each of these ends, whether it has a place yet or not."""
        for caller in callers:
            self.tell(caller)
            await anyio.wait_all_tasks_blocked()

    def tell(self, caller: str) -> None:
        """The oldest call of this caller is told to end."""
        found = next(one for one in self._calls if one[0] == caller)
        self._calls.remove(found)
        found[1].set()

    def cancel(self, caller: str, number: int = 0) -> None:
        found = [one for one in self._calls if one[0] == caller][number]
        self._calls.remove(found)
        found[2].cancel()


@asynccontextmanager
async def crowd(number: int, max_waiting: int = 100) -> AsyncIterator[Crowd]:
    with within(20):
        async with anyio.create_task_group() as group:
            yield Crowd(Places(number, max_waiting), group)
            group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("places", "come", "leave", "order"),
    [
        (1, "abc", "abc", "abc"),
        (1, "aaaaab", "aab", "aaba"),
        (1, "aaaabbbbc", "aabc", "aabca"),
        (2, "aaaaaab", "aaa", "abaaa"),
        (2, "aaaabbbc", "aabca", "abacbaa"),
        (3, "aaaaabbcc", "aaa", "aabcaa"),
        (3, "abaaaabc", "abaa", "abcabaa"),
        (4, "aaab" + "a" * 10 + "b" * 10, "aaa", "aaabab"),
        (4, "aaaaab", "ba", "aaaba"),
        (4, "aaaaabbc", "bcaa", "aaabbca"),
    ],
)
async def test_a_free_place_goes_to_the_caller_who_has_fewest_and_then_in_turns(
    places: int, come: str, leave: str, order: str
) -> None:
    async with crowd(places) as calls:
        await calls.come(come)
        await calls.leave(leave)
        assert calls.order == order


@pytest.mark.parametrize("freed", [False, True], ids=["while it waits", "as it gets its place"])
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_call_that_is_cancelled_while_it_waits_neither_keeps_nor_loses_a_place(
    number: int, freed: bool
) -> None:
    async with crowd(1) as calls:
        await calls.come("abbb")
        if freed:  # without a pause: the place is given to the call in the moment in which it is cancelled
            calls.tell("a")
        calls.cancel("b", number)
        await anyio.wait_all_tasks_blocked()
        if not freed:
            assert calls.order == "a"
            await calls.leave("a")
        await calls.leave("bb")
        await calls.come("c")
        assert calls.order == "abbc"


async def test_a_caller_with_too_many_waiting_calls_is_refused_and_the_others_are_not() -> None:
    async with crowd(1, max_waiting=3) as calls:
        await calls.come("aaaaaaba")
        assert (calls.order, calls.refused) == ("a", "aaa")
        await calls.leave("aabaa")
        await calls.come("a")
        assert (calls.order, calls.refused) == ("aabaaa", "aaa")


async def test_where_too_many_wait_in_all_the_newest_of_who_has_most_is_refused() -> None:
    async with crowd(1, max_waiting=3) as calls:
        many = "".join(chr(98 + number) * 3 for number in range(CALLERS))
        await calls.come("a" + many)
        assert calls.refused == ""
        await calls.come("zzzzyx")
        assert calls.refused == "bczzde"
        await calls.leave("a")
        assert calls.order == "ab"


async def test_an_observer_that_fails_loses_no_place() -> None:
    places = Places(1)

    def fail() -> None:
        raise RuntimeError

    async def second() -> None:
        with pytest.raises(RuntimeError):
            async with places.take("b", fail):
                raise AssertionError

    async with places.take("a", fail):
        await second()
    with within(5):
        async with places.take("c", fail):
            pass


@asynccontextmanager
async def grok_on(endpoint: Endpoint, **more: Any) -> AsyncIterator[Grok]:
    grok = Grok(Settings(**{"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": "xai-test-key-1234567890", **more}))
    try:
        yield grok
    finally:
        await grok.aclose()


async def test_a_newcomer_has_a_place_at_once_while_another_holds_all_that_one_may() -> None:
    async with crowd(500, max_waiting=1_000) as calls:
        for _ in range(500):
            await calls.come("a")
        assert calls.order == "a" * 475
        await calls.come("bcbd")
        assert calls.order == "a" * 475 + "bcd", "b has one already, and waits in turn"
        newcomers = "".join(chr(200 + number) for number in range(22))
        await calls.come(newcomers + "z")
        assert calls.order.endswith(newcomers), "all places are taken"
        await calls.leave("a")
        assert calls.order.endswith("z")


async def test_where_nobody_says_who_they_are_all_places_are_for_all() -> None:
    places = Places(3)
    async with AsyncExitStack() as stack:
        with within(5):
            for _ in range(3):
                await stack.enter_async_context(places.take(LOCAL, lambda: None))


async def test_callers_who_ask_alike_get_alike_beside_one_who_asks_for_more() -> None:
    alike = "bcdefghijk"
    async with crowd(10) as calls:
        await calls.come("a" * 60 + "".join(name * 6 for name in alike))
        for place in range(40):
            await calls.leave(calls.order[place])
    got = Counter(calls.order)
    counts = [got[name] for name in alike]
    index = sum(counts) ** 2 / (len(alike) * sum(count**2 for count in counts))
    assert index >= 0.95, "Jain's index, 1 where all have got the same"
    assert got["a"] <= 9 + max(counts), "its places of the beginning, and then in turns"


async def test_one_call_is_not_behind_the_five_hundred_of_another() -> None:
    reached: list[str] = []
    release = anyio.Event()
    waiting: list[str] = []

    def choose(request: Request) -> Reply:
        reached.append(request.body["messages"][-1]["content"])
        reply = chat("Text.")
        reply.hold, reply.release = 0, release
        return reply

    async def ask(grok: Grok, caller: str) -> None:
        def watch(event: Event, added: str) -> None:
            if isinstance(event, events.Waiting):
                waiting.append(caller)

        call = Call(tool="ask_grok", caller=caller, observe=watch)
        answer = await run_tool(TOOLS["ask_grok"], grok, {"prompt": caller}, call)
        assert isinstance(answer, Answer) and answer.text == "Text."

    async with Endpoint(choose=choose) as endpoint, grok_on(endpoint, max_concurrency=4) as grok:
        with within(60):
            async with anyio.create_task_group() as group:
                for _ in range(500):
                    group.start_soon(ask, grok, "ann")
                await until(lambda: len(reached) == 3 and len(waiting) == 497)
                group.start_soon(ask, grok, "bob")
                await until(lambda: "bob" in reached)
                assert "bob" not in waiting, "a place is kept for callers who have none"
                release.set()
    assert len(reached) == 501


async def test_waiting_calls_beyond_the_bound_are_refused_before_anything_is_sent() -> None:
    hanging = chat("Text.")
    hanging.hold = 0
    refused: list[OverloadedError] = []
    async with Endpoint(hanging) as endpoint, grok_on(endpoint, max_concurrency=1) as grok:

        async def ask() -> None:
            try:
                await run_tool(
                    TOOLS["ask_grok"], grok, {"prompt": "Hello?"}, Call(tool="ask_grok", caller="ann")
                )
            except OverloadedError as error:
                refused.append(error)

        with within(60):
            async with anyio.create_task_group() as group:
                for _ in range(1_101):
                    group.start_soon(ask)
                await until(lambda: len(refused) == 100 and len(endpoint.requests) == 1)
                bob = await grok_waits(grok)
                group.cancel_scope.cancel()
        assert len(endpoint.requests) == 1
    assert bob == "waiting"
    assert refused[0].text == (
        "[overloaded] Too many calls wait for a free place already: nothing was sent. "
        "Try again when some of them have ended, and with fewer calls at once."
    )
    assert refused[0].retryable


async def grok_waits(grok: Grok) -> str:
    """What becomes of a call of somebody else."""
    heard: list[Event] = []
    with anyio.move_on_after(0.2):
        call = Call(tool="ask_grok", caller="bob", observe=lambda event, added: heard.append(event))
        await run_tool(TOOLS["ask_grok"], grok, {"prompt": "Hello?"}, call)
    return "waiting" if isinstance(heard[0], events.Waiting) else "served"


async def until(holds: Callable[[], bool]) -> None:
    with within(30):
        while not holds():
            await anyio.sleep(0.01)


async def test_a_caller_with_too_many_calls_that_were_handed_over_is_refused_until_one_has_ended() -> None:
    runs, goes_on = Runs(InFlight(), LocalAnswers(), max_handed_over=3), anyio.Event()
    started = ""

    async def work(call: Call) -> Answer:
        nonlocal started
        started += call.caller
        await goes_on.wait()
        return Answer("Text.")

    async def ask(caller: str) -> Running:
        running = await runs.within(Call(caller=caller, wait_s=0.01), work, as_data=False)
        assert isinstance(running, Running)
        return running

    mine = [await ask("a") for _ in range(3)]
    for _ in range(2):
        with pytest.raises(
            OverloadedError, match="3 slow calls of yours are still running: nothing was sent"
        ):
            await ask("a")
    await ask("b")
    assert started == "aaab"
    goes_on.set()
    for one in mine:
        found = await runs.collect(one.answer_id, 0, Call(caller="a", wait_s=5))
        assert found.outcome == Answer("Text.")
    await anyio.wait_all_tasks_blocked()
    assert await runs.within(Call(caller="a", wait_s=5), work, as_data=False) == Answer("Text.")
    await runs.aclose()


async def test_calls_that_were_handed_over_keep_their_places_and_another_caller_is_next() -> None:
    hanging = chat("Text.")
    hanging.hold = 0
    async with Endpoint(hanging) as endpoint:
        async with host_on(endpoint, wait=0.2, max_concurrency=1) as host:
            answers = [await host.ask() for _ in range(3)]
            assert len(endpoint.requests) == 1
            async with anyio.create_task_group() as group:
                call = Call(tool="ask_grok", caller="bob")
                group.start_soon(run_tool, TOOLS["ask_grok"], host.grok, {"prompt": "Mine?"}, call)
                await anyio.wait_all_tasks_blocked()
                hanging.release.set()
            prompts = [request.body["messages"][-1]["content"] for request in endpoint.requests]
    assert all(answer.answer["finish_reason"] == "running" for answer in answers)
    assert "Mine?" in prompts[:3]
