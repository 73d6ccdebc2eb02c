"""Every answer whole and true: what endpoints do in other ways than their documents say, kind by kind.

Each row is a form that a public report describes. An answer comes back as it was meant, or as an error or a
note that names what is wrong; never cut, doubled or empty in silence.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest

from grok_mcp.messages import Answer, Data
from grok_mcp.rendering import whole as whole_page
from grok_mcp.server.results import render_page
from tests.support.endpoint import Endpoint, Reply, Request, body, chat, events, sse
from tests.support.host import Result, host_on
from tests.support.stdio import INITIALIZE, INITIALIZED, request, session

pytestmark = pytest.mark.anyio

USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
FUNCTIONS = [
    {"name": "read_file", "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}}
]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60


def chunk(delta: Any = None, finish: str | None = None, *, index: int = 0, **choice: Any) -> dict[str, Any]:
    """One chunk of a chat stream with one choice."""
    whole: dict[str, Any] = {"index": index, **choice}
    if delta is not None:
        whole["delta"] = delta
    if finish:
        whole["finish_reason"] = finish
    return {"object": "chat.completion.chunk", "model": "grok-4.7", "choices": [whole]}


def text(content: str, **more: Any) -> dict[str, Any]:
    return chunk({"content": content}, **more)


def call(index: int | None, call_id: str | None, name: str | None, arguments: Any) -> dict[str, Any]:
    """A chunk with a piece of one tool call."""
    piece = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return chunk({"tool_calls": [{key: value for key, value in piece.items() if value is not None}]})


def end(finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {**chunk({}, finish, **more), "usage": USAGE}


def whole(message: dict[str, Any], finish: str = "stop", **choice: Any) -> Reply:
    """A chat completion that came as one JSON body."""
    answered = {"index": 0, "finish_reason": finish, "message": message, **choice}
    return body({"object": "chat.completion", "model": "grok-4.7", "choices": [answered], "usage": USAGE})


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The last event of a Responses stream."""
    held = {"object": "response", "status": "completed", "model": "grok-4.7", "output": list(items), **more}
    return {"type": "response.completed", "response": held}


def message(item_id: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "id": item_id, "content": list(parts)}


def said(words: str) -> dict[str, Any]:
    return {"type": "output_text", "text": words}


def function(item_id: str, arguments: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": item_id,
        "call_id": "call_a",
        "name": "read_file",
        "arguments": arguments,
    }


def rotating(kind: str, item_id: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "item_id": item_id, "output_index": 0, "content_index": 0, **more}


def delta(words: str) -> dict[str, Any]:
    return rotating("output_text.delta", "m", delta=words)


def glued(between: str) -> str:
    """A stream whose events have this between them in place of a line end."""
    return "data: " + between.join([*map(json.dumps, (text("The "), text("end."), end())), "[DONE]"]) + "\n\n"


READ_A = {"id": "call_a", "name": "read_file", "arguments": {"path": "a"}}
READ_B = {"id": "call_b", "name": "read_file", "arguments": {"path": "b"}}
REFUSED = "I can't help with that."
FOUND = '{"path":"a"}'


@dataclass(frozen=True)
class Row:
    """One form of a kind, and what comes of it. `note` stands in a warning, `error` is a code."""

    kind: str
    form: str
    reply: Reply
    text: str = ""
    finish: str = "stop"
    calls: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    error: str = ""
    requests: int = 1


WITH_PART: dict[str, Callable[[dict[str, Any]], Reply]] = {
    "a delta": lambda part: events(chunk({"content": [part]}), text("Four."), end()),
    "a body": lambda part: whole({"content": [part, {"type": "text", "text": "Four."}]}),
    "a response": lambda part: events(response(message("m", part, said("Four.")))),
}

