"""Conversations in Redis, for servers of several processes: what one process keeps, each of them opens.

`grok.py` takes it where GROK_MCP_REDIS_URL is set. A key holds a conversation or an image; the names of keys
are hashes, and all of them expire. While Redis is away, answers come without a handle to continue from.
"""

import asyncio
import base64
import hashlib
import json
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError, ResponseError

from grok_mcp.conversations import LIFETIME_S, Conversation, new_conversation, new_handle, not_found
from grok_mcp.errors import ConfigurationError, OverloadedError
from grok_mcp.messages import Message, ToolCall
from grok_mcp.redaction import join_surrogates, quote

MAX_CONNECTIONS = 32  # of one process; a command takes less than 1 ms, so hundreds of calls can share them
ATTEMPT_S = 1.0
BYTES_PER_S = 10_000_000  # more time for what is large; a slower Redis counts as one that is away
_VERSION = 1
_COMPRESS_ABOVE = 4_096
_ASIDE_ABOVE = 20_000  # below that, packing takes about as long as handing it to a thread
_IMAGES_LIVE_S = LIFETIME_S + 60  # so that none is gone in the second in which its conversation goes
_UNREADABLE = (LookupError, TypeError, ValueError, RecursionError, zlib.error)

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RedisConversations:
    """The store that processes share.

    A client has one connection and serves one call at a time. It is used again only after a call that went
    well, so that no call ever reads what another one has left unread.
    """

    def __init__(self, url: str) -> None:
        # With protocol 3 the library (8.1) does not look for replies that nobody has read. Its timeouts know
        # neither how large a value is nor how busy this process: ours come first.
        self._new_client = partial(Redis.from_url, url, protocol=2, socket_timeout=None)
        self._places = anyio.Semaphore(MAX_CONNECTIONS)
        self._failures = 0
        self._failing: set[tuple[str, bool]] = set()
        try:
            self._idle = [self._new_client()]
            self._idle[0].connection_pool.make_connection()  # type: ignore[no-untyped-call]  # checks the URL
            self._secrets = (unquote(urlsplit(url).password or ""),)
        except (TypeError, ValueError):  # its words may quote half a password
            raise ConfigurationError(
                "GROK_MCP_REDIS_URL is no address as in redis://:password@host:6379/0.",
                "Special characters of the password are written as %XX.",
            ) from None

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none; OverloadedError while Redis is away."""
        if handle is None:
            return new_conversation()
        stored = await self._get(_key("conversation", json.dumps([caller, handle.strip()]).encode()))
        if stored is None:
            raise not_found()
        try:
            document, sizes = await _aside(len(stored), _read, stored)
        except _UNREADABLE:
            raise not_found() from None
        images = {key: await self._get(key, size) for key, size in sizes.items()}
        try:
            return await _aside(len(stored) + sum(sizes.values()), _unpack, document, images)
        except _UNREADABLE:
            raise not_found() from None

    async def keep(self, conversation: Conversation, caller: str) -> str | None:
        """Store a conversation; returns its handle, None while Redis does not take it."""
        handle = new_handle()
        key = _key("conversation", json.dumps([caller, handle]).encode())
        size = sum(
            len(turn.text) + sum(map(len, turn.images)) + 5_000 * len(turn.reasoning)
            for turn in conversation.messages
        )

        async def write(client: Redis) -> None:
            for image, content in images.items():
                if not await client.expire(image, _IMAGES_LIVE_S):
                    await client.set(image, content, ex=_IMAGES_LIVE_S)
            await client.set(key, document, ex=LIFETIME_S)

        try:
            document, images = await _aside(size, _pack, conversation)
            await self._ask("write", write, len(document) + sum(map(len, images.values())))
        except (OverloadedError, RecursionError):  # the latter for tools that are nested too deeply
            return None
        return handle

    async def aclose(self) -> None:
        """Close the connections."""
        await _close(self._idle)

    async def _get(self, key: str, size: int = 0) -> Any:
        return await self._ask("read", lambda client: client.get(key), size)

    async def _ask(self, use: str, work: Callable[[Redis], Awaitable[T]], size: int = 0) -> T:
        """What Redis says, after one retry at most; OverloadedError where that is nothing of use."""
        failures = self._failures
        try:
            async with self._places:
                if failures < self._failures:
                    raise ConnectionError("others have tried in vain")  # while this call was waiting
                result = await self._attempts(work, ATTEMPT_S + size / BYTES_PER_S)
        except (RedisError, OSError) as error:
            self._failed(use, error)
            raise OverloadedError("The store of conversations can't be reached.", "Try again soon.") from None
        self._went_well(use)
        return result

    async def _attempts(self, work: Callable[[Redis], Awaitable[T]], seconds: float) -> T:
        try:
            return await self._attempt(work, seconds)
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
                raise  # another connection would hear the same
        stale, self._idle = self._idle, []  # or connected to what is the primary no more
        try:
            return await self._attempt(work, seconds)
        finally:
            await _close(stale)

    async def _attempt(self, work: Callable[[Redis], Awaitable[T]], seconds: float) -> T:
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            with _fail_after(seconds):
                result = await work(client)
        except BaseException:  # also a cancelled one, which may have left half a reply
            await _close([client])
            raise
        self._idle.append(client)
        return result

    def _failed(self, use: str, error: Exception) -> None:
        """Say once why Redis is away, and once more if it can be reached and refuses."""
        refused = isinstance(error, ResponseError | AuthenticationError)
        self._failures += not refused
        if refused not in {kind for _, kind in self._failing}:
            reason = f"{type(error).__name__}: {quote(str(error), self._secrets)}"
            logger.warning("Redis is away (%s): until it is back, no conversation goes on", reason)
        self._failing.add((use, refused))

    def _went_well(self, use: str) -> None:
        if self._failing:  # a Redis that takes nothing can still be read
            self._failing = {one for one in self._failing if use == "read" and one[0] == "write"}
            if not self._failing:
                logger.warning("Redis is back: conversations go on")


@contextmanager
def _fail_after(seconds: float, steps: int = 20) -> Iterator[None]:
    """As anyio's, but time in which this process did not get round to reading counts as one step at most."""

    def step(left: int) -> None:
        if left:
            timers[0] = loop.call_later(seconds / steps, step, left - 1)
        else:
            scope.cancel()

    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        timers = [loop.call_soon(step, steps)]
        try:
            yield
        finally:
            timers[0].cancel()
    if scope.cancelled_caught:
        raise TimeoutError("no answer in time")


