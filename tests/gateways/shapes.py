"""Replies in the shapes that several gateways share: the pieces of a Responses stream, and of chat deltas."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from tests.gateways.table import Json, cited
from tests.support.endpoint import Reply

RESPONSE: Json = {
    "id": "9f0c2b4e-7a11-4d6e-b1f7-1f2a3b4c5d05_us-east-1",
    "object": "response",
    "created_at": 1795300500,
    "error": None,
    "incomplete_details": None,
    "metadata": {},
    "service_tier": "default",
    "store": False,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
}


class Item(NamedTuple):
    """One output item of a response: when it opens, what is streamed into it, and when it is done."""

    opened: Json
    streamed: list[Json]
    done: Json


def message(*pieces: str, annotations: Iterable[Json] = ()) -> Item:
    """A message in deltas, its annotations behind them."""
    part = {"type": "output_text", "text": "".join(pieces), "logprobs": [], "annotations": list(annotations)}
    empty = {"type": "output_text", "text": "", "logprobs": [], "annotations": []}
    item = {"id": "msg_9f0c", "type": "message", "role": "assistant"}
    return Item(
        {**item, "content": [], "status": "in_progress"},
        [
            {"type": "response.content_part.added", "content_index": 0, "part": empty},
            *(
                {"type": "response.output_text.delta", "content_index": 0, "delta": piece, "logprobs": []}
                for piece in pieces
            ),
            *(
                {
                    "type": "response.output_text.annotation.added",
                    "content_index": 0,
                    "annotation_index": number,
                    "annotation": annotation,
                }
                for number, annotation in enumerate(part["annotations"])
            ),
            {"type": "response.output_text.done", "content_index": 0, "text": part["text"]},
            {"type": "response.content_part.done", "content_index": 0, "part": part},
        ],
        {**item, "content": [part], "status": "completed"},
    )


def reasoning(encrypted: str) -> Item:
    """A reasoning item that is to be sent back in the next turn."""
    item = {"id": "rs_9f0c", "type": "reasoning"}
    summary = [{"type": "summary_text", "text": "Think."}]
    delta = {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "Think."}
    return Item(
        {**item, "summary": [], "status": "in_progress"},
        [delta],
        {**item, "summary": summary, "encrypted_content": encrypted, "status": "completed"},
    )


def function_call(number: int, city: str) -> Item:
    """A call of `get_weather`."""
    arguments = json.dumps({"city": city}, separators=(",", ":"))
    item = {
        "id": f"fc_9f0c_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": "get_weather",
    }
    return Item(
        {**item, "arguments": "", "status": "in_progress"},
        [
            {"type": "response.function_call_arguments.delta", "delta": arguments},
            {"type": "response.function_call_arguments.done", "arguments": arguments},
        ],
        {**item, "arguments": arguments, "status": "completed"},
    )


def web_search(query: str, *urls: str) -> Item:
    """A web search with the pages that it met."""
    item = {"id": "ws_9f0c_1", "type": "web_search_call"}
    action = {"type": "search", "query": query, "sources": [{"type": "url", "url": url} for url in urls]}
    return Item(
        {**item, "status": "in_progress"},
        [
            {"type": "response.web_search_call.in_progress"},
            {"type": "response.web_search_call.searching"},
            {"type": "response.web_search_call.completed"},
        ],
        {**item, "status": "completed", "action": action},
    )


def x_search(query: str) -> Item:
    """An X search, which arrives as a custom tool call."""
    item = {
        "id": "ctc_9f0c_2",
        "type": "custom_tool_call",
        "call_id": "xs_call_2",
        "name": "x_keyword_search",
    }
    text = json.dumps({"query": query, "limit": "10", "mode": "Latest"})
    return Item(
        {**item, "input": "", "status": "in_progress"},
        [
            {"type": "response.custom_tool_call_input.delta", "delta": text},
            {"type": "response.custom_tool_call_input.done", "input": text},
        ],
        {**item, "input": text, "status": "completed"},
    )


def response_stream(model: str, *items: Item, usage: Json | None = None, named_events: bool = False) -> Reply:
    """A Responses stream in its recorded order, with keepalive comments; the counts come last."""
    begun = {**RESPONSE, "model": model, "completed_at": None, "output": [], "usage": None}
    payloads: list[Json] = [
        {"type": "response.created", "response": {**begun, "status": "in_progress"}},
        {"type": "response.in_progress", "response": {**begun, "status": "in_progress"}},
    ]
    for index, item in enumerate(items):
        at = {"item_id": item.done["id"], "output_index": index}
        payloads += [
            {"type": "response.output_item.added", "output_index": index, "item": item.opened},
            *({**streamed, **at} for streamed in item.streamed),
            {"type": "response.output_item.done", "output_index": index, "item": item.done},
        ]
    complete = {
        **begun,
        "completed_at": 1795300523,
        "status": "completed",
        "output": [item.done for item in items],
        "usage": usage,
    }
    payloads.append({"type": "response.completed", "response": complete})
    pieces = []
    for number, payload in enumerate(payloads):
        name = f"event: {payload['type']}\n" if named_events else ""
        pieces.append(f"{name}data: {json.dumps({'sequence_number': number, **payload})}\n\n")
    pieces.insert(2, ": keepalive\n\n")
    return Reply(tuple(piece.encode() for piece in [*pieces, "data: [DONE]\n\n"]))


FOUND_TEXT = (
    "The tram is approved[[1]](https://city.example/minutes). "
    "Residents cheer[[2]](https://x.com/i/status/42)."
)
FOUND_CITATIONS = [
    cited(1, "https://city.example/minutes", "city.example/minutes", [20, 55]),
    cited(2, "https://x.com/i/status/42", "x.com/i/status/42", [72, 104], source="x"),
    cited(3, "https://forum.example/t/9917", "forum.example/t/9917"),
]
FOUND: Json = {
    "citations": FOUND_CITATIONS,
    "searched": True,
    "search_queries": ["tram vote", "tram since:2026-11-12"],
}
"""What is published of `found` beside its text, model and counts."""


def found(model: str, usage: Json | None = None) -> Reply:
    """Web and X search as the Responses API streams them, with one source that is not cited."""
    return response_stream(
        model,
        reasoning("gAAA"),
        web_search("tram vote", "https://city.example/minutes", "https://forum.example/t/9917"),
        x_search("tram since:2026-11-12"),
        message(
            "The tram is approved",
            "[[1]](https://city.example/minutes)",
            ". Residents cheer",
            "[[2]](https://x.com/i/status/42)",
            ".",
            annotations=[
                annotation("https://city.example/minutes", "1", 20, 55),
                annotation("https://x.com/i/status/42", "2", 72, 104),
                annotation("https://forum.example/t/9917", "https://forum.example/t/9917", 0, 0),
            ],
        ),
        usage=usage,
    )


def annotation(url: str, title: str, start: int, end: int) -> Json:
    """A citation as the Responses API has it: flat, the title being its number or its address."""
    return {"type": "url_citation", "url": url, "start_index": start, "end_index": end, "title": title}


def whole_calls(*cities: str) -> list[Json]:
    """Calls of `get_weather` as xAI's chat streams them: all in one delta, each with all its arguments."""
    calls = [{"index": number, **chat_call(number + 1, city)} for number, city in enumerate(cities)]
    return [{"tool_calls": calls}]