ROWS = (
    Row(
        "message",
        "grows beside each delta",
        events(
            text("The ", message={"content": "The "}), text("end.", message={"content": "The end."}), end()
        ),
        "The end.",
    ),
    Row(
        "message",
        "comes once more behind the deltas",
        events(
            text("The "),
            text("end."),
            {**chunk(None, "stop", message={"content": "The end."}), "usage": USAGE},
        ),
        "The end.",
    ),
    Row(
        "message",
        "grows without deltas",
        events(chunk(message={"content": "The "}), chunk(message={"content": "The end."}), end()),
        "The end.",
    ),
    Row(
        "message",
        "grows in chunks that call themselves a completion",
        events(
            *(
                {**chunk(message={"content": words}), "object": "chat.completion"}
                for words in ("The ", "The end.")
            ),
            {**chunk(None, "stop", message={"content": "The end."}), "usage": USAGE},
        ),
        "The end.",
    ),
    Row(
        "message",
        "brings the pieces without deltas",
        events(chunk(message={"content": "The "}), chunk(message={"content": "long end."}), end()),
        "The long end.",
    ),
    Row(
        "message",
        "is null beside the deltas",
        events(text("The ", message=None), text("end.", message=None), end(message=None)),
        "The end.",
    ),
    Row(
        "calls",
        "begin anew under the same index",
        events(
            call(0, "call_a", "read_file", FOUND),
            call(0, "call_b", "read_file", '{"path":"b"}'),
            end("tool_calls"),
        ),
        finish="tool_calls",
        calls=[READ_A, READ_B],
    ),
    Row(
        "calls",
        "have no index",
        events(
            call(None, "call_a", "read_file", FOUND),
            call(None, "call_b", "read_file", '{"path":"b"}'),
            end("tool_calls"),
        ),
        finish="tool_calls",
        calls=[READ_A, READ_B],
    ),
    Row(
        "calls",
        "come whole again behind their pieces",
        events(
            call(0, "call_a", "read_file", '{"path":'),
            call(0, None, None, '"a"}'),
            call(0, "call_a", "read_file", FOUND),
            end("tool_calls"),
        ),
        finish="tool_calls",
        calls=[READ_A],
    ),
    Row(
        "calls",
        "share one id",
        events(
            call(0, "call_a", "read_file", FOUND),
            call(1, "call_a", "read_file", '{"path":"b"}'),
            end("tool_calls"),
        ),
        finish="tool_calls",
        calls=[READ_A, {**READ_B, "id": "call_a_2"}],
    ),
    *(
        Row("calls", form, events(*pieces, end("tool_calls")), finish="tool_calls", calls=expected)
        for form, pieces, expected in (
            (
                "come whole again without an id",
                (
                    call(0, "call_a", "read_file", '{"path":'),
                    call(0, None, None, '"a"}'),
                    call(0, None, None, FOUND),
                ),
                [READ_A],
            ),
            (
                "come whole again with other blanks",
                (
                    call(0, "call_a", "read_file", '{"path":'),
                    call(0, None, None, '"a"}'),
                    call(0, "call_a", "read_file", '{ "path": "a" }'),
                ),
                [READ_A],
            ),
            (
                "have no ids, all under one index",
                (call(0, "", "read_file", FOUND), call(0, "", "read_file", '{"path":"b"}')),
                [{**READ_A, "id": "call_1"}, {**READ_B, "id": "call_2"}],
            ),
            (
                "share one id under one index",
                (call(0, "call_a", "read_file", FOUND), call(0, "call_a", "read_file", '{"path":"b"}')),
                [READ_A, {**READ_B, "id": "call_a_2"}],
            ),
            (
                "come in pieces by turns, with ids alone",
                (
                    call(None, "call_a", "read_file", ""),
                    call(None, "call_b", "read_file", ""),
                    call(None, "call_a", None, FOUND),
                    call(None, "call_b", None, '{"path":"b"}'),
                ),
                [READ_A, READ_B],
            ),
            (
                "have a new id with each piece",
                (call(0, "call_a", "read_file", '{"path":'), call(0, "call_x", "read_file", '"a"}')),
                [READ_A],
            ),
            ("hold an object as arguments", (call(0, "call_a", "read_file", {"path": "a"}),), [READ_A]),
        )
    ),
    *(
        Row("items", form, events(*pieces), finish="tool_calls", calls=expected)
        for form, pieces, expected in (
            (
                "bring arguments at their end alone",
                (
                    {"type": "response.output_item.added", "output_index": 0, "item": function("f1", "")},
                    rotating("function_call_arguments.done", "f2", arguments=FOUND),
                    response(),
                ),
                [READ_A],
            ),
            (
                "come in another order in the completed response",
                (
                    {"type": "response.output_item.done", "output_index": 0, "item": function("f1", FOUND)},
                    {
                        "type": "response.output_item.done",
                        "output_index": 1,
                        "item": {**function("f2", '{"path":"b"}'), "call_id": "call_b"},
                    },
                    response({**function("f3", '{"path":"b"}'), "call_id": "call_b"}, function("f4", FOUND)),
                ),
                [READ_A, READ_B],
            ),
            (
                "hold an object as arguments",
                (response({**function("f1", ""), "arguments": {"path": "a"}}),),
                [READ_A],
            ),
        )
    ),
    Row(
        "items",
        "announce a part with the beginning of its text",
        events(rotating("content_part.added", "m1", part=said("The ")), delta("end."), response()),
        "The end.",
    ),
    Row(
        "calls",
        "never get a name beside text",
        events(text("One, "), call(0, "call_a", None, FOUND), end("tool_calls")),
        "One, ",
        "interrupted",
        note="does not name",
    ),
    Row(
        "calls",
        "get a name but for one",
        events(call(0, "call_a", "read_file", FOUND), call(1, "call_b", None, FOUND), end("tool_calls")),
        finish="tool_calls",
        calls=[READ_A],
        note="does not name",
    ),
    *(
        Row(
            "lines",
            f"with {odd} between events",
            sse(
                f"data: {json.dumps(text('The end.'))}\n\ndata: {odd}\n\n"
                f"data: {json.dumps(end())}\n\ndata: {odd}\n\n"
            ),
            "The end.",
        )
        for odd in ('"[DONE]"', "[]", "1")
    ),
    Row(
        "calls",
        "never get a name",
        events(call(0, "call_a", None, FOUND), end("tool_calls")),
        error="upstream",
    ),
    Row(
        "items",
        "change the ids of their text",
        events(
            rotating("output_text.delta", "m1", delta="The "),
            rotating("output_text.delta", "m2", delta="end."),
            rotating("output_text.done", "m3", text="The end."),
            response(message("m4", said("The end."))),
        ),
        "The end.",
    ),
    Row(
        "items",
        "change the ids of their text and have no number",
        events(
            {"type": "response.output_text.delta", "item_id": "m1", "delta": "The "},
            {"type": "response.output_text.delta", "item_id": "m2", "delta": "end."},
            {"type": "response.output_text.done", "item_id": "m3", "text": "The end."},
            response(message("m4", said("The end."))),
        ),
        "The end.",
    ),
    Row(
        "ending",
        "holds an error in the delta",
        events(chunk({"content": "One, ", "error": {"message": "Provider disconnected"}})),
        "One, ",
        "interrupted",
        note="disconnected",
    ),
    Row(
        "items",
        "change the ids of a call",
        events(
            {"type": "response.output_item.added", "output_index": 0, "item": function("f1", "")},
            rotating("function_call_arguments.delta", "f2", delta=FOUND),
            {"type": "response.output_item.done", "output_index": 0, "item": function("f3", FOUND)},
            response(function("f4", FOUND)),
        ),
        finish="tool_calls",
        calls=[READ_A],
    ),
    Row(
        "items",
        "stand elsewhere in the completed response",
        events(
            {**rotating("output_text.delta", "m1", delta="The end."), "output_index": 1},
            response(message("m9", said("The end."))),
        ),
        "The end.",
    ),
    Row(
        "ending",
        "says error behind text",
        events(text("One, "), end("error")),
        "One, ",
        "interrupted",
        note="error",
    ),
    Row(
        "ending",
        "holds an error in the choice",
        events(
            text("One, "),
            chunk({}, "error", error={"code": 502, "message": "Upstream provider disconnected"}),
        ),
        "One, ",
        "interrupted",
        note="disconnected",
    ),
    Row(
        "ending",
        "hides the failure in native_finish_reason",
        events(text("One, "), end(native_finish_reason="network_error")),
        "One, ",
        "interrupted",
        note="network_error",
    ),
    Row("ending", "fails before any text", events(end("insufficient_system_resource")), error="overloaded"),
    Row(
        "ending",
        "is cut, in Google's word",
        events(text("One, "), end("MAX_TOKENS")),
        "One, ",
        "length",
        note="token limit",
    ),
    Row("ending", "is cut, in Mistral's word", events(text("One, "), end("model_length")), "One, ", "length"),
    Row(
        "ending",
        "is stopped for safety, in Google's word",
        events(text("One, "), end("SAFETY")),
        "One, ",
        "content_filter",
    ),
    *(
        Row("ending", f"is cut, in the word {word}", events(text("One, "), end(word)), "One, ", "length")
        for word in ("REASON_MAX_LEN", "FINISH_REASON_MAX_TOKENS", "ERROR_LIMIT", "token_limit")
    ),
    *(
        Row(
            "ending",
            f"is stopped, in the word {word}",
            events(text("One, "), end(word)),
            "One, ",
            "content_filter",
        )
        for word in ("SPII", "sensitive", "guardrail_intervened", "content_filtered")
    ),
    *(
        Row("ending", f"fails, in the word {word}", events(text("One, "), end(word)), "One, ", "interrupted")
        for word in ("cancelled", "MALFORMED_FUNCTION_CALL", "timeout", "server_error")
    ),
    *(
        Row(
            "ending",
            f"says stop where the model said {word}",
            events(text("One, "), end(native_finish_reason=word)),
            "One, ",
            reason,
        )
        for word, reason in (
            ("MAX_TOKENS", "length"),
            ("max_output_tokens", "length"),
            ("SAFETY", "content_filter"),
            ("refusal", "content_filter"),
        )
    ),
    *(
        Row("response", form, reply, "One, ", reason)
        for form, reply, reason in (
            ("that is cancelled", events(delta("One, "), response(status="cancelled")), "interrupted"),
            (
                "that is cancelled, as a body",
                body({**response(message("m", said("One, ")))["response"], "status": "cancelled"}),
                "interrupted",
            ),
            (
                "with an event that says cancelled",
                events(delta("One, "), {"type": "response.cancelled", "response": {}}),
                "interrupted",
            ),
            (
                "with an event that says incomplete",
                events(delta("One, "), {"type": "response.incomplete", "response": {}}),
                "length",
            ),
            (
                "with only a reason for what is missing",
                events(delta("One, "), response(incomplete_details={"reason": "max_output_tokens"})),
                "length",
            ),
        )
    ),
    Row("ending", "has a word that nobody knows", events(text("One."), end("eos_token_found")), "One."),
    Row(
        "cut call",
        "with the reason length",
        events(call(0, "call_a", "read_file", '{"path":"/e'), end("length")),
        finish="length",
        calls=[{**READ_A, "arguments": '{"path":"/e'}],
        note="not JSON",
    ),
    Row(
        "cut call",
        "with the reason tool_calls",
        events(call(0, "call_a", "read_file", '{"path":"/e'), end("tool_calls")),
        finish="tool_calls",
        calls=[{**READ_A, "arguments": '{"path":"/e'}],
        note="not JSON",
    ),
    Row(
        "cut call",
        "with NaN in its arguments",
        events(call(0, "call_a", "read_file", '{"path":NaN}'), end("tool_calls")),
        finish="tool_calls",
        calls=[{**READ_A, "arguments": '{"path":NaN}'}],
        note="not JSON",
    ),
    Row("refusal", "in deltas", events(chunk({"refusal": REFUSED}), end()), REFUSED, "content_filter"),
    Row(
        "refusal",
        "as the field of a body",
        whole({"content": None, "refusal": REFUSED}),
        REFUSED,
        "content_filter",
    ),
    Row(
        "refusal",
        "as a part of a body",
        whole({"content": [{"type": "refusal", "refusal": REFUSED}]}),
        REFUSED,
        "content_filter",
    ),
    Row(
        "refusal",
        "as a part with text",
        whole({"content": [{"type": "refusal", "text": REFUSED}]}),
        REFUSED,
        "content_filter",
    ),
    Row(
        "refusal",
        "in a Responses stream",
        events(
            rotating("refusal.delta", "m1", delta=REFUSED),
            response(message("m1", {"type": "refusal", "refusal": REFUSED})),
        ),
        REFUSED,
        "content_filter",
    ),
    Row(
        "thoughts",
        "as parts of a delta",
        events(
            chunk({"content": [{"type": "reasoning", "text": "SECRET"}, {"type": "text", "text": "Four."}]}),
            end(),
        ),
        "Four.",
    ),
    Row(
        "thoughts",
        "as parts that hold parts",
        events(
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "SECRET"}]}]}),
            text("Four."),
            end(),
        ),
        "Four.",
    ),
    *(
        Row("thoughts", f"as {form} of type {part.get('type')}", reply(part), "Four.")
        for part in (
            {"type": "reasoning_text", "text": "SECRET"},
            {"type": "reasoning.summary", "text": "SECRET"},
            {"type": "thought", "text": "SECRET"},
            {"type": "text", "text": "SECRET", "thought": True},
            {"type": "redacted_thinking", "text": "SECRET"},
        )
        for form, reply in WITH_PART.items()
    ),
    Row(
        "thoughts",
        "as content that Google marks",
        events(
            chunk({"content": "SECRET", "extra_content": {"google": {"thought": True}}}), text("Four."), end()
        ),
        "Four.",
    ),
    Row(
        "thoughts",
        "redacted, in a body",
        whole(
            {"content": [{"type": "redacted_thinking", "data": "SECRET"}, {"type": "text", "text": "Four."}]}
        ),
        "Four.",
    ),
    Row(
        "lines",
        "without blank lines between events",
        sse(
            "".join(f"data: {json.dumps(one)}\n" for one in (text("The "), text("end."), end()))
            + "data: [DONE]\n\n"
        ),
        "The end.",
    ),
    Row(
        "lines",
        "with only [DONE] glued to the last event",
        sse(f"data: {json.dumps(text('The end.'))}\n\ndata: {json.dumps(end())}\ndata: [DONE]\n\n"),
        "The end.",
    ),
    Row(
        "lines",
        "with one event cut off and the next behind it",
        sse(
            f'data: {json.dumps(text("So "))}\n\ndata: {{"id":"c1","objdata: {json.dumps(text("I"))}\n\n'
            f"data: {json.dumps(text('go.'))}\n\ndata: {json.dumps(end())}\n\ndata: [DONE]\n\n"
        ),
        "So Igo.",
        "interrupted",
        note="could not be read",
    ),
    *(
        Row("lines", form, sse(written), "The end.")
        for form, written in {
            "with all events on one": glued("data: "),
            "with all events on one and blanks between": glued(" data: "),
            "with objects that follow each other": glued(""),
            "with line ends that are escaped": glued("\\n\\ndata: "),
            "without any name of a field": glued("\n").removeprefix("data: ").replace("[DONE]", ""),
        }.items()
    ),
    Row("lines", "as a list in a body", body([text("The "), text("end."), end()]), "The end."),
    Row(
        "choice",
        "numbered 1 in a stream",
        events(text("The ", index=1), text("end.", index=1), end(index=1)),
        "The end.",
    ),
    Row(
        "choice", "numbered 1 and ended as 0", events(text("The ", index=1), end("length")), "The ", "length"
    ),
    Row(
        "choice", "ended under another number", events(text("The "), end("length", index=1)), "The ", "length"
    ),
    Row("choice", "numbered 1 in a body", whole({"content": "The end."}, index=1), "The end."),
    Row(
        "choice",
        "numbered 1 with a call",
        events(
            chunk(
                {
                    "tool_calls": [
                        {"index": 0, "id": "call_a", "function": {"name": "read_file", "arguments": FOUND}}
                    ]
                },
                index=1,
            ),
            end("tool_calls", index=1),
        ),
        finish="tool_calls",
        calls=[READ_A],
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.kind} {row.form}")
async def test_what_an_endpoint_does_in_its_own_way_comes_back_as_it_was_meant(row: Row) -> None:
    async with Endpoint(row.reply) as endpoint:
        async with host_on(endpoint, results="structured", max_retries=0) as host:
            result = await host.ask(tools=FUNCTIONS)
    assert len(endpoint.requests) == row.requests
    if row.error:
        assert result.error["code"] == row.error
        return
    answer = result.structured
    assert answer.get("text", "") == row.text
    assert answer["finish_reason"] == row.finish
    assert answer.get("tool_calls", []) == row.calls
    assert "alternatives" not in answer
    assert any(row.note in warning for warning in answer.get("warnings", [""])) if row.note else True
    assert "SECRET" not in json.dumps(answer)


