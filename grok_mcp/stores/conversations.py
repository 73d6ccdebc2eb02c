"""Conversations that callers can continue: immutable answers behind unguessable handles.

A handle names one answer and all that led to it, so continuing twice from the same handle makes two
branches. Handles belong to the caller who got them, expire, and where there are too many, the caller who
holds most loses the oldest.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from grok_mcp.errors import ConversationNotFoundError
from grok_mcp.messages import FunctionCall, Message
from grok_mcp.stores.shares import Shares

MAX_CONVERSATIONS = 2_000
MAX_CHARACTERS = 256_000_000
"""Of texts, images, calls, reasoning, instructions and tools; what several conversations of a caller share
counts once.
"""
LIFETIME_S = 24 * 3600


class Conversation(NamedTuple):
    """The turns up to one answer; `root` is the same for all branches and keeps them on one machine."""

    root: str
    messages: tuple[Message, ...] = ()
    instructions: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()

    @property
    def pending_calls(self) -> tuple[FunctionCall, ...]:
        """The function calls that the last answer waits for."""
        return self.messages[-1].tool_calls if self.messages else ()


class ConversationStore(Protocol):
    """Where conversations are stored; `redis_conversations.py` has the store of several processes."""

    @property
    def number(self) -> int | None:
        """How many conversations are stored, None where that is not this process's to know."""
        ...

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none.

        Raises ConversationNotFoundError for a handle that is unknown, expired or another caller's.
        """
        ...

    async def keep(self, conversation: Conversation, caller: str) -> str | None:
        """Store a conversation; returns its handle, None where it can't be stored at the moment."""
        ...

    async def aclose(self) -> None:
        """Let go of what the store holds outside this process."""
        ...


def new_conversation() -> Conversation:
    """A conversation without turns."""
    return Conversation(root=secrets.token_hex(16))


def new_handle() -> str:
    """A name that nobody can guess."""
    return f"conv_{secrets.token_urlsafe(16)}"


def not_found() -> ConversationNotFoundError:
    """The error for a handle that leads nowhere, the same whatever the reason."""
    return ConversationNotFoundError(
        "There is no conversation with this conversation_id, or it has expired.",
        "Leave conversation_id out and repeat what matters of the earlier turns in the prompt.",
    )


class LocalConversations:
    """The store of one process, bounded in number, size and time, with a share for each caller."""

    def __init__(
        self,
        maximum: int = MAX_CONVERSATIONS,
        lifetime_s: float = LIFETIME_S,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._stored: Shares[Conversation, _Part] = Shares(maximum, max_characters, lifetime_s, _parts, _size)

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self._stored)

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none."""
        if handle is None:
            return new_conversation()
        conversation = self._stored.get(caller, handle.strip())
        if conversation is None:
            raise not_found()
        return conversation

    async def keep(self, conversation: Conversation, caller: str) -> str | None:
        """Store a conversation; returns its handle, None where others leave no room for one so large."""
        handle = new_handle()
        try:
            return handle if self._stored.put(caller, handle, conversation) else None
        except RecursionError:  # for tools that are nested too deeply
            return None

    async def aclose(self) -> None:
        """Nothing to let go of."""


_Part = Message | str | tuple[Mapping[str, Any], ...]


def _parts(conversation: Conversation) -> Iterator[_Part]:
    yield from conversation.messages
    yield conversation.instructions
    yield conversation.tools


def _size(part: _Part) -> int:
    if isinstance(part, str):
        return len(part)
    if not isinstance(part, Message):
        return len(json.dumps(part, default=dict)) if part else 0
    sealed = (value for item in part.reasoning for value in item.values() if isinstance(value, str))
    arguments = (call.arguments for call in part.tool_calls)
    documents = (document.url for document in part.documents)
    return len(part.text) + sum(map(len, (*part.images, *documents, *arguments, *sealed)))
