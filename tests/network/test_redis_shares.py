"""What several callers share of a real Redis: each has a share over all processes, and loses only the oldest
of their own.
"""

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from grok_mcp.errors import ConversationNotFoundError, SchemaMismatchError
from grok_mcp.events import ignore
from grok_mcp.messages import Answer, Message, Outcome, Running
from grok_mcp.serving.http.token_lines import new_token
from grok_mcp.stores import answers, conversations
from grok_mcp.stores.conversations import Conversation
from grok_mcp.stores.redis_answers import RedisAnswers
from grok_mcp.stores.redis_conversations import RedisConversations
from tests.network.redis import RedisServer, redis
from tests.network.server import in_process, modern
from tests.support.endpoint import Endpoint, chat

__all__ = ["redis"]

pytestmark = pytest.mark.anyio

MAXIMUM, BYTES = 8, 20_000
ERROR = SchemaMismatchError("Does not fit.", "Loosen it.")


def said(text: str) -> Conversation:
    return Conversation("root", (Message("user", text),))


def noise(size: int) -> bytes:
    return os.urandom(size)


def shown(*images: bytes) -> Conversation:
    uris = (f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images)
    return Conversation("root", (Message("user", images=tuple(uris)),))


class Worker:
    """The stores of one process."""

    def __init__(self, url: str, maximum: int, max_bytes: int) -> None:
        self.conversations = RedisConversations(url, maximum, max_bytes)
        self.answers = RedisAnswers(self.conversations.redis, maximum=maximum, max_bytes=max_bytes)

    async def keep(self, conversation: Conversation, caller: str) -> str:
        handle = await self.conversations.keep(conversation, caller)
        assert handle is not None
        return handle

    async def opens(self, handle: str, caller: str) -> bool:
        try:
            await self.conversations.open(handle, caller)
        except ConversationNotFoundError:
            return False
        return True

    async def has(self, answer_id: str, caller: str) -> bool:
        return await self.answers.get(answer_id, caller, 0, ignore) is not None


@asynccontextmanager
async def workers(
    redis: RedisServer, number: int = 2, maximum: int = MAXIMUM, max_bytes: int = BYTES
) -> AsyncIterator[list[Worker]]:
    """The stores of some processes on one Redis."""
    made = [Worker(redis.url, maximum, max_bytes) for _ in range(number)]
    try:
        yield made
    finally:
        for worker in made:
            await worker.conversations.aclose()


def held(redis: RedisServer, kind: str) -> tuple[int, int]:
    """How many entries of all callers there are, and their bytes."""
    names = redis.names(f"*:{kind}:*")
    return len(names), sum(redis.ask("STRLEN", name) for name in names)


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        ("aaaaaaaa", ""),
        ("aaaaaaaaa", "a"),
        ("baaaaaaaaaa", "aa"),
        ("aaaaaaaabbbbbbbb", ""),
        ("aaaaaaaabbbbbbbbb", "b"),
        ("abababababababababab", "abab"),
        ("abcdefghi", ""),
    ],
)
async def test_who_has_more_than_a_share_loses_the_oldest_of_their_own(
    redis: RedisServer, kept: str, gone: str
) -> None:
    """Two processes write in turns: the bound is that of both."""
    handles = []
    oldest = {
        number
        for caller in set(gone)
        for number in [n for n, name in enumerate(kept) if name == caller][: gone.count(caller)]
    }
    async with workers(redis) as made:
        for number, caller in enumerate(kept):
            worker = made[number % 2]
            handles.append(await worker.keep(said(str(number)), caller))
            assert await worker.answers.put(f"ans_{number}", caller, Answer(str(number)))
        for worker in made:
            callers = list(enumerate(kept))
            assert {n for n, caller in callers if not await worker.opens(handles[n], caller)} == oldest
            assert {n for n, caller in callers if not await worker.has(f"ans_{n}", caller)} == oldest