def test_every_kind_has_three_forms_at_least() -> None:
    kinds = [row.kind for row in ROWS]
    assert all(kinds.count(kind) >= 3 for kind in kinds)


FIELDS = {
    "xAI, on this model": "Argument not supported on this model: stream_options",
    "xAI, bare": "Argument not supported: stream_options",
    "OpenAI": "Unrecognized request argument supplied: stream_options",
    "a schema's path": "Validation error at #/stream_options: Extra inputs are not permitted",
    "Groq": "property 'stream_options' is unsupported",
    "new-api": "Model grok-4.7 does not support parameter streamOptions.",
    "LiteLLM": "UnsupportedParamsError: xai does not support parameters: ['stream_options'], for model=x",
    "LiteLLM, with values": "xai does not support parameters: {'stream_options': {}}, for model=grok-4.7.",
    "Google": 'Invalid JSON payload received. Unknown name "stream_options": Cannot find field.',
    "Rust": "unknown field `stream_options`, expected one of `messages`, `model`",
    "Go": 'json: unknown field "stream_options"',
    "zod": "Unrecognized key(s) in object: 'stream_options'",
    "Fireworks": "Extra inputs are not permitted, field: 'stream_options', value: {}",
    "Fireworks, in plural": "Unsupported parameter(s): `stream_options`",
    "Anthropic": "`stream_options` is deprecated for this model.",
    "pydantic": "1 validation error for Request\nstream_options\n  Extra inputs are not permitted [type=x]",
    "vLLM": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs'}]",
    "OpenAI, of a value": "Unsupported value: 'stream_options' does not support {} with this model.",
    "in plain words": "The parameter `stream_options` is not supported",
    "at the end": "The following parameters are not supported: stream_options",
    "of the model": "This model does not support `stream_options`.",
}


