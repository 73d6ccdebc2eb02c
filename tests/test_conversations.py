"""The store of conversations: bounded in number, size and time, whatever is put into it."""

import pytest

from grok_mcp.errors import ConversationNotFoundError
from grok_mcp.messages import Message
from grok_mcp.stores.conversations import MAX_CONVERSATIONS, Conversation, LocalConversations

pytestmark = pytest.mark.anyio


async def test_ten_thousand_conversations_leave_the_newest_two_thousand() -> None:
    store = LocalConversations()
    handles = []
    for number in range(10_000):
        opened = await store.open(None, "local")
        handles.append(await store.keep(opened._replace(messages=(Message("user", str(number)),)), "local"))
    kept = handles[-MAX_CONVERSATIONS:]
    assert [(await store.open(handle, "local")).messages[0].text for handle in kept] == [
        str(number) for number in range(10_000 - MAX_CONVERSATIONS, 10_000)
    ]
    with pytest.raises(ConversationNotFoundError):
        await store.open(handles[-MAX_CONVERSATIONS - 1], "local")


async def test_large_conversations_leave_before_there_are_too_many() -> None:
    store = LocalConversations(max_characters=1_000_000)
    image = "data:image/png;base64," + "A" * 100_000
    handles = [
        await store.keep(Conversation(str(number), (Message("user", str(number), images=(image,)),)), "local")
        for number in range(100)
    ]
    alive = [handle for handle in handles if await is_open(store, handle)]
    assert alive == handles[-len(alive) :], "the oldest leave first"
    assert 5 <= len(alive) <= 10


async def test_turns_that_branches_share_count_once() -> None:
    store = LocalConversations(max_characters=1_000_000)
    shared = Message("user", "x" * 300_000)
    handles = [
        await store.keep(Conversation("root", (shared, Message("assistant", str(number)))), "local")
        for number in range(50)
    ]
    assert all([await is_open(store, handle) for handle in handles])


async def is_open(store: LocalConversations, handle: str | None) -> bool:
    try:
        await store.open(handle, "local")
    except ConversationNotFoundError:
        return False
    return True


async def test_a_conversation_expires() -> None:
    store = LocalConversations(lifetime_s=0)
    handle = await store.keep(await store.open(None, "local"), "local")
    with pytest.raises(ConversationNotFoundError, match="expired"):
        await store.open(handle, "local")


async def test_handles_can_not_be_guessed_from_one_another() -> None:
    store = LocalConversations()
    handles = {await store.keep(await store.open(None, "local"), "local") for _ in range(1_000)}
    assert len(handles) == 1_000
    assert all(handle and len(handle) >= 26 for handle in handles)
