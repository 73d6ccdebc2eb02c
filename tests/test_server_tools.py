"""What tools at the endpoint did comes back once, whichever item tells it, in whichever dialect, streamed or
whole: in the answer, its usage and the notes while it comes.
"""

import json
import logging
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr

from grok_mcp.dialects import parse
from grok_mcp.logs import FIELDS
from grok_mcp.pipeline.fold import Fold
from grok_mcp.rendering import PhaseLine
from tests.gateways.shapes import RESPONSE, Item, message, response_stream
from tests.gateways.table import Json
from tests.support.endpoint import Endpoint, Reply, body, chat, events
from tests.support.host import Result, host_on
from tests.support.ledger import rows

pytestmark = pytest.mark.anyio

COUNTS: Json = {
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "cost_in_usd_ticks": 10_000_000,
}
CHAT_COUNTS: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "cost_in_usd_ticks": 10_000_000,
}
STEPS = ("search_queries", "pages_read", "documents", "code_runs")
USED = ("web_searches", "x_searches", "x_posts_fetched", "x_users_fetched", "code_runs", "documents_searched")


@dataclass(frozen=True)
class Row:
    """An item, what is streamed between its two ends, and all that has to come of it."""

    name: str
    done: Json
    gives: Json = field(default_factory=dict)
    phases: tuple[str, ...] = ()
    between: tuple[Json, ...] = ()
    counts: Json = field(default_factory=dict)
    used: Json = field(default_factory=dict)
    whole: Json | None = None
    """What comes of it in a whole body, where that is less."""

    @property
    def item(self) -> Item:
        done: Json = {"id": "st_1", "status": "completed", **self.done}
        opened: Json = {name: done[name] for name in ("id", "type", "name", "server_label") if name in done}
        return Item({**opened, "status": "in_progress"}, list(self.between), done)


def phase(kind: str, name: str, **fields: Any) -> Json:
    return {"type": f"response.{kind}.{name}", **fields}


SEARCHING = (phase("web_search_call", "in_progress"), phase("web_search_call", "searching"))
PAGE = "https://www.city.example/minutes"
CODE = "import math\nprint(math.pi)\n"
RAN = {"code": CODE, "output": "3.14"}
LOGS: list[Any] = [None, {"type": "logs", "logs": "3.14\n"}]
PICTURE = {"type": "image", "url": "https://pictures.example/plot.png"}
BASE64 = "aGVkZ2Vob2c="
FOUND: list[Any] = [
    {"file_id": "file_7", "filename": "minutes.pdf", "score": 0.82, "text": "The council approved it."},
    None,
    {"file_id": "file_8", "filename": "budget.pdf", "score": "high"},
]

