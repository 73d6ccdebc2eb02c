"""What a row of the gateway tables says, and which rows there have to be.

The rows of xAI's own API stand in `xai.py` as literals; those of chat completions are made from one table of
what differs between gateways, `chat_table.py`; `columns.py` has them all. A row says what a host calls, the
requests that have to go out, the replies in that gateway's own shape, and the whole answer that a host has to
get. Nothing of it is taken from grok_mcp. `tests/test_gateways.py` plays them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dirty_equals import IsFloat, IsStr

from tests.support.endpoint import Reply

Json = dict[str, Any]

FEATURES: Mapping[str, str] = {
    "ask": "a question with every common argument",
    "responses": "the Responses API, where it is documented or the chat path is not there",
    "search": "the gateway's own way to search, and its sources",
    "search refused with 410": "what follows where that way is gone",
    "search refused with 422": "the same, as for an unknown field or tool",
    "search refused with 404": "the same, as for an unknown path",
    "structured": "a JSON Schema, and the value that fits it",
    "structured unsupported": "what follows where the schema is ignored or refused",
    "functions": "calls in parallel, their results and errors, the answer",
    "tool_choice": "auto, none, required, one function",
    "images": "an address and a data URI",
    "seed": "a seed",
    "n": "several answers",
    "stop": "stop sequences",
    "penalties": "of presence and of frequency",
    "stream": "the framing of this gateway, in small pieces",
    "include_usage": "where in a stream the counts stand",
    "effort": "reasoning effort, with what models are known to refuse",
    "parameter refused": "a 400 that names a parameter",
    "affinity": "what keeps the turns of one conversation on one machine",
    "usage": "counts in this gateway's own form",
    "index": "which of several answers is the first",
    "models": "every model that the gateway names, and another one that answers",
}
"""The features that gateways document or leave out. Lists of models are in tests/test_models.py."""


@dataclass(frozen=True)
class Exchange:
    """One request as it has to go out, and the gateway's reply."""

    path: str
    body: Json
    reply: Reply


@dataclass(frozen=True)
class Failure:
    """An error result: its code, and words that its text has to hold."""

    code: str
    words: str


@dataclass(frozen=True)
class Call:
    """One call of a tool, what passes between the server and the gateway, and all that is published."""

    tool: str
    arguments: Json
    exchanges: tuple[Exchange, ...]
    gives: Json | Failure
    continues: int | None = None
    """The earlier call of the row whose conversation goes on, from that very answer."""


@dataclass(frozen=True)
class Row:
    """One feature at one gateway: the calls of one host, in order.

    The column is the gateway's name, or `xai chat` for xAI with GROK_MCP_DIALECT=chat_completions: what xAI
    documents for its two APIs differs.
    """

    column: str
    feature: str
    calls: tuple[Call, ...]
    settings: Json = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        """The name for GROK_MCP_GATEWAY."""
        return self.column.removesuffix(" chat")


def ask(arguments: Json, *exchanges: Exchange, gives: Json | Failure, continues: int | None = None) -> Call:
    return Call("ask_grok", {"prompt": "Hello?", **arguments}, exchanges, gives, continues)


def search(arguments: Json, *exchanges: Exchange, gives: Json | Failure) -> Call:
    return Call("grok_search", {"query": "Tram?", **arguments}, exchanges, gives)


def structured(arguments: Json, *exchanges: Exchange, gives: Json | Failure) -> Call:
    return Call(
        "grok_structured",
        {"prompt": "Which city?", "schema": SCHEMA, "name": "place", **arguments},
        exchanges,
        gives,
    )


def at_chat(body: Json, reply: Reply) -> Exchange:
    return Exchange("/chat/completions", body, reply)


def at_responses(body: Json, reply: Reply) -> Exchange:
    return Exchange("/responses", body, reply)


SECONDS = IsFloat(ge=0)
ESTIMATED: Json = {"cost_usd": IsFloat(gt=0), "cost_source": "estimated"}
"""For an endpoint that reports no cost: public price lists change, so that only the mark is held."""
KEY = IsStr(regex=r"[0-9a-f]{32}")
"""`prompt_cache_key`; that it is the same for the turns of one conversation only is held for every row."""


def answer(
    text: str, model: str, counts: Json | None = None, *, warnings: Sequence[str] = (), **more: Any
) -> Json:
    """A whole published answer; `counts` as the host sees them, none where the gateway tells none.

    All sources of these answers are met, and cited where they have a place.
    """
    if "citations" in more:
        cites = [one["index"] for one in more["citations"] if one["spans"]]
        rest = [one["index"] for one in more["citations"] if not one["spans"]]
        more["evidence"] = {"cited": cites, "met_only": rest, "unseen": [], "broken": []}
    return {
        **({"text": text} if text else {}),
        **({"warnings": list(warnings)} if warnings else {}),
        "finish_reason": "stop",
        "conversation_id": IsStr(regex=r"conv_[\w-]{22}"),
        "model": model,
        "usage": {**(counts or {}), "duration_s": SECONDS, "time_to_first_token_s": SECONDS},
        **more,
    }


def cited(index: int, url: str, title: str, *spans: list[int], source: str = "web") -> Json:
    return {"index": index, "url": url, "title": title, "source": source, "spans": list(spans)}


def today(*sentences: str) -> IsStr:
    """The system message of a search: it tells the date, which changes, and what has no field."""
    date = r"Today is (?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d{4}-\d\d-\d\d \(UTC\)\."
    return IsStr(regex=date + "".join(re.escape(f"\n\n{sentence}") for sentence in sentences))


# What the rows of all gateways ask about.

EVERYTHING: Json = {
    "instructions": "Be brief.",
    "reasoning_effort": "low",
    "max_output_tokens": 2048,
    "temperature": 0.7,
    "options": {
        "top_p": 0.95,
        "parallel_tool_calls": False,
        "service_tier": "default",
        "user": "opaque-id",
    },
}
SCHEMA: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SCHEMA_IN_WORDS = (
    "Answer with one JSON value and nothing else. It must be valid against this JSON Schema:\n"
    '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],'
    '"additionalProperties":false}'
)
IN_WORDS = "The endpoint refused the schema: the model got it in words."
CITIES: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
WEATHER: Json = {"name": "get_weather", "description": "Current temperature", "parameters": CITIES}
TOOLS: list[Json] = [{"type": "function", "function": WEATHER}]
OSLO_AND_BERGEN: Json = {"prompt": "Weather in Oslo and Bergen?", "tools": TOOLS}
RESULTS: Json = {
    "prompt": "",
    "tool_results": [
        {"tool_call_id": "call_2", "output": "error: station offline"},
        {"tool_call_id": "call_1", "output": {"temp_c": 2}},
    ],
}
"""The results come in another order than the calls; one of them is an error."""
CALLS: Json = {
    "finish_reason": "tool_calls",
    "tool_calls": [
        {"id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}},
        {"id": "call_2", "name": "get_weather", "arguments": {"city": "Bergen"}},
    ],
}
CALL: Json = {
    "finish_reason": "tool_calls",
    "tool_calls": [{"id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}}],
}
ADDRESS = "https://pictures.example/cat.jpg"
DATA_URI = "data:image/png;base64,iVBORw0KGgo="
NO_SEARCH_RAN = "The endpoint reported no search: this is the model's own knowledge."
NO_SOURCES = "The endpoint searched but named no sources."