async def _close(clients: Iterable[Redis]) -> None:
    """Close connections, also behind a call that was cancelled, and without waiting for long."""
    with anyio.move_on_after(ATTEMPT_S, shield=True):
        await asyncio.gather(*(client.aclose() for client in clients), return_exceptions=True)


async def _aside(size: int, work: Callable[..., T], *arguments: Any) -> T:
    return work(*arguments) if size < _ASIDE_ABOVE else await anyio.to_thread.run_sync(work, *arguments)


def _key(kind: str, content: bytes) -> str:
    return f"grok-mcp:{kind}:{hashlib.sha256(content).hexdigest()}"


def _pack(conversation: Conversation) -> tuple[bytes, dict[str, bytes]]:
    """A conversation as it is stored, and its images by their keys."""
    images: dict[str, bytes] = {}
    turns = [
        {**turn._asdict(), "images": [_put_apart(image, images) for image in turn.images]}
        for turn in conversation.messages
    ]
    document = {"version": _VERSION, **conversation._asdict(), "messages": turns}
    plain = join_surrogates(json.dumps(document, ensure_ascii=False, default=dict)).encode()
    return (zlib.compress(plain, 1) if len(plain) > _COMPRESS_ABOVE else plain), images


def _read(stored: bytes) -> tuple[dict[str, Any], dict[str, int]]:
    """What was packed, and the sizes of the images that it refers to."""
    document = json.loads(stored if stored.startswith(b"{") else zlib.decompress(stored))
    if document["version"] != _VERSION:
        raise ValueError
    images = (image for turn in document["messages"] for image in turn["images"])
    return document, {image[1]: image[2] for image in images if not isinstance(image, str)}


def _unpack(document: dict[str, Any], images: Mapping[str, bytes | None]) -> Conversation:
    for turn in document["messages"]:
        turn["images"] = tuple(_put_back(image, images) for image in turn["images"])
        turn["tool_calls"] = tuple(ToolCall(*call) for call in turn["tool_calls"])
        turn["reasoning"] = tuple(turn["reasoning"])
    messages = tuple(Message(**turn) for turn in document["messages"])
    return Conversation(document["root"], messages, document["instructions"], tuple(document["tools"]))


def _put_apart(image: str, images: dict[str, bytes]) -> str | tuple[str, str, int]:
    """A data URI as its head and the key and length of its bytes; as it is where it can't be put back."""
    head, _, text = image.partition(";base64,")
    with suppress(ValueError):
        content = base64.b64decode(text)
        if text and base64.b64encode(content).decode() == text:
            key = _key("image", content)
            images[key] = content
            return head, key, len(content)
    return image


def _put_back(image: str | list[Any], images: Mapping[str, bytes | None]) -> str:
    if isinstance(image, str):
        return image
    head, key, _ = image
    content = images[key]
    if content is None or _key("image", content) != key:
        raise LookupError
    return f"{head};base64,{base64.b64encode(content).decode()}"