ROWS = [
    Row(
        "a search with several queries",
        {
            "type": "web_search_call",
            "action": {"type": "search", "query": "a", "queries": ["a", None, "b", "c"], "sources": [None]},
        },
        {"search_queries": ["a", "b", "c"]},
        ("searching the web", "searching the web: “a”, “b”, “c”"),
        SEARCHING,
        {"web_search_calls": 3},
        {"web_searches": 3},
    ),
    Row(
        "an opened page",
        {"type": "web_search_call", "action": {"type": "open_page", "url": PAGE}},
        {"pages_read": [PAGE]},
        ("searching the web", "reading city.example"),
        SEARCHING,
    ),
    Row(
        "something looked for in a page",
        {"type": "web_search_call", "action": {"type": "find_in_page", "url": PAGE, "pattern": "tram"}},
        {"pages_read": [PAGE]},
        ("searching the web", "reading city.example"),
    ),
    Row(
        "a page opened as in 2025",
        {"type": "web_search_call", "name": "browse_page", "arguments": json.dumps({"url": PAGE})},
        {"pages_read": [PAGE]},
        ("searching the web", "reading city.example"),
    ),
    Row(
        "a page that is no address",
        {"type": "web_search_call", "action": {"type": "open_page", "url": "javascript:alert(1)"}},
        phases=("searching the web", "reading a page"),
    ),
    Row(
        "a search of X",
        {"type": "x_search_call", "name": "x_semantic_search", "arguments": '{"query": "trams"}'},
        {"search_queries": ["trams"]},
        ("searching X", "searching X: “trams”"),
        (phase("x_search_call", "searching"),),
        {"x_search_calls": 1, "x_posts_fetched": 8, "x_users_fetched": 2},
        {"x_searches": 1, "x_posts_fetched": 8, "x_users_fetched": 2},
    ),
    Row(
        "a search of X as a custom call",
        {
            "type": "custom_tool_call",
            "name": "x_keyword_search",
            "input": '{"query": "trams", "limit": "10"}',
        },
        {"search_queries": ["trams"]},
        ("searching X", "searching X: “trams”"),
    ),
    Row(
        "a video of X as a custom call",
        {"type": "custom_tool_call", "name": "view_x_video", "input": '{"url": "https://x.com/v/1"}'},
        phases=("viewing a video",),
    ),
    Row(
        "code",
        {"type": "code_interpreter_call", "code": CODE, "outputs": LOGS},
        {"code_runs": [RAN]},
        ("running code",),
        (
            phase("code_interpreter_call", "in_progress"),
            phase("code_interpreter_call_code", "delta", delta="import math\n"),
            phase("code_interpreter_call_code", "delta", delta="print(math.pi)\n"),
            phase("code_interpreter_call_code", "done", code=CODE),
            phase("code_interpreter_call", "interpreting"),
            phase("code_interpreter_call", "completed"),
        ),
        {"code_interpreter_calls": 1},
        {"code_runs": 1},
    ),
    Row(
        "code of which only the pieces say what it is",
        {"type": "code_interpreter_call", "outputs": LOGS},
        {"code_runs": [RAN]},
        ("running code",),
        (
            phase("code_interpreter_call_code", "delta", delta="import math\n"),
            phase("code_interpreter_call_code", "delta", delta="print(math.pi)\n"),
        ),
        whole={"code_runs": [{"code": "", "output": "3.14"}]},
    ),
    Row(
        "code by its other name",
        {"type": "code_execution_call", "arguments": json.dumps({"code": CODE}), "outputs": [*LOGS, PICTURE]},
        {"code_runs": [RAN | {"images": [PICTURE["url"]]}]},
        ("running code",),
        counts={"code_execution_calls": 2},
        used={"code_runs": 2},
    ),
    Row(
        "code that failed",
        {"type": "code_interpreter_call", "code": "1/0", "status": "failed", "outputs": None},
        {"code_runs": [{"code": "1/0", "output": "", "status": "failed"}]},
        ("running code",),
    ),
    Row(
        "a picture of code that is no address",
        {
            "type": "code_interpreter_call",
            "code": CODE,
            "outputs": [*LOGS, {"type": "image", "url": f"data:image/png;base64,{BASE64}"}],
        },
        {"code_runs": [RAN]},
        ("running code",),
    ),
    Row(
        "a search of files",
        {"type": "file_search_call", "queries": ["council minutes", None], "results": FOUND},
        {
            "search_queries": ["council minutes"],
            "documents": [
                {"id": "file_7", "name": "minutes.pdf", "score": 0.82},
                {"id": "file_8", "name": "budget.pdf"},
            ],
        },
        ("searching files", "searching files: “council minutes”"),
        (phase("file_search_call", "in_progress"), phase("file_search_call", "searching")),
        {"file_search_calls": 1, "document_search_calls": 2},
        {"documents_searched": 3},
    ),
    Row(
        "a tool of an MCP server",
        {
            "type": "mcp_call",
            "server_label": "city",
            "name": "timetable",
            "arguments": "{}",
            "output": "SECRET",
            "error": None,
        },
        phases=("calling city.timetable",),
        between=(phase("mcp_call", "in_progress"), phase("mcp_call_arguments", "delta", delta="{}")),
        counts={"mcp_calls": 1},
    ),
    Row(
        "a drawing",
        {"type": "image_generation_call", "prompt": "a tram", "result": BASE64},
        phases=("drawing an image",),
        between=(
            phase("image_generation_call", "generating"),
            phase("image_generation_call", "partial_image", partial_image_b64=BASE64),
        ),
    ),
    Row(
        "an image that is viewed",
        {"type": "view_image_call", "arguments": "{}", "result": BASE64},
        phases=("viewing an image",),
    ),
    Row(
        "a video that is viewed",
        {"type": "view_x_video_call", "arguments": "{}"},
        phases=("viewing a video",),
        between=(phase("view_x_video_call", "in_progress"),),
    ),
    Row("an item that nobody knows", {"type": "time_travel_call", "code": "x", "queries": ["y"]}),
    Row(
        "a custom call that nobody knows",
        {"type": "custom_tool_call", "name": "time_travel", "input": '{"query": "y"}'},
    ),
]


