"""Conversations in a real Redis: shared by processes, apart by callers, and honest when Redis is away."""

import base64
import json
import logging
import os
import random
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import anyio
import pytest

from grok_mcp.errors import ConfigurationError, ConversationNotFoundError, OverloadedError
from grok_mcp.messages import FunctionCall, Message
from grok_mcp.stores.conversations import LIFETIME_S, Conversation
from grok_mcp.stores.redis import ATTEMPT_S, MAX_CONNECTIONS
from grok_mcp.stores.redis_conversations import RedisConversations
from tests.network.redis import RedisServer, address_of, redis, require_redis
from tests.support.endpoint import Endpoint, chat
from tests.support.host import host_on
from tests.support.pace import within

__all__ = ["redis"]

pytestmark = pytest.mark.anyio

AT_ONCE = 500
DOWN_S = 5.0  # within which a Redis that says nothing is given up; it takes 2, and more on a busy machine
BYTES = os.urandom(30_000)
IMAGE = "data:image/png;base64," + base64.b64encode(BYTES).decode()
SEALED = {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA" * 50, "summary": [{"text": "é"}]}
EVERYTHING = Conversation(
    root="5f2c",
    messages=(
        Message("user", "What is on these? 世界 🦔 \u2028\x00", images=(IMAGE, "https://a.example/cat.png")),
        Message(
            "assistant",
            tool_calls=(FunctionCall("call_1", "f", '{"a": 1.0}'), FunctionCall("call_2", "g", "not JSON")),
            reasoning=(SEALED, {"type": "reasoning", "id": "rs_2", "n": [None, True, 1.5, 10**20]}),
        ),
        Message("tool", '{"b": 2}', tool_call_id="call_1"),
        Message("assistant", "A hedgehog."),
    ),
    instructions="Be brief.",
    tools=({"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": {"b": []}}}},),
)


@asynccontextmanager
async def workers(url: str, number: int = 2) -> AsyncIterator[list[RedisConversations]]:
    """The stores of some processes on one Redis."""
    stores = [RedisConversations(url) for _ in range(number)]
    try:
        yield stores
    finally:
        for store in stores:
            await store.aclose()


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[RedisConversations]:
    async with workers(url, 1) as (store,):
        yield store


def said(text: str) -> Conversation:
    return Conversation("root", (Message("user", text),))


async def kept(store: RedisConversations, conversation: Conversation, caller: str = "ann") -> str:
    handle = await store.keep(conversation, caller)
    assert handle is not None
    return handle


async def test_a_conversation_hops_between_two_workers(redis: RedisServer) -> None:
    async with Endpoint(chat("A hedgehog."), chat("Eight."), chat("Yes.")) as endpoint:
        async with (
            host_on(endpoint, redis_url=redis.url) as one,
            host_on(endpoint, redis_url=redis.url) as two,
        ):
            first = (await one.ask("Name an animal.", instructions="Be brief.")).answer["conversation_id"]
            second = (await two.ask("How old can it get?", conversation_id=first)).answer["conversation_id"]
            await one.ask("Sure?", conversation_id=second)
    assert [(turn["role"], turn["content"]) for turn in endpoint.requests[-1].body["messages"]] == [
        ("system", "Be brief."),
        ("user", "Name an animal."),
        ("assistant", "A hedgehog."),
        ("user", "How old can it get?"),
        ("assistant", "Eight."),
        ("user", "Sure?"),
    ]


async def test_a_handle_of_another_caller_is_as_unknown_as_one_that_never_was(redis: RedisServer) -> None:
    async with workers(redis.url) as (one, two):
        handle = await kept(one, EVERYTHING, "ann")
        assert await two.open(f" {handle}\n", "ann") == EVERYTHING
        faults = []
        for name, caller in (
            (handle, "bob"),
            ("conv_never", "bob"),
            (handle, ""),
            ("", "ann"),
            ("\ud800", "ann"),
        ):
            with pytest.raises(ConversationNotFoundError) as caught:
                await two.open(name, caller)
            faults.append(caught.value.to_dict() | {"text": caught.value.text})
    assert all(fault == faults[0] for fault in faults)


async def test_keys_show_neither_the_caller_nor_the_handle(redis: RedisServer) -> None:
    async with worker(redis.url) as store:
        handle = await kept(store, EVERYTHING, "ann@example.com")
    entries, (index,) = redis.names("*:*:*:*"), redis.names("*:conversations")
    assert len(entries) == 2 and len(redis.names()) == 3
    stored = b"".join(
        [index, *redis.ask("HGETALL", index), *entries, *(redis.ask("GET", key) for key in entries)]
    )
    for secret in (b"ann", handle.encode(), handle.removeprefix("conv_").encode()):
        assert secret not in stored


