"""Inputs that would stop a server which bounds nothing: from callers, and from an endpoint.

`test_bounds.py` sends them one by one and says what each may cost; `soak.py` mixes them in.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.endpoint import Reply, Request, body, chat

KB, MB = 1024, 1024 * 1024
JPEG = b"\xff\xd8\xff"


class Cost(NamedTuple):
    """What an input may take of the server: processor time, also of a process that it starts, and memory."""

    seconds: float = 0.2
    megabytes: float = 50


@dataclass(frozen=True)
class Input:
    """One call with its arguments, and what the endpoint says to it; both are made when they are needed.

    `says` stands in the result. A `cost` other than the usual one has its `reason`.
    """

    name: str
    says: str
    reply: Callable[[], Reply] = lambda: chat("Fine.")
    tool: str = "ask_grok"
    arguments: Callable[[], Mapping[str, Any]] = dict
    cost: Cost = field(default_factory=Cost)
    reason: str = ""

    def call(self) -> dict[str, Any]:
        """The parameters of the tool call; the endpoint knows the input by its prompt."""
        question = "query" if self.tool == "grok_search" else "prompt"
        return {"name": self.tool, "arguments": {question: self.name, **self.arguments()}}


def delta(value: Mapping[str, Any], **extra: Any) -> bytes:
    """An event of a chat stream."""
    return event({"model": "grok-4.7", "choices": [{"index": 0, "delta": value}], **extra})


def event(payload: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(payload).encode()


END = b"".join(chat().pieces)


def stream(*pieces: bytes, **options: Any) -> Reply:
    """A stream of these pieces that ends as a good answer does."""
    return Reply((*pieces, END), **options)


def answering(*texts: str) -> Callable[[], Reply]:
    return lambda: chat(*texts)


def gzipped(start: bytes, block: bytes, times: int, content_type: str) -> Reply:
    """A compressed body of `start` and many times the same block: each is a small piece of its own."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return Reply(
        (head, *(packed,) * times), content_type=content_type, headers={"Content-Encoding": "gzip"}, end="cut"
    )


def refused(words: str | bytes, content_type: str = "text/plain") -> Callable[[], Reply]:
    sent = words.encode() if isinstance(words, str) else words
    return lambda: Reply((sent,), status=400, content_type=content_type)


# ------------------------------------------------------------------------------------- schemas