def usage_of(row: Row) -> Json:
    return {**COUNTS, "server_side_tool_usage_details": row.counts}


def whole(row: Row, usage: Json) -> Json:
    """The body of a response, in which entries are missing."""
    output = [None, row.item.done, None, message("Done.").done]
    return {**RESPONSE, "model": "grok-4.7", "status": "completed", "output": output, "usage": usage}


def streamed(row: Row, usage: Json) -> list[Json]:
    """The payloads of its stream, whose last one numbers items in another way, as entries are missing."""
    reply = response_stream("grok-4.7", row.item, message("Do", "ne."), usage=usage)
    *payloads, end = payloads_in(reply)
    return [*payloads, {**end, "response": whole(row, usage)}]


def payloads_in(reply: Reply) -> list[Json]:
    return [json.loads(piece.partition(b"data: ")[2]) for piece in reply.pieces if b"data: {" in piece]


FORMS = ("streamed", "whole")


def reply_in(form: str, row: Row) -> Reply:
    usage = usage_of(row)
    return body(whole(row, usage)) if form == "whole" else events(*streamed(row, usage), done=False)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_each_item_is_told_once(row: Row, form: str) -> None:
    async with Endpoint(reply_in(form, row)) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            result = await host.ask()
    answer = result.structured
    assert answer["text"] == "Done." and "warnings" not in answer
    gives = row.gives if form == "streamed" or row.whole is None else row.whole
    assert {name: answer[name] for name in STEPS if name in answer} == gives
    assert {name: answer["usage"][name] for name in USED if name in answer["usage"]} == row.used
    assert BASE64 not in json.dumps(answer) + result.text and "SECRET" not in json.dumps(answer) + result.text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_item_is_a_phase_while_it_comes_and_for_who_watches_late(row: Row, form: str) -> None:
    payloads = [whole(row, usage_of(row))] if form == "whole" else streamed(row, usage_of(row))
    line, fold = PhaseLine("the endpoint"), Fold()
    phases = [phase_of(line, event, fold.add(event)) for payload in payloads for event in parse(payload)]
    seen = [said for said in dict.fromkeys(phases) if not said.startswith(OTHER_PHASES)]
    expected = [*row.phases[-1:]] if form == "whole" else [*row.phases]
    assert seen == expected
    late = [phase_of(PhaseLine("the endpoint"), event, added) for event, added in fold.replay()]
    assert set(row.phases[-1:]) <= set(late)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_item_that_the_end_of_a_stream_repeats_is_no_phase_again(row: Row) -> None:
    reply = response_stream("grok-4.7", row.item, message("Do", "ne."), usage=usage_of(row))
    line, fold = PhaseLine("the endpoint"), Fold()
    for payload in payloads_in(reply):
        for event in parse(payload):
            line(event, fold.add(event))
    assert line.message() == "writing, 5 characters: …Done."


def test_runs_without_a_name_that_an_endpoint_numbers_with_gaps_are_told_once() -> None:
    runs: list[Json] = [{"type": "code_interpreter_call", "code": f"print({number})"} for number in range(2)]
    output = [None, runs[0], None, runs[1]]
    payloads: list[Json] = [
        *(
            {"type": "response.output_item.done", "output_index": number, "item": item}
            for number, item in enumerate(output)
            if item
        ),
        {"type": "response.completed", "response": {**RESPONSE, "model": "grok-4.7", "output": output}},
    ]
    fold = Fold()
    for payload in payloads:
        for event in parse(payload):
            fold.add(event)
    assert [run.code for run in fold.code.values()] == ["print(0)", "print(1)"]


OTHER_PHASES = ("waiting", "grok-4.7 has begun", "writing")


def phase_of(line: PhaseLine, event: Any, added: str) -> str:
    line(event, added)
    return line.message()


