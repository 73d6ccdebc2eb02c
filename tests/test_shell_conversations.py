"""`--continue` and `--conversation`: conversations of a shell, whose calls are processes of their own."""

import json
import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from grok_mcp.errors import ConversationNotFoundError
from grok_mcp.messages import Document, FunctionCall, Message
from grok_mcp.stores.conversations import Conversation
from grok_mcp.stores.shell_conversations import FILE, Limits, ShellConversations
from tests.support.endpoint import Endpoint, chat, events
from tests.support.shell import Done, grok

pytestmark = pytest.mark.anyio


def kept_file() -> Path:
    return Path(os.environ["GROK_MCP_STATE_DIR"]) / FILE


def said(endpoint: Endpoint) -> list[str]:
    """The texts of the last request."""
    return [message["content"] for message in endpoint.requests[-1].body["messages"]]


def handle_of(done: Done) -> str:
    assert done.status == 0, done.stderr
    return done.stderr.split("--conversation ")[1].strip()


async def test_continue_goes_on_with_the_last_conversation_and_an_id_with_any() -> None:
    async with Endpoint(*(chat(f"Answer {number}.") for number in range(5))) as endpoint:
        first = handle_of(await grok(endpoint, "ask", "One?", "--instructions", "Be brief."))
        await grok(endpoint, "ask", "Another?")
        done = await grok(endpoint, "ask", "--continue", "And?")
        assert said(endpoint) == ["Another?", "Answer 1.", "And?"]
        answer = await grok(endpoint, "search", "--conversation", first, "More?", "--json", "--mode", "off")
        assert said(endpoint)[0].startswith("Be brief.")
        assert said(endpoint)[1:] == ["One?", "Answer 0.", "More?"]
        assert json.loads(answer.stdout)["conversation_id"] not in (first, handle_of(done))
        await grok(endpoint, "ask", "Last?", "--continue")
        assert said(endpoint)[-1] == "Last?" and said(endpoint)[1] == "One?"
    if os.name == "posix":
        assert stat.S_IMODE(kept_file().stat().st_mode) == 0o600


async def test_results_of_functions_go_on_in_another_call() -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "add", "arguments": '{"a": 1}'}}
    calls = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    result = json.dumps({"tool_call_id": "c1", "output": "42"})
    async with Endpoint(events(calls), chat("It is 42.")) as endpoint:
        await grok(endpoint, "ask", "Add.", "--tool", '{"name": "add"}')
        refused = await grok(endpoint, "ask", "And?", "--continue")
        done = await grok(endpoint, "ask", "--continue", "--tool-result", result, "Go on.")
    assert refused.stderr.startswith("--tool-result: there is no result for c1.")
    assert (done.status, done.stdout) == (0, "It is 42.\n")
    assert [message["role"] for message in endpoint.requests[-1].body["messages"]][:3] == [
        "user",
        "assistant",
        "tool",
    ]


@pytest.mark.parametrize(
    ("flags", "more", "words"),
    [
        (["--continue"], {}, "none is kept any more"),
        (["--continue"], {"GROK_MCP_KEEP": "off"}, "GROK_MCP_KEEP=off keeps none"),
        (["--conversation", "conv_x"], {"GROK_MCP_KEEP": "off"}, "GROK_MCP_KEEP=off keeps none"),
        (["--conversation", "conv_x"], {}, "There is no conversation 'conv_x' here"),
    ],
)
async def test_what_is_not_kept_is_one_sentence_and_nothing_is_sent(
    flags: list[str], more: dict[str, Any], words: str
) -> None:
    async with Endpoint(chat("Never.")) as endpoint:
        done = await grok(endpoint, "ask", "x", *flags, **more)
    assert (done.status, done.stdout, endpoint.requests) == (1, "", [])
    assert words in done.stderr and done.stderr.endswith(" [conversation_not_found]\n")


async def test_nothing_is_kept_where_nothing_may_be() -> None:
    async with Endpoint(chat("Yes.")) as endpoint:
        done = await grok(endpoint, "ask", "x", "--json", GROK_MCP_KEEP="off")
    assert "conversation_id" not in json.loads(done.stdout)
    assert not kept_file().exists()


async def test_both_flags_exclude_each_other() -> None:
    async with Endpoint() as endpoint:
        done = await grok(endpoint, "ask", "x", "--continue", "--conversation", "conv_x")
    assert done.status == 2 and "exclude each other" in done.stderr


@pytest.mark.parametrize("mark", [None, 7, 0x67_72_6B_63], ids=["garbage", "another program", "a newer one"])
async def test_a_file_that_can_not_be_used_costs_no_answer_and_is_left_alone(mark: int | None) -> None:
    kept_file().parent.mkdir(exist_ok=True)
    if mark is None:
        kept_file().write_bytes(b"not a database" * 500)
    else:
        with closing(sqlite3.connect(kept_file())) as db:
            db.execute("CREATE TABLE theirs (x)")
            db.execute(f"PRAGMA application_id = {mark}")
            db.execute("PRAGMA user_version = 99")
    before = kept_file().read_bytes()
    async with Endpoint(chat("Yes.")) as endpoint:
        done = await grok(endpoint, "ask", "x")
        refused = await grok(endpoint, "ask", "x", "--continue")
    assert (done.status, done.stdout) == (0, "Yes.\n")
    assert "Note: This answer can't be continued" in done.stderr
    assert refused.status == 1 and "The file of kept conversations can't be read" in refused.stderr
    assert kept_file().read_bytes() == before


def conversation(root: str, text: str = "Hello.") -> Conversation:
    turn = Message(
        "user",
        text,
        images=("data:image/png;base64,AAAA",),
        tool_calls=(FunctionCall("c1", "f", "{}"),),
        reasoning=({"id": "r", "encrypted_content": "x"},),
        documents=(Document("a.pdf", "https://a.example/a.pdf"),),
    )
    return Conversation(root, (turn,), "Be brief.", ({"type": "function", "name": "f"},))


async def test_what_is_opened_is_what_was_kept(tmp_path: Path) -> None:
    store = ShellConversations(tmp_path)
    handle = await store.keep(conversation("one"), "local")
    assert await ShellConversations(tmp_path).open(handle, "local") == conversation("one")


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (Limits(conversations=2), [2, 3]),
        (Limits(answers=3), [1, 2, 3]),
        (Limits(bytes=3_000), [2, 3]),
        (Limits(lifetime_s=0.0001), []),
    ],
    ids=["number", "answers", "bytes", "age"],
)
async def test_what_is_kept_has_a_bound(tmp_path: Path, limits: Limits, left: list[int]) -> None:
    store = ShellConversations(tmp_path, limits)
    made = [conversation(str(number), os.urandom(400).hex()) for number in range(4)]
    handles = [await store.keep(one, "local") for one in made]
    if not left:
        time.sleep(0.001)  # older than it may be
    found = []
    for number, handle in enumerate(handles):
        with suppress(ConversationNotFoundError):
            assert await store.open(handle, "local") == made[number]
            found.append(number)
    assert found == left
    assert await store.last() == (handles[-1] if left else None)


async def test_processes_that_begin_the_file_at_once_lose_nothing(tmp_path: Path) -> None:
    for turn in range(15):  # each begins it anew
        folder, made = tmp_path / str(turn), list[Any]()

        async def call(number: int, folder: Path = folder, made: list[Any] = made) -> None:
            made.append(await ShellConversations(folder).keep(conversation(str(number)), "local"))

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(call, number)
        assert len(set(made)) == 20 and None not in made
    for handle in made:
        assert (await ShellConversations(folder).open(handle, "local")).messages
