"""What a request may cost, before it goes out: a rule, and no promise.

An estimate is meant to lie above the bill more often than below it: nothing counts as cached, images count as
the largest, and an answer takes all that `max_output_tokens` allows. To change a rule, change its figure here
and in the table of docs/cost.md, which a test compares.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from grok_mcp import bounds
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, Document, Message
from grok_mcp.models import LONG_CONTEXT_TOKENS, MOVING, RETIRED, Model, find_model
from grok_mcp.redaction import one_line
from grok_mcp.usage import (
    ATTACHMENT_USD,
    CODE_USD,
    COLLECTION_USD,
    POST_USD,
    PRIORITY_FACTOR,
    SEARCH_USD,
    Usage,
    with_cost_estimate,
)

BYTES_PER_TOKEN = 3
"""Of UTF-8: English prose has four and more, code and other languages mostly three."""
IMAGE_TOKENS = 1_792
"""The largest image (docs.x.ai, image understanding)."""
DOCUMENT_TOKENS = 20_000
"""A document of which only the address is known, or a short one: some twenty pages."""
DOCUMENT_BYTES_PER_TOKEN = 20
"""Of a PDF: a page of text has some 500 tokens in 10 KB and more."""
TEXT_TOKENS = 1_000
"""The text of a usual answer, or its JSON."""
THOUGHT_TOKENS = {"none": 0, "low": 1_000, "medium": 2_000, "high": 4_000, "xhigh": 8_000}
"""What is thought before it, by effort: a hard question took 449 with low and 3,066 with xhigh (2026-11)."""
AGENTS = {"none": 4, "low": 4, "medium": 4, "high": 16, "xhigh": 16}
"""How many a multi-agent model sets to work, each of which is billed (docs.x.ai, multi-agent)."""
SEARCH_TURNS = 4
"""Turns of a usual search; the figures below are for one. Two to five searches read 6,000 to 12,000 tokens
(2026-08), which is less: pages differ.
"""
READ_TOKENS = 5_000
POSTS = 8
CODE_RUNS = 2
"""Runs of code of a usual call."""
CODE_TOKENS = 1_000
"""What is written for one run and read of its output."""
LIVE_SOURCES = 15
LIVE_SOURCE_USD = Decimal("0.025")
"""A source of the older live search, which reads so many where no other number is asked for."""

MILLION = 1_000_000
MODEL_CHARACTERS = 80


class Estimate(NamedTuple):
    """What a request may cost in USD, by its parts; tokens are those that are billed, over all its rounds."""

    model: str
    input_tokens: int
    output_tokens: int
    input_usd: Decimal
    output_usd: Decimal
    search_usd: Decimal
    code_usd: Decimal
    corrected: bool
    """Whether a correction of the JSON is in it."""

    @property
    def usd(self) -> Decimal:
        """All of it."""
        return self.input_usd + self.output_usd + self.search_usd + self.code_usd

    @property
    def parts(self) -> str:
        """What it is made of, in words."""
        tokens = (
            ("input", self.input_tokens, self.input_usd),
            ("output", self.output_tokens, self.output_usd),
        )
        parts = [f"{count:,} tokens of {name} for {amount(usd)} USD" for name, count, usd in tokens]
        if self.search_usd:
            parts.append(f"a search for {amount(self.search_usd)} USD")
        if self.code_usd:
            parts.append(f"runs of code for {amount(self.code_usd)} USD")
        correction = ", with a correction of the JSON" if self.corrected else ""
        return f"{self.model}, about {', '.join(parts)}{correction}"


def amount(usd: Decimal) -> str:
    """An amount in USD, rounded up to what can still be read."""
    places = (
        Decimal("0.01") if usd >= 1 else Decimal("0.0001") if usd >= Decimal("0.001") else Decimal("0.000001")
    )
    return f"{usd.quantize(places, 'ROUND_UP'):f}"


def short(model: str) -> str:
    """The name of a model, as somebody gave it, inside a sentence of ours."""
    return one_line(model)[:MODEL_CHARACTERS]


def estimate_cost(request: ChatRequest, dialect: str, gateway: Gateway) -> Estimate | None:
    """What the request may cost in this wire dialect; None where the model has no known price."""
    name = request.model.rsplit("/", 1)[-1]
    model = find_model({**RETIRED, **MOVING}.get(name, name) if gateway.serves_xai_models else name)
    thoughts = _thoughts(request, model)
    beyond = dialect == "chat_completions" and not gateway.reasoning_inside
    output = _output(request, thoughts, thoughts if beyond else 0)
    read, search_usd = _search(request)
    search_usd += ATTACHMENT_USD * sum(len(message.documents) for message in request.messages)
    asked = asked_tokens(request)
    runs = CODE_RUNS if request.code else 0
    read += runs * CODE_TOKENS
    input_tokens = asked + read
    corrected = request.response_format is not None and request.response_format.schema is not None
    if corrected:  # the correction sends all of it again with the answer, and another is written
        input_tokens, output = input_tokens + asked + output, 2 * output
    factor = _factor(request, model)
    input_tokens, output = input_tokens * factor, output * factor
    priced = _price(request.model, model, input_tokens, output)
    if priced is None:
        return None
    tier = gateway.price_factor * (
        PRIORITY_FACTOR if request.options.get("service_tier") == "priority" else 1
    )
    return Estimate(
        short(request.model),
        input_tokens,
        output,
        priced[0] * tier,
        priced[1] * tier,
        search_usd,
        runs * CODE_USD,
        corrected,
    )


def _thoughts(request: ChatRequest, model: Model | None) -> int:
    if model is not None and not model.reasoning:
        return 0
    return THOUGHT_TOKENS[_effort(request, model)]


def _effort(request: ChatRequest, model: Model | None) -> str:
    """The effort that is asked for, else the model's own; the highest of a model that does not say."""
    default = model.efforts[0] if model is not None and model.efforts else "high"
    return request.reasoning_effort or default


