"""`grok_search` through a real client: what is sent in each search dialect, and honest answers."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from dirty_equals import IsPartialDict

from tests.gateways.shapes import annotation, message, response_stream, web_search
from tests.support.endpoint import Endpoint, Reply, body, chat, events
from tests.support.host import host_on
from tests.support.payloads import payload_reply

pytestmark = pytest.mark.anyio

FOUND = "05_responses_stream_web_and_x_search.sse"
GONE = {"error": "Live search is deprecated. Please switch to the Agent Tools API"}


async def test_an_answer_is_followed_by_its_numbered_sources() -> None:
    async with Endpoint(payload_reply(FOUND)) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search("Tram?")
    assert re.sub(r"\d\.\d s · .*", "…", result.text) == (
        "The council approved the tram extension on 12 November"
        "[[1]](https://city.example/council/minutes-1112), and construction starts in March"
        "[[2]](https://transit.example/news/extension). Residents on X mostly welcomed it"
        "[[3]](https://x.com/i/status/1988800000000000042).\n"
        "\n"
        "Sources:\n"
        "1. https://city.example/council/minutes-1112\n"
        "2. https://transit.example/news/extension\n"
        "3. https://x.com/i/status/1988800000000000042\n"
        "4. https://forum.example/t/9917\n"
        "\n"
        "grok-4.7 · 6,120 in (2,048 cached) + 402 out (265 reasoning) tokens · 0.056580 USD · …\n"
    )
    assert result.raw.structured_content is None
    assert result.answer["searched"] is True


FILTERS: dict[str, Any] = {
    "sources": ["web", "x"],
    "from_date": "2026-11-01",
    "to_date": "2026-11-20",
    "allowed_domains": ["https://www.City.example/news", "transit.example"],
    "excluded_x_handles": ["@spam", "noise"],
}


async def test_the_responses_dialect_gets_server_tools_with_their_filters() -> None:
    async with Endpoint(payload_reply(FOUND)) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search(
            **FILTERS, options={"max_turns": 3, "image_understanding": True, "image_search": True}
        )
    sent = endpoint.requests[0].body
    assert sent["tools"] == [
        {
            "type": "web_search",
            "filters": {"allowed_domains": ["city.example", "transit.example"]},
            "enable_image_understanding": True,
            "enable_image_search": True,
        },
        {
            "type": "x_search",
            "excluded_x_handles": ["spam", "noise"],
            "from_date": "2026-11-01",
            "to_date": "2026-11-20",
            "enable_image_understanding": True,
        },
    ]
    assert (sent["tool_choice"], sent["max_turns"]) == ("required", 3)
    assert "web_search_call.action.sources" in sent["include"]
    instructions = sent["input"][0]["content"]
    assert f"{datetime.now(UTC):%Y-%m-%d}" in instructions
    assert "dated from 2026-11-01 until 2026-11-20" in instructions
    assert "no field for dates of web pages" in result.text


async def test_the_search_parameters_dialect_gets_only_what_was_asked_for() -> None:
    async with Endpoint(payload_reply("04_chat_legacy_live_search_stream.sse")) as endpoint:
        async with host_on(endpoint, gateway="nebula") as host:
            await host.search()
            await host.search(
                **FILTERS, country="us", max_results="5", options={"min_likes": 10, "safe_search": True}
            )
    plain, filtered = (request.body["search_parameters"] for request in endpoint.requests)
    assert endpoint.requests[0].path == "/v1/chat/completions"
    assert plain == {"mode": "on", "return_citations": True}
    assert filtered == {
        "mode": "on",
        "return_citations": True,
        "from_date": "2026-11-01",
        "to_date": "2026-11-20",
        "max_search_results": 5,
        "sources": [
            {
                "type": "web",
                "country": "US",
                "allowed_websites": ["city.example", "transit.example"],
                "safe_search": True,
            },
            {"type": "x", "excluded_x_handles": ["spam", "noise"], "post_favorite_count": 10},
        ],
    }


async def test_feeds_and_news_are_sources_of_their_own_in_the_search_parameters_dialect() -> None:
    async with Endpoint(payload_reply("04_chat_legacy_live_search_stream.sse")) as endpoint:
        async with host_on(endpoint, gateway="nebula", results="structured") as host:
            await host.search(sources="news, rss", options={"rss_links": "https://a.example/feed.xml"})
            news = (await host.search(sources="news")).structured
    assert endpoint.requests[0].body["search_parameters"]["sources"] == [
        {"type": "news"},
        {"type": "rss", "links": ["https://a.example/feed.xml"]},
    ]
    assert {cited["source"] for cited in news["citations"]} == {"news"}


async def test_openrouter_is_asked_by_its_web_plugin() -> None:
    async with Endpoint(payload_reply("12b_openrouter_stream_annotations_cost.sse")) as endpoint:
        async with host_on(endpoint, gateway="openrouter") as host:
            result = await host.search(**FILTERS, max_results=5)
    sent = endpoint.requests[0].body
    assert sent["plugins"] == [{"id": "web", "max_results": 5}]
    assert sent["model"] == "x-ai/grok-4.7"
    for wish in ("dated from 2026-11-01", "city.example, transit.example", "no post by spam, noise"):
        assert wish in sent["messages"][0]["content"]
    assert "best effort" in result.text
    assert result.answer == IsPartialDict(searched=True)


@dataclass(frozen=True)
class Switch:
    """A refusal of one way to search, after which the other one is used."""

    name: str
    refusal: Reply
    gateway: str = "nebula"
    second_path: str = "/v1/responses"


SWITCHES = [
    Switch("410", body({"code": "gone", "error": "Gone"}, status=410)),
    Switch("the words under 401", body(GONE, status=401)),
    Switch("the words under 200", body(GONE)),
    Switch("404 of a path", body("Not Found", status=404, content_type="text/plain")),
    Switch("422", body({"detail": "extra fields not permitted"}, status=422)),
    Switch(
        "422 naming the tool",
        body("unknown variant `web_search`, expected `function`", status=422, content_type="text/plain"),
        gateway="generic",
        second_path="/v1/chat/completions",
    ),
]


@pytest.mark.parametrize("case", SWITCHES, ids=lambda case: case.name)
async def test_a_refused_search_dialect_is_switched_once_told_and_remembered(case: Switch) -> None:
    async with Endpoint(case.refusal, payload_reply(FOUND)) as endpoint:
        async with host_on(endpoint, gateway=case.gateway, max_retries=0) as host:
            first = await host.search()
            second = await host.search()
    assert "The endpoint does not search by" in first.text
    assert "The endpoint does not search by" not in second.text
    assert first.answer["searched"] is True
    assert [request.path for request in endpoint.requests][1:] == [case.second_path] * 2


async def test_xai_is_never_sent_search_parameters() -> None:
    async with Endpoint(body(GONE, status=410)) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search()
    assert result.error["code"] == "search_unavailable"
    assert "GROK_MCP_SEARCH_DIALECT" in result.text
    assert [request.path for request in endpoint.requests] == ["/v1/responses"]


async def test_a_model_that_does_not_exist_does_not_switch_the_dialect() -> None:
    missing = body({"error": "The model grok-9 does not exist"}, status=404)
    async with Endpoint(missing) as endpoint, host_on(endpoint) as host:
        assert (await host.search(model="grok-9")).error["code"] == "model_not_found"
    assert len(endpoint.requests) == 1


async def test_mode_on_without_evidence_of_a_search_is_told() -> None:
    async with Endpoint(chat("From memory.")) as endpoint, host_on(endpoint) as host:
        result = await host.search()
    assert "Note: The endpoint reported no search" in result.text
    assert result.answer["searched"] is False


async def test_mode_auto_leaves_the_choice_to_the_model_and_says_where_it_did_not_search() -> None:
    async with Endpoint(chat("From memory.")) as endpoint, host_on(endpoint) as host:
        result = await host.search(mode="auto")
    assert "tool_choice" not in endpoint.requests[0].body
    assert "Note: The endpoint reported no search: this is the model's own knowledge." in result.text


async def test_mode_off_sends_no_search_and_is_never_searched() -> None:
    async with Endpoint(chat("From memory.")) as endpoint, host_on(endpoint) as host:
        result = await host.search(mode="off")
    assert not {"tools", "search_parameters", "plugins"} & endpoint.requests[0].body.keys()
    assert result.answer["searched"] is False
    assert "Note:" not in result.text


async def test_without_any_way_to_search_on_is_an_error_and_auto_answers_with_a_warning() -> None:
    async with Endpoint(chat("From memory.")) as endpoint, host_on(endpoint, search_dialect="none") as host:
        refused = await host.search()
        answered = await host.search(mode="auto")
    assert refused.error["code"] == "search_unavailable"
    assert "the model's own knowledge" in answered.text
    assert len(endpoint.requests) == 1


async def test_a_search_whose_sources_a_gateway_strips_is_told() -> None:
    used = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "num_sources_used": 3}
    async with Endpoint(chat("News.", usage=used)) as endpoint, host_on(endpoint, gateway="nebula") as host:
        result = await host.search()
    assert result.answer["searched"] is True
    assert "named no sources" in result.text


async def test_text_from_the_web_loses_invisible_characters_and_its_spans_still_fit() -> None:
    text = "Ta\u202eda\U000e0041 🚋[[1]](https://a.example/x) end"
    marker = "[[1]](https://a.example/x)"
    start = text.index(marker)
    note = {
        "type": "url_citation",
        "url": "https://a.example/x",
        "title": "T\u200bit\x07le",
        "start_index": start,
        "end_index": start + len(marker),
    }
    halves = [text[:4], text[4:9], text[9:]]
    chunks = [{"choices": [{"index": 0, "delta": {"content": half}}]} for half in halves]
    chunks.append({"choices": [{"index": 0, "delta": {"annotations": [note]}, "finish_reason": "stop"}]})
    async with Endpoint(events(*chunks)) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.search()).structured
    assert answer["text"] == f"Tada 🚋{marker} end"
    (cited,) = answer["citations"]
    ((begin, end),) = cited["spans"]
    assert answer["text"][begin:end] == marker
    assert cited["title"] == "T it le"


async def test_sources_that_the_text_cites_come_before_those_only_met_in_the_order_of_the_text() -> None:
    met, first, second = (f"https://{name}.example/" for name in ("met", "first", "second"))
    reply = response_stream(
        "grok-4.7",
        web_search("tram vote", met, second, first),
        message(
            "It is approved. Residents cheer.",
            annotations=[
                annotation(met, "1", 0, 0),
                annotation(second, "2", 16, 31),
                annotation(first, "3", 0, 15),
            ],
        ),
    )
    async with Endpoint(reply) as endpoint:
        async with host_on(endpoint, gateway="xai", results="structured") as host:
            result = (await host.search()).structured
    assert [(one["index"], one["url"], one["spans"]) for one in result["citations"]] == [
        (1, first, [[0, 15]]),
        (2, second, [[16, 31]]),
        (3, met, []),
    ]


async def test_a_source_that_only_the_text_names_is_taken_from_there_and_marked() -> None:
    item = {
        "type": "message",
        "id": "m",
        "content": [
            {
                "type": "output_text",
                "text": "A[[2]](https://a.example/) b[[7]](https://nowhere.example/)",
                "annotations": [{"type": "url_citation", "url": "https://a.example/"}],
            }
        ],
    }
    reply = body({"object": "response", "status": "completed", "output": [item]})
    async with Endpoint(reply) as endpoint, host_on(endpoint, results="structured") as host:
        result = await host.search()
    assert "Sources:\n2. https://a.example/\n7. https://nowhere.example/\n" in result.text
    assert "The endpoint did not list [7] as a source: the address is from the text." in result.text
    listed, unlisted = result.structured["citations"]
    assert "from_text" not in listed and unlisted["from_text"] is True
    assert [unlisted["index"], unlisted["spans"]] == [7, [[28, 59]]]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"query": ""}, "query"),
        ({"from_date": "2026-02-02", "to_date": "2026-02-01"}, "from_date"),
        ({"from_date": "yesterday"}, "from_date"),
        ({"to_date": 1767225600}, "to_date"),
        ({"allowed_domains": ["a.example"], "excluded_domains": ["b.example"]}, "allowed_domains"),
        ({"allowed_x_handles": ["a"], "excluded_x_handles": ["b"]}, "allowed_x_handles"),
        ({"allowed_domains": [f"{n}.example" for n in range(6)]}, "allowed_domains"),
        ({"allowed_domains": ["not a domain"]}, "allowed_domains"),
        ({"allowed_x_handles": [f"user{n}" for n in range(21)]}, "allowed_x_handles"),
        ({"excluded_x_handles": ["no good"]}, "excluded_x_handles"),
        ({"country": "USA"}, "country"),
        ({"max_results": 51}, "max_results"),
        ({"sources": ["tv"]}, "sources"),
        ({"sources": ["rss"]}, "rss_links"),
        ({"mode": "maybe"}, "mode"),
        ({"options": {"min_likes": -1}}, "options.min_likes"),
    ],
)
async def test_a_wrong_argument_is_named_before_any_request(arguments: dict[str, Any], named: str) -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await host.call("grok_search", **{"query": "News?", **arguments})
    assert result.error["code"] == "invalid_argument"
    assert named in result.text
    assert endpoint.requests == []


async def test_a_search_continues_a_conversation() -> None:
    async with Endpoint(chat("Hello."), payload_reply(FOUND)) as endpoint, host_on(endpoint) as host:
        handle = (await host.ask("Hi")).answer["conversation_id"]
        await host.search("And now?", conversation_id=handle)
    turns = [turn["content"] for turn in endpoint.requests[1].body["input"] if turn["role"] != "system"]
    assert turns == ["Hi", "Hello.", "And now?"]


WISHES: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "xai",
        {"sources": ["news", "rss"], "country": "de", "max_results": 3},
        [
            "use only news, RSS feeds",
            "from the country DE",
            "at most 3 sources",
            "Read these feeds: https://f.example",
        ],
    ),
    ("xai", {"sources": ["web"], "to_date": "2026-11-20"}, ["web pages dated until 2026-11-20"]),
    (
        "xai",
        {"options": {"safe_search": True, "min_likes": 5, "min_views": 9}},
        ["adult content", "at least 5 likes", "at least 9 views"],
    ),
    (
        "nebula",
        {
            "sources": ["news", "rss"],
            "allowed_domains": "a.example",
            "options": {
                "rss_links": ["https://f.example", "https://g.example"],
                "video_understanding": True,
                "max_turns": 2,
            },
        },
        ["only pages of a.example", "images and videos", "at most 2 times"],
    ),
    (
        "openrouter",
        {
            "sources": ["x", "rss"],
            "excluded_domains": ["a.example"],
            "allowed_x_handles": ["xai"],
            "country": "US",
            "options": {"min_likes": 1, "image_understanding": True, "image_search": True, "max_turns": 1},
        },
        [
            "X posts, RSS feeds",
            "no page of a.example",
            "only posts by xai",
            "country US",
            "at least 1 likes",
            "images and videos",
            "Markdown images",
            "at most 1 times",
        ],
    ),
]


@pytest.mark.parametrize(("gateway", "arguments", "wishes"), WISHES)
async def test_what_a_dialect_has_no_field_for_goes_into_words_with_a_warning(
    gateway: str, arguments: dict[str, Any], wishes: list[str]
) -> None:
    options = {"rss_links": ["https://f.example"]} if "rss" in arguments.get("sources", ()) else {}
    arguments = {**arguments, "options": {**options, **arguments.get("options", {})}}
    async with Endpoint(payload_reply(FOUND)) as endpoint, host_on(endpoint, gateway=gateway) as host:
        result = await host.search(**arguments)
    sent = endpoint.requests[0].body
    instructions = (sent.get("messages") or sent["input"])[0]["content"]
    for wish in wishes:
        assert wish in instructions
    assert "passed on in words, best effort" in result.text


async def test_mode_auto_answers_from_memory_where_every_search_is_refused() -> None:
    refused, answered = body(GONE, status=410), chat("From memory.")
    async with Endpoint(refused, answered) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search(mode="auto")
    assert result.text.startswith("From memory.")
    assert "this is the model's own knowledge" in result.text
    assert result.answer["searched"] is False
    assert "tools" not in endpoint.requests[1].body


async def test_with_two_ways_to_search_both_are_tried_before_it_is_given_up() -> None:
    async with Endpoint(body(GONE, status=410)) as endpoint, host_on(endpoint, gateway="nebula") as host:
        assert (await host.search()).error["code"] == "search_unavailable"
        again = await host.search()
    paths = [request.path.rpartition("/v1")[2] for request in endpoint.requests]
    assert paths == 2 * ["/chat/completions", "/responses"]  # nothing that worked, so nothing is remembered
    assert again.error["code"] == "search_unavailable"


async def test_sampling_options_that_the_search_api_has_no_field_for_are_left_out_with_a_note() -> None:
    async with Endpoint(payload_reply(FOUND)) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search(options={"seed": 3, "top_p": 0.5})
    assert "seed was left out" in result.text
    assert "seed" not in endpoint.requests[0].body and endpoint.requests[0].body["top_p"] == 0.5


async def test_empty_optional_arguments_count_as_absent() -> None:
    async with Endpoint(payload_reply(FOUND)) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.search(
            conversation_id="",
            sources=[],
            from_date="",
            country=" ",
            allowed_domains="",
            options={},
            model="",
        )
    assert result.answer["searched"] is True
    assert [tool["type"] for tool in endpoint.requests[0].body["tools"]] == ["web_search", "x_search"]


@pytest.mark.parametrize(
    ("gateway", "reply"),
    [
        ("xai", body("Not Found", status=404, content_type="text/plain")),
        ("openrouter", body({"error": {"code": 422, "message": "plugins: unknown"}}, status=422)),
        ("openrouter", body("", status=405)),
    ],
    ids=["a missing path", "a field that is not known", "a method"],
)
async def test_the_last_way_to_search_that_is_refused_is_an_error_that_names_the_setting(
    gateway: str, reply: Reply
) -> None:
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway=gateway) as host:
        result = await host.search()
    assert result.error["code"] == "search_unavailable"
    assert "GROK_MCP_SEARCH_DIALECT" in result.text
    assert len(endpoint.requests) == 1


async def test_searches_that_the_endpoint_counts_are_evidence_of_a_search() -> None:
    counted = {"prompt_tokens": 1, "completion_tokens": 1, "server_tool_use": {"web_search_requests": 1}}
    async with Endpoint(chat("So.", usage=counted)) as endpoint:
        async with host_on(endpoint, gateway="openrouter") as host:
            result = await host.search()
    assert result.answer["searched"] is True
    assert "reported no search" not in result.text


async def test_a_filter_that_holds_for_some_kinds_of_source_only_is_told_for_the_others() -> None:
    async with Endpoint(chat("So.")) as endpoint, host_on(endpoint, gateway="nebula") as host:
        result = await host.search(sources=["web", "news"], allowed_domains=["a.example"])
        await host.search(options={"rss_links": ["https://f.example/x"]})
    first, second = (request.body["messages"][0]["content"] for request in endpoint.requests)
    assert "Use only pages of a.example." in first
    assert "no field for allowed_domains" in result.text
    assert "https://f.example/x" in second
