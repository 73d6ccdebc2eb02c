"""What endpoints do otherwise than they should, through a real MCP client: the sandbox does it on demand.

A deviation either does not matter: the answer is the plain one. Or it does, and the client is told.
"""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grok_mcp.sandbox import SandboxServer
from grok_mcp.sandbox.faults import WORDS
from tests.sandbox_faults import FAULTS, REPLIES
from tests.sandbox_faults.calls import IDENTITIES
from tests.sandbox_faults.chat import MESSAGES, THOUGHTS
from tests.sandbox_faults.requests import ANSWERS, NO_MODEL, REFUSALS, WORDINGS
from tests.sandbox_faults.shapes import BODIES, JSON_BODIES
from tests.support.host import Host, Result, host_on

pytestmark = pytest.mark.anyio

JSON = dict[str, Any]

MODEL = "grok-4.7"
SCHEMA: JSON = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [{"name": name, "parameters": SCHEMA} for name in ("weather", "tides")]

IMAGE = "data:image/png;base64,iVBORw0KGgo="

NAME: JSON = {"type": "object", "properties": {"name": {"type": "string", "pattern": "^(?!x)[a-z ]+$"}}}

QUESTIONS: dict[str, tuple[str, JSON]] = {
    "text": ("ask_grok", {"prompt": "Why is the sky “blue” 🚋?"}),
    "long": ("ask_grok", {"prompt": "Write 90 words."}),
    "calls": ("ask_grok", {"prompt": "Use weather and tides.", "tools": TOOLS}),
    "search": ("grok_search", {"query": "latest tram extension"}),
    "data": ("grok_structured", {"prompt": "A city", "schema": SCHEMA}),
    "found data": ("grok_structured", {"prompt": "A city", "schema": SCHEMA, "search": True}),
    "auto": ("grok_search", {"query": "latest tram extension", "mode": "auto"}),
    "image": ("ask_grok", {"prompt": "What is it?", "images": [IMAGE]}),
    "limit 0": ("ask_grok", {"prompt": "Hi", "max_output_tokens": 0}),
    "an option": ("ask_grok", {"prompt": "Hi", "options": {"foo": 1}}),
    "a pattern": ("grok_structured", {"prompt": "A name", "schema": NAME}),
}

# how the server is set up to ask: in which dialect, and how it searches there
FORMS: dict[str, JSON] = {
    "responses": {"dialect": "responses"},
    "chat": {"dialect": "chat_completions", "search_dialect": "search_parameters"},
    "openrouter": {"dialect": "chat_completions", "search_dialect": "openrouter"},
}
BYTES = ("calls", "search")
CHAT = ("chat", "openrouter")
RESPONSES = ("responses",)


@dataclass(frozen=True)
class Same:
    """A deviation that must not matter, less the parts of the answer that it is about."""

    script: str
    forms: tuple[str, ...] = tuple(FORMS)
    about: tuple[str, ...] = ()
    questions: tuple[str, ...] = ("text", "calls", "search", "data")


@dataclass(frozen=True)
class Told:
    """A deviation that must have this outcome; `note` stands in a warning, or in the message of an error."""

    script: str
    question: str = "text"
    forms: tuple[str, ...] = ("responses", "chat")
    error: str = ""
    finish: str = "stop"
    note: str = ""
    idle_timeout: float = 120


