"""Streams that break, hang, are cancelled or come in odd pieces: what comes back, and how often we ask."""

import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest
import stamina
from dirty_equals import IsStr

from grok_mcp.endpoint.reply import Reply as ReadReply
from tests.support.endpoint import Endpoint, Reply, Request, body, chat, events, without
from tests.support.host import Result, host_on
from tests.support.pace import slowness, within
from tests.support.payloads import CASES, PAYLOADS
from tests.support.side_by_side import Asked, side_by_side

pytestmark = pytest.mark.anyio

RETRIES = 2
IDLE_S = 2 * slowness()

TOOLS = {case.file: case.tool for case in CASES if case.file.endswith(".sse")}
FAILURES = {
    "10b_responses_stream_failed.sse": "upstream",
    "10c_responses_stream_error_event.sse": "overloaded",
    "12a_openrouter_stream_midstream_error.sse": "overloaded",
    "13a_chat_stream_error_object_then_done.sse": "upstream",
}
"""The code of the error inside a payload; each is one that a retry can mend."""


def counted(tokens: int, **delta: str) -> dict[str, Any]:
    """A chunk that carries the usage so far, as Nebula's do."""
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    return {"model": "grok-4.7", "choices": [{"index": 0, "delta": delta}], "usage": usage}


RUNNING_USAGE = events(
    counted(0, role="assistant"),
    counted(4, reasoning_content="Hm."),
    counted(6, content="One"),
    counted(9, content=" two"),
).pieces


def events_in(content: bytes) -> tuple[bytes, ...]:
    """The events and comments of a stream, each with the blank line behind it."""
    found = tuple(re.findall(rb".+?(?:\r\n\r\n|\r\r|\n\n)", content, re.DOTALL))
    assert b"".join(found) == content
    return found


CONTENTS = {file: (PAYLOADS / file).read_bytes() for file in TOOLS}
STREAMS = {file: events_in(content) for file, content in CONTENTS.items()}
STREAMS["usage in each chunk"] = RUNNING_USAGE
STREAMS["no reasoning before the search"] = tuple(
    event for event in STREAMS["05_responses_stream_web_and_x_search.sse"][:20] if b"rs_" not in event
)


@dataclass
class Told:
    """What the events of a stream have said so far, in the words of the wire formats."""

    text: str = ""
    content: bool = False
    calls: int = 0
    reason: str | None = None
    complete: bool = False
    error: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)


def read(stream: Iterable[bytes]) -> Told:
    """An independent reader of whole events: no framing, no oddities, nothing of grok_mcp."""
    told = Told()
    for event in stream:
        data = event.decode().strip().removeprefix("data: ")
        if data == "[DONE]":
            told.complete = True
        elif not data.startswith(":"):
            payload = json.loads(data)
            told.usage = payload.get("usage") or payload.get("response", {}).get("usage") or told.usage
            (read_response if "type" in payload else read_chat)(payload, told)
    return told


def read_chat(chunk: Mapping[str, Any], told: Told) -> None:
    for choice in chunk.get("choices", []):
        delta, reason = choice["delta"], choice.get("finish_reason")
        told.text += delta.get("content") or ""
        told.calls += sum("id" in call for call in delta.get("tool_calls", []))
        told.content |= any(delta.get(name) for name in ("content", "reasoning_content", "tool_calls"))
        told.reason = reason if reason and reason != "error" else told.reason
    if "error" in chunk:
        told.error = chunk["error"]["message"]


def read_response(event: Mapping[str, Any], told: Told) -> None:
    kind = event["type"]
    if kind == "response.output_text.delta":
        told.text += event["delta"]
    told.content |= kind in ("response.output_text.delta", "response.reasoning_summary_text.delta")
    told.content |= event.get("item", {}).get("type", "").endswith("_call")
    if kind in ("response.completed", "response.incomplete"):
        told.complete = True
        told.reason = "stop" if kind == "response.completed" else "length"
    if kind == "response.failed":
        told.error = event["response"]["error"]["message"]
    if kind == "error":
        told.error = event["message"]


@dataclass(frozen=True)
class End:
    """How a stream ends too early, and what a caller is told of it."""

    name: str
    code: str
    words: str
    retried: bool