@pytest.mark.parametrize("words", FIELDS.values(), ids=FIELDS)
async def test_a_field_that_we_always_send_is_left_out_where_it_is_refused(words: str) -> None:
    def choose(request: Request) -> Reply:
        refused = body({"error": {"message": words, "code": 400}}, status=400)
        return refused if "stream_options" in request.body else chat("Ok.")

    async with Endpoint(choose=choose) as endpoint, host_on(endpoint) as host:
        result = await host.ask()
    assert result.text.startswith("Ok.") and "Note: stream_options was left out" in result.text
    assert len(endpoint.requests) == 2


async def test_a_field_that_fastapi_refuses_by_its_place_is_left_out() -> None:
    detail = [
        {
            "type": "extra_forbidden",
            "loc": ["body", "stream_options"],
            "msg": "Extra inputs are not permitted",
        }
    ]

    def choose(request: Request) -> Reply:
        return body({"detail": detail}, status=422) if "stream_options" in request.body else chat("Ok.")

    async with Endpoint(choose=choose) as endpoint, host_on(endpoint) as host:
        assert (await host.ask()).text.startswith("Ok.")


async def test_several_refused_fields_are_left_out_one_after_the_other() -> None:
    def choose(request: Request) -> Reply:
        for name in ("seed", "top_p", "user"):
            if name in request.body:
                return body({"error": f"Argument not supported on this model: {name}"}, status=400)
        return chat("Ok.")

    async with Endpoint(choose=choose) as endpoint, host_on(endpoint) as host:
        result = await host.ask(options={"seed": 1, "top_p": 0.5, "user": "ann"})
    assert result.text.startswith("Ok.") and len(endpoint.requests) == 4


ERRORS: list[tuple[int, Any, str]] = [
    (400, {"error": {"message": "grok-9 is not a valid model ID", "code": 400}}, "model_not_found"),
    (400, {"error": {"message": "Invalid model name passed in model=grok-9."}}, "model_not_found"),
    (
        404,
        {"error": "The model grok-9 was deprecated and is no longer accessible via the API."},
        "model_not_found",
    ),
    (404, {"error": "No handler found on route. Please double check your URL"}, "configuration"),
    (403, {"error": {"message": "user quota is not enough", "code": ""}}, "insufficient_credit"),
    (403, {"error": {"message": "x", "code": "pre_consume_token_quota_failed"}}, "insufficient_credit"),
    (429, {"error": {"message": "Budget has been exceeded! Current cost: 10.2"}}, "insufficient_credit"),
    (
        400,
        {"error": {"message": "The schema violates the rule that the root is an object"}},
        "invalid_argument",
    ),
    (400, {"error": {"message": "This violates our usage policy"}}, "content_filter"),
    (500, {"error": {"message": "image input is not supported"}}, "invalid_argument"),
    (200, {"error": {"message": "slow down", "code": "429"}}, "rate_limited"),
    (200, {"error": {"message": "who are you", "code": "401"}}, "authentication"),
    (409, {"error": "conflict"}, "overloaded"),
    (404, {"error": {"message": "No such deployment", "code": "DeploymentNotFound"}}, "model_not_found"),
    (404, {"error": {"message": "models/grok-9 is not found for API version v1main"}}, "model_not_found"),
    (404, {"error": {"type": "not_found_error", "message": "model: grok-9"}}, "model_not_found"),
    (
        404,
        {"error": {"message": "No allowed providers are available for the selected model."}},
        "model_not_found",
    ),
    (404, {"error": "grok-9 has been discontinued"}, "model_not_found"),
    (400, {"error": {"message": "The requested model is not supported."}}, "model_not_found"),
    (503, {"error": {"message": "当前分组 default 下对于模型 grok-9 无可用渠道"}}, "model_not_found"),
    (503, {"error": {"message": "The model is not available right now"}}, "overloaded"),
    (403, {"error": {"message": "Key limit exceeded (total limit)."}}, "insufficient_credit"),
    (403, {"error": {"message": "令牌额度不足"}}, "insufficient_credit"),
    (401, {"error": {"message": "该令牌额度已用尽 TokenStatusExhausted"}}, "insufficient_credit"),
    (429, {"error": {"message": "ExceededTokenBudget: Current spend: 7.2"}}, "insufficient_credit"),
    (403, {"error": "Your newly created team doesn't have any credits yet."}, "insufficient_credit"),
    (429, {"error": {"message": "free-models-per-day. Add 10 credits to unlock more"}}, "rate_limited"),
    (200, {"error": {"message": "slow", "code": "RESOURCE_EXHAUSTED"}}, "rate_limited"),
    (200, {"error": {"message": "slow", "code": "RateLimitError"}}, "rate_limited"),
    (200, {"error": {"message": "late", "code": "request_timeout"}}, "timeout"),
    (200, {"error": {"message": "late", "code": "gateway_timeout"}}, "timeout"),
    (200, {"error": {"message": "context deadline exceeded"}}, "timeout"),
    (200, {"error": {"message": "who?", "type": "authentication_error"}}, "authentication"),
    (400, {"error": {"message": "API key not valid. Please pass a valid API key."}}, "authentication"),
    (400, {"error": {"message": "Content Exists Risk"}}, "content_filter"),
    (400, {"error": {"message": "value violates the terms of the schema"}}, "invalid_argument"),
    (404, {"error": {"message": "No endpoints found that support image input"}}, "model_not_found"),
    (400, {"error": {"message": "This model doesn't support image input"}}, "invalid_argument"),
    (400, {"error": {"message": "unknown variant `image_url`, expected `text`"}}, "invalid_argument"),
]