def split_calls(*cities: str) -> list[Json]:
    """The same as other gateways stream them: arguments in pieces, later ones without id and name."""
    deltas: list[Json] = []
    for number, city in enumerate(cities):
        call = chat_call(number + 1, city)
        arguments = call["function"]["arguments"]
        opened = {**call, "function": {"name": "get_weather", "arguments": ""}}
        deltas.append({"tool_calls": [{"index": number, **opened}]})
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}
            for piece in (arguments[:6], arguments[6:])
        ]
    return deltas


def chat_call(number: int, city: str) -> Json:
    """A call of `get_weather` in a chat message."""
    arguments = json.dumps({"city": city}, separators=(",", ":"))
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "get_weather", "arguments": arguments},
    }


def lines(*payloads: Any, newline: str = "\n", comment: str = "", done: bool = True) -> Reply:
    """A stream in another framing: with comment lines, other line ends, or without `[DONE]`."""
    blocks = [f"data: {json.dumps(payload)}" for payload in payloads] + ["data: [DONE]"] * done
    parts = [part for block in blocks for part in (comment, block) if part]
    return Reply(tuple(f"{part}{newline}{newline}".encode() for part in parts))


def torn(reply: Reply) -> Reply:
    """The same stream in pieces that end anywhere, in the middle of a line or a word."""
    stream = b"".join(reply.pieces)
    return replace(reply, pieces=tuple(stream[at : at + 37] for at in range(0, len(stream), 37)))
