"""What a host hears while a call runs: status lines, every piece of text, or nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from grok_mcp import events
from grok_mcp.dialects import parse
from grok_mcp.pipeline.fold import Fold
from grok_mcp.rendering.progress import INTERVALS, DeltaProgress, Intervals, PhaseLine, StatusProgress
from tests.support.endpoint import Endpoint, Reply, chat, sse
from tests.support.host import Host, Result, host_on
from tests.support.pace import until, within
from tests.support.payloads import PAYLOADS, payload_reply, payloads_of

pytestmark = pytest.mark.anyio


# In memory only a handshake-era client sends a progress token; tests/test_stdio.py has both eras.
watched_host_on = partial(host_on, legacy=True)


def rising(result: Result) -> bool:
    times = [at for at, _ in result.notes]
    return all(one < other for one, other in pairwise(times))


async def test_a_status_line_names_the_phase_and_shows_the_tail_of_the_text() -> None:
    reply = Reply(
        (
            payload_reply("02_chat_stream_reasoning_usage_crlf.sse").pieces[0].split(b": keepalive")[0],
            *chat("Once upon a time\nthere was\x07 a ", "tram. " * 60, finish=None, done=False).pieces,
            *chat().pieces,
        ),
        hold=3,
    )
    async with Endpoint(reply) as endpoint, watched_host_on(endpoint) as host:
        result = await released_after(host, reply, 2)
    assert rising(result)
    messages = [message for _, message in result.notes]
    assert messages[0].startswith(("thinking", "grok-4.7 has begun", "writing"))
    assert messages[-1].startswith("writing, 390 characters: …")
    assert messages[-1].endswith("tram. tram.")
    assert all(len(message) <= 160 and message.isprintable() for message in messages)


async def released_after(host: Host, reply: Reply, notes: int) -> Result:
    """A watched call whose endpoint goes on only when so many notes have come, or two seconds are over."""
    heard: list[tuple[float, str]] = []
    results: list[Any] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message or ""))
        if len(heard) == notes:
            reply.release.set()

    async def call() -> None:
        results.append(await host.client.call_tool("ask_grok", {"prompt": "Hi"}, progress_callback=note))
        reply.release.set()

    with within(10):
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            with anyio.move_on_after(2):
                await reply.release.wait()
            reply.release.set()
    return Result(results[0], heard)


async def test_searches_and_sources_are_phases() -> None:
    async with Endpoint(payload_reply("05_responses_stream_web_and_x_search.sse")) as endpoint:
        async with watched_host_on(endpoint, gateway="xai") as host:
            result = await host.search("Tram?", watch=True)
    assert result.notes and result.notes[-1][1].startswith("writing, 266 characters")


async def test_the_first_note_comes_when_the_endpoint_is_silent_too() -> None:
    async with Endpoint(Reply(end="silent")) as endpoint, watched_host_on(endpoint, timeout=3) as host:
        result = await host.ask(watch=True)
    assert result.error["code"] == "timeout"
    at, message = result.notes[0]
    assert 1.0 <= at < 3
    assert message.startswith("waiting for the endpoint")


def test_a_call_of_which_nothing_is_heard_gives_a_sign_of_life_every_five_seconds() -> None:
    assert INTERVALS == (1.0, 1.0, 0.05, 5.0)


@pytest.mark.parametrize("mode", ["status", "deltas"])
async def test_while_nothing_happens_notes_come_at_the_heartbeat_and_not_before(mode: str) -> None:
    notes: list[str] = []

    async def report(seconds: float, message: str) -> None:
        notes.append(message)

    @asynccontextmanager
    async def pumping(heartbeat_s: float) -> AsyncIterator[None]:
        notes.clear()
        intervals = Intervals(first_s=0.01, status_s=0.01, shortest_s=0.001, heartbeat_s=heartbeat_s)
        status = StatusProgress(report, "the endpoint", intervals)
        async with anyio.create_task_group() as group:
            group.start_soon((status if mode == "status" else DeltaProgress(report, report, intervals)).pump)
            yield
            group.cancel_scope.cancel()

    at_once = 1 if mode == "status" else 0
    async with pumping(heartbeat_s=3_600):
        await until(lambda: len(notes) >= at_once)
        await anyio.sleep(0.1)
        assert len(notes) == at_once
    async with pumping(heartbeat_s=0.05):
        await until(lambda: len(notes) == at_once + 3)
    words = "waiting for the endpoint" if mode == "status" else ""
    assert all(note.startswith(words) if words else note == "" for note in notes)


async def test_no_token_no_notes_and_off_sends_none() -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        async with watched_host_on(endpoint, progress="off") as host:
            assert (await host.ask(watch=True)).notes == []


@pytest.mark.parametrize(
    "file",
    [
        "01_chat_stream_plain.sse",
        "02_chat_stream_reasoning_usage_crlf.sse",
        "05_responses_stream_web_and_x_search.sse",
        "13b_chat_stream_truncated_no_done.sse",
        "13c_stream_requested_but_json_returned.json",
    ],
)
async def test_deltas_concatenate_to_exactly_the_text(file: str) -> None:
    async with Endpoint(payload_reply(file, byte_by_byte=True)) as endpoint:
        async with watched_host_on(endpoint, progress="deltas", results="structured") as host:
            result = await host.ask(watch=True)
    assert "".join(message for _, message in result.notes) == result.structured["text"]
    assert rising(result)


async def test_a_delta_goes_out_while_the_answer_is_still_being_written() -> None:
    reply = Reply(chat("One. ", "Two.").pieces, hold=1)
    async with Endpoint(reply) as endpoint, watched_host_on(endpoint, progress="deltas") as host:
        result = await released_after(host, reply, 1)
    assert [message for _, message in result.notes] == ["One. ", "Two."]


def interleaved() -> list[events.Event]:
    """Two message items whose deltas mix, as the Responses API sends them."""
    one, two = events.Place(0, "a"), events.Place(0, "b")
    return [
        events.TextDelta("A1 ", one),
        events.TextDelta("B1 ", two),
        events.TextDelta("A2", one),
        events.ItemDone("a"),
        events.TextDelta("B2", two),
        events.ItemDone("b"),
    ]


async def test_deltas_of_interleaved_items_go_out_in_the_order_of_the_final_text() -> None:
    sent: list[str] = []

    async def report(seconds: float, message: str) -> None:
        sent.append(message)

    progress, fold = DeltaProgress(report, report), Fold()
    for event in interleaved():
        progress(event, fold.add(event))
    await progress.finish(fold.text())
    assert "".join(sent) == fold.text() == "A1 A2\n\nB1 B2"


STREAMS = sorted(path.name for path in PAYLOADS.glob("*.sse"))


def answer_of(payloads: list[dict[str, Any]]) -> tuple[str, list[str], str | None]:
    fold = Fold()
    for payload in payloads:
        for event in parse(payload):
            fold.add(event)
    calls = ["".join(call.arguments) for call in fold.tool_calls]
    return fold.text(), calls, fold.finish_reasons.get(0)


@pytest.mark.parametrize("file", [file for file in STREAMS if "responses" in file])
def test_telling_a_stream_twice_tells_nothing_new_where_items_have_names(file: str) -> None:
    payloads = payloads_of(file)
    done = [payload for payload in payloads if "delta" not in payload["type"]]
    assert answer_of(payloads + done) == answer_of(payloads)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("file", STREAMS)
async def test_any_chunking_of_the_bytes_gives_the_same_answer(file: str, data: st.DataObject) -> None:
    content = (PAYLOADS / file).read_bytes()
    cuts = sorted(data.draw(st.sets(st.integers(1, len(content) - 1), max_size=12)))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    whole = await told(sse(content))
    assert await told(Reply(tuple(pieces))) == whole


async def told(reply: Reply) -> Any:
    """Everything of an answer that does not vary from call to call."""
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, results="structured", max_retries=0) as host:
            result = await host.ask()
    if result.raw.is_error:
        return result.error
    answer = dict(result.structured)
    del answer["conversation_id"]
    answer["usage"] = {name: value for name, value in answer["usage"].items() if not name.endswith("_s")}
    return answer


@pytest.mark.parametrize("file", STREAMS)
@pytest.mark.parametrize("end", ["cut", "clean"])
async def test_a_stream_that_ends_at_any_event_gives_what_came_or_a_classified_error(
    file: str, end: str
) -> None:
    content = (PAYLOADS / file).read_bytes().replace(b"\r\n", b"\n")
    stream_events = content.split(b"\n\n")
    full = answer_of(payloads_of(file))[0]
    for count in range(len(stream_events)):
        part = b"".join(event + b"\n\n" for event in stream_events[:count])
        told_now = await told(Reply((part,), end=end))
        if "code" in told_now:
            assert told_now["code"] in ("upstream", "connection", "interrupted", "overloaded")
        else:
            assert full.startswith(told_now.get("text", ""))
            assert told_now["finish_reason"] in ("interrupted", "stop", "length", "tool_calls")


def test_the_line_of_a_task_says_each_phase_in_words() -> None:
    line = PhaseLine("the endpoint")
    said = [line.message()]
    for event in (
        events.Started("grok-4.7"),
        events.SearchStep("1", "x", ("What is new?",)),
        events.SourcesFound(("https://a.example/",)),
        events.ToolCallDelta("1", "call_1", "look_up"),
        events.Restarted("asking again"),
    ):
        line(event, "")
        said.append(line.message())
    line(events.TextDelta("It is blue.", events.FIRST), "It is blue.")
    assert said == [
        "waiting for the endpoint",
        "grok-4.7 has begun",
        "searching X: “What is new?”",
        "reading 1 sources",
        "calling look_up",
        "asking again",
    ]
    assert line.message() == "writing, 11 characters: …It is blue."