async def test_two_processes_that_write_at_once_keep_the_bound(redis: RedisServer) -> None:
    async with workers(redis) as made:
        first = await made[0].keep(said("of bob"), "bob")
        await made[0].answers.put("ans_bob", "bob", Answer("of bob"))

        async def greedy(worker: Worker, number: int) -> None:
            await worker.keep(said(f"{number}"), "ann")
            await worker.answers.put(f"ans_{number}", "ann", Answer(f"{number}"))

        async with anyio.create_task_group() as group:
            for number in range(50 * MAXIMUM):
                group.start_soon(greedy, made[number % 2], number)
        assert await made[1].opens(first, "bob") and await made[1].has("ans_bob", "bob")
        assert held(redis, "conversation")[0] == held(redis, "answer")[0] == MAXIMUM + 1
        for index in redis.names("*s"):
            assert redis.ask("HLEN", index) <= MAXIMUM + 3, "the index is as small as what it names"


@pytest.mark.parametrize("part", ["text", "image", "images", "answer", "error"])
async def test_bytes_are_bounded_as_the_number_is(redis: RedisServer, part: str) -> None:
    size = BYTES // 4
    async with workers(redis) as made:
        handles = [await made[0].keep(said("small"), "bob")]
        for number in range(MAXIMUM):
            text, worker = base64.b64encode(noise(size * 3 // 4)).decode(), made[number % 2]
            if part == "text":
                await worker.keep(said(text), "ann")
            elif part == "image":
                await worker.keep(shown(noise(size)), "ann")
            elif part == "images":
                await worker.keep(shown(*(noise(size // 5) for _ in range(5))), "ann")
            else:
                failed = SchemaMismatchError("Does not fit.", "Loosen it.")
                failed.attachment = text
                outcome: Outcome = Answer(text) if part == "answer" else failed
                await worker.answers.put(f"ans_{number}", "ann", outcome)
        assert await made[1].opens(handles[0], "bob")
        sizes = [held(redis, kind)[1] for kind in ("conversation", "image", "answer")]
        assert BYTES // 2 < sum(sizes) < BYTES + 1_000


@pytest.mark.parametrize("held_before", [0, 1, MAXIMUM])
async def test_what_is_larger_than_a_share_is_not_stored_and_takes_nothing_away(
    redis: RedisServer, held_before: int
) -> None:
    async with workers(redis, 1) as (worker,):
        handles = [await worker.keep(said("x"), "ann") for _ in range(held_before)]
        assert await worker.conversations.keep(shown(noise(BYTES)), "ann") is None
        long = base64.b64encode(noise(BYTES)).decode()
        assert await worker.conversations.keep(said(long), "ann") is None
        assert not await worker.answers.put("ans_1", "ann", Answer(long))
        assert all([await worker.opens(handle, "ann") for handle in handles])
    assert len(redis.names("*:*:*:*")) == held_before


async def test_an_image_counts_once_and_stays_until_the_last_of_its_conversations_goes(
    redis: RedisServer,
) -> None:
    image, other = noise(BYTES // 2), noise(BYTES // 4)
    async with workers(redis) as (one, two):
        handles = [await one.keep(shown(image, other), "ann") for _ in range(3)]
        handles += [await two.keep(shown(image), "ann") for _ in range(MAXIMUM - 3)]
        assert all([await two.opens(handle, "ann") for handle in handles])
        for _ in range(3):
            await one.keep(said("x"), "ann")
        assert held(redis, "image") == (1, len(image)), "the other one went with its last conversation"
        assert [await two.opens(handle, "ann") for handle in handles] == [False] * 3 + [True] * 5
        for _ in range(MAXIMUM):
            await two.keep(said("x"), "ann")
        assert held(redis, "image") == (0, 0)


async def test_an_image_that_another_process_has_just_dropped_is_written_again(redis: RedisServer) -> None:
    image = noise(BYTES // 2)
    async with workers(redis) as (one, two):

        async def show(worker: Worker) -> None:
            for _ in range(3 * MAXIMUM):
                await worker.keep(shown(image), "ann")
                await worker.keep(shown(noise(BYTES // 2 - 1_000)), "ann")  # leaves no room beside it

        async with anyio.create_task_group() as group:
            group.start_soon(show, one)
            group.start_soon(show, two)
        last = await one.keep(shown(image), "ann")
        assert await two.opens(last, "ann")
        assert held(redis, "image")[1] <= BYTES


@pytest.mark.parametrize("held_before", [1, MAXIMUM, 3 * MAXIMUM])
async def test_a_call_that_runs_is_never_dropped_and_counts_once_it_has_ended(
    redis: RedisServer, held_before: int
) -> None:
    async with workers(redis) as (one, two):
        running = [f"ans_{number}" for number in range(held_before)]
        for answer_id in running:
            await one.answers.put(answer_id, "ann", Running(answer_id, "It is "))
        for number in range(2 * MAXIMUM):
            await two.answers.put(f"ans_more_{number}", "ann", Answer("x"))
        assert all([await two.has(answer_id, "ann") for answer_id in running])
        assert held(redis, "answer")[0] == held_before + MAXIMUM
        for answer_id in running:
            await one.answers.put(answer_id, "ann", Answer("It is blue."))
        kept = [answer_id for answer_id in running if await two.has(answer_id, "ann")]
        assert kept == running[-MAXIMUM:]
        assert held(redis, "answer")[0] == MAXIMUM


@pytest.mark.parametrize("outcome", [Answer("x"), ERROR], ids=["answer", "error"])
async def test_what_is_written_twice_counts_once(redis: RedisServer, outcome: Outcome) -> None:
    """As a process does that has not heard whether its first write came through."""
    async with workers(redis) as (one, two):
        for number in range(MAXIMUM):
            for worker in (one, two, one):
                await worker.answers.put(f"ans_{number}", "ann", outcome)
        assert all([await two.has(f"ans_{number}", "ann") for number in range(MAXIMUM)])


async def test_an_index_outlives_what_it_names_by_little_and_what_is_written_next_keeps_it(
    redis: RedisServer,
) -> None:
    async with workers(redis) as (one, two):
        for worker in (one, two):
            await worker.keep(shown(noise(10)), "ann")
            await worker.answers.put("ans_1", "ann", Answer("x"))
            lives = {
                kind: redis.ask("TTL", *redis.names(f"*:{kind}")) for kind in ("conversations", "answers")
            }
            assert conversations.LIFETIME_S < lives["conversations"] <= conversations.LIFETIME_S + 60
            assert answers.LIFETIME_S < lives["answers"] <= answers.LIFETIME_S + 60
            for name in redis.names():
                redis.ask("EXPIRE", name, 100)


@pytest.mark.parametrize("trouble", ["lost", "evicted", "expired"])
async def test_an_index_that_says_nothing_or_too_much_takes_no_more_than_the_oldest(
    redis: RedisServer, trouble: str
) -> None:
    async with workers(redis) as (one, two):
        handles = [await one.keep(said("x"), "ann")]
        (oldest,) = redis.names("*:conversation:*")
        handles += [await one.keep(said("x"), "ann") for _ in range(MAXIMUM - 1)]
        if trouble == "lost":
            redis.ask("DEL", *redis.names("*s"))
        elif trouble == "evicted":
            redis.ask("DEL", oldest)
            del handles[0]
        else:
            for name in redis.names("*:conversation:*"):
                redis.ask("PEXPIRE", name, 1)
            handles = []
            await anyio.sleep(0.01)
        handles += [await two.keep(said("x"), "ann") for _ in range(MAXIMUM)]
        opened = [await one.opens(handle, "ann") for handle in handles]
        older = len(handles) - MAXIMUM
        assert opened == [trouble == "lost"] * older + [True] * MAXIMUM
        handles += [await two.keep(said("x"), "ann") for _ in range(MAXIMUM)]
        assert all([await one.opens(handle, "ann") for handle in handles[-MAXIMUM:]])


@pytest.mark.parametrize("damage", ["another type", "a text", "no numbers", "a hole", "all lines gone"])
async def test_a_damaged_index_locks_nobody_out(redis: RedisServer, damage: str) -> None:
    async with workers(redis, 1) as (one,):
        for _ in range(MAXIMUM):
            await one.keep(said("x"), "ann")
        (index,) = redis.names("*:conversations")
        match damage:
            case "another type":
                redis.ask("DEL", index)
                redis.ask("RPUSH", index, "x")
            case "a text":
                redis.ask("SET", index, "x")
            case "no numbers":
                redis.ask("HSET", index, "first", "x", "next", "", "bytes", "y")
            case "a hole":
                redis.ask("HDEL", index, "0", "1")
            case "all lines gone":
                redis.ask("HDEL", index, *map(str, range(MAXIMUM)))
        handles = [await one.keep(said("x"), "ann") for _ in range(3 * MAXIMUM)]
        assert all([await one.opens(handle, "ann") for handle in handles[-MAXIMUM + 1 :]])
        assert redis.ask("TTL", index) > 0


def test_a_greedy_caller_is_told_that_the_oldest_is_gone_and_another_keeps_all(
    redis: RedisServer, tmp_path: Path
) -> None:
    made = {name: new_token(name) for name in ("ann", "bob")}
    (tmp_path / "tokens").write_text("".join(f"{line}\n" for _, line in made.values()))
    told: dict[str, Any] = {
        "redis_url": redis.url,
        "token_file": tmp_path / "tokens",
        "max_result_chars": 1_000,
    }
    with start_blocking_portal() as portal:
        endpoint = Endpoint(chat("Some words. " * 200))
        with (
            portal.wrap_async_context_manager(endpoint),
            in_process(XAI_BASE_URL=endpoint.url, **told) as one,
            in_process(XAI_BASE_URL=endpoint.url, **told) as two,
        ):

            def call(url: str, caller: str, tool: str, **arguments: Any) -> Any:
                sent = modern(1, "tools/call", name=tool, arguments=arguments)
                sent["headers"]["Authorization"] = f"Bearer {made[caller][0]}"
                return httpx2.post(f"{url}/mcp", timeout=60, **sent).json()["result"]["_meta"]

            first = {name: call(one, name, "ask_grok", prompt="Hi")["grok-mcp/answer"] for name in made}
            portal.call(fill, redis, "ann")
            sent = len(endpoint.requests)
            codes: dict[str, list[str]] = {}
            for url, name in ((one, "ann"), (two, "ann"), (two, "bob"), (one, "bob")):
                answer_id, conversation_id = first[name]["answer_id"], first[name]["conversation_id"]
                for found in (
                    call(url, name, "grok_result", answer_id=answer_id),
                    call(url, name, "ask_grok", prompt="More?", conversation_id=conversation_id),
                ):
                    codes.setdefault(name, []).append(found.get("grok-mcp/error", {}).get("code"))
            assert len(endpoint.requests) == sent + 2, "nothing was sent for what is gone"
    assert codes == {"ann": ["answer_not_found", "conversation_not_found"] * 2, "bob": [None] * 4}


async def fill(redis: RedisServer, caller: str) -> None:
    """Write as much as a caller may hold."""
    async with (
        workers(redis, 1, conversations.MAX_CONVERSATIONS, conversations.MAX_CHARACTERS) as (worker,),
        anyio.create_task_group() as group,
    ):
        for _ in range(conversations.MAX_CONVERSATIONS):
            group.start_soon(worker.keep, said("x"), caller)
        for number in range(conversations.MAX_CONVERSATIONS):
            group.start_soon(worker.answers.put, f"ans_{number}", caller, Answer("x"))