SAME = [
    # the bytes
    Same("crlf", questions=BYTES),
    Same("cr", questions=BYTES),
    Same("bom", questions=BYTES),
    Same("bom;json", questions=BYTES),
    Same("multiline", questions=BYTES),
    Same("multiline;crlf;split", RESPONSES, questions=("text",)),
    Same("eventlines", questions=BYTES),
    Same("noblank", questions=BYTES),
    Same("noblank;nodone", questions=BYTES),
    Same("nodone", questions=BYTES),
    Same("notype", questions=BYTES),
    Same("notype;json", questions=BYTES),
    Same("keepalive", questions=BYTES),
    Same("split", questions=("text",)),
    Same("json"),
    Same("status=503;times=1", questions=("text",)),
    # both dialects
    Same("repeatthoughts"),
    Same("noobject"),
    Same("noobject;json"),
    Same("bare", about=("spans", "evidence")),
    Same("textusage"),
    Same("nullusage", about=("usage",)),
    Same("nousage", about=("usage",)),
    Same("fenced", about=("text", "usage"), questions=("data",)),
    # responses
    Same("interleave", RESPONSES, questions=("text", "search", "data")),
    Same("itemtext", RESPONSES),
    Same("itemtext;nooutput", RESPONSES),
    Same("nooutput", RESPONSES),
    Same("twice", RESPONSES),
    Same("itemtext;twice", RESPONSES),
    Same("olditems", RESPONSES, about=("search_queries",)),  # which has one query a search
    Same("olditems;json", RESPONSES, about=("search_queries",)),
    Same("noaction", RESPONSES, about=("search_queries", "pages_read")),
    Same("emptyquery", RESPONSES, about=("search_queries",)),
    Same("also=files", RESPONSES, about=("search_queries", "documents")),
    Same("also=mcp", RESPONSES),
    Same("also=media;json", RESPONSES),
    Same("toplist", RESPONSES, about=("spans",)),
    Same("sealed", RESPONSES),
    Same("unknown", RESPONSES),
    Same("unknown;json", RESPONSES),
    Same("responsedone", RESPONSES),
    # chat completions
    Same("splitcalls", CHAT),
    Same("namedcalls;nullcontent", CHAT),
    Same("noindex", CHAT),
    Same("noindex;json", CHAT),
    Same("nofinish", CHAT),
    Same("emptyfinish", CHAT),
    Same("nullfinish", CHAT),
    Same("finish=eos", CHAT),
    Same("nullcontent", CHAT),
    Same("nullcontent;json", CHAT),
    Same("emptycontent", CHAT),
    Same("wrapped;json", CHAT),
    Same("openrouter", CHAT, about=("usage.sources_used",)),
    Same("openrouter;json", CHAT, about=("usage.sources_used",)),
    Same(
        "rebuilt",
        ("chat",),
        about=("usage.cost_source", "usage.service_tier"),
        questions=("text", "calls", "data"),
    ),
    Same("inclusive", CHAT),
    Same("misspelt", CHAT),
    Same("finishusage", CHAT),
    Same("runningusage", CHAT),
    Same("cachedbeside", about=("usage.cached_tokens",)),
    Same("bom;notype", questions=BYTES),
]

TOLD = [
    # streams that break off
    Told("cut=60", "long", finish="interrupted", note="[connection]"),
    Told("reset=60", "long", finish="interrupted", note="[connection]"),
    Told("end=60", "long", finish="interrupted", note="[interrupted]"),
    Told("stall=60", "long", finish="interrupted", note="[timeout]", idle_timeout=0.6),
    Told("error=60", "long", finish="interrupted", note="[overloaded]"),
    Told("error=60;body=openrouter", "long", finish="interrupted", note="Provider returned error"),
    Told("failed=60", "long", RESPONSES, finish="interrupted", note="Internal server error"),
    Told("failed=60;nousage", "long", RESPONSES, finish="interrupted", note="Internal server error"),
    Told("nofinish;nodone", forms=("chat",), finish="interrupted", note="before it was complete"),
    Told("nofinish;nodone", "data", ("chat",), error="interrupted"),
    Told("garbage=20", finish="interrupted", note="1 pieces of the stream could not be read"),
    # nothing to return
    Told("cut=5", error="connection"),
    Told("reset=5", error="connection"),
    Told("reset=0", error="connection"),
    Told("end=5", error="interrupted"),
    Told("hang", error="timeout", idle_timeout=0.1),
    Told("failed=0", forms=RESPONSES, error="upstream", note="Internal server error"),
    Told("json;garbage=0", error="upstream", note="neither a stream nor JSON"),
    Told("error200", error="overloaded", note="Timed out waiting for first token"),
    *(
        Told(f"error=0;body={shape}", error="overloaded", note="temporarily unavailable")
        for shape in JSON_BODIES
    ),
    *(
        Told(f"error=60;body={shape}", "long", finish="interrupted", note="temporarily unavailable")
        for shape in JSON_BODIES
    ),
    *(Told(f"status=429;body={shape}", forms=("chat",), error="rate_limited") for shape in BODIES),
    # answers that are not quite what was asked for
    Told("incomplete", forms=RESPONSES, finish="length", note="cut at the token limit"),
    Told("incomplete", "data", RESPONSES, error="length"),
    Told("filtered", finish="content_filter", note="stopped the answer for safety"),
    Told("filtered", "data", error="content_filter"),
    Told("served=grok-9", note="grok-9 answered"),
    Told("rebuilt", "search", CHAT, note="The endpoint reported no search"),
    Told("prose", "data", note="Grok corrected it"),
    Told("noformat", "data", note="the model got it in words"),
    Told("noschema", "data", note="the model got it in words"),
    # refusals
    Told(
        "nolivesearch", "search", ("chat",), note="does not search by search_parameters; responses was used"
    ),
    Told("notools=404", "search", RESPONSES, note="does not search by responses; search_parameters was used"),
    Told("notools=422", "search", RESPONSES, note="does not search by responses; search_parameters was used"),
    Told("chatonly", forms=RESPONSES, error="model_not_found"),
    Told("wrongkey", error="authentication"),
    Told("credits=402", error="insufficient_credit"),
    Told("credits=403", error="insufficient_credit"),
    Told("credits=429", error="insufficient_credit"),
    Told("credits=403;body=acedata", error="insufficient_credit"),
    Told("credits=403;body=newapi", error="insufficient_credit"),
    Told("unsafe", error="content_filter"),
]