ENDS = [
    End("cut", "connection", "it was closed before the answer was complete", retried=True),
    # Before anyio 4.16 some resets look like an end.
    End("reset", "connection", "it was (?:lost|closed) before the answer was complete", retried=True),
    End("hang", "timeout", f"silent for {IDLE_S:g} s", retried=False),
    End("clean", "interrupted", "ended its answer before it was complete", retried=False),
]
EMPTY = End("clean", "connection", "closed the connection before its answer began", retried=True)


def counts_told(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The published counts that follow from a usage object as it came."""
    given, total = usage.get("prompt_tokens", usage.get("input_tokens")), usage.get("total_tokens")
    ticks, cost = usage.get("cost_in_usd_ticks"), usage.get("cost")
    return {
        "input_tokens": given,
        "output_tokens": total - given if total else None,
        "total_tokens": total,
        "cost_usd": ticks / 10**10 if ticks else cost,
    }


def expected(stream: str, told: Told, end: End) -> dict[str, Any]:
    """What the call has to come to where the stream ended in this way after these events."""
    if told.error:
        end = End(end.name, FAILURES[stream], re.escape(told.error), retried=True)
    elif told.complete or told.reason:
        return {
            "ended": told.reason or ("tool_calls" if told.calls else "stop"),
            "text": told.text,
            "calls": told.calls,
            "why": [],
            "usage": counts_told(told.usage),
            "requests": 1,
        }
    elif end.name == "clean" and not told.content:
        end = EMPTY
    why = rf"The answer is incomplete: \[{end.code}\] .*{end.words}.*" if told.text else f".*{end.words}.*"
    requests = 1 + RETRIES if end.retried and not told.content else 1
    spent = {name: count and count * requests for name, count in counts_told(told.usage).items()}
    return {
        "ended": "interrupted" if told.text else f"error {end.code}",
        "text": told.text,
        "calls": 0,
        "why": [IsStr(regex=why)],
        "usage": spent,
        "requests": requests,
    }


def outcome(result: Result, requests: int) -> dict[str, Any]:
    """What the call did come to, in the words of `expected`."""
    if result.raw.is_error:
        error = result.error
        ended, text, calls, why = f"error {error['code']}", "", 0, [error["message"]]
        usage = error.get("usage", {})
    else:
        answer = result.structured
        ended, text = answer["finish_reason"], answer.get("text", "")
        calls = len(answer.get("tool_calls", []))
        why = [warning for warning in answer.get("warnings", []) if "incomplete" in warning]
        usage = answer["usage"]
    reported = usage.get("cost_usd") if usage.get("cost_source") == "reported" else None
    counts = {name: usage.get(name) for name in ("input_tokens", "output_tokens", "total_tokens")}
    counts["cost_usd"] = reported
    return {"ended": ended, "text": text, "calls": calls, "why": why, "usage": counts, "requests": requests}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
async def test_a_stream_that_ends_anywhere_gives_back_what_came_for_the_right_number_of_requests(
    end: End,
) -> None:
    asked, due = [], {}
    for stream, pieces in STREAMS.items():
        for arrived in range(len(pieces) + 1):
            told = read(pieces[:arrived])
            asked.append(Asked(Reply(pieces[:arrived], end=end.name), TOOLS.get(stream, "ask_grok")))
            due[f"{stream}, {arrived} events"] = expected(stream, told, end)
    idle_timeout = IDLE_S if end.name == "hang" else 20
    results = await side_by_side(asked, max_retries=RETRIES, idle_timeout=idle_timeout, results="structured")
    came = {name: outcome(*result) for name, result in zip(due, results, strict=True)}
    assert came == due


@dataclass(frozen=True)
class Endless:
    """An endpoint that never comes to an end, and how its call does, after how long."""

    name: str
    replies: tuple[Reply, ...]
    after_s: float
    words: str
    requests: int
    idle_timeout: float = 20


BUSY = body("", status=503)
DEADLINE = "did not finish within 0.5 s"
ENDLESS = [
    Endless("refused, then silent", (BUSY, Reply(end="silent")), 0.5, DEADLINE, 2),
    Endless("refused, then only headers", (BUSY, Reply(end="hang")), 0.5, DEADLINE, 2),
    # Each byte of a comment is a sign of life, so that the idle timeout does not end it.
    Endless("refused, then one long comment", (BUSY, Reply((b":",), end="drip")), 0.5, DEADLINE, 2, 0.3),
    Endless("no status line", (Reply(end="silent"),), 0.2, "was silent for 0.2 s", 1, 0.2),
    Endless("headers only", (Reply(end="hang"),), 0.2, "was silent for 0.2 s", 1, 0.2),
]
LATE_S = 1.5 * slowness()  # what a busy machine may take beyond a deadline


@pytest.mark.parametrize("case", ENDLESS, ids=lambda case: case.name)
async def test_an_endpoint_that_never_ends_is_left_at_the_deadline_or_the_idle_timeout(case: Endless) -> None:
    async with Endpoint(*case.replies) as endpoint:
        async with host_on(endpoint, timeout=0.5, max_retries=5, idle_timeout=case.idle_timeout) as host:
            began = anyio.current_time()
            error = (await host.ask()).error
            took_s = anyio.current_time() - began
        with within(1):
            await endpoint.closed.wait()
    assert error["code"] == "timeout"
    assert case.words in error["message"]
    assert case.after_s <= took_s < case.after_s + LATE_S
    assert len(endpoint.requests) == case.requests


async def test_an_endpoint_that_refuses_for_ever_is_asked_as_often_as_the_settings_say() -> None:
    async with Endpoint(body("", status=503, retry_after="0")) as endpoint:
        async with host_on(endpoint, max_retries=20, timeout=10) as host:
            assert (await host.ask()).error["code"] == "overloaded"
    assert len(endpoint.requests) == 21


@pytest.mark.parametrize(
    ("headers", "requests"),
    [({}, range(1, 3)), ({"Retry-After": "0.25"}, range(2, 4))],
    ids=["ours", "its own"],
)
async def test_pauses_between_attempts_end_at_the_deadline_too(
    headers: dict[str, str], requests: range
) -> None:
    refused = Reply(status=503, headers=headers)
    async with Endpoint(refused) as endpoint, host_on(endpoint, timeout=0.6, max_retries=20) as host:
        with stamina.set_testing(False):
            began = anyio.current_time()
            error = (await host.ask()).error
            took_s = anyio.current_time() - began
    assert error["code"] in ("timeout", "overloaded")  # the latter where the next pause would be too long
    assert took_s < 0.6 + LATE_S
    assert len(endpoint.requests) in requests


# In memory only a handshake-era client sends its cancellation as a message; else the call is a plain await.
cancelling_host_on = partial(host_on, legacy=True)


def saying(request: Request) -> str:
    """The prompt of a request."""
    prompt: str = request.body["messages"][-1]["content"]
    return prompt


@pytest.mark.parametrize(
    "reply",
    [Reply(end="silent"), Reply(end="hang"), Reply(chat("more ").pieces[:1], end="drip")],
    ids=["before headers", "between headers and the first byte", "while text streams"],
)
async def test_a_cancelled_call_closes_its_connection_and_frees_its_place(reply: Reply) -> None:
    came = anyio.Event()

    def choose(request: Request) -> Reply:
        came.set()
        return reply if saying(request) == "First" else chat("Next.")

    async with Endpoint(choose=choose) as endpoint, cancelling_host_on(endpoint, max_concurrency=1) as host:
        async with anyio.create_task_group() as group:
            group.start_soon(host.ask, "First")
            await came.wait()
            with anyio.move_on_after(0.1):
                await endpoint.closed.wait()
            assert not endpoint.closed.is_set()
            group.cancel_scope.cancel()
        with within(1):
            await endpoint.closed.wait()
        assert "Next." in (await host.ask("Second")).text
    assert [saying(request) for request in endpoint.requests] == ["First", "Second"]


async def test_a_call_that_is_cancelled_in_the_pause_before_a_retry_sends_nothing_more() -> None:
    came, again = anyio.Event(), anyio.Event()

    def refuse(request: Request) -> Reply:
        (again if came.is_set() else came).set()
        return Reply(status=503, headers={"Retry-After": "0.4"})

    async with Endpoint(choose=refuse) as endpoint, cancelling_host_on(endpoint) as host:
        with stamina.set_testing(False):
            async with anyio.create_task_group() as group:
                group.start_soon(host.ask)
                await came.wait()
                with anyio.move_on_after(0.1):
                    await again.wait()
                group.cancel_scope.cancel()
            with anyio.move_on_after(0.5):
                await again.wait()
    assert len(endpoint.requests) == 1


async def test_a_call_that_is_cancelled_while_it_waits_for_a_place_sends_nothing() -> None:
    held, begun, texts = Reply(chat("Done.").pieces, hold=0), anyio.Event(), []

    def choose(request: Request) -> Reply:
        begun.set()
        return held if saying(request) == "First" else chat("Next.")

    async def first() -> None:
        texts.append((await host.ask("First")).text)

    async with Endpoint(choose=choose) as endpoint, cancelling_host_on(endpoint, max_concurrency=1) as host:
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await begun.wait()
            with anyio.move_on_after(0.2) as cancelled:
                await host.ask("Second")
            held.release.set()
        texts.append((await host.ask("Third")).text)
    assert cancelled.cancelled_caught
    assert [text.splitlines()[0] for text in texts] == ["Done.", "Next."]
    assert [saying(request) for request in endpoint.requests] == ["First", "Third"]


# The same with their JSON in two `data` lines: only then is a line end that counts twice a fault.
CONTENTS |= {
    f"{file}, {name}": CONTENTS[file].replace(b',"choices"', b',\ndata: "choices"').replace(b"\n", line_end)
    for file in ("04_chat_legacy_live_search_stream.sse", "12b_openrouter_stream_annotations_cost.sse")
    for name, line_end in {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}.items()
}


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def payloads_in(*pieces: bytes) -> tuple[list[Mapping[str, Any]], bool, int]:
    """What is handed to the dialects, whether the end was told, and how much could not be read."""
    headers = {"Content-Type": "text/event-stream"}
    reply = ReadReply(httpx2.Response(200, headers=headers, content=in_pieces(*pieces)))
    return [payload async for payload in reply.payloads()], reply.done, reply.unreadable


@pytest.mark.parametrize("stream", CONTENTS)
async def test_a_stream_that_is_cut_in_two_at_any_byte_reads_the_same(stream: str) -> None:
    pieces = events_in(CONTENTS[stream])
    for number, piece in enumerate(pieces):
        # The neighbours stand for the rest of the stream, with which this would take too long.
        before, after = b"".join(pieces[number - 1 : number]), b"".join(pieces[number + 1 : number + 2])
        around = before + piece + after
        whole = await payloads_in(around)
        assert whole[2] == 0
        for at in range(len(before), len(before + piece)):
            assert await payloads_in(around[:at], around[at:]) == whole, (around[:at], around[at:])


def awkward_cuts(content: bytes) -> list[int]:
    """Where a careless reader stumbles: in a character, a field name, a line end, around a blank line."""
    places = []
    for pattern in (rb"[\xc0-\xff][\x80-\xbf]+", rb"data: ", rb"\r\n", rb"\r\n\r\n|\r\r|\n\n", rb"\[DONE"):
        found = [range(match.start(), match.end() + 1) for match in re.finditer(pattern, content)]
        places += [offset for one in (*found[:1], *found[-1:]) for offset in one]
    return sorted({at for at in places if 0 < at < len(content)})


def comparable(result: Result) -> dict[str, Any]:
    """A result without what differs from call to call."""
    if result.raw.is_error:
        return result.error
    usage = without(result.structured["usage"], ["duration_s", "time_to_first_token_s"])
    return {**without(result.structured, ["conversation_id"]), "usage": usage}


@pytest.mark.parametrize("stream", CONTENTS)
async def test_a_stream_that_comes_in_two_awkward_pieces_is_the_same_answer(stream: str) -> None:
    content, file = CONTENTS[stream], stream.partition(",")[0]
    replies = {at: Reply((content[:at], content[at:])) for at in awkward_cuts(content)}
    asked = [Asked(reply, TOOLS[file]) for reply in (Reply((CONTENTS[file],)), *replies.values())]
    results = await side_by_side(asked, max_retries=0, results="structured")
    whole, *others = [comparable(result) for result, _ in results]
    assert dict(zip(replies, others, strict=True)) == dict.fromkeys(replies, whole)