def _output(request: ChatRequest, thoughts: int, beyond: int) -> int:
    """Tokens of all alternatives; `beyond` is what the limit of an answer does not count."""
    limit = request.max_output_tokens
    one = TEXT_TOKENS + thoughts if limit is None else min(limit, bounds.COUNT) + beyond
    return one * int(request.options.get("n") or 1)


def _factor(request: ChatRequest, model: Model | None) -> int:
    """How many agents read and write."""
    if model is None or "multi-agent" not in model.id:
        return 1
    return AGENTS[_effort(request, model)]


def asked_tokens(request: ChatRequest) -> int:
    """Tokens of everything that goes out; the whole conversation does, each time."""
    texts: list[str] = [request.instructions, *map(_json, request.tools)]
    if request.response_format is not None and request.response_format.schema is not None:
        texts.append(_json(request.response_format.schema))
    images, documents = 0, 0
    for message in request.messages:
        texts += _texts(message)
        images += len(message.images)
        documents += sum(map(_document, message.documents))
    return tokens_of(texts) + images * IMAGE_TOKENS + documents


def tokens_of(texts: Iterable[str]) -> int:
    """Tokens of texts, together."""
    return math.ceil(sum(map(_bytes, texts)) / BYTES_PER_TOKEN)


def _document(document: Document) -> int:
    """Tokens that are read of a document: nobody knows its pages before."""
    if not document.is_inline:
        return DOCUMENT_TOKENS
    return max(DOCUMENT_TOKENS, len(document.url) * 3 // 4 // DOCUMENT_BYTES_PER_TOKEN)


def _texts(message: Message) -> Iterable[str]:
    yield message.text
    for call in message.tool_calls:
        yield call.name
        yield call.arguments
    yield from map(_json, message.reasoning)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _search(request: ChatRequest) -> tuple[int, Decimal]:
    """Tokens that a usual search reads, and its fees."""
    search = request.search
    if request.collections:
        read, usd = _search(replace(request, collections=()))
        return read + SEARCH_TURNS * READ_TOKENS, usd + SEARCH_TURNS * COLLECTION_USD
    if search is None or search.mode == "off":
        return 0, Decimal(0)
    if request.search_dialect == "search_parameters":
        sources = search.max_results or LIVE_SOURCES
        return SEARCH_TURNS * READ_TOKENS, sources * LIVE_SOURCE_USD
    turns = min(search.max_turns or SEARCH_TURNS, SEARCH_TURNS)
    each = SEARCH_USD * bool(set(search.sources) - {"x"}) + POSTS * POST_USD * ("x" in search.sources)
    return turns * READ_TOKENS, turns * each


def _price(name: str, model: Model | None, input_tokens: int, output: int) -> tuple[Decimal, Decimal] | None:
    """Input and output in USD, by our own list, else by the public one that answers are priced with."""
    if model is not None:
        doubled = 2 if input_tokens >= LONG_CONTEXT_TOKENS else 1
        return (
            input_tokens * model.input_usd * doubled / MILLION,
            output * model.output_usd * doubled / MILLION,
        )
    whole = with_cost_estimate(Usage(input_tokens=input_tokens, output_tokens=output), name).cost_usd
    read = with_cost_estimate(Usage(input_tokens=input_tokens, output_tokens=0), name).cost_usd
    return None if whole is None or read is None else (read, whole - read)