# What endpoints were reported to do, kind by kind; `KINDS` below has the words of each.
SAME_KINDS = [
    *(Same(f"fullmessage={form}", CHAT) for form in MESSAGES),
    *(Same(f"callids={form}", ("chat",), questions=("calls",)) for form in IDENTITIES if form != "unnamed"),
    Same("callids=oneid;json", ("chat",), questions=("calls",)),
    Same("itemids=rotate", RESPONSES),
    Same("itemids=completed", RESPONSES),
    Same("interleave;itemids=rotate", RESPONSES, questions=("text", "search", "data")),
    Same("itemids=rotate;json", RESPONSES),
    Same("native=completed", CHAT),
    Same("oddcalls=nan", about=("search_queries",), questions=("search",)),
    Same("oddcalls=deep", about=("search_queries",), questions=("search",)),
    *(Same(f"thoughtparts={form}", CHAT) for form in THOUGHTS),
    Same("thoughtparts=thinking;json", CHAT),
    Same("joined", questions=BYTES),
    Same("joined;eventlines", questions=BYTES),
    Same("joined;crlf;split", questions=("text",)),
    Same("gluedone", questions=BYTES),
    Same("gluedone;noblank", questions=BYTES),
    Same("index1", CHAT),
    Same("index1;json", CHAT),
    Same("zerosbehind", CHAT),
    Same("floatticks"),
    Same("byok=free", ("chat",), about=("usage.sources_used",)),
    Same("served=grok-4.7-2026-03-01", about=("model",)),
    Same("served=x-ai/grok-4.7", about=("model",)),
    Same("served=grok-4.7:online", about=("model",)),
    Same("untitled", about=("titles",)),
    Same("veiled", RESPONSES, about=("spans",)),
    Same("addedtext=whole", RESPONSES),
    Same("addedtext=start", RESPONSES),
    # the second attempt finds the prompt in the cache
    Same("end=0;times=1", about=("usage.cached_tokens", "usage.cost_usd"), questions=("text",)),
    Same("end=1;times=1", RESPONSES, about=("usage.cached_tokens", "usage.cost_usd"), questions=("text",)),
    Same("status=409;times=1", questions=("text",)),
    Same("onlyknown"),
    # what these refuse is not sent by these questions
    Same("undecryptable"),
    Same("noemptyoutput"),
    Same("noimages"),
    Same("nolookaround"),
]

