"""The store of conversations: bounded in number, size and time, whatever is put into it."""

import pytest

from grok_mcp.conversations import MAX_CONVERSATIONS, Conversations
from grok_mcp.errors import ConversationNotFoundError
from grok_mcp.messages import Message


def test_ten_thousand_conversations_leave_the_newest_two_thousand() -> None:
    store = Conversations()
    handles = []
    for number in range(10_000):
        opened = store.open(None, "local")
        handles.append(store.keep(opened._replace(messages=(Message("user", str(number)),)), "local"))
    kept = handles[-MAX_CONVERSATIONS:]
    assert [store.open(handle, "local").messages[0].text for handle in kept] == [
        str(number) for number in range(10_000 - MAX_CONVERSATIONS, 10_000)
    ]
    with pytest.raises(ConversationNotFoundError):
        store.open(handles[-MAX_CONVERSATIONS - 1], "local")


def test_large_conversations_leave_before_there_are_too_many() -> None:
    store = Conversations(max_characters=1_000_000)
    image = Message("user", "Look", images=("data:image/png;base64," + "A" * 100_000,))
    handles = [
        store.keep(store.open(None, "local")._replace(messages=(image._replace(text=str(number)),)), "local")
        for number in range(100)
    ]
    alive = [handle for handle in handles if is_open(store, handle)]
    assert alive == handles[-len(alive) :], "the oldest leave first"
    assert 5 <= len(alive) <= 10


def test_turns_that_branches_share_count_once() -> None:
    store = Conversations(max_characters=1_000_000)
    opened = store.open(None, "local")._replace(messages=(Message("user", "x" * 300_000),))
    handles = [
        store.keep(opened._replace(messages=(*opened.messages, Message("assistant", str(number)))), "local")
        for number in range(50)
    ]
    assert all(is_open(store, handle) for handle in handles)


def is_open(store: Conversations, handle: str) -> bool:
    try:
        store.open(handle, "local")
    except ConversationNotFoundError:
        return False
    return True


def test_a_conversation_expires() -> None:
    store = Conversations(lifetime_s=0)
    handle = store.keep(store.open(None, "local"), "local")
    with pytest.raises(ConversationNotFoundError, match="expired"):
        store.open(handle, "local")


def test_handles_can_not_be_guessed_from_one_another() -> None:
    store = Conversations()
    handles = {store.keep(store.open(None, "local"), "local") for _ in range(1_000)}
    assert len(handles) == 1_000
    assert all(len(handle) >= 26 for handle in handles)