@pytest.mark.parametrize(("status", "refusal", "code"), ERRORS, ids=lambda one: json.dumps(one)[:60])
async def test_the_words_of_an_error_decide_its_row(status: int, refusal: Any, code: str) -> None:
    reply = events(refusal) if status == 200 else body(refusal, status=status)
    async with Endpoint(reply) as endpoint, host_on(endpoint, max_retries=0, gateway="nebula") as host:
        assert (await host.ask(model="grok-9")).error["code"] == code


ADVICE = {
    "the request exceeds the available context size": "Shorten",
    "The input token count (1200000) exceeds the maximum number of tokens allowed": "Shorten",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.": "Shorten",
    "input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000": "Shorten",
    "This model doesn't support image input": "Leave the images out",
    "unknown variant `image_url`, expected `text`": "Leave the images out",
    "grok-4.7 is not a multimodal model": "Leave the images out",
}


@pytest.mark.parametrize(("words", "advice"), ADVICE.items(), ids=ADVICE)
async def test_what_to_change_in_a_request_is_told_by_the_words_of_its_refusal(
    words: str, advice: str
) -> None:
    async with Endpoint(body({"error": {"message": words}}, status=400)) as endpoint:
        async with host_on(endpoint) as host:
            assert advice in (await host.ask()).text
    assert len(endpoint.requests) == 1


BODIES: list[Any] = [
    {"object": "error", "message": "Too odd.", "code": 400},
    {"code": 500, "msg": "Too odd.", "success": False},
    {"errors": [{"message": "Too odd."}]},
    [{"error": {"code": 400, "message": "Too odd."}}],
    {"error": {"message": {"text": "Too odd."}}},
    {"error": ["Too odd."]},
    {"error_msg": "Too odd."},
    {"detail": [{"msg": "Too odd.", "loc": ["body"]}]},
    {"detail": {"error": "Too odd."}},
]


@pytest.mark.parametrize("refusal", BODIES, ids=lambda one: json.dumps(one)[:50])
async def test_the_sentence_of_an_error_body_is_found_in_every_form(refusal: Any) -> None:
    async with Endpoint(body(refusal, status=400)) as endpoint, host_on(endpoint) as host:
        assert "“Too odd.”" in (await host.ask()).text


def nested(start: str, stop: str, depth: int) -> str:
    return '{"error": ' + depth * start + '"Too odd."' + depth * stop + "}"


@pytest.mark.parametrize(
    ("refusal", "found"),
    [
        pytest.param(nested('{"msg": ', "}", 14), False, id="objects"),
        pytest.param(nested('{"msg": [', "]}", 14), False, id="objects and lists"),
        pytest.param(nested("[", "]", 900), True, id="lists"),
    ],
)
async def test_words_deep_inside_an_error_are_looked_for_a_few_levels_down(refusal: str, found: bool) -> None:
    async with Endpoint(body(refusal, status=400)) as endpoint, host_on(endpoint) as host:
        told = (await host.ask()).error["message"]
    assert "400" in told and ("Too odd." in told) == found


async def test_a_wrong_model_name_does_not_steer_the_calls_of_others() -> None:
    def choose(request: Request) -> Reply:
        known = request.body["model"] == "grok-4.7"
        return (
            chat("Ok.")
            if known and request.path.endswith("completions")
            else body({"error": "nothing here"}, status=404)
        )

    async with Endpoint(choose=choose) as endpoint:
        async with host_on(endpoint, dialect="chat_completions", gateway="xai") as host:
            assert (await host.ask(model="grok-none")).error
            endpoint.requests.clear()
            result = await host.ask(model="grok-4.7")
    assert result.text.startswith("Ok.") and "was used" not in result.text
    assert [request.path.rpartition("/")[2] for request in endpoint.requests] == ["completions"]


async def test_ids_that_start_anew_each_round_are_unique_in_the_conversation() -> None:
    again = events(call(0, "search:1", "read_file", FOUND), end("tool_calls"))
    async with Endpoint(again, again, chat("Done.")) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            result = (await host.ask(tools=FUNCTIONS)).structured
            for output in ("one", "two"):
                results = [{"tool_call_id": result["tool_calls"][0]["id"], "output": output}]
                handle = result["conversation_id"]
                result = (await host.ask("", conversation_id=handle, tool_results=results)).structured
    sent = endpoint.requests[-1].body["messages"]
    made = [one["id"] for turn in sent for one in turn.get("tool_calls", [])]
    outputs = {turn["tool_call_id"]: turn["content"] for turn in sent if turn["role"] == "tool"}
    assert len(set(made)) == 2 and outputs == dict(zip(made, ("one", "two"), strict=True))