DETAILS: dict[str, tuple[Json, Json]] = {
    "an object of counts": (
        {
            "server_side_tool_usage_details": {
                "web_search_calls": 2,
                "x_search_calls": 0,
                "x_posts_fetched": 8,
                "x_users_fetched": 1,
                "code_interpreter_calls": 3,
                "collections_search_calls": 1,
                "document_search_calls": 1,
            }
        },
        {
            "web_searches": 2,
            "x_posts_fetched": 8,
            "x_users_fetched": 1,
            "code_runs": 3,
            "documents_searched": 2,
        },
    ),
    "the names of xAI's SDK": (
        {
            "server_side_tool_usage": {
                "SERVER_SIDE_TOOL_WEB_SEARCH": 2,
                "SERVER_SIDE_TOOL_X_SEARCH": 1,
                "SERVER_SIDE_TOOL_CODE_EXECUTION": 1,
                "SERVER_SIDE_TOOL_COLLECTIONS_SEARCH": 1,
                "SERVER_SIDE_TOOL_ATTACHMENT_SEARCH": 1,
                "SERVER_SIDE_TOOL_MCP": 1,
            }
        },
        {"web_searches": 2, "x_searches": 1, "code_runs": 1, "documents_searched": 2},
    ),
    "a list with one entry for each call": (
        {"server_side_tool_usage": ["SERVER_SIDE_TOOL_WEB_SEARCH", None, "SERVER_SIDE_TOOL_WEB_SEARCH", 7]},
        {"web_searches": 2},
    ),
    "OpenRouter's counts": ({"server_tool_use": {"web_search_requests": 3}}, {"web_searches": 3}),
    "what is no count": (
        {"server_side_tool_usage_details": {"code_interpreter_calls": "many", "x_posts_fetched": -1}},
        {},
    ),
    "what is no object": ({"server_side_tool_usage_details": [1], "server_side_tool_usage": "x"}, {}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dialect", ["chat", "responses"])
@pytest.mark.parametrize("name", DETAILS)
async def test_counts_of_tools_are_read_by_every_name_in_both_dialects(
    name: str, dialect: str, form: str
) -> None:
    details, used = DETAILS[name]
    if dialect == "responses":
        if name == "OpenRouter's counts":
            used = {}  # which has them on chat completions only
        row = Row(name, {"type": "reasoning"})
        usage = {**COUNTS, **details}
        reply = body(whole(row, usage)) if form == "whole" else events(*streamed(row, usage), done=False)
    elif form == "whole":
        choice = {"index": 0, "message": {"role": "assistant", "content": "Done."}, "finish_reason": "stop"}
        usage = {**CHAT_COUNTS, **details}
        reply = body({"object": "chat.completion", "model": "grok-4.7", "choices": [choice], "usage": usage})
    else:
        reply = chat("Do", "ne.", usage={**CHAT_COUNTS, **details})
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.ask()).structured
    assert {name: answer["usage"][name] for name in USED if name in answer["usage"]} == used


# --- how code is shown


def ran(*runs: Json, text: str = "Done.", **more: Any) -> Reply:
    items = [
        Row("", {"type": "code_interpreter_call", "id": f"ci_{number}", **run}).item
        for number, run in enumerate(runs)
    ]
    return response_stream("grok-4.7", *items, message(text, **more), usage=COUNTS)


def logs(*texts: str) -> list[Json]:
    return [{"type": "logs", "logs": text} for text in texts]


async def told(
    reply: Reply, tool: str = "ask_grok", arguments: Json | None = None, **settings: Any
) -> Result:
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai", **settings) as host:
        return await host.call(tool, **(arguments or {"prompt": "Hi", "code": True}))


async def test_code_stands_in_blocks_between_the_text_and_its_sources() -> None:
    note = {"type": "url_citation", "url": PAGE, "title": "1", "start_index": 0, "end_index": 0}
    result = await told(
        ran(
            {"code": "print('```')\n", "outputs": [*logs("```\n", "more"), PICTURE]},
            {"code": "1/0", "status": "failed"},
            annotations=[note],
        )
    )
    assert result.text.partition("\n\ngrok-4.7")[0] == (
        "Done.\n"
        "\n"
        "````python\nprint('```')\n````\n"
        "\n"
        "````text\n```\nmore\n````\n"
        "\n"
        "Picture: https://pictures.example/plot.png\n"
        "\n"
        "```python\n1/0\n```\n"
        "\n"
        "This code did not complete: failed.\n"
        "\n"
        "Sources:\n"
        f"1. {PAGE}"
    )


async def test_long_code_and_output_are_cut_in_the_text_and_whole_in_the_answer() -> None:
    code, output = "x = 1\n" * 2_000, "0123456789\n" * 3_000
    result = await told(ran({"code": code, "outputs": logs(output)}), results="structured")
    (run,) = result.structured["code_runs"]
    assert run == {"code": code, "output": output.rstrip("\n")}
    shown = result.text
    assert len(shown) < 7_000
    kept = [block.rpartition("\n… ")[0] for block in shown.split("```")[1::2]]
    left = [len(code) - len(kept[0]) + len("python\n"), len(run["output"]) - len(kept[1]) + len("text\n")]
    assert [f"\n… {count:,} more characters\n```" in shown for count in left] == [True, True]


async def test_code_and_output_without_end_are_kept_up_to_a_bound() -> None:
    runs = [{"code": f"# {number}\n" + "x" * 100_000, "outputs": logs("y" * 100_000)} for number in range(60)]
    result = await told(ran(*runs), results="structured")
    kept = result.structured["code_runs"]
    assert len(kept) == 50
    assert all(len(run["code"]) < 40_100 and len(run["output"]) < 40_100 for run in kept)
    assert kept[0]["output"].endswith("\n… 60,000 more characters")
    assert kept[0]["code"].endswith("\n# … 60,004 more characters")
    assert "Of the runs of code 10 more are left out: 50 are kept." in result.structured["warnings"]
    assert len(result.text) < 40_000


async def test_what_steers_terminals_or_hides_is_taken_out_of_code_and_names() -> None:
    found = {"file_id": "file\u202e_1\n", "filename": "a\x1b[31m.pdf" + "x" * 500}
    files = Row("", {"type": "file_search_call", "queries": ["q\nr"], "results": [found]}).item
    code = Row(
        "", {"type": "code_interpreter_call", "code": "a\x1b[2J\u200bb\n", "outputs": logs("\x00c\ud800")}
    )
    reply = response_stream("grok-4.7", files, code.item, message("Done."), usage=COUNTS)
    answer = (await told(reply, results="structured")).structured
    assert answer["code_runs"] == [{"code": "a[2Jb\n", "output": "c\ufffd"}]
    assert answer["search_queries"] == ["q r"]
    (document,) = answer["documents"]
    assert document["id"] == "file _1" and document["name"].startswith("a [31m.pdf")
    assert len(document["name"]) <= 200


async def test_code_stands_on_the_last_page_of_a_long_answer() -> None:
    text = "\n\n".join(f"Paragraph {number} of the answer." for number in range(400))
    runs = [{"code": "x = 1\n" * 2_000, "outputs": logs("0123456789\n" * 900)}] * 3
    settings: Json = {"gateway": "xai", "results": "structured", "max_result_chars": 6_000}
    async with Endpoint(ran(*runs, text=text)) as endpoint, host_on(endpoint, **settings) as host:
        pages = [await host.ask(code=True)]
        while "answer_id" in pages[-1].structured:
            read = sum(len(page.structured["text"]) for page in pages)
            answer_id = pages[-1].structured["answer_id"]
            pages.append(await host.call("grok_result", answer_id=answer_id, offset=read))
    assert len(pages) > 2 and max(len(page.text) for page in pages) <= 6_000
    assert ["```python" in page.text for page in pages] == [False] * (len(pages) - 1) + [True]
    assert ["code_runs" in page.structured for page in pages] == [False] * (len(pages) - 1) + [True]
    assert "".join(page.structured["text"] for page in pages) == text
    assert len(pages[-1].structured["code_runs"]) == 3


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_json_comes_as_ever_and_the_code_of_both_turns_in_the_answer() -> None:
    asked: Json = {"prompt": "How many?", "schema": SCHEMA, "code": True}
    result = await told(ran({"code": CODE}, text='{"n": 3}'), "grok_structured", asked)
    assert result.structured["data"] == {"n": 3} and "code_runs" not in result.structured
    replies = ran({"code": CODE}, text='{"n": "three"}'), ran(text='{"n": 3}')
    async with Endpoint(*replies) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            answer = (await host.call("grok_structured", **asked)).structured
    assert answer["data"] == {"n": 3} and answer["code_runs"] == [{"code": CODE, "output": ""}]
    first, second = (request.body for request in endpoint.requests)
    assert first["tools"] == [{"type": "code_interpreter"}] and "tools" not in second


# --- how code is asked for


async def test_code_is_a_tool_of_the_responses_dialect_and_its_output_is_included() -> None:
    async with Endpoint(ran({"code": CODE})) as endpoint, host_on(endpoint, gateway="xai") as host:
        await host.ask(code=True, tool_choice="required")
        await host.ask(code="true", tools=[{"type": "function", "function": {"name": "f"}}])
        await host.search("Trams?", options={"code": True})
        await host.ask()
    alone, beside, searching, without = (request.body for request in endpoint.requests)
    assert {request.path for request in endpoint.requests} == {"/v1/responses"}
    assert alone["tools"] == [{"type": "code_interpreter"}] and alone["tool_choice"] == "required"
    assert alone["include"] == ["reasoning.encrypted_content", "code_interpreter_call.outputs"]
    assert [tool["type"] for tool in beside["tools"]] == ["function", "code_interpreter"]
    assert "tool_choice" not in beside
    assert {tool["type"] for tool in searching["tools"]} == {"code_interpreter", "web_search", "x_search"}
    assert searching["include"][1:] == ["code_interpreter_call.outputs", "web_search_call.action.sources"]
    assert "tools" not in without and without["include"] == ["reasoning.encrypted_content"]


NO_CODE = "The endpoint runs no code here: the model answered without it."


@pytest.mark.parametrize(
    ("tool", "asked", "settings", "path"),
    [
        ("ask_grok", {}, {"gateway": "nebula"}, "/v1/chat/completions"),
        ("ask_grok", {}, {"gateway": "xai", "dialect": "chat_completions"}, "/v1/chat/completions"),
        ("grok_search", {}, {"gateway": "openrouter"}, "/v1/chat/completions"),
        ("grok_search", {}, {"gateway": "nebula"}, "/v1/chat/completions"),
    ],
    ids=lambda value: str(value),
)
async def test_an_endpoint_that_runs_no_code_is_asked_without_it_and_a_note_says_so(
    tool: str, asked: Json, settings: Json, path: str
) -> None:
    asked = (
        {"query": "Hi", "options": {"code": True}}
        if tool == "grok_search"
        else {"prompt": "Hi", "code": True}
    )
    async with Endpoint(chat("Hello.")) as endpoint, host_on(endpoint, **settings) as host:
        result = await host.call(tool, **asked)
    (request,) = endpoint.requests
    assert request.path == path and "tools" not in request.body
    assert f"Note: {NO_CODE}" in result.text


async def test_code_that_is_required_where_none_runs_is_refused_before_anything_is_sent() -> None:
    async with Endpoint(chat("Hello.")) as endpoint, host_on(endpoint, gateway="nebula") as host:
        result = await host.ask(code=True, tool_choice="required")
        with_functions = await host.ask(code=True, tool_choice="required", tools=[{"name": "f"}])
        plain = await host.ask(tool_choice="required")
    assert result.error["code"] == plain.error["code"] == "invalid_argument"
    assert "Nebula runs none here" in result.text
    assert NO_CODE in with_functions.text and len(endpoint.requests) == 1


REFUSALS = {
    "400": body({"code": "invalid-argument", "error": "Tool code_interpreter is not available."}, status=400),
    "422": body(
        "tools[0].type: unknown variant `code_interpreter`, expected `function`",
        status=422,
        content_type="text/plain",
    ),
    "tools": body({"error": {"message": "tools is not supported with this model"}}, status=400),
    "parameter": body({"error": {"message": "Unsupported parameter: tools"}}, status=400),
    "expected": body(
        "tools[0].type: unknown variant `code_interpreter`, expected one of `function`, `web_search`",
        status=422,
        content_type="text/plain",
    ),
    "only": body({"error": {"message": "Only function tools are supported."}}, status=400),
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=list(REFUSALS))
async def test_an_endpoint_that_refuses_the_tool_is_asked_once_more_without_it_and_not_with_it_again(
    refused: Reply,
) -> None:
    plain = response_stream("grok-4.7", message("Hello."), usage=COUNTS)
    async with Endpoint(refused, plain) as endpoint, host_on(endpoint, gateway="xai") as host:
        results = [await host.ask(code=True), await host.ask("And now?", code=True)]
    assert ["tools" in request.body for request in endpoint.requests] == [True, False, False]
    assert all(NO_CODE in result.text and result.text.count("Note:") == 1 for result in results)


async def test_a_search_goes_on_by_its_tools_without_code_and_code_does_not_go_where_search_is_refused() -> (
    None
):
    found = response_stream("grok-4.7", message("Hello."), usage=COUNTS)
    refused = {
        "code": "tools[2].type: unknown variant `code_interpreter`, expected one of `web_search`, `x_search`",
        "search": "tools[0].type: unknown variant `web_search`, expected `function` or `code_interpreter`",
    }
    asked: Json = {"mode": "auto", "options": {"code": True}}
    left = {}
    for name, words in refused.items():
        refusal = body(words, status=422, content_type="text/plain")
        async with Endpoint(refusal, found) as endpoint, host_on(endpoint, gateway="xai") as host:
            await host.search("Trams?", **asked)
        left[name] = [tool["type"] for tool in endpoint.requests[1].body["tools"]]
    assert left == {"code": ["web_search", "x_search"], "search": ["code_interpreter"]}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=list(REFUSALS))