def doubling(depth: int, keyword: str = "allOf") -> dict[str, Any]:
    """A schema each of whose references stands for two of the next."""
    levels = {
        f"a{number}": {keyword: [{"$ref": f"#/$defs/a{number + 1}"}] * 2}
        if keyword != "properties"
        else {"properties": {name: {"$ref": f"#/$defs/a{number + 1}"} for name in "xy"}}
        for number in range(depth)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**levels, f"a{depth}": {"type": "object"}}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def texts(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": {"type": "string", **keywords}}}


def properties(number: int, schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{place}": schema for place in range(number)}}


def structured(name: str, says: str, schema: Callable[[], Any], answer: str = "{}", **options: Any) -> Input:
    return Input(
        name,
        says,
        tool="grok_structured",
        arguments=lambda: {"schema": schema()},
        reply=answering(answer),
        **options,
    )


WORD = "a" * 40_000
APART = Cost(2.5, 50)
IN_A_PROCESS = "a process of its own checks it, for 2 s at most, while the server does other things"

SCHEMAS = (
    structured("references that double", "10,000 nodes", lambda: doubling(34)),
    structured("references that double in anyOf", "10,000 nodes", lambda: doubling(60, "anyOf")),
    structured("references that double in properties", "10,000 nodes", lambda: doubling(30, "properties")),
    structured(
        "a reference in a cycle",
        "cycle",
        lambda: {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    ),
    structured("references as deep as they may be", "data", lambda: doubling(9)),
    structured(
        "200 KB of patterns",
        "more than 50 patterns",
        lambda: {"allOf": [texts(pattern=f"^{number}{'[a-z]?' * 330}$") for number in range(51)]},
    ),
    structured(
        "patterns as many as they may be",
        "data",
        lambda: {"allOf": [texts(pattern=f"^{number}{'[a-z]?' * 60}$") for number in range(50)]},
    ),
    structured(
        "patterns that repeat repetitions",
        "data",
        lambda: {
            "type": "object",
            "patternProperties": {f"^{number}(((a{{1,50}}){{1,50}}){{1,50}})$": {} for number in range(50)},
        },
    ),
    structured("a deep schema", "nested too deeply", lambda: nested(150)),
    structured("a schema as text, thousands deep", "", lambda: '{"a":' * 100_000),
    structured("a wide schema", "KiB", lambda: properties(30_000, {"type": "string"})),
    structured("a schema as wide as it may be", "data", lambda: properties(7_000, {"type": "string"})),
    structured("an enum of 20,000", "data", lambda: {"enum": [{}, *range(20_000)]}),
    structured(
        "a pattern that backtracks",
        "not valid",
        lambda: texts(pattern="^(a+)+$"),
        json.dumps({"a": WORD + "b"}),
    ),
    structured(
        "a pattern with alternatives that backtrack",
        "not valid",
        lambda: texts(pattern="^(a|a|aa)*$"),
        json.dumps({"a": WORD + "b"}),
    ),
    structured(
        "a pattern with look-ahead that backtracks",
        "",
        lambda: texts(pattern="^(?=(a+)+$)a*$"),
        json.dumps({"a": WORD + "b"}),
        cost=APART,
        reason=IN_A_PROCESS,
    ),
    structured(
        "a pattern with a back-reference",
        "",
        lambda: texts(pattern=r"^(a*)*\1b\1$"),
        json.dumps({"a": WORD}),
        cost=APART,
        reason=IN_A_PROCESS,
    ),
    structured(
        "many branches for many values",
        "",
        lambda: {"type": "array", "items": {"oneOf": [texts(minLength=n) for n in range(3_000)]}},
        json.dumps([{"a": "x" * 20}] * 3_000),
        cost=APART,
        reason=IN_A_PROCESS,
    ),
    structured(
        "items that have to differ",
        "",
        lambda: {"type": "array", "uniqueItems": True},
        json.dumps([[number] for number in range(50_000)]),
        cost=APART,
        reason=IN_A_PROCESS,
    ),
)

# ------------------------------------------------------------------------------------- callers


def domains(name: str, says: str, value: Callable[[], Any]) -> Input:
    return Input(name, says, tool="grok_search", arguments=lambda: {"allowed_domains": value()})


LARGE = "a message of 20 to 30 MB is read twice, by us and by the SDK, and goes out once: images need as much"
FILE = "an image of 15 MB has 20 MB in base64"


ARGUMENTS = (
    Input(
        "10,000 unknown argument names",
        "more are unknown",
        arguments=lambda: {f"n{n}": 1 for n in range(10_000)},
    ),
    Input("an argument name of 1 MB", "unknown", arguments=lambda: {"p" * MB: 1}),
    Input(
        "10,000 unknown options",
        "unknown",
        arguments=lambda: {"options": {f"o{n}": 1 for n in range(10_000)}},
    ),
    Input("an option name of 1 MB", "unknown", arguments=lambda: {"options": {"top_" * (MB // 4): 1}}),
    domains("100,000 domains", "at most", lambda: [f"a{n}.example" for n in range(100_000)]),
    domains("a host name of 1 MB", "not a domain", lambda: ["a" * MB]),
    domains("a host name of 500,000 labels", "not a domain", lambda: ["a." * (MB // 2)]),
    domains("a host name of hyphens", "not a domain", lambda: ["-" * MB + "."]),
    domains("a domain list as text of 1 MB", "not a domain", lambda: "a," * (MB // 2)),
    Input(
        "100,000 handles",
        "at most",
        tool="grok_search",
        arguments=lambda: {"allowed_x_handles": [f"a{n}" for n in range(100_000)]},
    ),
    Input("deep JSON as text in tools", "tools", arguments=lambda: {"tools": "[" * 200_000}),
    Input("deep JSON as text in options", "options", arguments=lambda: {"options": '{"a":' * 200_000}),
    Input(
        "deep JSON as text in images", "images", arguments=lambda: {"images": "[" * 200_000 + "]" * 200_000}
    ),
    Input("50,000 functions", "at most", arguments=lambda: {"tools": [{"name": "f"}] * 50_000}),
    Input(
        "40,000 results of functions",
        "at most",
        arguments=lambda: {"tool_results": [{"tool_call_id": f"c{n}", "output": "x"} for n in range(40_000)]},
    ),
    Input("100,000 texts to stop at", "", arguments=lambda: {"options": {"stop": ["x"] * 100_000}}),
    Input(
        "20 MB of empty lists",
        "more than 200,000 values",
        arguments=lambda: {"options": {"stop": [[]] * 5_000_000}},
    ),
    Input("20 MB of numbers", "more than 200,000 values", arguments=lambda: {"images": [1] * 5_000_000}),
    Input(
        "20 MB of lists as text",
        "longer than 8,000,000",
        arguments=lambda: {"options": "[" + "[]," * 6_000_000 + "1]"},
        cost=Cost(0.3, 110),
        reason=LARGE,
    ),
    Input(
        "20 MB of marks in a text",
        "longer than 8,000,000",
        arguments=lambda: {"instructions": '[{,"' * 4_000_000},
        cost=Cost(0.4, 130),
        reason=LARGE,
    ),
    Input("an effort of 1 MB", "reasoning_effort", arguments=lambda: {"reasoning_effort": "h" * MB}),
    Input("a conversation of 1 MB", "conversation", arguments=lambda: {"conversation_id": "c" * MB}),
    Input("a model of 1 MB", "", arguments=lambda: {"model": "m" * MB}),
    Input("a number of 1 MB", "max_output_tokens", arguments=lambda: {"max_output_tokens": "9" * MB}),
    Input("a date of 1 MB", "date", tool="grok_search", arguments=lambda: {"from_date": "2" * MB}),
    Input(
        "a schema's name of 1 MB",
        "data",
        tool="grok_structured",
        arguments=lambda: {"name": "é" * MB, "schema": texts()},
        reply=answering("{}"),
    ),
    Input("a data URI that is none", "not a base64", arguments=lambda: {"images": ["data:" + ";" * MB]}),
    Input(
        "an answer id of 1 MB",
        "answer_not_found",
        tool="grok_result",
        arguments=lambda: {"answer_id": "a" * MB},
    ),
)


def images(folder: Path) -> tuple[Input, ...]:
    """Inputs with images; the folder has `large.jpg`, of 15 MB."""
    file = f"{folder}/large.jpg"
    uri = "data:image/jpeg;base64," + base64.b64encode(JPEG + bytes(7 * MB)).decode()
    return (
        Input("40 images of one file", "more than 20 images", arguments=lambda: {"images": [file] * 40}),
        Input(
            "20 images of one file",
            "MiB together",
            arguments=lambda: {"images": [file] * 20},
            cost=Cost(0.2, 60),
            reason=FILE,
        ),
        Input(
            "two spellings of one file",
            "MiB together",
            arguments=lambda: {"images": [file, f"file://{file}"]},
            cost=Cost(0.2, 80),
            reason=FILE,
        ),
        Input(
            "three data URIs of 7 MB",
            "Fine",
            arguments=lambda: {"images": [uri, uri.replace("jpeg", "jpg"), uri.replace("jpeg", "png")]},
            cost=Cost(0.7, 230),
            reason=LARGE,
        ),
        Input("20 images that are none", "images", arguments=lambda: {"images": ["/dev/zero"] * 20}),
    )


# ------------------------------------------------------------------------------------- the endpoint


def calls(number: int, place: int | None = None) -> list[dict[str, Any]]:
    function = {"name": "f", "arguments": "{}"}
    return [
        {"index": one if place is None else place, "id": f"call_{one}", "function": function}
        for one in range(number)
    ]


def citations(number: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "url_citation",
            "url_citation": {"url": f"https://a.example/{n}", "start_index": n, "end_index": n + 1},
        }
        for n in range(number)
    ]


def in_hundreds(field: str, entries: list[dict[str, Any]]) -> Reply:
    """A stream with a hundred of them in each event."""
    return stream(*(delta({field: entries[n : n + 100]}) for n in range(0, len(entries), 100)))


def item_deltas(number: int) -> bytes:
    deltas = (
        {"type": "response.output_text.delta", "item_id": f"m{n}", "output_index": n, "delta": "x"}
        for n in range(number)
    )
    return b"".join(map(event, deltas))


CODE_DELTA = "response.code_interpreter_call_code.delta"


def code_runs(number: int, output: str) -> bytes:
    outputs = [{"type": "logs", "logs": output}]
    return b"".join(
        event(
            {
                "type": "response.output_item.done",
                "output_index": n,
                "item": {"type": "code_interpreter_call", "id": f"ci_{n}", "code": "x", "outputs": outputs},
            }
        )
        for n in range(number)
    )


def searches(number: int) -> bytes:
    items = (
        {
            "type": "web_search_call",
            "id": f"ws_{n}",
            "status": "completed",
            "action": {"type": "search", "query": f"q{n}"},
        }
        for n in range(number)
    )
    return b"".join(
        event({"type": "response.output_item.done", "output_index": n, "item": one})
        for n, one in enumerate(items)
    )


def blocks(data: bytes, size: int) -> tuple[bytes, ...]:
    """So many bytes of it, in pieces of 64 KB."""
    piece = data * (64 * KB // len(data))
    return (piece,) * (size // len(piece))


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


ANSWERS = (
    Input("an error of one word of 64 KB", "invalid_argument", refused("a" * 64 * KB)),
    Input("an error of one word of 1 MB", "invalid_argument", refused("a" * MB)),
    Input("an error of 1 MB of spaces", "invalid_argument", refused(" " * MB + "x")),
    Input(
        "an error of 1 MB in JSON",
        "invalid_argument",
        lambda: body({"error": {"message": "is not_" * (MB // 7), "code": "c" * MB}}, 400),
    ),
    Input(
        "an error of 1 MB in a stream", "invalid_argument", refused("data: " + "a" * MB, "text/event-stream")
    ),
    Input("an error of many lines", "invalid_argument", refused("data\r" * 200_000, "text/event-stream")),
    Input("an error page of 1 MB", "invalid_argument", refused("<html><title>" * (MB // 13), "text/html")),
    Input(
        "an error thousands of levels deep",
        "invalid_argument",
        refused(b'{"error":' * 100_000, "application/json"),
    ),
    Input(
        "an error in lists in lists",
        "invalid_argument",
        refused(b'{"errors":' + b"[" * 900 + b"]" * 900 + b"}", "application/json"),
    ),
    Input(
        "an error without end",
        "invalid_argument",
        lambda: Reply((b"a" * MB,) * 200, status=400, content_type="text/plain"),
    ),
    Input(
        "16 MB of blanks before an answer",
        "Fine",
        lambda: Reply((*blocks(b" ", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of empty lines before an answer",
        "Fine",
        lambda: Reply((*blocks(b"\r\n", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of blanks in small pieces",
        "Fine",
        lambda: Reply((*(b"\n" * 4096,) * 4096, *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of keep-alives before an answer",
        "Fine",
        lambda: Reply((*blocks(b": keep-alive\n\n", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of keep-alives amid an answer",
        "Fine",
        lambda: Reply((*chat("Fine.", finish=None, done=False).pieces, *blocks(b":\n\n", 16 * MB), END)),
    ),
    Input(
        "16 MB of events with empty data",
        "10,000 events",
        lambda: Reply((*blocks(b"data:\n\n", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of words for data",
        "10,000 events",
        lambda: Reply((*blocks(b"data: keep-alive\n\n", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of garbage for data",
        "10,000 events",
        lambda: Reply((*blocks(b"data: <<none>>\n\n", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "16 MB of events without data",
        "Fine",
        lambda: Reply((*blocks(b"event: ping\nid: 1\n\n", 16 * MB), *chat("Fine.").pieces)),
    ),
    Input(
        "300 MB of JSON, compressed",
        "MiB",
        lambda: gzipped(b'{"choices": "', b"x" * MB, 300, "application/json"),
    ),
    Input(
        "300 MB of an event, compressed",
        "MiB",
        lambda: gzipped(b"data: ", b"x" * MB, 300, "text/event-stream"),
    ),
    Input(
        "300 MB of an error, compressed",
        "",
        lambda: Reply(**{**vars(gzipped(b"", b"x" * MB, 300, "text/plain")), "status": 400}),
    ),
    Input("300 MB of blanks, compressed", "", lambda: gzipped(b"", b" " * MB, 300, "application/json")),
    Input("one event of 100 MB", "MiB", lambda: Reply((b"data: ", *(b"x" * MB,) * 100))),
    Input(
        "one event of 100 MB in short lines", "50,000 lines", lambda: Reply(blocks(b"data: x\n", 100 * MB))
    ),
    Input("one line of 100 MB", "MiB", lambda: Reply((b"id: ", *(b"x" * MB,) * 100))),
    Input(
        "a JSON body of 100 MB",
        "MiB",
        lambda: Reply((b'{"a": "', *(b"x" * MB,) * 100), content_type="application/json"),
    ),
    Input(
        "a JSON body of 1,000,000 lists",
        "200,000 values",
        lambda: Reply((b'{"a": [', b"[]," * 1_000_000, b"1]}"), content_type="application/json"),
    ),
    Input(
        "an event of 1,000,000 lists",
        "200,000 values",
        lambda: stream(b'data: {"a": [' + b"[]," * 1_000_000 + b"1]}\n\n"),
    ),
    Input(
        "a text without end", "characters", lambda: Reply((delta({"content": "word " * (MB // 5)}),) * 100)
    ),
    Input(
        "arguments of a call without end",
        "characters",
        lambda: Reply(
            (delta({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "x" * MB}}]}),) * 100
        ),
    ),
    Input(
        "thoughts without end",
        "",
        lambda: Reply((delta({"reasoning_content": "hm " * (MB // 3)}),) * 40 + chat("Fine.").pieces),
    ),
    Input("8,000 deltas that each name an item", "1,000 texts", lambda: Reply((item_deltas(8_000),))),
    Input(
        "8,000 alternatives",
        "1,000",
        lambda: Reply(
            tuple(event({"choices": [{"index": n, "delta": {"content": "x"}}]}) for n in range(8_000))
        ),
    ),
    Input(
        "60,000 citations",
        "200,000 values",
        lambda: stream(delta({"content": "Fine.", "annotations": citations(60_000)})),
    ),
    Input(
        "100,000 citations in 1,000 events",
        "citations",
        lambda: in_hundreds("annotations", citations(100_000)),
    ),
    Input(
        "100,000 sources as a list",
        "interrupted",
        lambda: stream(
            delta({"content": "Fine."}, citations=[f"https://a.example/{n}" for n in range(100_000)])
        ),
    ),
    Input("100,000 searches", "steps", lambda: Reply((searches(100_000),))),
    Input("100,000 runs of code", "steps", lambda: Reply((code_runs(100_000, "x"),))),
    Input(
        "outputs of code of 40 MB", "Fine", lambda: Reply((code_runs(40, "x" * MB), *chat("Fine.").pieces))
    ),
    Input(
        "code without end",
        "characters",
        lambda: Reply(
            (event({"type": CODE_DELTA, "output_index": 0, "delta": "x" * MB}),) * 40 + chat("Fine.").pieces
        ),
    ),
    Input(
        "60,000 tool calls at once", "200,000 values", lambda: stream(delta({"tool_calls": calls(60_000)}))
    ),
    Input("100,000 tool calls in 1,000 events", "calls", lambda: in_hundreds("tool_calls", calls(100_000))),
    Input(
        "100,000 tool calls under one number", "calls", lambda: in_hundreds("tool_calls", calls(100_000, 0))
    ),
    Input(
        "an event thousands of levels deep",
        "Fine",
        lambda: Reply((b"data: " + deep(100_000) + b"\n\n", *chat("Fine.").pieces)),
    ),
    Input(
        "a body thousands of levels deep",
        "upstream",
        lambda: Reply((deep(100_000),), content_type="application/json"),
    ),
    Input(
        "arguments thousands of levels deep",
        "",
        lambda: stream(
            delta(
                {
                    "tool_calls": [
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": deep(50_000).decode()}}
                    ]
                }
            )
        ),
    ),
    Input(
        "data thousands of levels deep",
        "",
        answering(deep(50_000).decode()),
        "grok_structured",
        lambda: {"schema": {"type": "object"}},
    ),
    Input(
        "invisible characters without end",
        "invisible",
        tool="grok_search",
        reply=lambda: Reply((delta({"content": "\u200b" * 100_000}),) * 50),
    ),
    Input(
        "an invisible character in each delta",
        "",
        lambda: stream(b"".join(delta({"content": "a\ufeffb"}) for _ in range(2_000))),
    ),
    Input(
        "halves of surrogate pairs",
        "",
        lambda: stream(delta({"content": "\ud83d" * 500_000})),
    ),
    Input(
        "a count of 100,000 digits",
        "Fine",
        lambda: Reply(
            (
                b'data: {"choices":[{"index":0,"delta":{"content":"Fine."}}],"usage":{"prompt_tokens":'
                + b"9" * 100_000
                + b"}}\n\n",
                *chat("Fine.").pieces,
            )
        ),
    ),
    Input(
        "a price that is absurd",
        "Fine",
        lambda: chat(
            "Fine.",
            usage={
                "prompt_tokens": 1,
                "completion_tokens": 1,
                "cost": "1e999999999",
                "cost_in_usd_ticks": "9" * 4_000,
            },
        ),
    ),
    Input(
        "headers without end",
        "",
        lambda: Reply(chat("Fine.").pieces, headers={f"X-{n}": "x" * 1_000 for n in range(5_000)}),
    ),
    Input("a header of 10 MB", "", lambda: Reply(chat("Fine.").pieces, headers={"X": "x" * 10 * MB})),
    Input(
        "a model that is unknown among 50,000",
        "model",
        lambda: body({"error": {"message": "The model does not exist", "code": "model_not_found"}}, 404),
        arguments=lambda: {"model": "grok-9"},
    ),
)

MODELS = body({"object": "list", "data": [{"id": f"grok-{n}", "object": "model"} for n in range(50_000)]})


def replies(inputs: Iterable[Input]) -> Callable[[Request], Reply]:
    """How an endpoint chooses what it says: by the prompt, which is the name of an input."""
    by_name = {one.name: one for one in inputs}

    def choose(request: Request) -> Reply:
        if request.body is None:
            return MODELS
        for message in reversed(request.body.get("messages") or request.body.get("input")):
            content = message["content"]
            text = content if isinstance(content, str) else content[-1].get("text")
            if text in by_name:
                return by_name[text].reply()
        return chat("Fine.")

    return choose
