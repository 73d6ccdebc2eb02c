"""What each deviation makes of a reply, on the wire and apart from what any client makes of it."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from grok_mcp.sandbox.faults import WORDS, Word, changed, read_fault
from tests.sandbox_faults import FAULTS, REPLIES

from .wire import Endpoint, flat_function, function, items, joined, notes_of, parse, text_of

JSON = dict[str, Any]

SEARCH = [{"type": "web_search"}, {"type": "x_search"}]
SHOW = ["web_search_call.action.sources"]
TOOLS = [function("get_weather"), function("get_tides")]
LEGACY = {"search_parameters": {"mode": "on"}}
PLUGIN = {"plugins": [{"id": "web"}]}


def choices(events: list[JSON]) -> list[JSON]:
    return [choice for event in events for choice in event.get("choices", ())]


def deltas(events: list[JSON]) -> list[JSON]:
    return [choice["delta"] for choice in choices(events)]


def kinds(events: list[JSON]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def less(events: list[JSON], *names: str) -> list[JSON]:
    return [{name: value for name, value in event.items() if name not in names} for event in events]


# ------------------------------------------------------------------------------------- both dialects


def test_noobject_leaves_the_field_object_out(grok: Endpoint) -> None:
    assert "object" not in grok.chat("Hi", fault="noobject")
    assert "object" not in grok.responses("Hi", fault="noobject")
    assert not any("object" in event for event in grok.chat_events("Hi", fault="noobject"))
    events = grok.responses_events("Hi", fault="noobject")
    assert not any("object" in event.get("response", {}) for event in events)
    assert less(events, "response") == less(grok.responses_events("Hi"), "response")


def test_served_names_another_model_everywhere(grok: Endpoint) -> None:
    assert grok.chat("Hi", fault="served=grok-9")["model"] == "grok-9"
    assert {event["model"] for event in grok.chat_events("Hi", fault="served=grok-9")} == {"grok-9"}
    events = grok.responses_events("Hi", fault="served=grok-9")
    assert [event["response"]["model"] for event in events if "response" in event] == ["grok-9"] * 3


def test_filtered_ends_an_answer_for_safety(grok: Endpoint) -> None:
    assert grok.chat("Hi", fault="filtered")["choices"][0]["finish_reason"] == "content_filter"
    reasons = [choice.get("finish_reason") for choice in choices(grok.chat_events("Hi", fault="filtered"))]
    assert reasons[-1] == "content_filter" and set(reasons[:-1]) == {None}
    event = grok.responses_events("Hi", fault="filtered")[-1]
    assert event["type"] == "response.incomplete"
    assert event["response"]["incomplete_details"] == {"reason": "content_filter"}
    assert grok.responses("Hi", fault="filtered")["status"] == "incomplete"


def test_bare_leaves_the_positions_of_annotations_out(grok: Endpoint) -> None:
    body = grok.responses("latest tram", tools=SEARCH, fault="bare")
    assert {frozenset(note) for note in notes_of(body)} == {frozenset({"type", "url"})}
    events = grok.responses_events("latest tram", tools=SEARCH, fault="bare")
    added = [event["annotation"] for event in events if "annotation" in event]
    part = next(event["part"] for event in events if event["type"] == "response.content_part.done")
    done = next(event["item"] for event in events[::-1] if event["type"] == "response.output_item.done")
    told = [added, part["annotations"], done["content"][0]["annotations"], notes_of(events[-1]["response"])]
    assert told == [notes_of(body)] * 4
    nested = grok.chat("latest tram", fault="bare", **PLUGIN)["choices"][0]["message"]["annotations"]
    assert {frozenset(note["url_citation"]) for note in nested} == {frozenset({"url", "title", "content"})}


def test_repeatthoughts_sends_every_piece_of_reasoning_twice(grok: Endpoint) -> None:
    plain, twice = grok.chat_events("Hi"), grok.chat_events("Hi", fault="repeatthoughts")
    thoughts = [delta["reasoning_content"] for delta in deltas(plain) if "reasoning_content" in delta]
    again = [delta["reasoning_content"] for delta in deltas(twice) if "reasoning_content" in delta]
    assert again == [thought for thought in thoughts for _ in range(2)]
    assert joined(twice) == joined(plain)
    more = kinds(grok.responses_events("Hi", fault="repeatthoughts")).count("reasoning_summary_text.delta")
    assert more == 2 * kinds(grok.responses_events("Hi")).count("reasoning_summary_text.delta")


# ------------------------------------------------------------------------------------- usage


def test_nousage_leaves_the_usage_out(grok: Endpoint) -> None:
    plain = grok.chat_events("Count")
    assert grok.chat_events("Count", fault="nousage") == plain[:-1]
    inside = grok.chat_events("Count", fault="nousage", stream_options=None)
    assert "usage" not in inside[-1] and inside[-1]["choices"][0]["finish_reason"] == "stop"
    assert grok.responses_events("Count", fault="nousage")[-1]["response"]["usage"] is None
    assert "usage" not in grok.chat("Count", fault="nousage")
    assert "usage" not in grok.responses("Count", fault="nousage")


def test_finishusage_puts_the_usage_into_the_chunk_that_ends(grok: Endpoint) -> None:
    *running, finish, usage = grok.chat_events("Hi")
    assert grok.chat_events("Hi", fault="finishusage") == [*running, finish | {"usage": usage["usage"]}]


def test_runningusage_tells_more_in_every_chunk_and_all_of_it_in_the_last(grok: Endpoint) -> None:
    plain, running = grok.chat_events("Hi"), grok.chat_events("Hi", fault="runningusage")
    assert running[-1] == plain[-1]
    assert less(running[:-1], "usage") == plain[:-1]
    counts = [event["usage"]["completion_tokens"] for event in running]
    assert counts == sorted(counts) and len(set(counts)) > 2
    assert sum(counts) > 2 * counts[-1]
    assert grok.chat_events("Hi", fault="runningusage;nousage") == plain[:-1]


def test_inclusive_counts_the_reasoning_inside_the_completion(grok: Endpoint) -> None:
    plain, usage = grok.chat("Hi")["usage"], grok.chat("Hi", fault="inclusive")["usage"]
    thoughts = plain["completion_tokens_details"]["reasoning_tokens"]
    assert usage == plain | {"completion_tokens": plain["completion_tokens"] + thoughts}
    assert grok.responses("Hi", fault="inclusive")["usage"] == grok.responses("Hi")["usage"]


def test_cachedbeside_counts_more_cached_tokens_than_prompt_tokens(grok: Endpoint) -> None:
    plain, usage = grok.chat("Hi there")["usage"], grok.chat("Hi there", fault="cachedbeside")["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached > usage["prompt_tokens"]
    assert cached + usage["prompt_tokens"] == plain["prompt_tokens"]
    assert usage["total_tokens"] == plain["total_tokens"]
    usage = grok.responses("Hi there", fault="cachedbeside")["usage"]
    cached = usage["input_tokens_details"]["cached_tokens"]
    assert cached + usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    assert cached > usage["input_tokens"]


def test_misspelt_has_the_details_without_their_plural(grok: Endpoint) -> None:
    plain, usage = grok.chat("Hi")["usage"], grok.chat_events("Hi", fault="misspelt")[-1]["usage"]
    assert usage.pop("completion_token_details") == plain.pop("completion_tokens_details")
    assert usage == plain


def test_textusage_and_nullusage_have_strange_types(grok: Endpoint) -> None:
    plain = grok.responses("Hi")["usage"]
    usage = grok.responses("Hi", fault="textusage")["usage"]
    assert usage["input_tokens"] == str(plain["input_tokens"])
    assert usage["input_tokens_details"] == {"cached_tokens": "0"}
    assert usage["cost_in_usd_ticks"] == plain["cost_in_usd_ticks"]
    assert grok.responses("Hi", fault="nullusage")["usage"] == dict.fromkeys(plain)
    assert set(grok.chat_events("Hi", fault="nullusage")[-1]["usage"].values()) == {None}


# ------------------------------------------------------------------------------------- chat completions


def test_noindex_leaves_the_numbers_of_choices_out(grok: Endpoint) -> None:
    assert not any("index" in choice for choice in choices(grok.chat_events("Hi", fault="noindex")))
    assert "index" not in grok.chat("Hi", fault="noindex")["choices"][0]


@pytest.mark.parametrize(
    ("fault", "running", "last"),
    [
        ("", {"absent"}, "stop"),
        ("nofinish", {"absent"}, "absent"),
        ("emptyfinish", {"absent"}, ""),
        ("nullfinish", {None}, "stop"),
        ("finish=eos", {"absent"}, "eos"),
    ],
)
def test_the_finish_reason_takes_every_known_form(
    grok: Endpoint, fault: str, running: set[str], last: str
) -> None:
    reasons = [
        choice.get("finish_reason", "absent") for choice in choices(grok.chat_events("Hi", fault=fault))
    ]
    assert (set(reasons[:-1]), reasons[-1]) == (running, last)
    assert grok.chat("Hi", fault=fault)["choices"][0].get("finish_reason", "absent") == last


def test_words_apply_in_the_order_of_the_grammar_whatever_the_script_s(grok: Endpoint) -> None:
    """Taken away, then said to be null; the other way round none would be left."""
    for fault in ("nofinish;nullfinish", "nullfinish;nofinish"):
        reasons = [choice.get("finish_reason", "absent") for choice in choices(grok.chat_events(fault=fault))]
        assert set(reasons) == {None}


@pytest.mark.parametrize(("fault", "content"), [("nullcontent", None), ("emptycontent", "")])
def test_content_is_null_or_empty_where_there_is_none(
    grok: Endpoint, fault: str, content: str | None
) -> None:
    plain = deltas(grok.chat_events("get_weather", tools=TOOLS))
    changed_events = deltas(grok.chat_events("get_weather", tools=TOOLS, fault=fault))
    assert not any("content" in delta for delta in plain)
    assert changed_events == [delta | {"content": content} for delta in plain]
    assert grok.chat("get_weather", tools=TOOLS, fault=fault)["choices"][0]["message"]["content"] == content
    assert joined(grok.chat_events("Hi", fault="emptycontent")) == joined(grok.chat_events("Hi"))


@pytest.mark.parametrize(("fault", "named"), [("splitcalls", False), ("namedcalls", True)])
def test_tool_calls_come_in_many_deltas(grok: Endpoint, fault: str, named: bool) -> None:
    prompt = "get_weather and get_tides"
    whole = grok.chat(prompt, tools=TOOLS)["choices"][0]["message"]["tool_calls"]
    events = grok.chat_events(prompt, tools=TOOLS, fault=fault)
    parts = [call for delta in deltas(events) for call in delta.get("tool_calls", ())]
    assert sum("tool_calls" in delta for delta in deltas(events)) == len(parts) > 6
    for index, call in enumerate(whole):
        first, *others = [part for part in parts if part["index"] == index]
        assert (first["type"], first["function"]) == (
            "function",
            {"name": call["function"]["name"], "arguments": ""},
        )
        assert not any("id" in part or "type" in part for part in others)
        assert all(("name" in part["function"]) == named for part in others)
        pieces = [part["function"]["arguments"] for part in others]
        assert len(pieces) > 2 and "".join(pieces) == call["function"]["arguments"]


def test_rebuilt_loses_sources_and_recounts_as_new_api_does(grok: Endpoint) -> None:
    plain, body = (grok.chat("latest tram", fault=fault, **LEGACY) for fault in ("", "rebuilt"))
    assert "citations" in plain and "citations" not in body and "service_tier" not in body
    usage = body["usage"]
    details = usage["completion_tokens_details"]
    assert usage["completion_tokens"] == usage["total_tokens"] - usage["prompt_tokens"]
    assert details["text_tokens"] + details["reasoning_tokens"] == usage["completion_tokens"]
    assert all("tokens" in name for name in usage)
    last = grok.chat_events("latest tram", fault="rebuilt", **LEGACY)[-1]
    assert (last["usage"], "citations" in last) == (usage, False)
    annotated = grok.chat_events("latest tram", fault="rebuilt", **PLUGIN)
    assert not any("annotations" in delta for delta in deltas(annotated))


def test_openrouter_adds_its_fields_and_comments_and_bills_in_dollars(grok: Endpoint) -> None:
    plain = grok.chat("Hi")
    body = grok.chat("Hi", fault="openrouter")
    choice, usage = body["choices"][0], body["usage"]
    assert (body["provider"], choice["native_finish_reason"]) == ("xAI", "stop")
    assert choice["message"]["reasoning"] == plain["choices"][0]["message"]["reasoning_content"]
    assert usage["cost"] == plain["usage"]["cost_in_usd_ticks"] / 10**10
    assert usage["completion_tokens"] == usage["total_tokens"] - usage["prompt_tokens"]
    text = grok.send_chat("Hi", "openrouter", stream=True).text
    assert text.startswith(": OPENROUTER PROCESSING\n\ndata: ")
    first = parse(text)[0]
    assert first["choices"][0]["native_finish_reason"] is first["choices"][0]["finish_reason"] is None


def test_wrapped_puts_a_whole_chat_body_into_an_envelope(grok: Endpoint) -> None:
    assert grok.chat("Hi", fault="wrapped") == {"status": "success", "data": grok.chat("Hi")}
    body = grok.chat("Hi", stream=True, fault="wrapped;json;noindex;nousage")
    assert "index" not in body["data"]["choices"][0] and "usage" not in body["data"]


# ------------------------------------------------------------------------------------- responses


def test_interleave_opens_and_closes_an_item_amid_the_text(grok: Endpoint) -> None:
    plain = grok.responses_events("latest tram", tools=SEARCH, fault="")
    events = grok.responses_events("latest tram", tools=SEARCH, fault="interleave")
    names = kinds(events)
    assert sorted(names) == sorted(kinds(plain))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    item = next(
        n for n, event in enumerate(events) if event.get("item", {}).get("type") == "custom_tool_call"
    )
    texts = [n for n, name in enumerate(names) if name == "output_text.delta"]
    assert texts[0] < item < texts[-1]
    assert "".join(events[n]["delta"] for n in texts) == text_of(plain[-1]["response"])
    output = events[-1]["response"]["output"]
    assert [one["type"] for one in output[-2:]] == ["message", "custom_tool_call"]
    for event in events:
        if "item" in event:
            assert output[event["output_index"]]["id"] == event["item"]["id"]


def test_interleave_leaves_a_single_item_as_it_is(grok: Endpoint) -> None:
    fields: JSON = {"model": "grok-4.3", "reasoning": {"effort": "none"}}
    assert grok.responses_events("Hi", fault="interleave", **fields) == grok.responses_events("Hi", **fields)


def test_itemtext_and_nooutput_leave_the_text_in_the_finished_item_only(grok: Endpoint) -> None:
    events = grok.responses_events("Hi", fault="itemtext;nooutput")
    assert not [name for name in kinds(events) if name.startswith(("output_text", "content_part"))]
    assert events[-1]["response"]["output"] == []
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done[-1] == items(grok.responses("Hi", stream=True, fault="json"), "message")[0]


def test_twice_sends_every_finished_item_again(grok: Endpoint) -> None:
    events = less(grok.responses_events("Hi", fault="twice"), "sequence_number")
    done = [event for event in events if event["type"] == "response.output_item.done"]
    assert len(done) == 4 and done[::2] == done[1::2]


def test_olditems_have_names_and_arguments(grok: Endpoint) -> None:
    fields: JSON = {"tools": SEARCH, "include": SHOW, "stream": True}
    new = grok.responses("latest tram", fault="json", **fields)
    old = grok.responses("latest tram", fault="json;olditems", **fields)
    web, x = items(old, "web_search_call")[0], items(old, "x_search_call")[0]
    assert (web["name"], x["name"]) == ("web_search", "x_keyword_search")
    assert json.loads(web["arguments"]) == {"query": "latest tram", "num_results": 5}
    assert x["arguments"] == items(new, "custom_tool_call")[0]["input"]
    assert web["id"].startswith("fc_") and x["id"].startswith("fc_") and "action" not in web
    events = grok.responses_events("latest tram", fault="olditems", **fields)
    assert "x_search_call.completed" in kinds(events)
    assert not any(name.startswith("custom_tool_call") for name in kinds(events))
    opened = {event["item"]["id"] for event in events if event["type"] == "response.output_item.added"}
    assert {event["item_id"] for event in events if "item_id" in event} <= opened


def test_noaction_and_emptyquery_tell_less_of_a_web_search(grok: Endpoint) -> None:
    fields: JSON = {"tools": SEARCH, "include": SHOW}
    assert (
        "action" not in items(grok.responses("latest tram", fault="noaction", **fields), "web_search_call")[0]
    )
    event = grok.responses_events("latest tram", fault="emptyquery", **fields)[-1]
    action = items(event["response"], "web_search_call")[0]["action"]
    assert action["query"] == "" and action["sources"]


def test_toplist_lists_the_sources_beside_the_output(grok: Endpoint) -> None:
    plain = grok.responses("latest tram", tools=SEARCH)
    body = grok.responses("latest tram", tools=SEARCH, fault="toplist")
    assert body["citations"] == list(dict.fromkeys(note["url"] for note in notes_of(plain)))
    assert notes_of(body) == []
    events = grok.responses_events("latest tram", tools=SEARCH, fault="toplist")
    assert "output_text.annotation.added" not in kinds(events)
    assert events[-1]["response"]["citations"] == body["citations"]
    chat = grok.chat("latest tram", fault="toplist", **PLUGIN)
    assert chat["choices"][0]["message"]["annotations"]


def test_sealed_reasoning_can_not_be_read(grok: Endpoint) -> None:
    events = grok.responses_events("Hi", fault="sealed")
    assert not any("reasoning_summary" in name for name in kinds(events))
    (opened, done) = (event["item"] for event in events if event.get("item", {}).get("type") == "reasoning")
    assert opened == done
    assert done["id"].startswith("tco_") and done["summary"] == [] and done["encrypted_content"]
    include = ["reasoning.encrypted_content"]
    real = grok.responses("Hi", fault="sealed", include=include)["output"][0]["encrypted_content"]
    assert real == grok.responses("Hi", include=include)["output"][0]["encrypted_content"]


def test_unknown_adds_events_items_and_parts_that_nobody_knows(grok: Endpoint) -> None:
    plain = grok.responses_events("Hi")
    events = grok.responses_events("Hi", fault="unknown")
    assert kinds(events)[1] == "hologram.delta"
    response = events[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "hologram_call"]
    assert [part["type"] for part in response["output"][1]["content"]] == ["output_text", "output_hologram"]
    added = [event["item"]["type"] for event in events if event["type"] == "response.output_item.added"]
    assert added == ["reasoning", "message", "hologram_call"]
    parts = [event["part"]["type"] for event in events if event["type"] == "response.content_part.done"]
    assert parts == ["output_text", "output_hologram"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == response["output"]
    assert text_of(response) == text_of(plain[-1]["response"])


def test_incomplete_tells_no_reason(grok: Endpoint) -> None:
    event = grok.responses_events("Hi", fault="incomplete")[-1]
    assert (event["type"], event["response"]["status"]) == ("response.incomplete", "incomplete")
    assert event["response"]["incomplete_details"] is None
    assert grok.chat("Hi", fault="incomplete") == grok.chat("Hi")


def test_responsedone_is_the_other_name_of_the_last_event(grok: Endpoint) -> None:
    plain, changed_events = grok.responses_events("Hi"), grok.responses_events("Hi", fault="responsedone")
    assert changed_events == [*plain[:-1], plain[-1] | {"type": "response.done"}]


def test_failed_ends_a_stream_after_some_events_with_its_usage(grok: Endpoint) -> None:
    plain, events = grok.responses_events("Hi"), grok.responses_events("Hi", fault="failed=9")
    *before, last = events
    assert before == plain[:9]
    assert (last["type"], last["sequence_number"]) == ("response.failed", 9)
    response = last["response"]
    assert (response["status"], response["output"]) == ("failed", [])
    assert response["error"] == {"code": "server_error", "message": "Internal server error"}
    assert response["usage"] == plain[-1]["response"]["usage"]
    assert grok.responses_events("Hi", fault="failed=9;nousage")[-1]["response"]["usage"] is None
    assert len(grok.responses_events("Hi", fault="failed=999")) == len(plain)
    assert grok.responses("Hi", fault="failed=0")["status"] == "failed"


# ------------------------------------------------------------------------------------- all of them


OWN = {"Responses": ("failed",), "Chat completions": ("splitcalls", "rebuilt"), "Both dialects": ("served",)}
GROUPS = {
    name: [*(word for word in WORDS if word.name in OWN.get(name, ())), *group]
    for name, group in REPLIES.items()
}
EVERY = [word for group in GROUPS.values() for word in group]
STREAM_ONLY = ("interleave", "nooutput", "nousage")


def script_of(word: Word) -> str:
    value = {"N": "=3", "NAME": "=other"}.get(word.kind, "")
    return f"{word.name}{value}"


@pytest.mark.parametrize("word", EVERY, ids=lambda word: word.name)
def test_a_whole_body_changes_as_the_end_of_the_stream_is(grok: Endpoint, word: Word) -> None:
    """The same request asked for as a body; less the deviations that only a stream can have."""
    fields: JSON = {"tools": SEARCH, "include": SHOW, "stream": True}
    script = script_of(word)
    last = grok.responses_events("latest tram", fault=script, **fields)[-1]["response"]
    whole = grok.responses("latest tram", fault=f"{script};json", **fields)
    assert (last == whole) == (word.name not in STREAM_ONLY)
    usage: JSON = {"stream": True, "stream_options": {"include_usage": True}}
    chunk = grok.chat_events("Hi", fault=script, **usage)[-1]
    body = grok.chat("Hi", fault=f"{script};json", **usage)
    assert chunk.get("usage") == body.get("data", body).get("usage")


@pytest.mark.parametrize("word", EVERY, ids=lambda word: word.name)
def test_a_change_leaves_its_input_as_it_was(grok: Endpoint, word: Word) -> None:
    """Events share their parts with each other and with the body, so none may be changed in place."""
    fault = read_fault(script_of(word), (*WORDS, *FAULTS))
    for events in (
        grok.chat_events("get_weather", tools=TOOLS),
        grok.chat_events("latest tram", **PLUGIN),
        grok.responses_events("latest tram", tools=SEARCH),
        grok.responses_events("get_weather", tools=[flat_function("get_weather")]),
    ):
        before = json.dumps(events)
        stream: Iterable[JSON] = events
        list(changed(fault.events, stream))
        assert json.dumps(events) == before
    for body in (grok.chat("latest tram", **PLUGIN), grok.responses("latest tram", tools=SEARCH)):
        before = json.dumps(body)
        changed(fault.bodies, body)
        assert json.dumps(body) == before


@pytest.mark.parametrize("group", ["Responses", "Chat completions"])
def test_a_word_of_one_dialect_means_nothing_in_the_other(grok: Endpoint, group: str) -> None:
    for word in GROUPS[group]:
        fault = script_of(word)
        if group == "Responses":
            assert grok.chat_events("get_weather", tools=TOOLS, fault=fault) == grok.chat_events(
                "get_weather", tools=TOOLS
            ), fault
            assert grok.chat("Hi", fault=fault, **PLUGIN) == grok.chat("Hi", **PLUGIN), fault
        else:
            assert grok.responses_events("latest tram", tools=SEARCH, fault=fault) == grok.responses_events(
                "latest tram", tools=SEARCH
            ), fault
            assert grok.responses("Hi", fault=fault) == grok.responses("Hi"), fault