async def test_continuing_twice_makes_two_branches(redis: RedisServer) -> None:
    async with workers(redis.url) as (one, two):
        root = await kept(one, said("root"))
        opened = await two.open(root, "ann")
        left = await kept(one, opened._replace(messages=(*opened.messages, Message("user", "left"))))
        right = await kept(two, opened._replace(messages=(*opened.messages, Message("user", "right"))))
        texts = [
            [turn.text for turn in (await one.open(name, "ann")).messages] for name in (root, left, right)
        ]
    assert texts == [["root"], ["root", "left"], ["root", "right"]]


@pytest.mark.parametrize("more", [0, 3, 300], ids=["small", "compressed", "large"])
async def test_every_field_survives(redis: RedisServer, more: int) -> None:
    longer = EVERYTHING._replace(
        messages=EVERYTHING.messages + (Message("user", "Überall! " * 1_000),) * more
    )
    async with workers(redis.url) as (one, two):
        assert await two.open(await kept(one, longer), "ann") == longer
    (key,) = redis.names("*:conversation:*")
    assert redis.ask("STRLEN", key) < max(4_096, len(repr(longer)) / 3)


async def test_what_no_encoding_takes_is_replaced_and_mappings_of_any_kind_are_read(
    redis: RedisServer,
) -> None:
    tool = MappingProxyType({"name": "f\udfff"})
    async with worker(redis.url) as store:
        handle = await kept(
            store, Conversation("r", (Message("user", "a\ud83d\ude00b\ud800c"),), tools=(tool,))
        )
        opened = await store.open(handle, "ann")
    assert opened == Conversation("r", (Message("user", "a😀b\ufffdc"),), tools=({"name": "f\ufffd"},))


async def test_tools_nested_beyond_what_json_takes_cost_the_handle_and_not_the_answer(
    redis: RedisServer,
) -> None:
    nested: dict[str, object] = {}
    for _ in range(100_000):
        nested = {"in": nested}
    async with worker(redis.url) as store:
        assert await store.keep(Conversation("r", tools=(nested,)), "ann") is None
        assert await kept(store, said("still well"))


@pytest.mark.parametrize(
    "image",
    [
        "data:image/png;base64,",
        "data:image/png;base64,QUJ",
        "data:image/png;base64,QU JD",
        "data:image/png;base64,QUJé",
        "data:image/svg+xml,<svg/>",
        "https://a.example/;base64,QUJD",
        "data:image/png;x=1;base64,QUJD",
    ],
)
async def test_an_image_of_any_spelling_comes_back_as_it_was(redis: RedisServer, image: str) -> None:
    conversation = Conversation("r", (Message("user", images=(image, IMAGE, image)),))
    async with workers(redis.url) as (one, two):
        assert await two.open(await kept(one, conversation), "ann") == conversation


async def test_an_image_of_a_caller_is_kept_once_and_outlives_each_conversation_that_shows_it(
    redis: RedisServer,
) -> None:
    again = IMAGE.replace("png", "jpeg", 1)  # the same bytes under another name
    async with workers(redis.url) as (one, two):
        first = await kept(one, EVERYTHING, "ann")
        (image,) = redis.names("*:image:*")
        assert redis.ask("GET", image) == BYTES
        redis.ask("EXPIRE", image, 60)
        second = await kept(two, Conversation("r", (Message("user", images=(again, IMAGE)),) * 2), "ann")
        assert redis.names("*:image:*") == [image]
        assert redis.ask("TTL", image) > LIFETIME_S
        assert redis.ask("INFO", "commandstats")["cmdstat_set"]["calls"] == 3, "two conversations, one image"
        assert (await one.open(second, "ann")).messages[1].images == (again, IMAGE)
        assert await two.open(first, "ann") == EVERYTHING
        await kept(one, EVERYTHING, "bob")
        assert len(redis.names("*:image:*")) == 2, "what one caller has is nothing to another"
    assert all(len(redis.ask("GET", key)) < len(BYTES) for key in redis.names("*:conversation:*"))


