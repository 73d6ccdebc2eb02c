"""What endpoints do otherwise than they should, through a real MCP client: the sandbox does it on demand.

A deviation either does not matter: the answer is the plain one. Or it does, and the client is told.
"""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from grok_mcp.sandbox import SandboxServer
from grok_mcp.sandbox.faults import WORDS
from tests.sandbox_faults import FAULTS, REPLIES
from tests.sandbox_faults.requests import ANSWERS, REFUSALS
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

QUESTIONS: dict[str, tuple[str, JSON]] = {
    "text": ("ask_grok", {"prompt": "Why is the sky “blue” 🚋?"}),
    "long": ("ask_grok", {"prompt": "Write 90 words."}),
    "calls": ("ask_grok", {"prompt": "Use weather and tides.", "tools": TOOLS}),
    "search": ("grok_search", {"query": "latest tram extension"}),
    "data": ("grok_structured", {"prompt": "A city", "schema": SCHEMA}),
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
    Same("bare", about=("spans",)),
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
    Same("olditems", RESPONSES),
    Same("olditems;json", RESPONSES),
    Same("noaction", RESPONSES),
    Same("emptyquery", RESPONSES),
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
    Same("rebuilt", ("chat",), about=("usage.cost_source",), questions=("text", "calls", "data")),
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


SCRIPTS = [row.script for row in SAME] + [row.script for row in TOLD]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with SandboxServer(pace=0, faults=FAULTS) as server:
        yield server.url


@pytest.fixture(scope="module")
def plain() -> dict[tuple[str, str], Result]:
    """The answers without any deviation, by form and question; filled when one is first needed."""
    return {}


async def put(host: Host, question: str, script: str = "") -> Result:
    tool, arguments = QUESTIONS[question]
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
    return {
        name: value
        for name, value in {**found, "usage": usage}.items()
        if name not in ("conversation_id", *about)
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
    assert found.get("search_queries", []) == (["latest tram extension"] if form == "responses" else [])
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
        assert result.structured.get("text") or result.structured.get("data")


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


def words_of(script: str) -> set[str]:
    """The words of a fault script; empty for a text that is none."""
    words = {part.strip().partition("=")[0] for part in script.replace(",", ";").split(";") if part.strip()}
    return words if words <= EVERY else set()


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