async def test_a_cut_call_and_an_empty_output_go_back_as_valid_messages() -> None:
    cut = events(call(0, "call_a", "read_file", '{"path":"/e'), end("length"))
    async with Endpoint(cut, chat("Done.")) as endpoint, host_on(endpoint, results="structured") as host:
        result = (await host.ask(tools=FUNCTIONS)).structured
        outputs = [{"tool_call_id": "call_a", "output": ""}]
        await host.ask("", conversation_id=result["conversation_id"], tool_results=outputs)
    *_, made, output = endpoint.requests[-1].body["messages"]
    assert json.loads(made["tool_calls"][0]["function"]["arguments"]) == {"invalid_arguments": '{"path":"/e'}
    assert output["content"] == "(no output)"


async def test_reasoning_that_can_not_be_decrypted_any_more_is_left_out_with_a_note() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "encrypted_content": "AAAA"}

    def choose(request: Request) -> Reply:
        if any(item.get("type") == "reasoning" for item in request.body["input"]):
            return body({"error": "Could not decrypt the provided encrypted_content."}, status=400)
        return events(response(thought, message("m1", said("Ok."))))

    async with Endpoint(choose=choose) as endpoint, host_on(endpoint, gateway="xai") as host:
        first = await host.ask()
        second = await host.ask("Go on", conversation_id=first.answer["conversation_id"])
    assert second.text.startswith("Ok.") and "Earlier thoughts were left out" in second.text


REFUSALS: dict[str, Callable[[], Reply]] = {
    "chat": lambda: events(chunk({"refusal": REFUSED}), end()),
    "a chat body": lambda: whole({"content": None, "refusal": REFUSED}),
    "responses": lambda: events(response(message("m", {"type": "refusal", "refusal": REFUSED}))),
}


@pytest.mark.parametrize("make", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_of_json_is_an_error_after_one_request(make: Callable[[], Reply]) -> None:
    async with Endpoint(make()) as endpoint, host_on(endpoint) as host:
        result = await host.call("grok_structured", prompt="x", schema={"type": "object"})
    assert result.error["code"] == "content_filter" and len(endpoint.requests) == 1


COSTS: list[tuple[dict[str, Any], float | None]] = [
    ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.036}}, 0.036),
    ({"cost": 0.002, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.001}}, 0.002),
    ({"cost": 0.001, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.036}}, 0.001),
    ({"cost_in_usd_ticks": 7.3e6}, 0.00073),
    ({"cost_in_usd_ticks": "7300000"}, 0.00073),
    ({"cost": "0.0012"}, 0.0012),
    (
        {
            "cost": 0,
            "is_byok": True,
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": 0.01,
                "upstream_inference_completions_cost": 0.02,
            },
        },
        0.03,
    ),
]


@pytest.mark.parametrize(("fields", "cost"), COSTS)
async def test_the_bill_is_what_the_account_pays(fields: dict[str, Any], cost: float | None) -> None:
    async with Endpoint(chat("Ok.", usage={**USAGE, **fields})) as endpoint, host_on(endpoint) as host:
        assert (await host.ask()).answer["usage"]["cost_usd"] == pytest.approx(cost)


@pytest.mark.parametrize("details", [{}, {"upstream_inference_cost": None}, None])
async def test_a_fee_alone_is_never_taken_for_the_cost_of_a_call_with_the_callers_own_key(
    details: Any,
) -> None:
    fields = {"cost": 0, "is_byok": True, "cost_details": details}
    async with Endpoint(chat("Ok.", usage={**USAGE, **fields})) as endpoint, host_on(endpoint) as host:
        assert (await host.ask()).answer["usage"].get("cost_source") != "reported"


IMAGES = {
    "without padding": lambda data: data.rstrip("="),
    "with line ends": lambda data: "\n".join(data[start : start + 20] for start in range(0, len(data), 20)),
    "with blanks": lambda data: data[:8] + " " + data[8:],
}


@pytest.mark.parametrize("spell", IMAGES.values(), ids=IMAGES)
async def test_base64_of_an_image_is_read_in_every_spelling(spell: Callable[[str], str]) -> None:
    data = base64.b64encode(PNG).decode()
    assert data.endswith("=")
    async with Endpoint(chat("Seen.")) as endpoint, host_on(endpoint) as host:
        result: Result = await host.ask(images=[f"data:image/png;base64,{spell(data)}"])
    assert result.text.startswith("Seen.")
    sent = endpoint.requests[0].body["messages"][-1]["content"][0]["image_url"]["url"]
    assert sent == f"data:image/png;base64,{data}"


NO_PAGES = [
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "https://a.example/" + "x" * 2_000,
    "n/a",
    "http://a b",
    "https://a.example/\nb",
]


@pytest.mark.parametrize("url", NO_PAGES, ids=lambda url: url[:24])
async def test_a_source_that_is_not_the_address_of_a_page_is_left_out_with_a_note(url: str) -> None:
    reply = chat("Yes.", citations=["https://a.example/1", url])
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.search()).structured
    assert [citation["url"] for citation in answer["citations"]] == ["https://a.example/1"]
    assert any("were left out: 1." in warning for warning in answer["warnings"])


async def test_an_argument_that_is_not_ours_is_named_with_those_there_are() -> None:
    async with Endpoint(chat("Yes.")) as endpoint, host_on(endpoint) as host:
        result = await host.search(domains=["a.example"], _meta={"host": 1})
    assert "Note: The argument 'domains' is unknown" in result.text and "_meta" not in result.text
    assert "allowed_domains" in result.text


async def test_a_required_call_that_did_not_come_gets_a_note() -> None:
    async with Endpoint(chat("No call.")) as endpoint, host_on(endpoint) as host:
        result = await host.ask(tools=FUNCTIONS, tool_choice="required")
    assert "Note: tool_choice was required, but the model called no function." in result.text


COUNTS: list[tuple[dict[str, Any], dict[str, int]]] = [
    (
        {
            "prompt_tokens": 5,
            "completion_tokens": 18,
            "total_tokens": 23,
            "completion_tokens_details": {"reasoning_tokens": 39},
        },
        {"input_tokens": 5, "output_tokens": 57, "reasoning_tokens": 39, "text_tokens": 18},
    ),
    (
        {"prompt_tokens": 10, "completion_tokens": 22, "total_tokens": 75},
        {"input_tokens": 10, "output_tokens": 65, "text_tokens": 22},
    ),
    (
        {
            "prompt_tokens": 10,
            "completion_tokens": 22,
            "total_tokens": 75,
            "completion_tokens_details": {"reasoning_tokens": 43},
        },
        {"input_tokens": 10, "output_tokens": 65, "reasoning_tokens": 43, "text_tokens": 22},
    ),
    ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}, {}),
]