async def test_an_endpoint_that_refuses_the_tool_where_code_is_required_is_not_asked_again(
    refused: Reply,
) -> None:
    async with Endpoint(refused) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.ask(code=True, tool_choice="required")
    assert result.error["code"] == "invalid_argument" and len(endpoint.requests) == 1
    assert "code is required, and xAI runs none here: xAI answered HTTP 4" in result.text


@pytest.mark.parametrize(
    ("message_of_refusal", "left"),
    [
        ("Unsupported parameter: include", None),
        ("include[1]: unknown variant `code_interpreter_call.outputs`", ["reasoning.encrypted_content"]),
        ("Invalid value: 'code_interpreter_call.outputs' in include.", ["reasoning.encrypted_content"]),
    ],
)
async def test_what_is_included_is_left_out_where_it_is_refused_and_code_still_runs(
    message_of_refusal: str, left: list[str] | None
) -> None:
    refused = body({"error": {"message": message_of_refusal}}, status=400)
    async with Endpoint(refused, ran({"code": CODE})) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.ask(code=True)
    second = endpoint.requests[1].body
    assert second.get("include") == left and second["tools"] == [{"type": "code_interpreter"}]
    assert "was left out" in result.text and "```python" in result.text


async def test_code_wins_over_options_that_only_chat_completions_knows() -> None:
    async with Endpoint(ran({"code": CODE})) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.ask(code=True, options={"n": 2, "seed": 7})
    (request,) = endpoint.requests
    assert request.path == "/v1/responses" and not {"n", "seed"} & request.body.keys()
    for name in ("n", "seed"):
        assert f"Note: {name} was left out: this endpoint has no field for it." in result.text


