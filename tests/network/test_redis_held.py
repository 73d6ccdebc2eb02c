"""Held answers in a real Redis: each process serves what another has handed over, and no wrong answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.errors import (
    GrokError,
    InterruptedAnswerError,
    OverloadedError,
    RateLimitError,
    SchemaMismatchError,
)
from grok_mcp.events import ignore
from grok_mcp.messages import (
    Answer,
    BrokenMarker,
    Citation,
    Data,
    Evidence,
    FunctionCall,
    Outcome,
    Running,
    Step,
)
from grok_mcp.stores.answers import LIFETIME_S, Held
from grok_mcp.stores.redis import RedisAccess
from grok_mcp.stores.redis_answers import RedisAnswers
from grok_mcp.usage import Usage
from tests.network.redis import RedisServer, redis
from tests.support.answers import SCHEMA, collected, sentence, slow
from tests.support.endpoint import Endpoint, chat
from tests.support.host import Host, Result, host_on
from tests.support.pace import within

__all__ = ["redis"]

pytestmark = pytest.mark.anyio

WAIT_S = 0.3
RUNNING = Running("ans_1", "It is ", "grok-4.7")
EVERYTHING = Answer(
    text="All of it 🚀 \u2028 \x00",
    data=Data({"a": [1, 2.5, None, "é"]}),
    alternatives=("Another.",),
    citations=(Citation(1, "https://a.example/", "A", "web", ((0, 3), (5, 7))), Citation(2, "u", "B", "x")),
    searched=True,
    search_queries=("q",),
    tool_calls=(FunctionCall("call_1", "f", "{}"),),
    finish_reason="length",
    conversation_id="conv_1",
    model="grok-4.7",
    usage=Usage(input_tokens=1, cost_usd=Decimal("0.000123"), cost_source="reported", duration_s=1.25),
    warnings=("One.", "Two."),
    steps=(
        Step("web", ("q",), met=(1, 2)),
        Step("page", url="https://a.example/", pattern="p"),
        Step("code"),
    ),
    evidence=Evidence((1,), (2,), (3,), (BrokenMarker(7, "no_source"),), "One."),
)


@asynccontextmanager
async def stores(url: str, number: int = 2, **options: Any) -> AsyncIterator[list[RedisAnswers]]:
    accesses = [RedisAccess(url) for _ in range(number)]
    try:
        yield [RedisAnswers(access, **options) for access in accesses]
    finally:
        for access in accesses:
            await access.aclose()


@asynccontextmanager
async def workers(
    endpoint: Endpoint, redis: RedisServer, **settings: Any
) -> AsyncIterator[tuple[Host, Host]]:
    """Two servers on one Redis."""
    told = {"redis_url": redis.url, "wait": WAIT_S, "legacy": True, **settings}
    async with host_on(endpoint, **told) as one, host_on(endpoint, **told) as two:
        yield one, two


async def test_another_worker_waits_for_what_the_first_one_runs(redis: RedisServer) -> None:
    reply = slow("It is ", "blue.")
    results: list[Result] = []
    async with Endpoint(reply) as endpoint, workers(endpoint, redis) as (one, two):
        answer_id, offset = sentence(await one.ask())
        early = await collected(two, answer_id, 3, watch=True)

        async def collect() -> None:
            while not results or results[-1].answer["finish_reason"] == "running":
                results.append(await collected(two, answer_id, offset))

        with within(20):
            async with anyio.create_task_group() as group:
                group.start_soon(collect)
                await anyio.sleep(0.1)
                reply.release.set()
        assert not two.grok.in_flight
        own = await collected(one, answer_id)
    assert early.answer["finish_reason"] == "running" and sentence(early) == (answer_id, 6)
    assert early.text.startswith("is \n\nNote: Grok is still writing")
    assert results[-1].text.startswith("blue.\n\n")
    assert own.text.startswith("It is blue.\n\n")
    assert "conversation_id" in results[-1].answer


async def test_the_notes_of_another_worker_add_up_too(redis: RedisServer) -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint:
        async with workers(endpoint, redis, progress="deltas", results="structured") as (one, two):
            answer_id, offset = sentence(await one.ask())
            early = await collected(two, answer_id, 3, watch=True)
            reply.release.set()
            await collected(one, answer_id)
            rest = await collected(two, answer_id, offset, watch=True)
    for result, text in ((early, "is "), (rest, "blue.")):
        assert result.structured["text"] == text
        assert "".join(message for _, message in result.notes) == text


async def test_any_worker_has_the_rest_of_a_long_answer(redis: RedisServer) -> None:
    text = "Some words. " * 500
    async with Endpoint(chat(text)) as endpoint:
        async with workers(endpoint, redis, max_result_chars=1_000, results="structured") as hosts:
            result = await hosts[0].ask()
            texts = [result.structured["text"]]
            for number in range(100):
                if "answer_id" not in result.answer:
                    break
                answer_id, offset = sentence(result)
                result = await collected(hosts[number % 2], answer_id, offset)
                texts.append(result.structured["text"])
    assert "".join(texts) == text and len(texts) > 5


async def test_a_failure_and_json_are_collected_by_another_worker(redis: RedisServer) -> None:
    good, bad = slow('{"a"', ": 1}"), slow('{"a"', ": 1", finish="length")
    async with Endpoint(good, bad) as endpoint, workers(endpoint, redis) as (one, two):
        ids = []
        for reply in (good, bad):
            first = await one.call("grok_structured", prompt="One?", schema=SCHEMA)
            reply.release.set()
            ids.append(first.answer["answer_id"])
            await collected(one, ids[-1])
        json_text, failure = [await collected(two, answer_id) for answer_id in ids]
    assert json_text.text.startswith('{"data":{"a":1},')
    assert failure.error["code"] == "length" and '{"a": 1' in failure.text


@pytest.mark.parametrize(
    "outcome",
    [
        EVERYTHING,
        Answer(),
        Answer("x" * 100_000),
        RUNNING,
        SchemaMismatchError("Does not fit.", "Loosen it."),
        RateLimitError("Wait.", "Later.", retry_after_s=2.5, status=429, request_id="r"),
    ],
    ids=["everything", "nothing", "long", "running", "error", "error with its facts"],
)
async def test_every_field_survives(redis: RedisServer, outcome: Outcome) -> None:
    if isinstance(outcome, SchemaMismatchError):
        outcome.usage, outcome.attachment = EVERYTHING.usage, "What Grok wrote"
    async with stores(redis.url) as (one, two):
        assert await one.put("ans_1", "ann", outcome)
        found = await two.get("ans_1", "ann", 0, ignore)
        assert await two.get("ans_1", "bob", 0, ignore) is None
        assert await two.get("ans_2", "ann", 0, ignore) is None
    if not isinstance(outcome, GrokError):
        assert found == outcome
    else:
        assert isinstance(found, type(outcome))
        assert (found.to_dict(), found.text) == (outcome.to_dict(), outcome.text)


async def test_what_is_kept_expires_and_names_nobody(redis: RedisServer) -> None:
    async with stores(redis.url, 1) as (store,):
        await store.put("ans_secret", "ann@example.com", EVERYTHING)
    (name,), (index,) = redis.names("*:answer:*"), redis.names("*:answers")
    assert LIFETIME_S - 60 < redis.ask("TTL", name) <= LIFETIME_S < redis.ask("TTL", index)
    stored = b"".join([name, redis.ask("GET", name), index, *redis.ask("HGETALL", index)])
    assert b"ann@" not in stored and b"ans_secret" not in stored


@pytest.mark.parametrize("garbage", [b"", b"R", b"E000000000000001{}", b"E" * 40, b"R000000000000001[1]"])
async def test_what_is_not_ours_is_not_found(redis: RedisServer, garbage: bytes) -> None:
    async with stores(redis.url, 1) as (store,):
        await store.put("ans_1", "ann", EVERYTHING)
        redis.ask("SET", redis.names("*:answer:*")[0], garbage)
        assert await store.get("ans_1", "ann", 0, ignore) is None


async def test_a_call_of_a_newer_process_that_says_more_of_it_is_found(redis: RedisServer) -> None:
    async with stores(redis.url) as (one, two):
        await one.put("ans_1", "ann", RUNNING)
        (name,) = redis.names("*:answer:*")
        redis.ask(
            "SET", name, redis.ask("GET", name).replace(b'"text"', b'"mood": "good", "text"'), "KEEPTTL"
        )
        held = await two.look("ans_1", "ann")
    assert held and held.outcome == RUNNING


async def test_the_text_of_a_worker_that_is_gone_comes_back_interrupted(redis: RedisServer) -> None:
    async with stores(redis.url, silent_s=0.5, last_chance_s=0.5) as (one, two):
        await one.put("ans_1", "ann", RUNNING)
        with within(10):
            alive = await two.get("ans_1", "ann", 0, ignore)
            gone = await two.get("ans_1", "ann", 5, ignore)
        await one.put("ans_2", "ann", Running("ans_2"))
        with within(10):
            nothing = await two.get("ans_2", "ann", 5, ignore)
    assert alive == RUNNING
    assert isinstance(gone, Answer)
    assert (gone.text, gone.finish_reason) == ("It is ", "interrupted")
    assert gone.warnings[0].startswith("The answer is incomplete: [interrupted]")
    assert isinstance(nothing, InterruptedAnswerError)


async def test_a_worker_that_could_not_write_for_a_while_is_not_taken_for_gone(redis: RedisServer) -> None:
    async with stores(redis.url, silent_s=0.3, last_chance_s=5) as (one, two):
        await one.put("ans_1", "ann", RUNNING)
        found: list[Outcome | None] = []

        async def find() -> None:
            found.append(await two.get("ans_1", "ann", 0.1, ignore))

        await anyio.sleep(0.5)
        async with anyio.create_task_group() as group:
            group.start_soon(find)
            await anyio.sleep(0.3)
            await one.put("ans_1", "ann", EVERYTHING)
    assert found == [EVERYTHING]


@pytest.mark.parametrize(
    "known", [True, False], ids=["of which nobody has heard for long", "that Redis has lost"]
)
async def test_a_look_waits_for_whoever_may_write_a_call(redis: RedisServer, known: bool) -> None:
    async with stores(redis.url, silent_s=0.3, last_chance_s=5, last_word_s=5) as (one, two):
        if known:
            await one.put("ans_1", "ann", RUNNING)
            await anyio.sleep(0.5)
        else:
            redis.kill()
            with pytest.raises(OverloadedError):
                await two.look("ans_1", "ann")
            redis.start()
        found: list[Held | None] = []

        async def look() -> None:
            found.append(await two.look("ans_1", "ann"))

        with within(10):
            async with anyio.create_task_group() as group:
                group.start_soon(look)
                await anyio.sleep(0.3)
                assert not found
                await one.put("ans_1", "ann", EVERYTHING)
    (held,) = found
    assert held and held.outcome == EVERYTHING


async def test_a_look_gives_up_a_call_whose_worker_is_gone(redis: RedisServer) -> None:
    async with stores(redis.url, silent_s=0.3, last_word_s=0.3) as (one, two):
        await one.put("ans_1", "ann", RUNNING)
        alive = await two.look("ans_1", "ann")
        with within(10):
            while (held := await two.look("ans_1", "ann")) and isinstance(held.outcome, Running):
                await anyio.sleep(0.05)
        nothing = await two.look("ans_2", "ann")
    assert alive and alive.outcome == RUNNING
    assert held and isinstance(held.outcome, Answer) and held.outcome.finish_reason == "interrupted"
    assert nothing is None


async def test_one_wait_is_for_all_calls_of_a_worker_that_is_gone(redis: RedisServer) -> None:
    names = [f"ans_{number}" for number in range(20)]
    async with stores(redis.url, silent_s=1.5, last_word_s=1) as (one, two):
        for name in names:
            await one.put(name, "ann", RUNNING)
        await anyio.sleep(1.6)
        with within(4):  # one after the other, as a stream looks at its tasks
            found = [await two.look(name, "ann") for name in names]
    assert all(held and isinstance(held.outcome, Answer) for held in found)


async def test_while_redis_is_away_others_say_so_and_whoever_runs_it_answers(redis: RedisServer) -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint, workers(endpoint, redis) as (one, two):
        answer_id, offset = sentence(await one.ask())
        redis.kill()
        away = await collected(two, answer_id, offset)
        reply.release.set()
        own = await collected(one, answer_id, offset)
        again = await collected(two, answer_id, offset)
        redis.start()
        healed = await collected(two, answer_id, offset)
    for error in (away.error, again.error):
        assert error == IsPartialDict(code="overloaded", retryable=True)
        assert "store of answers can't be reached" in error["message"]
    assert own.text.startswith("blue.\n\n")
    assert healed.text.startswith("blue.\n\n")


async def test_while_redis_is_away_long_answers_are_not_cut(redis: RedisServer) -> None:
    async with Endpoint(chat("Some words. " * 500)) as endpoint:
        async with workers(endpoint, redis, max_result_chars=1_000, results="structured") as (one, _):
            redis.kill()
            result = await one.ask()
    assert result.structured["text"] == "Some words. " * 500
    assert "answer_id" not in result.answer


async def test_a_frozen_redis_is_an_error_in_time(redis: RedisServer) -> None:
    async with stores(redis.url, 1) as (store,):
        await store.put("ans_1", "ann", EVERYTHING)
        redis.freeze()
        try:
            with within(5), pytest.raises(OverloadedError):
                await store.get("ans_1", "ann", 60, ignore)
        finally:
            redis.thaw()
        assert await store.get("ans_1", "ann", 0, ignore) == EVERYTHING
