"""Conversations that callers can continue: immutable answers behind unguessable handles.

A handle names one answer and all that led to it, so continuing twice from the same handle makes two
branches. Handles belong to the caller who got them, expire, and only the newest are stored.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from cachetools import TTLCache

from grok_mcp.errors import ConversationNotFoundError
from grok_mcp.messages import FunctionCall, Message

MAX_CONVERSATIONS = 2_000
MAX_CHARACTERS = 256_000_000
"""Of texts, images, calls and reasoning; turns that several conversations share count once."""
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
    """The store of one process, bounded in number, size and time."""

    def __init__(
        self,
        maximum: int = MAX_CONVERSATIONS,
        lifetime_s: float = LIFETIME_S,
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self._stored: TTLCache[tuple[str, str], Conversation] = TTLCache(maximum, lifetime_s)
        self._max_characters = max_characters
        self._unweighed = 0  # characters that came in since all were weighed; an upper bound

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none."""
        if handle is None:
            return new_conversation()
        conversation = self._stored.get((caller, handle.strip()))
        if conversation is None:
            raise not_found()
        return conversation

    async def keep(self, conversation: Conversation, caller: str) -> str:
        """Store a conversation; returns its handle."""
        handle = new_handle()
        self._stored[caller, handle] = conversation
        self._unweighed += _weigh([conversation])
        if self._unweighed > self._max_characters // 4:
            self._shed()
        return handle

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _shed(self) -> None:
        """Drop what was used longest ago until the rest is within three quarters of the bound."""
        while _weigh(self._stored.values()) > self._max_characters * 3 // 4 and len(self._stored) > 1:
            for _ in range(1 + len(self._stored) // 16):
                self._stored.popitem()
        self._unweighed = 0


def _weigh(conversations: Iterable[Conversation]) -> int:
    """The characters in some conversations, shared turns counted once."""
    turns = {id(turn): turn for conversation in conversations for turn in conversation.messages}
    return sum(map(_size, turns.values()))


def _size(turn: Message) -> int:
    sealed = (value for item in turn.reasoning for value in item.values() if isinstance(value, str))
    arguments = (call.arguments for call in turn.tool_calls)
    return len(turn.text) + sum(map(len, (*turn.images, *arguments, *sealed)))