TOLD_KINDS = [
    *(Told(f"nomodel={wording}", error="model_not_found") for wording in NO_MODEL),
    Told("callids=unnamed", "calls", ("chat",), error="upstream", note="does not name"),
    # endings that mean failure
    Told("finish=error", forms=("chat",), finish="interrupted", note="error"),
    Told("finish=network_error", forms=("chat",), finish="interrupted", note="network_error"),
    Told("native=abort", forms=("chat",), finish="interrupted", note="abort"),
    Told("finish=MAX_TOKENS", forms=("chat",), finish="length", note="token limit"),
    Told("finish=SAFETY", forms=("chat",), finish="content_filter", note="for safety"),
    Told("choiceerror=60", "long", ("chat",), finish="interrupted", note="Upstream provider disconnected"),
    Told("choiceerror=1", forms=("chat",), error="overloaded", note="Upstream provider disconnected"),
    Told("choiceerror=1;json", forms=("chat",), finish="interrupted", note="Upstream provider disconnected"),
    # refused fields
    *(
        Told(f"refuses={field};wording={wording}", forms=(form,), note=f"{field} was left out")
        for form, field in (("chat", "stream_options"), ("responses", "include"))
        for wording in WORDINGS
    ),
    Told("refuses=stream_options+reasoning_effort", forms=("chat",), note="reasoning_effort was left out"),
    Told("refuses=include+store+reasoning", forms=("responses",), note="reasoning was left out"),
    # JSON inside JSON
    *(
        Told(f"oddcalls={value}", "calls", finish="tool_calls", note="not JSON")
        for value in ("nan", "infinity", "huge", "deep")
    ),
    *(
        Told(f"odddata={value}", "data", error="schema_mismatch", note="not JSON")
        for value in ("nan", "infinity", "deep")
    ),
    Told("odddata=huge", "data", error="schema_mismatch"),
    Told("odddata=surrogate", "data", error="schema_mismatch"),
    Told("oddcalls=surrogate", "calls", finish="tool_calls"),
    Told("cutcalls", "calls", finish="tool_calls", note="not JSON"),
    Told("cutcalls;finish=length", "calls", ("chat",), finish="length", note="not JSON"),
    # refusals
    *(Told(f"refused={form}", finish="content_filter", note="for safety") for form in ("field", "part")),
    *(Told(f"refused={form};json", finish="content_filter", note="for safety") for form in ("field", "part")),
    *(Told(f"refused={form}", "data", error="content_filter") for form in ("field", "part")),
    # errors in their own words, each in its row
    Told("error200;body=textcode", error="overloaded"),
    Told("status=403;body=newapi;message=user%20quota%20is%20not%20enough", error="insufficient_credit"),
    Told("status=429;body=openai;message=Budget%20has%20been%20exceeded", error="insufficient_credit"),
    Told("status=400;message=The%20schema%20violates%20a%20rule", error="invalid_argument"),
    *(
        Told(f"status=500;body={shape};message=Too%20odd.", error="upstream", note="“Too odd.”")
        for shape in ("msg", "errormsg", "errors", "details", "list", "events")
    ),
    Told("toolong", error="invalid_argument", note="200000 tokens"),
    Told("noimages", "image", error="invalid_argument", note="image input is not supported"),
    # what is missing, and what did not happen
    Told("cutevent=20", finish="interrupted", note="could not be read"),
    Told("end=0", error="connection", note="before its answer began"),
    Told("end=1", forms=RESPONSES, error="connection", note="before its answer began"),
    # what has been billed is not asked for again, as it could be here
    Told("json;cut=1;times=1", finish="interrupted", note="in the middle of its answer"),
    Told("json;end=1;times=1", finish="interrupted", note="in the middle of its answer"),
    Told("json;end=1", "data", error="interrupted"),
    Told("prose;times=1", "found data", note="Grok corrected it"),
    Told("oddsources", "search", tuple(FORMS), note="were left out"),
    Told("unlisted", "search", RESPONSES, note="the address is from the text"),
    Told("unlisted", "search", CHAT, note="named no sources"),
    Told("nosearch", "search", tuple(FORMS), note="The endpoint reported no search"),
    Told("nosearch", "auto", tuple(FORMS), note="The endpoint reported no search"),
    Told("onlyknown", "limit 0"),
    Told("onlyknown", "an option", note="'foo' is unknown"),
    Told("nolookaround", "a pattern", note="takes no pattern"),
]
SAME += SAME_KINDS
TOLD += TOLD_KINDS


SCRIPTS = [row.script for row in SAME] + [row.script for row in TOLD]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with SandboxServer(pace=0, faults=FAULTS) as server:
        yield server.url


@pytest.fixture(scope="module")
def plain() -> dict[tuple[str, str], Result]:
    """The answers without any deviation, by form and question; filled when one is first needed."""
    return {}


RUNS = count(1)


async def put(host: Host, question: str, script: str = "") -> Result:
    """Ask; a script that ends after some `times` is written in a way of its own, so that it begins anew."""
    tool, arguments = QUESTIONS[question]
    script += ";" * next(RUNS) if "times=" in script else ""
    model = f"{MODEL}!{script}" if script else MODEL
    return await host.call(tool, model=model, reasoning_effort="low", **arguments)


