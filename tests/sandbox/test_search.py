from typing import Any

import pytest

from .wire import Endpoint, items, joined, notes_of, text_of

WEB = {"type": "web_search"}
X = {"type": "x_search"}
SHOW = ["web_search_call.action.sources"]


def urls(body: dict[str, Any]) -> set[str]:
    return {note["url"] for note in notes_of(body)}


def legacy(grok: Endpoint, prompt: str = "latest tram extension", **search: Any) -> list[str]:
    found: list[str] = grok.chat(prompt, search_parameters={"mode": "on", **search})["citations"]
    return found


def test_inline_marks_stand_exactly_where_the_annotations_say(grok: Endpoint) -> None:
    body = grok.responses("latest 🚋 tram extension", tools=[WEB, X])
    text = text_of(body)
    placed = [note for note in notes_of(body) if note["end_index"]]
    assert len(placed) >= 4
    for note in placed:
        mark = f"[[{note['title']}]]({note['url']})"
        assert text[note["start_index"] : note["end_index"]] == mark


def test_a_source_that_is_cited_twice_keeps_its_number(grok: Endpoint) -> None:
    notes = [note for note in notes_of(grok.responses("latest tram", tools=[WEB])) if note["end_index"]]
    assert notes[0]["title"] == notes[-1]["title"] == "1"
    assert notes[0]["url"] == notes[-1]["url"]


def test_an_uncited_source_has_no_span_and_its_address_as_title(grok: Endpoint) -> None:
    body = grok.responses("latest tram extension", tools=[WEB])
    uncited = [note for note in notes_of(body) if not note["end_index"]]
    assert [note["start_index"] for note in uncited] == [0]
    assert uncited[0]["title"] == uncited[0]["url"]
    assert uncited[0]["url"] not in text_of(body)


def test_the_sources_of_a_search_are_shown_only_on_request(grok: Endpoint) -> None:
    shown = items(grok.responses("latest tram", tools=[WEB], include=SHOW), "web_search_call")[0]
    hidden = items(grok.responses("latest tram", tools=[WEB]), "web_search_call")[0]
    assert len(shown["action"]["sources"]) == 3
    assert "sources" not in hidden["action"]


@pytest.mark.parametrize(
    ("prompt", "choice", "searches"),
    [
        ("Say hello", "auto", False),
        ("Say hello", "required", True),
        ("What is the latest?", "auto", True),
        ("tram extension", "auto", True),
        ("What is the latest?", "none", False),
    ],
)
def test_it_searches_when_the_prompt_or_the_choice_says_so(
    grok: Endpoint, prompt: str, choice: str, searches: bool
) -> None:
    body = grok.responses(prompt, tools=[WEB], tool_choice=choice)
    assert bool(items(body, "web_search_call")) == searches


def test_a_search_that_matches_nothing_takes_the_newest(grok: Endpoint) -> None:
    body = grok.responses("xyzzy", tools=[WEB], tool_choice="required")
    assert "https://weather.example/warnings/storm" in urls(body)


def test_domain_filters_are_applied(grok: Endpoint) -> None:
    only = {**WEB, "filters": {"allowed_domains": ["city.example", "example"]}}
    assert len(urls(grok.responses("latest tram", tools=[only]))) == 3
    only = {**WEB, "filters": {"allowed_domains": ["City.example"]}}
    assert urls(grok.responses("latest tram", tools=[only])) == {"https://city.example/council/minutes-1112"}
    but = {**WEB, "filters": {"excluded_domains": ["city.example"]}}
    assert "https://city.example/council/minutes-1112" not in urls(grok.responses("latest tram", tools=[but]))


def test_a_filter_that_leaves_nothing_is_said_so(grok: Endpoint) -> None:
    only = {**WEB, "filters": {"allowed_domains": ["nowhere.example"]}}
    body = grok.responses("latest tram", tools=[only])
    assert "The search found no source." in text_of(body)
    assert notes_of(body) == []


def test_handles_and_dates_of_an_x_search_are_applied(grok: Endpoint) -> None:
    tram, noise = (
        "https://x.com/i/status/1988800000000000042",
        "https://x.com/i/status/1988800000000000077",
    )
    both = grok.responses("latest tram", tools=[X])
    assert urls(both) == {tram, noise}
    one = grok.responses("latest tram", tools=[{**X, "allowed_x_handles": ["Harbour_News"]}])
    assert urls(one) == {tram}
    one = grok.responses("latest tram", tools=[{**X, "excluded_x_handles": ["harbour_news"]}])
    assert urls(one) == {noise}
    one = grok.responses("latest tram", tools=[{**X, "from_date": "2026-11-13", "to_date": "2026-11-13"}])
    assert urls(one) == {noise}
    call = items(one, "custom_tool_call")[0]
    assert "since:2026-11-13" in call["input"]
    assert call["call_id"] == "xs_call_00000001"


