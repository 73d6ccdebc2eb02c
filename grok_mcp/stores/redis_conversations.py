"""Conversations in Redis, for servers of several processes: what one process keeps, each of them opens.

A key holds a conversation or an image; the names of keys
are hashes, and all of them expire. While Redis is away, answers come without a handle to continue from.
"""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis

from grok_mcp.errors import OverloadedError
from grok_mcp.messages import FunctionCall, Message
from grok_mcp.redaction import join_surrogates
from grok_mcp.stores.conversations import LIFETIME_S, Conversation, new_conversation, new_handle, not_found
from grok_mcp.stores.redis import UNREADABLE, RedisAccess, aside, key_of, pack, unpack

_VERSION = 1
_IMAGES_LIVE_S = LIFETIME_S + 60  # so that none is gone in the second in which its conversation goes


class RedisConversations:
    """The store that processes share."""

    def __init__(self, url: str) -> None:
        self.redis = RedisAccess(url)

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none; OverloadedError while Redis is away."""
        if handle is None:
            return new_conversation()
        stored = await self.redis.get(key_of("conversation", json.dumps([caller, handle.strip()]).encode()))
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
        """Store a conversation; returns its handle, None while Redis does not take it."""
        handle = new_handle()
        key = key_of("conversation", json.dumps([caller, handle]).encode())
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
            document, images = await aside(size, _pack, conversation)
            await self.redis.ask("write", write, len(document) + sum(map(len, images.values())))
        except (OverloadedError, RecursionError):  # the latter for tools that are nested too deeply
            return None
        return handle

    async def aclose(self) -> None:
        """Close the connections."""
        await self.redis.aclose()


def _pack(conversation: Conversation) -> tuple[bytes, dict[str, bytes]]:
    """A conversation as it is stored, and its images by their keys."""
    images: dict[str, bytes] = {}
    turns = [
        {**turn._asdict(), "images": [_put_apart(image, images) for image in turn.images]}
        for turn in conversation.messages
    ]
    document = {"version": _VERSION, **conversation._asdict(), "messages": turns}
    return pack(join_surrogates(json.dumps(document, ensure_ascii=False, default=dict))), images


def _read(stored: bytes) -> tuple[dict[str, Any], dict[str, int]]:
    """What was packed, and the sizes of the images that it refers to."""
    document = json.loads(unpack(stored))
    if document["version"] != _VERSION:
        raise ValueError
    images = (image for turn in document["messages"] for image in turn["images"])
    return document, {image[1]: image[2] for image in images if not isinstance(image, str)}


def _unpack(document: dict[str, Any], images: Mapping[str, bytes | None]) -> Conversation:
    for turn in document["messages"]:
        turn["images"] = tuple(_put_back(image, images) for image in turn["images"])
        turn["tool_calls"] = tuple(FunctionCall(*call) for call in turn["tool_calls"])
        turn["reasoning"] = tuple(turn["reasoning"])
    messages = tuple(Message(**turn) for turn in document["messages"])
    return Conversation(document["root"], messages, document["instructions"], tuple(document["tools"]))


def _put_apart(image: str, images: dict[str, bytes]) -> str | tuple[str, str, int]:
    """A data URI as its head and the key and length of its bytes; as it is where it can't be put back."""
    head, _, text = image.partition(";base64,")
    with suppress(ValueError):
        content = base64.b64decode(text)
        if text and base64.b64encode(content).decode() == text:
            key = key_of("image", content)
            images[key] = content
            return head, key, len(content)
    return image


def _put_back(image: str | list[Any], images: Mapping[str, bytes | None]) -> str:
    if isinstance(image, str):
        return image
    head, key, _ = image
    content = images[key]
    if content is None or key_of("image", content) != key:
        raise LookupError
    return f"{head};base64,{base64.b64encode(content).decode()}"
