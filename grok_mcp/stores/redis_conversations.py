"""Conversations in Redis, for servers of several processes: what one process keeps, each of them opens.

A key holds a conversation or an image of one caller; the names of keys are hashes, and all of them expire.
While Redis is away, answers come without a handle to continue from.
"""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from grok_mcp.errors import OverloadedError
from grok_mcp.messages import Document, FunctionCall, Message
from grok_mcp.redaction import join_surrogates
from grok_mcp.stores.conversations import (
    LIFETIME_S,
    MAX_CHARACTERS,
    MAX_CONVERSATIONS,
    Conversation,
    new_conversation,
    new_handle,
    not_found,
)
from grok_mcp.stores.documents import UNREADABLE, pack, unpack
from grok_mcp.stores.redis import RedisAccess, aside, digest, prefix_of
from grok_mcp.stores.redis_shares import RedisShares

_VERSION = 1


class RedisConversations:
    """The store that processes share."""

    number: ClassVar[None] = None

    def __init__(self, url: str, maximum: int = MAX_CONVERSATIONS, max_bytes: int = MAX_CHARACTERS) -> None:
        self.redis = RedisAccess(url)
        self._kept = RedisShares(self.redis, "conversation", maximum, max_bytes, LIFETIME_S)

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none; OverloadedError while Redis is away."""
        if handle is None:
            return new_conversation()
        stored = await self.redis.get(self._kept.key(caller, handle.strip()))
        if stored is None:
            raise not_found()
        try:
            document, sizes = await aside(len(stored), _read, stored)
        except UNREADABLE:
            raise not_found() from None
        images = {key: await self.redis.get(key, size) for key, size in sizes.items()}
        try:
            return await aside(len(stored) + sum(sizes.values()), _unpack, document, images)
        except UNREADABLE:
            raise not_found() from None

    async def keep(self, conversation: Conversation, caller: str) -> str | None:
        """Store a conversation; returns its handle, None where it is too large or Redis does not take it."""
        handle = new_handle()
        size = sum(
            len(turn.text)
            + sum(map(len, (*turn.images, *(document.url for document in turn.documents))))
            + 5_000 * len(turn.reasoning)
            for turn in conversation.messages
        )
        try:
            document, images = await aside(size, _pack, conversation, f"{prefix_of(caller)}image:")
            return handle if await self._kept.put(caller, handle, document, images) else None
        except (OverloadedError, RecursionError):  # the latter for tools that are nested too deeply
            return None

    async def aclose(self) -> None:
        """Close the connections."""
        await self.redis.aclose()


def _pack(conversation: Conversation, prefix: str) -> tuple[bytes, dict[str, bytes]]:
    """A conversation as it is stored, and its images by their keys, which begin with `prefix`."""
    images: dict[str, bytes] = {}
    turns = [_turn(turn, images, prefix) for turn in conversation.messages]
    document = {"version": _VERSION, **conversation._asdict(), "messages": turns}
    return pack(join_surrogates(json.dumps(document, ensure_ascii=False, default=dict))), images


def _turn(turn: Message, images: dict[str, bytes], prefix: str) -> dict[str, Any]:
    """One turn as it is stored; documents only where there are any, which older processes don't know."""
    document = {**turn._asdict(), "images": [_put_apart(image, images, prefix) for image in turn.images]}
    del document["documents"]
    if turn.documents:
        document["documents"] = [(one.name, _put_apart(one.url, images, prefix)) for one in turn.documents]
    return document


def _urls(turn: Mapping[str, Any]) -> list[str | list[Any]]:
    """The images and documents of a stored turn: data URIs are put apart."""
    return [*turn["images"], *(url for _, url in turn.get("documents", ()))]


def _read(stored: bytes) -> tuple[dict[str, Any], dict[str, int]]:
    """What was packed, and the sizes of the images that it refers to."""
    document = json.loads(unpack(stored))
    if document["version"] != _VERSION:
        raise ValueError
    images = (image for turn in document["messages"] for image in _urls(turn))
    return document, {image[1]: image[2] for image in images if not isinstance(image, str)}


def _unpack(document: dict[str, Any], images: Mapping[str, bytes | None]) -> Conversation:
    for turn in document["messages"]:
        turn["images"] = tuple(_put_back(image, images) for image in turn["images"])
        documents = turn.get("documents", ())
        turn["documents"] = tuple(Document(name, _put_back(url, images)) for name, url in documents)
        turn["tool_calls"] = tuple(FunctionCall(*call) for call in turn["tool_calls"])
        turn["reasoning"] = tuple(turn["reasoning"])
    messages = tuple(Message(**turn) for turn in document["messages"])
    return Conversation(document["root"], messages, document["instructions"], tuple(document["tools"]))


def _put_apart(image: str, images: dict[str, bytes], prefix: str) -> str | tuple[str, str, int]:
    """A data URI as its head and the key and length of its bytes; as it is where it can't be put back."""
    head, _, text = image.partition(";base64,")
    with suppress(ValueError):
        content = base64.b64decode(text)
        if text and base64.b64encode(content).decode() == text:
            key = prefix + digest(content)
            images[key] = content
            return head, key, len(content)
    return image


def _put_back(image: str | list[Any], images: Mapping[str, bytes | None]) -> str:
    if isinstance(image, str):
        return image
    head, key, _ = image
    content = images[key]
    if content is None or not key.endswith(digest(content)):
        raise LookupError
    return f"{head};base64,{base64.b64encode(content).decode()}"