def content(result: Result, about: tuple[str, ...] = ()) -> JSON:
    """The whole answer, less what differs from call to call and what the deviation is about."""
    assert not result.raw.is_error, result.text
    found = deepcopy(result.structured)
    usage = {name: value for name, value in found["usage"].items() if not name.endswith("_s")}
    for name in about:
        usage.pop(name.removeprefix("usage."), None)
    for call in found.get("tool_calls", ()):
        del call["id"]
    for citation in found.get("citations", ()):
        citation["spans"] = [] if "spans" in about else citation["spans"]
        citation["title"] = "" if "titles" in about else citation.get("title")
    return {
        name: value
        for name, value in {**found, "usage": usage}.items()
        if name not in ("conversation_id", "response_id", *about)
    }


def rows(table: list[Any]) -> list[Any]:
    """Each row once for each form that it concerns."""
    return [
        pytest.param(row, form, id="-".join(filter(None, (row.script, getattr(row, "question", ""), form))))
        for row in table
        for form in row.forms
    ]


@pytest.mark.parametrize("form", FORMS)
async def test_the_plain_answers_hold_what_a_deviation_could_take_away(url: str, form: str) -> None:
    async with host_on(url, gateway="sandbox", results="structured", **FORMS[form]) as host:
        found = (await put(host, "search")).structured
        calls = (await put(host, "calls")).structured
        data = (await put(host, "data")).structured
    assert len(found["citations"]) == 5
    assert any(citation["spans"] for citation in found["citations"]) == (form != "chat")
    queries = ["latest tram extension", "latest tram extension background"]
    assert found.get("search_queries", []) == (queries if form == "responses" else [])
    assert bool(found.get("pages_read")) == (form == "responses")
    assert [call["name"] for call in calls["tool_calls"]] == ["weather", "tides"]
    assert all(call["arguments"]["city"] for call in calls["tool_calls"])
    assert data["data"]["city"]
    for usage in (found["usage"], calls["usage"], data["usage"]):
        assert usage["reasoning_tokens"] and usage["cost_source"] == "reported"


@pytest.mark.parametrize(("row", "form"), rows(SAME))
async def test_a_deviation_that_must_not_matter_does_not(
    url: str, plain: dict[tuple[str, str], Result], row: Same, form: str
) -> None:
    async with host_on(url, gateway="sandbox", results="structured", **FORMS[form]) as host:
        for question in row.questions:
            if form == "openrouter" and question != "search":
                continue  # it asks these as "chat" does
            if (form, question) not in plain:
                plain[form, question] = await put(host, question)
            deviating = await put(host, question, row.script)
            assert content(deviating, row.about) == content(plain[form, question], row.about), question


@pytest.mark.parametrize(("row", "form"), rows(TOLD))
async def test_a_deviation_that_matters_is_told(url: str, row: Told, form: str) -> None:
    settings: JSON = {"results": "structured", "idle_timeout": row.idle_timeout, "max_retries": 1}
    async with host_on(url, gateway="sandbox", **settings, **FORMS[form]) as host:
        result = await put(host, row.question, row.script)
    if row.error:
        assert result.error["code"] == row.error
        assert row.note in result.error["message"]
    else:
        assert result.structured["finish_reason"] == row.finish
        assert any(row.note in warning for warning in result.structured["warnings"])
        assert any(result.structured.get(name) for name in ("text", "data", "tool_calls"))


@pytest.mark.parametrize(("script", "counted"), [("failed=60", True), ("failed=60;nousage", False)])
async def test_what_a_failed_response_used_is_told_where_it_says_so(
    url: str, script: str, counted: bool
) -> None:
    async with host_on(url, gateway="sandbox", results="structured", dialect="responses") as host:
        result = await put(host, "long", script)
    assert ("output_tokens" in result.structured["usage"]) == counted


@pytest.mark.parametrize("form", ["responses", "chat"])
async def test_words_that_an_endpoint_repeats_before_its_answer_are_not_taken_out(
    url: str, form: str
) -> None:
    """Only a model knows whether it meant to say them again."""
    async with host_on(url, gateway="sandbox", results="structured", **FORMS[form]) as host:
        first = await put(host, "text")
        handle = first.structured["conversation_id"]
        again = await host.ask("And the sea?", conversation_id=handle, model=f"{MODEL}!echo")
    assert again.structured["text"].startswith(
        f"{first.structured['text']}Sandbox answer: you asked “And the sea?”"
    )