async def test_an_endpoint_that_speaks_no_responses_is_asked_by_chat_without_code() -> None:
    missing = body("Not Found", status=404, content_type="text/plain")
    async with Endpoint(missing, chat("Hello.")) as endpoint, host_on(endpoint, gateway="generic") as host:
        result = await host.ask(code=True)
    assert [request.path for request in endpoint.requests] == ["/v1/responses", "/v1/chat/completions"]
    assert NO_CODE in result.text


async def test_code_that_was_required_and_did_not_run_gets_a_note() -> None:
    reply = response_stream("grok-4.7", message("Hello."), usage=COUNTS)
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.ask(code=True, tool_choice="required")
    assert "Note: tool_choice was required, but the model ran no code." in result.text


async def test_code_that_ran_is_billed_and_so_never_sent_again() -> None:
    whole_reply = ran({"code": CODE}, {"code": "second()"})
    begun = next(n for n, piece in enumerate(whole_reply.pieces) if b"output_item.added" in piece)
    cut = replace(whole_reply, pieces=whole_reply.pieces[: begun + 1], end="cut")
    async with Endpoint(cut) as endpoint, host_on(endpoint, gateway="xai", max_retries=2) as host:
        result = await host.ask(code=True)
    assert result.raw.is_error and len(endpoint.requests) == 1