def test_a_whole_legacy_answer_lists_its_citations_and_their_number(grok: Endpoint) -> None:
    body = grok.chat("latest tram extension", search_parameters={"mode": "on"})
    assert "https://city.example/council/minutes-1112" in body["citations"]
    assert body["usage"]["num_sources_used"] == len(body["citations"]) == 5
    assert "[[" not in body["choices"][0]["message"]["content"]


def test_a_legacy_stream_has_citations_finish_and_usage_in_its_last_chunk(grok: Endpoint) -> None:
    last = grok.chat_events("latest tram", search_parameters={"mode": "auto"})[-1]
    assert last["citations"] and last["usage"]
    assert last["choices"][0]["finish_reason"] == "stop"


def test_legacy_modes_and_return_citations_are_obeyed(grok: Endpoint) -> None:
    assert grok.chat("latest", search_parameters={"mode": "off"})["citations"] == []
    assert grok.chat("hello", search_parameters={})["citations"] == []
    body = grok.chat("latest", search_parameters={"return_citations": False})
    assert "citations" not in body
    assert body["usage"]["num_sources_used"] > 0


def test_legacy_sources_and_their_filters_are_applied(grok: Endpoint) -> None:
    assert len(legacy(grok, max_search_results=2)) == 2
    assert all("x.com" in url for url in legacy(grok, sources=[{"type": "x"}]))
    assert legacy(grok, sources=[{"type": "x", "post_favorite_count": 5000}])[0].endswith("0003")
    assert len(legacy(grok, sources=[{"type": "x", "post_view_count": 1_000_000}])) == 1
    assert len(legacy(grok, sources=[{"type": "x", "included_x_handles": ["quiet_streets"]}])) == 1
    assert "forum" not in " ".join(legacy(grok, sources=[{"type": "news"}]))
    feed = [{"type": "rss", "links": ["https://transit.example/feed.xml"]}]
    assert legacy(grok, sources=feed) == ["https://transit.example/news/extension"]
    web = [{"type": "web", "excluded_websites": ["transit.example", "forum.example"]}]
    assert legacy(grok, sources=web) == ["https://city.example/council/minutes-1112"]
    assert legacy(grok, sources=[{"type": "web"}], from_date="2027-01-01") == []


def test_the_web_plugin_answers_with_nested_annotations_and_a_cost(grok: Endpoint) -> None:
    fields: dict[str, Any] = {"plugins": [{"id": "web"}]}
    body = grok.chat("tram extension", **fields)
    message, usage = body["choices"][0]["message"], body["usage"]
    first = message["annotations"][0]["url_citation"]
    assert message["annotations"][0]["type"] == "url_citation"
    assert message["content"][first["start_index"] : first["end_index"]] == f" {first['content']}"
    assert first["title"] == "Tram extension: what happens next"
    assert usage["server_tool_use"] == {"web_search_requests": 1}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cost"] > 0
    events = grok.chat_events("tram extension", **fields)
    notes = [event["choices"][0]["delta"].get("annotations") for event in events if event["choices"]]
    assert [note for note in notes if note] == [message["annotations"]]
    assert joined(events) == message["content"]


def test_the_web_plugin_finds_no_more_than_max_results(grok: Endpoint) -> None:
    body = grok.chat("latest tram", plugins=[{"id": "web", "max_results": 2}])
    assert len(body["choices"][0]["message"]["annotations"]) == 2
    assert grok.send_chat(plugins=[{"id": "web", "max_results": 0}]).status_code == 400


@pytest.mark.parametrize(
    ("tool", "status", "words"),
    [
        ({**WEB, "filters": {"allowed_domains": ["a"], "excluded_domains": ["b"]}}, 400, "both"),
        ({**WEB, "filters": {"allowed_domains": list("abcdef")}}, 400, "at most 5"),
        ({**X, "allowed_x_handles": [str(n) for n in range(21)]}, 400, "at most 20"),
        ({**X, "from_date": "yesterday"}, 400, "ISO 8601"),
        ({"type": "image_generation"}, 422, "image_generation"),
    ],
)
def test_wrong_filters_are_refused(grok: Endpoint, tool: dict[str, Any], status: int, words: str) -> None:
    response = grok.send_responses("latest", tools=[tool])
    assert response.status_code == status
    assert words in response.text


def test_unknown_legacy_modes_and_sources_are_refused(grok: Endpoint) -> None:
    assert grok.send_chat(search_parameters={"mode": "maybe"}).status_code == 422
    assert grok.send_chat(search_parameters={"sources": [{"type": "tv"}]}).status_code == 422
