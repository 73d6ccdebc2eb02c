"""What hosts get that show the card beside an answer, and that no other host gets any of it.

How the card looks, and what it does, stands in `tests/card/`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from mcp.client import advertise
from mcp_types import TextResourceContents

from tests.support.endpoint import Endpoint, body, chat
from tests.support.host import Host, host_on
from tests.support.payloads import payload_reply

pytestmark = pytest.mark.anyio

APPS = "io.modelcontextprotocol/ui"
CARD = "ui://grok/answer"
CARD_TYPE = "text/html;profile=mcp-app"
SHOWS = [advertise(APPS, {"mimeTypes": [CARD_TYPE]})]
NOWHERE = "http://127.0.0.1:9/v1"


async def tools_of(host: Host) -> dict[str, dict[str, Any]]:
    listed = await host.client.list_tools()
    dumped = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]
    return {tool["name"]: tool for tool in dumped}


async def test_the_tools_whose_answers_have_sources_name_the_card_to_a_host_that_shows_it() -> None:
    async with host_on(NOWHERE, extensions=SHOWS) as host:
        tools = await tools_of(host)
    named = {name: tool["_meta"].get("ui") for name, tool in tools.items()}
    card = {"resourceUri": CARD}
    assert named == {"ask_grok": card, "grok_search": card, "grok_structured": None, "grok_result": card}
    flat = {name for name, tool in tools.items() if tool["_meta"].get("ui/resourceUri") == CARD}
    assert flat == {"ask_grok", "grok_search"}


async def test_the_list_with_the_card_is_as_small_as_that_without() -> None:
    async with host_on(NOWHERE, extensions=SHOWS) as host:
        tools = list((await tools_of(host)).values())
    assert len(json.dumps({"tools": tools}, separators=(",", ":"), ensure_ascii=False).encode()) <= 6_144


async def test_the_two_lists_differ_in_nothing_that_a_model_reads() -> None:
    async with host_on(NOWHERE, extensions=SHOWS) as host:
        shown = await tools_of(host)
    async with host_on(NOWHERE) as host:
        plain = await tools_of(host)
    assert list(shown) == list(plain)
    for name, tool in plain.items():
        told = {key: value for key, value in tool.items() if key not in ("_meta", "annotations")}
        assert {key: shown[name][key] for key in told} == told
        hints = ("readOnlyHint", "destructiveHint", "openWorldHint")
        assert [shown[name]["annotations"][hint] for hint in hints] == [
            tool["annotations"][hint] for hint in hints
        ]


SETTINGS: Mapping[str, tuple[str, Any, bool]] = {
    "auto, and the host says nothing": ("auto", None, False),
    "auto, and the host shows cards": ("auto", SHOWS, True),
    "auto, and the host shows pages of another kind": (
        "auto",
        [advertise(APPS, {"mimeTypes": ["text/html"]})],
        False,
    ),
    "on, and the host says nothing": ("on", None, True),
    "off, and the host shows cards": ("off", SHOWS, False),
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_who_gets_the_card_is_what_the_host_declares_and_what_the_setting_says(name: str) -> None:
    setting, extensions, shows = SETTINGS[name]
    async with Endpoint(payload_reply("06_responses_web_search_nonstream.json")) as endpoint:
        async with host_on(endpoint, extensions=extensions, card=setting) as host:
            tools = await tools_of(host)
            found = (await host.search()).answer
    assert ("ui" in tools["grok_search"]["_meta"]) == shows
    assert ("text" in found) == ("citations" in found) == shows


async def test_a_host_without_cards_gets_the_same_result_to_the_byte_and_the_others_the_same_text() -> None:
    results = {}
    async with Endpoint(payload_reply("05_responses_stream_web_and_x_search.sse")) as endpoint:
        for name, extensions in {"plain": None, "shows": SHOWS}.items():
            async with host_on(endpoint, extensions=extensions) as host:
                results[name] = await host.search()
    plain, shown = results["plain"], results["shows"]
    facts = ("usage", "model", "finish_reason", "conversation_id", "answer_id", "searched")
    assert set(plain.answer) <= set(facts)
    assert plain.raw.meta is not None and set(plain.raw.meta) <= {"grok-mcp/answer", SERVER_INFO}
    assert without_what_differs(shown.text) == without_what_differs(plain.text)
    assert plain.raw.structured_content is shown.raw.structured_content is None


SERVER_INFO = "io.modelcontextprotocol/serverInfo"


def without_what_differs(text: str) -> str:
    """The text without its last line, which has the time and the conversation."""
    return text.rstrip("\n").rpartition("\n")[0]


async def test_the_card_gets_the_text_and_the_sources_whose_spans_lie_in_it() -> None:
    async with Endpoint(payload_reply("05_responses_stream_web_and_x_search.sse")) as endpoint:
        async with host_on(endpoint, extensions=SHOWS) as host:
            found = (await host.search()).answer
    marked = {
        one["index"]: [found["text"][start:end] for start, end in one["spans"]] for one in found["citations"]
    }
    assert marked[1] == ["[[1]](https://city.example/council/minutes-1112)"]
    assert marked[2] == ["[[2]](https://transit.example/news/extension)"]
    assert marked[3] == ["[[3]](https://x.com/i/status/1988800000000000042)"]
    assert found["search_queries"] == [
        "tram extension council vote 12 November",
        "tram extension since:2026-11-12",
    ]


async def test_the_card_gets_the_steps_of_the_run_with_the_sources_that_each_met_and_what_holds() -> None:
    async with Endpoint(payload_reply("05_responses_stream_web_and_x_search.sse")) as endpoint:
        async with host_on(endpoint, extensions=SHOWS) as host:
            found = (await host.search()).answer
    assert found["steps"] == [
        {"kind": "web", "queries": ["tram extension council vote 12 November"], "met": [1, 2, 4]},
        {"kind": "x", "queries": ["tram extension since:2026-11-12"]},
    ]
    assert found["evidence"] == {"cited": [1, 2, 3], "met_only": [4], "unseen": [], "broken": []}


LONG = "A sentence that fills a line. " * 100
MARKER = "[[1]](https://a.example/1)"


async def test_a_later_page_has_the_spans_of_its_own_text() -> None:
    reply = chat(f"{LONG}{MARKER} {LONG}{MARKER} {LONG}")
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, extensions=SHOWS, max_result_chars=4_000) as host:
            pages = [await host.ask()]
            while rest := re.search(r'answer_id "([^"]+)" and offset (\d+)', pages[-1].text):
                pages.append(await host.call("grok_result", answer_id=rest[1], offset=int(rest[2])))
    marked = [
        page.answer["text"][start:end]
        for page in pages
        for citation in page.answer.get("citations", ())
        for start, end in citation["spans"]
    ]
    assert len(pages) > 2 and marked == [MARKER, MARKER]


def ran(number: int, code: str) -> dict[str, Any]:
    outputs = [{"type": "logs", "logs": code}]
    return {"type": "code_interpreter_call", "id": f"c{number}", "code": code, "outputs": outputs}


async def test_however_much_an_answer_holds_the_card_gets_no_more_than_it_draws() -> None:
    text = MARKER * 1_000 + "x" * 400_000
    content = [{"type": "output_text", "text": text}]
    output = [
        *(ran(number, "y" * 39_000) for number in range(50)),
        {"type": "message", "id": "m", "content": content},
    ]
    reply = body({"id": "r", "object": "response", "status": "completed", "model": "m", "output": output})
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, gateway="xai", extensions=SHOWS, max_result_chars=0) as host:
            result = await host.ask()
    found = result.answer
    assert text in result.text
    assert found["text"] == text[:60_001] and len(found["citations"][0]["spans"]) == 200
    assert [run["code"] for run in found["code_runs"]] == ["y" * 39_000] * 2
    assert len(json.dumps(found)) < 300_000


async def test_the_page_is_one_small_document_that_may_fetch_nothing() -> None:
    async with host_on(NOWHERE) as host:
        read = await host.client.read_resource(CARD)
        listed = await host.client.list_resources()
    (page,) = read.contents
    assert isinstance(page, TextResourceContents)
    assert page.mime_type == CARD_TYPE and page.uri == CARD
    assert len(page.text.encode()) <= 60_000
    assert page.meta == {"ui": {"csp": {}, "prefersBorder": True}}
    assert CARD not in {resource.uri for resource in listed.resources}


async def test_the_usage_has_its_days_for_the_chart_of_the_card_alone() -> None:
    documents = {}
    async with Endpoint(chat("Yes.")) as endpoint:
        for name, extensions in {"plain": None, "shows": SHOWS}.items():
            async with host_on(endpoint, extensions=extensions) as host:
                await host.ask()
                read = await host.client.read_resource("grok://usage")
                (contents,) = read.contents
                assert isinstance(contents, TextResourceContents)
                documents[name] = json.loads(contents.text)
    assert "by_day" not in documents["plain"]
    (day,) = documents["shows"]["by_day"]
    assert day == {"key": day["key"], **documents["shows"]["today"]}
    assert set(documents["shows"]) - set(documents["plain"]) == {"by_day"}