# --- what it cost, and how the endpoint names it

UNPRICED: Json = {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100}
FEES: dict[str, tuple[Json, float]] = {
    "nothing": ({}, 0),
    "code": ({"code_interpreter_calls": 2}, 0.010),
    "searches of the web": ({"web_search_calls": 3}, 0.015),
    "posts and profiles, and not the searches of X": (
        {"x_search_calls": 5, "x_posts_fetched": 8, "x_users_fetched": 2},
        0.060,
    ),
    "collections and attached files": ({"file_search_calls": 2, "document_search_calls": 1}, 0.015),
}


@pytest.mark.parametrize("tier", ["default", "priority"])
@pytest.mark.parametrize("name", FEES)
async def test_an_estimated_cost_has_the_fees_in_it_and_twice_the_tokens_of_priority(
    name: str, tier: str
) -> None:
    counts, fee = FEES[name]
    usage = {**UNPRICED, "server_side_tool_usage_details": counts}
    reply = {**whole(ROWS[0], usage), "service_tier": tier, "model": "grok-4"}
    async with Endpoint(body(reply)) as endpoint, host_on(endpoint, results="structured") as host:
        used = (await host.ask(model="grok-4")).structured["usage"]
    tokens = 1_000 * 3e-6 + 100 * 15e-6
    expected = tokens * (2 if tier == "priority" else 1) + fee
    assert used["cost_usd"] == pytest.approx(expected) and used["cost_source"] == "estimated"
    assert used["service_tier"] == tier


