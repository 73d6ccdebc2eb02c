"""What several callers share of the stores in memory: nobody takes the room of a caller who holds little."""

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from grok_mcp.errors import ConversationNotFoundError
from grok_mcp.events import ignore
from grok_mcp.messages import Answer, FunctionCall, Message
from grok_mcp.stores.answers import LocalAnswers
from grok_mcp.stores.conversations import Conversation, LocalConversations
from grok_mcp.stores.shares import Shares

pytestmark = pytest.mark.anyio

MAXIMUM, CHARACTERS = 8, 800


def of(size: int) -> Conversation:
    return Conversation("root", (Message("user", "x" * size),))


async def is_open(store: LocalConversations, handle: str | None, caller: str) -> bool:
    try:
        await store.open(handle, caller)
    except ConversationNotFoundError:
        return False
    return handle is not None


@pytest.mark.parametrize(
    ("kept", "gone"),
    [
        ("aaaaaaaa", ""),
        ("aaaaaaaaa", "a"),
        ("baaaaaaaaa", "aa"),
        ("aaaaaaabb", "a"),
        ("aaaabbbbc", "a"),
        ("bbbbaaaac", "b"),
        ("abcdefghi", "a"),
        ("abcdefgha", "a"),
        ("Caaa", ""),
        ("Caaaa", "C"),
        ("CDa", "C"),
        ("aCCd", "C"),
        ("aCddd", "C"),
        ("CaaaC", "C"),
    ],
)
async def test_the_heaviest_caller_loses_the_oldest(kept: str, gone: str) -> None:
    """Capitals keep 500 characters, the others 1; each counts as 100 at least, and there is room for 800."""
    conversations, answers = (
        LocalConversations(MAXIMUM, 60, CHARACTERS),
        LocalAnswers(MAXIMUM, 60, CHARACTERS),
    )
    handles = []
    for number, caller in enumerate(kept):
        size = 500 if caller.isupper() else 1
        handles.append((caller, await conversations.keep(of(size), caller)))
        assert await answers.put(f"{number}", caller, Answer("x" * size))
    lost = [caller for caller, handle in handles if not await is_open(conversations, handle, caller)]
    same = [
        caller
        for number, caller in enumerate(kept)
        if not await answers.get(f"{number}", caller, None, ignore)
    ]
    assert "".join(lost) == "".join(same) == gone


@pytest.mark.parametrize(
    "held_before",
    ["a" * 100, "a" * 30 + "b" * 20 + "c" * 25 + "d" * 25, "abcd" * 25, "d" * 70 + "cab" * 10],
    ids=["one has all", "one after another", "in turns", "one has most"],
)
async def test_callers_who_come_later_get_their_equal_share(held_before: str) -> None:
    store = LocalConversations(100, 60, CHARACTERS)
    handles = [(caller, await store.keep(of(1), caller)) for caller in held_before]
    others = sorted({"a", "b", "c", "d", "e"} - set(held_before))
    handles += [(caller, await store.keep(of(1), caller)) for caller in others * 20]
    kept = [caller for caller, handle in handles if await is_open(store, handle, caller)]
    assert {caller: kept.count(caller) for caller in others} == dict.fromkeys(others, 20)
    assert len(kept) == 100 and min(map(kept.count, kept)) >= min(20, *map(held_before.count, held_before))


@pytest.mark.parametrize("kept", ["aaaaC", "aaaaaaaaC", "aaaabbbbC", "aaaaaaabC", "abcdefghC", "abC"])
async def test_what_is_more_than_a_share_and_has_no_room_beside_others_is_not_stored(kept: str) -> None:
    store = LocalConversations(MAXIMUM, 60, CHARACTERS)
    size = CHARACTERS if kept == "abC" else 500
    handles = [(caller, await store.keep(of(1), caller)) for caller in kept[:-1]]
    assert await store.keep(of(size), kept[-1]) is None
    assert all([await is_open(store, handle, caller) for caller, handle in handles]), (
        "nobody has lost anything"
    )


async def test_what_was_used_is_no_longer_the_oldest_of_its_caller() -> None:
    store = LocalConversations(MAXIMUM, 60, CHARACTERS)
    handles = [await store.keep(of(1), "ann") for _ in range(MAXIMUM)]
    await store.open(handles[0], "ann")
    await store.keep(of(1), "bob")
    assert [await is_open(store, handle, "ann") for handle in handles[:3]] == [True, False, True]