@pytest.mark.parametrize(("counted", "meant"), COUNTS)
async def test_counts_that_do_not_add_up_are_resolved_by_what_must_hold(
    counted: dict[str, Any], meant: dict[str, int]
) -> None:
    async with Endpoint(chat("Ok.", usage=counted)) as endpoint, host_on(endpoint) as host:
        usage = (await host.ask()).answer["usage"]
    named = ("input_tokens", "output_tokens", "reasoning_tokens", "text_tokens")
    assert {name: usage[name] for name in named if name in usage} == meant
    assert meant or "cost_usd" not in usage


async def test_zeros_in_the_last_chunk_do_not_overwrite_real_usage() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    reply = events(text("Ok."), end(), {"choices": [], "usage": zeros})
    async with Endpoint(reply) as endpoint, host_on(endpoint) as host:
        assert (await host.ask()).answer["usage"]["output_tokens"] == 5


async def test_a_cost_below_a_millionth_is_shown_with_its_first_digits() -> None:
    async with Endpoint(chat("Ok.", usage={**USAGE, "cost": 3.47e-8})) as endpoint, host_on(endpoint) as host:
        assert "· 0.000000035 USD" in (await host.ask()).text


def cut_body(behind: str, message: dict[str, Any] | None = None, *, end: str = "clean") -> Reply:
    """A JSON body of which what is up to these words comes, and how it ends there."""
    (piece,) = whole(message or {"content": "One, two, three."}).pieces
    return replace(whole({}), pieces=(piece[: piece.index(behind.encode()) + len(behind)],), end=end)


@pytest.mark.parametrize("end", ["cut", "reset", "clean"])
async def test_a_json_body_that_breaks_off_is_paid_once_and_gives_back_what_came(end: str) -> None:
    async with (
        Endpoint(cut_body("One, t", end=end)) as endpoint,
        host_on(endpoint, results="structured") as host,
    ):
        answer = (await host.ask()).structured
    assert (answer["text"], answer["finish_reason"], len(endpoint.requests)) == ("One, t", "interrupted", 1)
    assert "broke off in the middle of its answer" in " ".join(answer["warnings"])


@pytest.mark.parametrize("behind", ["{", "grok", '"content": "'])
@pytest.mark.parametrize("end", ["cut", "clean"])
async def test_a_json_body_that_breaks_off_before_its_text_is_one_error_and_one_request(
    behind: str, end: str
) -> None:
    async with Endpoint(cut_body(behind, end=end)) as endpoint, host_on(endpoint) as host:
        error = (await host.ask()).error
    assert error["code"] == "interrupted" and len(endpoint.requests) == 1


async def test_a_call_in_a_json_body_that_breaks_off_is_not_handed_out() -> None:
    calls = [{"id": "call_a", "function": {"name": "read_file", "arguments": '{"path":"/etc/hosts"}'}}]
    async with Endpoint(cut_body("etc", {"tool_calls": calls})) as endpoint, host_on(endpoint) as host:
        assert (await host.ask(tools=FUNCTIONS)).error["code"] == "interrupted"


NOTHING_YET: dict[str, Reply] = {
    "nothing": sse(""),
    "comments": sse(": working\n\n: working\n\n"),
    "only a role": events(chunk({"role": "assistant", "content": ""}), done=False),
    "only the beginning": events({"type": "response.created", "response": {"model": "grok-4.7"}}, done=False),
    "an empty body": sse("", content_type="application/json"),
}


@pytest.mark.parametrize("reply", NOTHING_YET.values(), ids=NOTHING_YET)
async def test_a_stream_that_ends_before_its_answer_begins_is_a_broken_connection(reply: Reply) -> None:
    async with Endpoint(reply, chat("Ok.")) as endpoint, host_on(endpoint) as host:
        assert (await host.ask()).text.startswith("Ok.")
    assert len(endpoint.requests) == 2


def added(words: str) -> dict[str, Any]:
    """A message item that is announced with text in it."""
    item = message("m", said(words))
    return {"type": "response.output_item.added", "output_index": 0, "item": item}


WHOLE_TEXTS: dict[str, Reply] = {
    "announced whole, then in deltas": events(
        added("The long end."),
        delta("The "),
        delta("long "),
        delta("end."),
        response(message("m", said("The long end."))),
    ),
    "announced in part, then continued": events(
        added("The "),
        delta("long end."),
        response(message("m", said("The long end."))),
    ),
    "announced in part, then in deltas from the beginning": events(
        added("The "),
        delta("The long "),
        delta("end."),
        response(message("m", said("The long end."))),
    ),
    "with other invisible characters at the end": events(
        delta("The long "),
        delta("end."),
        response(message("m", said("The\u200b long\u2060 end."))),
    ),
    "with invisible characters in the deltas alone": events(
        delta("The\u200b long "),
        delta("\ufeffend."),
        response(message("m", said("The long end."))),
    ),
    "with a delta that never came": events(
        delta("The "),
        delta("end."),
        response(message("m", said("The long end."))),
    ),
    "as a message before the deltas that say it": events(
        chunk(message={"content": "The long end."}), text("The "), text("long end."), end()
    ),
}


@pytest.mark.parametrize("progress", ["status", "deltas"])
@pytest.mark.parametrize("reply", WHOLE_TEXTS.values(), ids=WHOLE_TEXTS)
@pytest.mark.parametrize("tool", ["ask_grok", "grok_search"])
async def test_a_text_that_comes_twice_in_other_ways_counts_once(
    tool: str, reply: Reply, progress: str
) -> None:
    question: dict[str, Any] = {"prompt": "?"} if tool == "ask_grok" else {"query": "?"}
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, results="structured", progress=progress) as host:
            answer = (await host.call(tool, watch=True, **question)).structured
    visible = answer["text"].translate({ord(mark): None for mark in "\u200b\u2060\ufeff"})
    assert (visible, answer["finish_reason"]) == ("The long end.", "stop")


ODD_ARGUMENTS = {
    "NaN": '{"x":NaN}',
    "Infinity": '{"x":-Infinity}',
    "a number beyond all": '{"x":1e999}',
    "3,000 levels": '{"x":' + 3_000 * "[" + 3_000 * "]" + "}",
    "150 levels": '{"x":' + 150 * "[" + 150 * "]" + "}",
}


@pytest.mark.parametrize("arguments", ODD_ARGUMENTS.values(), ids=ODD_ARGUMENTS)
@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_arguments_that_hosts_could_not_read_come_as_text_with_a_note(
    dialect: str, arguments: str
) -> None:
    in_chat = events(call(0, "call_a", "read_file", arguments), end("tool_calls"))
    reply = in_chat if dialect == "chat" else events(response(function("f", arguments)))
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.ask(tools=FUNCTIONS)).structured
    assert answer["tool_calls"] == [{**READ_A, "arguments": arguments}]
    assert "are not JSON" in " ".join(answer["warnings"])