@pytest.mark.parametrize("form", ["responses", "responses whole", "chat", "chat whole"])
async def test_the_tier_and_the_id_that_the_endpoint_gives_come_back(form: str) -> None:
    named = {"id": "9f0c\n\u202e2b4e" + "x" * 300, "service_tier": "priority"}
    if form.startswith("chat"):
        delta = "message" if "whole" in form else "delta"
        choice = {"index": 0, delta: {"content": "Done."}, "finish_reason": "stop"}
        payload = {**named, "model": "grok-4.7", "choices": [choice], "usage": CHAT_COUNTS}
        payload["object"] = "chat.completion" if "whole" in form else "chat.completion.chunk"
        reply = body(payload) if "whole" in form else events(payload)
    else:
        response = {**whole(ROWS[0], COUNTS), **named}
        ended = {"type": "response.completed", "response": response}
        reply = body(response) if "whole" in form else events(ended)
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        result = await host.ask()
    answer = result.structured
    assert answer["response_id"] == IsStr(regex=r"9f0c 2b4ex+") and len(answer["response_id"]) <= 200
    assert answer["usage"] == IsPartialDict(service_tier="priority")
    assert " · priority · " in result.text


async def test_the_ledger_the_usage_resource_and_the_log_have_the_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counts = {"code_interpreter_calls": 2, "x_posts_fetched": 8, "x_users_fetched": 1, "file_search_calls": 3}
    response = {
        **whole(ROWS[0], {**COUNTS, "server_side_tool_usage_details": counts}),
        "service_tier": "priority",
    }
    caplog.set_level(logging.INFO, "grok_mcp.server.call")
    async with Endpoint(body(response)) as endpoint, host_on(endpoint) as host:
        await host.ask()
        (content,) = (await host.client.read_resource("grok://usage")).contents
    used = {"code_runs": 2, "x_posts_fetched": 8, "x_users_fetched": 1, "documents_searched": 3}
    (row,) = rows()
    assert row == IsPartialDict({**used, "service_tier": "priority"})
    total = json.loads(content.text)["all_time"]  # type: ignore[union-attr]  # a text
    assert total == IsPartialDict({**used, "calls_with_priority": 1})
    (ended,) = [getattr(record, FIELDS) for record in caplog.records if record.message == "call ended"]
    assert ended == IsPartialDict({"code_runs": 2, "service_tier": "priority", "response_id": RESPONSE["id"]})