@pytest.mark.parametrize("damage", [("DEL",), ("SET", b"\x89PNG of something else")], ids=["gone", "changed"])
async def test_a_conversation_without_its_image_is_not_found(
    redis: RedisServer, damage: tuple[str, ...]
) -> None:
    async with worker(redis.url) as store:
        handle = await kept(store, EVERYTHING)
        command, *content = damage
        redis.ask(command, *redis.names("*:image:*"), *content)
        with pytest.raises(ConversationNotFoundError):
            await store.open(handle, "ann")
        again = await kept(store, EVERYTHING._replace(root="again"))
        if damage == ("DEL",):
            assert (await store.open(again, "ann")).messages == EVERYTHING.messages


async def test_a_conversation_expires_in_a_day_and_opening_it_changes_nothing(redis: RedisServer) -> None:
    async with worker(redis.url) as store:
        handle = await kept(store, EVERYTHING)
        assert [key for key in redis.names() if not 0 < redis.ask("TTL", key) <= LIFETIME_S + 60] == []
        (key,) = redis.names("*:conversation:*")
        assert LIFETIME_S - 60 < redis.ask("TTL", key) <= LIFETIME_S
        redis.ask("EXPIRE", key, 1_000)
        await store.open(handle, "ann")
        assert redis.ask("TTL", key) <= 1_000
        redis.ask("EXPIREAT", key, 1)
        with pytest.raises(ConversationNotFoundError, match="expired"):
            await store.open(handle, "ann")


WRITTEN = {"root": "r", "messages": [], "instructions": "", "tools": []}


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"{}",
        json.dumps(WRITTEN).encode(),
        json.dumps(WRITTEN | {"version": 2}).encode(),
        json.dumps(WRITTEN | {"version": 1, "messages": None}).encode(),
        json.dumps(WRITTEN | {"version": 1, "messages": [{"role": "user", "images": []}]}).encode(),
        json.dumps(WRITTEN | {"version": 1, "messages": [{"images": [["a", "b"]]}]}).encode(),
        zlib.compress(json.dumps(WRITTEN | {"version": 2}).encode()),
        zlib.compress(json.dumps(WRITTEN | {"version": 1}).encode())[:-5],
        b"[" * 100_000,
        b"{" + b'"a":{' * 100_000,
        b"\xff\xfe",
    ],
    ids=lambda stored: repr(stored[:40]),
)
async def test_what_another_version_wrote_is_not_found(redis: RedisServer, stored: bytes) -> None:
    async with worker(redis.url) as store:
        handle = await kept(store, said("hello"))
        (key,) = redis.names("*:conversation:*")
        redis.ask("SET", key, stored)
        with pytest.raises(ConversationNotFoundError):
            await store.open(handle, "ann")
        redis.ask("SET", key, json.dumps(WRITTEN | {"version": 1}))
        assert await store.open(handle, "ann") == Conversation("r")


async def test_other_calls_go_on_while_a_large_conversation_is_packed(redis: RedisServer) -> None:
    texts = ("".join(random.choices("abcdefghij é", k=100_000)) for _ in range(20))
    large = Conversation("r", tuple(Message("user", text) for text in texts))
    async with worker(redis.url) as store:
        async with longest_stall() as keeping:
            handle = await kept(store, large)
        async with longest_stall() as opening:
            await store.open(handle, "ann")
    assert keeping.share < 0.6, "about 0.2; all of it where nothing is done aside"
    assert opening.share < 0.6


@dataclass
class Stall:
    share: float = 0.0