async def test_what_has_expired_makes_room_without_anybody_losing_more() -> None:
    store = LocalConversations(MAXIMUM, 0.2, CHARACTERS)
    for _ in range(MAXIMUM):
        await store.keep(of(100), "ann")
    await anyio.sleep(0.25)
    handles = [await store.keep(of(100), "bob") for _ in range(MAXIMUM)]
    assert all([await is_open(store, handle, "bob") for handle in handles])


@pytest.mark.parametrize("part", ["instructions", "tools", "image", "text", "arguments", "reasoning"])
async def test_all_of_a_conversation_counts(part: str) -> None:
    long = "x" * (CHARACTERS - 100)
    turn = {
        "image": Message("user", images=(long,)),
        "text": Message("user", long),
        "arguments": Message("assistant", tool_calls=(FunctionCall("1", "f", long),)),
        "reasoning": Message("assistant", reasoning=({"encrypted_content": long},)),
    }
    store = LocalConversations(MAXIMUM, 60, CHARACTERS)
    first = Conversation(
        "root",
        (turn[part],) if part in turn else (),
        long if part == "instructions" else "",
        ({"name": long},) if part == "tools" else (),
    )
    handles = [await store.keep(first, "ann"), await store.keep(of(200), "ann")]
    assert [await is_open(store, handle, "ann") for handle in handles] == [False, True]


async def test_tools_nested_beyond_what_json_takes_cost_the_handle_and_not_the_answer() -> None:
    nested: dict[str, object] = {}
    for _ in range(100_000):
        nested = {"in": nested}
    store = LocalConversations(MAXIMUM, 60, CHARACTERS)
    assert await store.keep(Conversation("r", tools=(nested,)), "ann") is None
    assert await is_open(store, await store.keep(of(1), "ann"), "ann")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"),
            st.sampled_from(["new", "replace", "branch", "open"]),
            st.integers(0, 40),
            st.integers(1, 500),
        ),
        max_size=60,
    )
)
def test_any_sequence_of_callers_keeps_the_sums_exact_and_takes_from_the_heaviest_only(
    steps: list[tuple[str, str, int, int]],
) -> None:
    shares: Shares[Conversation, Message] = Shares(
        MAXIMUM, CHARACTERS, 1000, lambda kept: kept.messages, lambda turn: len(turn.text)
    )
    alive: dict[str, dict[str, Conversation]] = {}  # callers and names, those of longest ago first
    for caller, what, number, size in steps:
        mine = alive.get(caller, {})
        name = [*mine][number % len(mine)] if mine and what != "new" else f"{number}+"
        if what == "open":
            assert (shares.get(caller, name) is not None) == (name in mine)
            if name in mine:
                mine[name] = mine.pop(name)
            continue
        kept = of(size)
        if what == "branch" and mine:
            kept = Conversation("root", (*mine[name].messages, *kept.messages))
            name = f"{name}{number}"
        stored = shares.put(caller, name, kept)
        if not stored and shares.characters() == sums(alive):
            assert held({name: kept}) * len({caller, *alive}) > CHARACTERS, "more than an equal share"
            continue
        mine.pop(name, None)
        alive.pop(caller, None)
        alive[caller] = mine | {name: kept}
        while sum(map(held, alive.values())) > CHARACTERS:
            heaviest = max(alive, key=lambda one: held(alive[one]))
            del alive[heaviest][next(iter(alive[heaviest]))]
            alive = {one: owned for one, owned in alive.items() if owned}
        assert (name in alive.get(caller, {})) == stored
        assert shares.characters() == sums(alive)
        assert sum(shares.characters().values()) <= CHARACTERS
    assert all(
        shares.get(caller, name) is kept for caller, owned in alive.items() for name, kept in owned.items()
    )


def sums(alive: dict[str, dict[str, Conversation]]) -> dict[str, int]:
    return {caller: characters(owned) for caller, owned in alive.items()}


def characters(owned: dict[str, Conversation]) -> int:
    turns = {id(turn): turn for conversation in owned.values() for turn in conversation.messages}
    return sum(len(turn.text) for turn in turns.values())


def held(owned: dict[str, Conversation]) -> int:
    return max(characters(owned), len(owned) * CHARACTERS // MAXIMUM)