EVERY = {word.name for word in (*WORDS, *FAULTS)}

# the counts and prices that are meant, where they are not those of the plain answer
COUNTED: list[tuple[str, JSON]] = [
    ("counts=beside", {"input_tokens": 5, "output_tokens": 57, "reasoning_tokens": 39, "total_tokens": 62}),
    ("counts=unsaid", {"input_tokens": 10, "output_tokens": 65, "text_tokens": 22}),
    ("counts=zeros", {}),
    ("byok=fee", {"output_tokens": 29, "cost_usd": pytest.approx(0.0001953)}),
    ("byok=whole", {"output_tokens": 29, "cost_usd": pytest.approx(0.0001953)}),
    ("ticks=347", {"output_tokens": 29, "cost_usd": 3.47e-8}),
]
SCRIPTS += [script for script, _ in COUNTED]


@pytest.mark.parametrize(("script", "meant"), COUNTED)
async def test_counts_and_prices_are_told_as_they_are_meant(url: str, script: str, meant: JSON) -> None:
    async with host_on(url, gateway="sandbox", results="structured", **FORMS["chat"]) as host:
        usage = (await put(host, "text", script)).structured["usage"]
    assert {name: usage.get(name) for name in meant} == meant
    assert meant or not any("tokens" in name or "cost" in name for name in usage)


async def test_counts_of_hundreds_of_digits_are_no_error(url: str) -> None:
    async with host_on(url, gateway="sandbox", results="structured", **FORMS["responses"]) as host:
        for question in ("text", "data"):
            usage = (await put(host, question, "counts=absurd")).structured["usage"]
            assert usage["output_tokens"] == 10**15


async def test_ids_that_an_endpoint_counts_anew_in_each_answer_stay_apart(url: str) -> None:
    model = f"{MODEL}!callids=counted"
    async with host_on(url, gateway="sandbox", results="structured", **FORMS["chat"]) as host:
        first = (await put(host, "calls", "callids=counted")).structured
        results = [{"tool_call_id": call["id"], "output": "Fine."} for call in first["tool_calls"]]
        handle = first["conversation_id"]
        asked = {"conversation_id": handle, "tool_results": results, "tools": TOOLS, "model": model}
        await host.ask("", **asked)
        handle = (await host.ask("", **asked)).structured["conversation_id"]
        again = {"conversation_id": handle, "tools": TOOLS, "model": model}
        second = (await host.ask("Use weather and tides once more.", **again)).structured
    ids = [call["id"] for answer in (first, second) for call in answer["tool_calls"]]
    assert len(ids) == len(set(ids)) == 4


async def test_reasoning_that_an_endpoint_can_not_decrypt_is_left_out_with_a_note(url: str) -> None:
    async with host_on(url, gateway="sandbox", results="structured", dialect="responses") as host:
        handle = (await put(host, "text", "sealed")).structured["conversation_id"]
        again = await host.ask("And now?", conversation_id=handle, model=f"{MODEL}!undecryptable")
    assert any("Earlier thoughts were left out" in note for note in again.structured["warnings"])


@pytest.mark.parametrize("form", ["responses", "chat"])
async def test_an_empty_tool_result_goes_out_as_a_word(url: str, form: str) -> None:
    async with host_on(url, gateway="sandbox", results="structured", **FORMS[form]) as host:
        first = (await put(host, "calls")).structured
        results = [{"tool_call_id": call["id"], "output": ""} for call in first["tool_calls"]]
        asked = {"conversation_id": first["conversation_id"], "tool_results": results}
        again = await host.ask("", model=f"{MODEL}!noemptyoutput", **asked)
    assert again.structured["text"]


class Kind(NamedTuple):
    """The words with which the sandbox does it, and where the documents say what comes of it."""

    words: tuple[str, ...]
    page: str
    sentence: str