async def test_half_a_surrogate_pair_in_arguments_and_data_is_sent_on_as_valid_unicode() -> None:
    broken = '{"path":"\\ud83d"}'
    calls = events(call(0, "call_a", "read_file", broken), end("tool_calls"))
    async with Endpoint(calls, chat(broken)) as endpoint, host_on(endpoint, results="structured") as host:
        asked = (await host.ask(tools=FUNCTIONS)).structured
        found = await host.call("grok_structured", prompt="?", schema={"type": "object"})
    assert asked["tool_calls"][0]["arguments"] == found.structured["data"] == {"path": "\ufffd"}


@pytest.mark.parametrize("data", ['{"x":NaN}', '{"x":1e999}', '{"x":' + 150 * "[" + 150 * "]" + "}"])
async def test_data_that_hosts_could_not_read_is_a_mismatch_with_what_grok_wrote(data: str) -> None:
    async with Endpoint(chat(data)) as endpoint, host_on(endpoint) as host:
        result = await host.call("grok_structured", prompt="?", schema={"type": "object"})
    assert result.error["code"] == "schema_mismatch" and data in result.text
    assert len(endpoint.requests) == 2


SEARCHED = {
    "type": "web_search_call",
    "id": "ws_1",
    "action": {"type": "search", "query": "trams", "sources": [{"url": "https://city.example/met"}]},
}
NOTED = [{"type": "url_citation", "url": "https://city.example/tram", "title": "Trams", "start_index": 0}]


def found(text: str) -> Reply:
    item = message("m", {**said(text), "annotations": NOTED})
    return events(response(SEARCHED, item, usage={"input_tokens": 3, "output_tokens": 5}))


async def test_json_that_had_to_be_corrected_keeps_what_the_first_answer_found() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    async with (
        Endpoint(found('{"town":"Bern"}'), events(response(message("m", said('{"city":"Bern"}'))))) as (
            endpoint
        ),
        host_on(endpoint, gateway="xai", results="structured") as host,
    ):
        result = await host.call("grok_structured", prompt="?", schema=schema, search=True)
    answer = result.structured
    assert answer["data"] == {"city": "Bern"} and len(endpoint.requests) == 2
    urls = [citation["url"] for citation in answer["citations"]]
    assert urls == ["https://city.example/tram", "https://city.example/met"]
    assert answer["searched"] is True and answer["search_queries"] == ["trams"]
    assert all(citation["spans"] == [] for citation in answer["citations"])


async def test_a_correction_begins_with_a_note_for_programs_and_what_follows_is_the_text() -> None:
    call_it = {
        "name": "grok_structured",
        "arguments": {"prompt": "?", "schema": {"type": "object", "required": ["city"]}},
        "_meta": {"progressToken": "p"},
    }
    lines = (INITIALIZE, INITIALIZED, request(2, "tools/call", **call_it))
    async with Endpoint(chat('{"to', 'wn":1}'), chat('{"ci', 'ty":1}')) as endpoint:
        variables = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": "x", "GROK_MCP_PROGRESS": "deltas"}
        told, _, _ = await anyio.to_thread.run_sync(lambda: session(*lines, **variables))
    notes = [one["params"] for one in told if one.get("method") == "notifications/progress"]
    (restart,) = [place for place, note in enumerate(notes) if "_meta" in note]
    assert notes[restart]["_meta"] == {"grok-mcp/restart": True}
    assert "".join(note["message"] for note in notes[restart + 1 :]) == '{"city":1}'


@pytest.mark.parametrize(
    ("tool", "arguments", "note"),
    [
        ("ask_grok", {"options": {"foo": 1}}, "The option 'foo' is unknown and was ignored; there are top_p"),
        ("ask_grok", {"options": {"topp": 1}}, "The option 'topp' is unknown; 'top_p' may have been meant."),
        ("ask_grok", {"a1": 1, "b2": 2}, "The arguments 'a1', 'b2' are unknown and were ignored; there are"),
        ("grok_search", {"options": {"domains": []}}, "there are top_p, seed"),
        ("ask_grok", {f"x{number}": 1 for number in range(40)}, "30 more are unknown"),
    ],
)
async def test_a_name_that_is_not_ours_is_told_wherever_it_stands(
    tool: str, arguments: dict[str, Any], note: str
) -> None:
    question: dict[str, Any] = {"prompt": "?"} if tool == "ask_grok" else {"query": "?"}
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint) as host:
        assert note in (await host.call(tool, **question, **arguments)).text


@pytest.mark.parametrize("zero", [0, "0", 0.0])
async def test_zero_for_a_number_that_has_to_be_one_at_least_is_absence(zero: Any) -> None:
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint) as host:
        options = {"n": zero, "max_turns": zero}
        result = await host.search(max_results=zero, max_output_tokens=zero, options=options)
    assert result.text.startswith("Ok.") and "max_tokens" not in endpoint.requests[0].body
    assert "n" not in endpoint.requests[0].body


@pytest.mark.parametrize("end", ["cut", "reset", "silent"])
async def test_no_sentence_names_a_class_of_a_library(end: str) -> None:
    async with Endpoint(Reply(end=end)) as endpoint:
        async with host_on(endpoint, max_retries=0, idle_timeout=0.2) as host:
            text = (await host.ask()).text
    assert "httpx" not in text and not re.search(r"[a-z]Error|Timeout\b|Exception", text)


async def test_a_source_without_a_title_is_shown_once() -> None:
    cited = [{"url": "https://a.example/tram"}, {"url": "https://b.example/x", "title": "Trams of B"}]
    async with Endpoint(chat("Yes.", citations=cited)) as endpoint, host_on(endpoint) as host:
        text = (await host.search()).text
    assert "1. https://a.example/tram\n2. Trams of B — https://b.example/x\n" in text


async def test_sources_that_only_the_text_names_do_not_count_as_a_search() -> None:
    reply = chat("Yes[[1]](https://a.example/1), no[[2]](javascript:alert).")
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.search(mode="auto")).structured
    (citation,) = answer["citations"]
    assert citation["url"] == "https://a.example/1" and citation["from_text"] is True
    assert answer["searched"] is False
    warnings = " ".join(answer["warnings"])
    assert "did not list [1] as a source" in warnings and "[2], which is not the address" in warnings
    assert "reported no search" in warnings


def test_a_result_that_no_host_could_read_as_data_is_sent_as_text() -> None:
    for odd in (float("nan"), "\ud800", nested_lists(130)):
        page = whole_page(Answer(text="[1]", data=Data(odd)))
        result = Result(render_page(page, structured=True, with_card=True))
        assert result.text.startswith("[1]\n") and "only in the text" in result.text
        assert result.structured["data"] is None


def nested_lists(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value