@asynccontextmanager
async def longest_stall() -> AsyncIterator[Stall]:
    """The longest time in which no other task got its turn, as a share of the whole block's."""
    turns = [time.monotonic()]
    stall = Stall()

    async def watch() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            turns.append(time.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.lowlevel.checkpoint()
        yield stall
        group.cancel_scope.cancel()
    stall.share = max(after - before for before, after in pairwise(turns)) / (turns[-1] - turns[0])


async def test_redis_killed_mid_run_costs_handles_and_no_answer_and_heals(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Endpoint(chat("Well.")) as endpoint:
        async with host_on(endpoint, redis_url=redis.url) as host:
            before = (await host.ask()).answer["conversation_id"]
            redis.kill()
            for _ in range(3):
                lost = await host.ask("More?", conversation_id=before)
                assert lost.error["code"] == "overloaded"
                assert lost.error["retryable"] is True
                assert "store of conversations can't be reached" in lost.error["message"]
            for _ in range(3):
                alone = await host.ask()
                assert "conversation_id" not in alone.answer
                assert "can't be continued" in alone.text
            sent = len(endpoint.requests)
            redis.start()
            forgotten = await host.ask("More?", conversation_id=before)
            assert forgotten.error["code"] == "conversation_not_found"
            assert len(endpoint.requests) == sent
            after = (await host.ask()).answer["conversation_id"]
            assert (await host.ask("More?", conversation_id=after)).answer["conversation_id"]
    away, back = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert "Redis is away (ConnectionError: " in away
    assert "Redis is back" in back


async def test_a_restart_between_two_calls_is_not_noticed(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(redis.url) as store:
        async with anyio.create_task_group() as group:
            for number in range(AT_ONCE):  # so that there are many connections to go stale
                group.start_soon(store.keep, said(str(number)), "ann")
        redis.stop()
        redis.start()
        handle = await kept(store, said("hello"))
        assert await store.open(handle, "ann") == said("hello")
    assert caplog.records == []


@pytest.mark.parametrize("fate", ["demoted", "silent"])
async def test_a_failover_is_followed_by_the_first_call_behind_it(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, fate: str
) -> None:
    async with address_of(redis) as address, worker(address.url) as store:
        async with anyio.create_task_group() as group:
            for number in range(100):  # so that many connections lead to the first server
                group.start_soon(store.keep, said(str(number)), "ann")
        assert address.opened > 5
        with RedisServer() as second:
            address.server = second
            if fate == "demoted":
                redis.ask("REPLICAOF", "127.0.0.1", second.port)
            else:
                redis.freeze()
            handle = await kept(store, said("hello"))
            assert await store.open(handle, "ann") == said("hello")
            assert len(second.names("*:conversation:*")) == 1
    assert caplog.records == []


async def test_a_redis_that_says_nothing_is_given_up_in_time_and_taken_again(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(redis.url) as store:
        handle = await kept(store, said("hello"))
        outcomes = []

        async def opened() -> None:
            with pytest.raises(OverloadedError) as caught:
                await store.open(handle, "ann")
            outcomes.append(caught.value.retryable)

        async def not_kept() -> None:
            outcomes.append(await store.keep(said("more"), "ann") is None)

        redis.freeze()
        with within(DOWN_S):
            async with anyio.create_task_group() as group:
                for _ in range(AT_ONCE // 2):
                    group.start_soon(opened)
                    group.start_soon(not_kept)
            assert (await store.open(None, "ann")).messages == ()
        redis.thaw()
        assert outcomes == [True] * AT_ONCE
        assert await kept(store, said("more"))
        assert await store.open(handle, "ann") == said("hello")
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == [
        "Redis is away",
        "Redis is back: conversations go on",
    ]


async def test_a_busy_process_does_not_take_redis_for_silent(redis: RedisServer) -> None:
    small = "data:image/png;base64,QUJD"
    async with worker(redis.url) as store:
        await kept(store, said("hello"))
        before = redis.ask("INFO", "stats")["total_connections_received"]
        redis.freeze()
        async with anyio.create_task_group() as group:
            group.start_soon(store.keep, Conversation("r", (Message("user", images=(small,)),)), "ann")
            await anyio.wait_all_tasks_blocked()
            redis.thaw()
            until = time.monotonic() + 1.2 * ATTEMPT_S
            while time.monotonic() < until:
                pass  # the reply is there; nobody gets round to reading it
        after = redis.ask("INFO", "stats")["total_connections_received"]
        assert after == before + 1, "only the one that asks for the number"
        assert (len(redis.names("*:conversation:*")), len(redis.names("*:image:*"))) == (2, 1)


@pytest.mark.parametrize(
    ("trouble", "mended", "told"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "OutOfMemoryError"),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "ReadOnlyError"),
        (
            ("ACL", "SETUSER", "default", "-set"),
            ("ACL", "SETUSER", "default", "+set"),
            "ResponseError: The user ",
        ),
    ],
    ids=["full", "replica", "forbidden"],
)
async def test_a_redis_that_takes_nothing_is_told_once_and_still_read(
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    trouble: tuple[str, ...],
    mended: tuple[str, ...],
    told: str,
) -> None:
    async with worker(redis.url) as store:
        handle = await kept(store, EVERYTHING)
        outcomes: list[str | Conversation | None] = []

        async def both() -> None:
            outcomes.append(await store.keep(said("a secret of ann"), "ann"))
            outcomes.append(await store.open(handle, "ann"))

        redis.ask(*trouble)
        async with anyio.create_task_group() as group:
            for _ in range(3 * MAX_CONNECTIONS):
                group.start_soon(both)
        assert outcomes.count(None) == outcomes.count(EVERYTHING) == 3 * MAX_CONNECTIONS
        redis.ask(*mended)
        assert await kept(store, said("a secret of ann"))
    away, back = (record.getMessage() for record in caplog.records)
    assert f"Redis is away ({told}" in away
    assert "secret" not in away
    assert "Redis is back" in back


async def test_a_command_that_redis_does_not_know_is_told_without_what_was_to_be_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    require_redis()
    with RedisServer("--rename-command", "SET", "") as redis:
        async with worker(redis.url) as store:
            assert await store.keep(said("a secret of ann"), "ann") is None
    (record,) = caplog.records
    assert "Unknown Redis command" in record.getMessage()
    assert "secret" not in record.getMessage()


async def test_a_wrong_password_is_named_as_the_reason_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    require_redis()
    with RedisServer("--requirepass", "right&one") as redis:
        wrong = f"redis://:wr%40ng-hunter2@127.0.0.1:{redis.port}/0"
        async with worker(wrong) as store:
            with pytest.raises(OverloadedError) as caught:
                await store.open("conv_x", "ann")
            assert await store.keep(said("hello"), "ann") is None
        async with worker(f"redis://:right%26one@127.0.0.1:{redis.port}/0") as store:
            assert await store.open(await kept(store, said("hello")), "ann") == said("hello")
    (record,) = caplog.records
    assert "Redis is away (AuthenticationError: " in record.getMessage()
    assert "hunter2" not in record.getMessage() + caught.value.text


async def test_a_redis_that_refuses_after_it_was_away_is_told_too(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(redis.url) as store:
        redis.kill()
        assert await store.keep(said("hello"), "ann") is None
        redis.start()
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        for _ in range(3):
            assert await store.keep(said("hello"), "ann") is None
    reasons = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert reasons == ["Redis is away (ConnectionError", "Redis is away (OutOfMemoryError"]


async def test_the_reply_of_a_cancelled_call_is_given_to_no_other(redis: RedisServer) -> None:
    async with worker(redis.url) as store:
        one, two = await kept(store, said("one " * 20_000)), await kept(store, said("two " * 20_000))
        redis.freeze()
        async with anyio.create_task_group() as group:
            group.start_soon(store.open, one, "ann")
            await anyio.wait_all_tasks_blocked()  # the command is on its way, its reply comes after the thaw
            group.cancel_scope.cancel()
        redis.thaw()
        for handle, text in ((two, "two "), (one, "one ")) * 3:
            assert (await store.open(handle, "ann")).messages[0].text == text * 20_000


async def test_calls_that_are_cancelled_at_any_step_mix_up_no_reply(redis: RedisServer) -> None:
    noise = [base64.b64encode(os.urandom(40_000)).decode() for _ in range(20)]  # replies in several pieces
    ended = 0
    async with workers(redis.url) as (store, other):
        handles = [await kept(store, said(text)) for text in noise]

        async def opened(number: int) -> None:
            nonlocal ended
            found = await store.open(handles[number % 20], "ann")
            assert found.messages[0].text == noise[number % 20]
            ended += 1

        async def given_up(number: int, steps: int) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(opened, number)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for number in range(AT_ONCE):
                group.start_soon(opened, number)
                group.start_soon(given_up, number + 1, number % 60)
        assert ended >= AT_ONCE
        assert await other.open(await kept(store, said("still well")), "ann") == said("still well")
        assert redis.connections() <= MAX_CONNECTIONS + 1
    assert redis.connections() == 0


async def test_ten_thousand_conversations_are_all_there_for_another_worker(redis: RedisServer) -> None:
    handles: dict[int, str] = {}
    async with workers(redis.url) as (one, two):

        async def keep(first: int) -> None:
            for number in range(first, first + 100):
                handles[number] = await kept(one, said(str(number)), f"caller {first}")

        async with anyio.create_task_group() as group:
            for first in range(0, 10_000, 100):
                group.start_soon(keep, first)
        assert len(redis.names("*:conversation:*")) == len(set(handles.values())) == 10_000
        for number in range(0, 10_000, 97):
            found = await two.open(handles[number], f"caller {number - number % 100}")
            assert found == said(str(number))


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2@127.0.0.1:6379/0",
        "redis://:hunter2/x@127.0.0.1:6379/0",
        "redis://:hunter2@127.0.0.1:port/0",
        "redis://:hunter2@127.0.0.1:6379/0?nonsense=1",
        "127.0.0.1:6379",
    ],
)
def test_a_wrong_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisConversations(url)
    assert "GROK_MCP_REDIS_URL" in caught.value.text
    assert "hunter2" not in caught.value.text
    assert caught.value.__suppress_context__