KINDS = {
    "a message beside or behind the deltas": Kind(
        ("fullmessage",), "gateways.md", "`message` beside or behind the deltas"
    ),
    "a wrong model name": Kind(("nomodel", "chatonly"), "gateways.md", "answers 400 or 404 to a model name"),
    "the identity of calls": Kind(
        ("callids", "splitcalls", "namedcalls"),
        "gateways.md",
        "with an id that no other call of the conversation has",
    ),
    "item ids that change": Kind(("itemids",), "gateways.md", "changes the ids of items"),
    "endings that mean failure": Kind(
        ("finish", "native", "choiceerror", "failed"), "gateways.md", "`network_error`, `abort`"
    ),
    "refused fields": Kind(("refuses", "wording", "undecryptable"), "gateways.md", "refuses a parameter"),
    "JSON inside JSON": Kind(("oddcalls", "odddata"), "gateways.md", "`NaN`, `1e999`"),
    "counts and costs": Kind(
        ("counts", "zerosbehind", "floatticks", "ticks", "byok", "inclusive", "misspelt"),
        "gateways.md",
        "counts usage in ways that do not add up",
    ),
    "calls cut by the limit": Kind(("cutcalls",), "gateways.md", "cuts a call at the token limit"),
    "refusals": Kind(("refused",), "gateways.md", "in a `refusal` field or part"),
    "thoughts among the content": Kind(("thoughtparts",), "gateways.md", "puts thoughts among the parts"),
    "errors in their own words": Kind(("body", "message", "error200"), "gateways.md", "statuses as text"),
    "events without blank lines": Kind(
        ("joined", "gluedone", "cutevent"), "gateways.md", "events without blank lines"
    ),
    "the number of the only choice": Kind(("index1", "noindex"), "gateways.md", "numbers its only choice 1"),
    "names of one model, and empty outputs": Kind(
        ("served", "noemptyoutput"), "gateways.md", "an alias of the model"
    ),
    "a correction of JSON that was searched for": Kind(
        ("prose",), "structured-output.md", "searched before a first answer that had to be corrected"
    ),
    "a body that breaks off": Kind(("cut", "json"), "gateways.md", "breaks off within a JSON body"),
    "sources that are no pages": Kind(("oddsources", "untitled"), "search.md", "what is no page"),
    "text that comes twice": Kind(
        ("addedtext", "veiled"), "gateways.md", "the text of an item when it adds it"
    ),
    "a stream that ends too early": Kind(("end",), "gateways.md", "ends a stream before any content"),
    "a search that did not run or is not listed": Kind(
        ("nosearch", "unlisted"), "search.md", "the model's own knowledge, in `auto`"
    ),
    "arguments that are not known": Kind(
        ("onlyknown",), "gateways.md", "each argument that is not one of this server's"
    ),
    "patterns with look-around": Kind(("nolookaround",), "structured-output.md", "patterns with look-around"),
    "the right row for the right words": Kind(
        ("toolong", "noimages", "status"), "gateways.md", "says that the prompt is too long"
    ),
}
"""What public reports say that endpoints do."""


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_sandbox_does_what_was_reported_and_the_documents_say_what_comes_of_it(kind: Kind) -> None:
    assert kind.words and set(kind.words) <= EVERY
    page = (Path(__file__).parents[1] / "docs" / kind.page).read_text(encoding="utf-8")
    assert kind.sentence in " ".join(page.split())


def test_a_word_for_what_was_reported_stands_in_the_table_of_kinds() -> None:
    kinds = {word for kind in KINDS.values() for word in kind.words}
    scripts = [row.script for row in SAME_KINDS] + [row.script for row in TOLD_KINDS]
    assert {word for script in scripts for word in words_of(script)} - kinds <= BESIDE


def words_of(script: str) -> set[str]:
    """The words of a fault script; empty for a text that is none."""
    words = {part.strip().partition("=")[0] for part in script.replace(",", ";").split(";") if part.strip()}
    return words if words <= EVERY else set()


BESIDE = {"crlf", "eventlines", "interleave", "noblank", "split", "times"}
"""Words that rows of a kind have beside its own."""


def test_every_word_of_the_grammar_is_tried_here_or_beside_the_sandbox() -> None:
    scripts = [*SCRIPTS]
    for path in (Path(__file__).parent / "sandbox").glob("test_*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        scripts += [
            node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    assert EVERY - {word for script in scripts for word in words_of(script)} == set()


def test_every_deviation_of_an_answer_is_tried_with_a_client() -> None:
    """What a script does to the content of a reply, or refuses; not when and how often."""
    tried = {word for script in SCRIPTS for word in words_of(script)} | {"echo", "retry-after", "delay"}
    rows = [*WORDS, *REFUSALS, *ANSWERS, *(word for group in REPLIES.values() for word in group)]
    assert {word.name for word in rows} - tried == set()
