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
    item = max(n for n, event in enumerate(events) if event.get("item", {}).get("type") == "web_search_call")
    texts = [n for n, name in enumerate(names) if name == "output_text.delta"]
    assert texts[0] < item < texts[-1]
    assert "".join(events[n]["delta"] for n in texts) == text_of(plain[-1]["response"])
    output = events[-1]["response"]["output"]
    assert [one["type"] for one in output[-2:]] == ["message", "web_search_call"]
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


# ------------------------------------------------------------------------------------- what was reported


def calls_of(events: list[JSON]) -> list[JSON]:
    return [call for delta in deltas(events) for call in delta.get("tool_calls", ())]


@pytest.mark.parametrize("form", ["beside", "behind", "instead", "null"])
def test_fullmessage_tells_the_text_in_messages_too(grok: Endpoint, form: str) -> None:
    plain, events = grok.chat_events("Hi"), grok.chat_events("Hi", fault=f"fullmessage={form}")
    told = [choice["message"] for choice in choices(events) if "message" in choice]
    if form == "null":
        assert told == [None] * len(choices(plain)) and deltas(events) == deltas(plain)
        return
    assert told[-1] == {"role": "assistant", "content": joined(plain)}
    assert len(told) == (1 if form == "behind" else len(choices(plain)))
    assert [message["content"] for message in told] == sorted(message["content"] for message in told)
    text = "".join(choice.get("delta", {}).get("content", "") for choice in choices(events))
    assert text == ("" if form == "instead" else joined(plain))
    assert ("delta" in choices(events)[-1]) == (form != "behind")


@pytest.mark.parametrize("form", ["oneindex", "noindex", "again", "oneid", "counted", "unnamed"])
def test_callids_numbers_and_names_calls_in_other_ways(grok: Endpoint, form: str) -> None:
    prompt = "get_weather and get_tides"
    plain = calls_of(grok.chat_events(prompt, tools=TOOLS))
    events = grok.chat_events(prompt, tools=TOOLS, fault=f"callids={form}")
    found = calls_of(events)
    middles = [len(call["function"]["arguments"]) // 2 for call in plain]
    expected = {
        "oneindex": [call | {"index": 0} for call in plain],
        "noindex": [{name: call[name] for name in call if name != "index"} for call in plain],
        "oneid": [call | {"id": "call_1"} for call in plain],
        "counted": [call | {"id": f"call_{number}"} for number, call in enumerate(plain, 1)],
        "unnamed": [call | {"function": {"arguments": call["function"]["arguments"]}} for call in plain],
    }
    if form == "again":
        assert found[-2:] == plain and len(found) == 6
        for number, call in enumerate(plain):
            first, rest = found[2 * number : 2 * number + 2]
            arguments = call["function"]["arguments"]
            assert first["function"]["arguments"] == arguments[: middles[number]]
            assert rest == {"index": number, "function": {"arguments": arguments[middles[number] :]}}
    else:
        assert found == expected[form]
    assert sum("tool_calls" in delta for delta in deltas(events)) == {
        "oneindex": 2,
        "noindex": 2,
        "again": 5,
    }.get(form, 1)
    whole = grok.chat(prompt, tools=TOOLS, fault=f"callids={form}")["choices"][0]["message"]["tool_calls"]
    if form in ("oneid", "counted"):
        assert [call["id"] for call in whole] == [call["id"] for call in expected[form]]
    assert all("name" in call["function"] for call in whole) == (form != "unnamed")


def test_itemids_changes_the_ids_from_event_to_event_or_in_the_last(grok: Endpoint) -> None:
    plain = grok.responses_events("latest tram", tools=SEARCH)
    rotated = grok.responses_events("latest tram", tools=SEARCH, fault="itemids=rotate")
    ids = [event.get("item_id") or event.get("item", {}).get("id") for event in rotated]
    seen = [one for one in ids if one]
    assert len(seen) == len(set(seen))
    assert less(rotated, "item_id", "item", "response") == less(plain, "item_id", "item", "response")
    late = grok.responses_events("latest tram", tools=SEARCH, fault="itemids=completed")
    assert late[:-1] == plain[:-1]
    for events in (rotated, late):
        names = [item["id"] for item in events[-1]["response"]["output"]]
        assert names == [f"{item['id']}_end" for item in plain[-1]["response"]["output"]]


def test_native_names_a_second_reason_beside_the_first(grok: Endpoint) -> None:
    last = choices(grok.chat_events("Hi", fault="native=abort"))[-1]
    assert (last["finish_reason"], last["native_finish_reason"]) == ("stop", "abort")
    assert grok.chat("Hi", fault="native=abort")["choices"][0]["native_finish_reason"] == "abort"


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ("nan", '{"odd": NaN, '),
        ("infinity", '{"odd": -Infinity, '),
        ("huge", '{"odd": 1e999, '),
        ("deep", '{"odd": [[['),
        ("surrogate", '{"odd": "\\ud83d", '),
    ],
)
def test_oddcalls_puts_an_odd_value_into_arguments(grok: Endpoint, value: str, start: str) -> None:
    fault = f"oddcalls={value}"
    (call,) = calls_of(grok.chat_events("get_weather", tools=TOOLS[:1], fault=fault))
    assert call["function"]["arguments"].startswith(start)
    tools = [flat_function("get_weather")]
    events = grok.responses_events("get_weather", tools=tools, fault=fault)
    told = [
        event.get("arguments", event.get("delta")) for event in events if "function_call_arg" in event["type"]
    ]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"][-1]
    assert len(told) >= 2 and told[-1] == done["arguments"] and done["arguments"].startswith(start)
    search = grok.responses("latest tram", tools=SEARCH, fault=fault)
    assert items(search, "custom_tool_call")[0]["input"].startswith(start)


def test_cutcalls_leaves_half_of_the_arguments(grok: Endpoint) -> None:
    whole = grok.chat("get_weather", tools=TOOLS[:1])["choices"][0]["message"]["tool_calls"][0]
    arguments = whole["function"]["arguments"]
    (call,) = calls_of(grok.chat_events("get_weather", tools=TOOLS[:1], fault="cutcalls"))
    assert call["function"]["arguments"] == arguments[: len(arguments) // 2]
    body = grok.responses("get_weather", tools=[flat_function("get_weather")], fault="cutcalls")
    (item,) = items(body, "function_call")
    assert arguments.startswith(item["arguments"]) and len(item["arguments"]) == len(arguments) // 2


@pytest.mark.parametrize("form", ["field", "part"])
def test_refused_tells_the_text_as_a_refusal(grok: Endpoint, form: str) -> None:
    plain = grok.chat("Hi")["choices"][0]["message"]
    message = grok.chat("Hi", fault=f"refused={form}")["choices"][0]["message"]
    parts = [{"type": "refusal", "refusal": plain["content"]}]
    changed_fields = {"content": parts} if form == "part" else {"content": None, "refusal": plain["content"]}
    assert message == plain | changed_fields
    events = grok.responses_events("Hi", fault=f"refused={form}")
    assert not [kind for kind in kinds(events) if "output_text" in kind]
    pieces = [event["delta"] for event in events if event["type"] == "response.refusal.delta"]
    (part,) = items(events[-1]["response"], "message")[0]["content"]
    assert part == {"type": "refusal", "refusal": "".join(pieces)} and "".join(pieces) == plain["content"]


@pytest.mark.parametrize(
    ("form", "kind", "field"),
    [
        ("reasoning", "reasoning", "text"),
        ("thinking", "thinking", "thinking"),
        ("redacted", "redacted_thinking", "data"),
    ],
)
def test_thoughtparts_puts_thoughts_among_the_parts_of_the_content(
    grok: Endpoint, form: str, kind: str, field: str
) -> None:
    plain = grok.chat("Hi")["choices"][0]["message"]
    message = grok.chat("Hi", fault=f"thoughtparts={form}")["choices"][0]["message"]
    thought, text = message["content"]
    assert text == {"type": "text", "text": plain["content"]}
    assert thought["type"] == kind and plain["reasoning_content"] in json.dumps(
        thought[field], ensure_ascii=False
    )
    assert "reasoning_content" not in message
    parts = [
        part
        for delta in deltas(grok.chat_events("Hi", fault=f"thoughtparts={form}"))
        for part in delta.get("content", ())
    ]
    assert {part["type"] for part in parts} == {kind, "text"}
    assert "".join(part["text"] for part in parts if part["type"] == "text") == plain["content"]


def test_index1_numbers_the_only_choice_1(grok: Endpoint) -> None:
    events = grok.chat_events("Hi", fault="index1")
    assert {choice["index"] for choice in choices(events)} == {1}
    assert joined(events, index=1) == joined(grok.chat_events("Hi"))
    assert grok.chat("Hi", fault="index1")["choices"][0]["index"] == 1


def test_counts_do_not_add_up_or_are_all_zero_or_absurd(grok: Endpoint) -> None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    expected = {
        "beside": (5, 18, 23),
        "unsaid": (10, 22, 75),
        "zeros": (0, 0, 0),
        "absurd": (10**400, 10**400, 2 * 10**400),
    }
    for form, counts in expected.items():
        usage = grok.chat("Hi", fault=f"counts={form}")["usage"]
        assert tuple(usage[name] for name in names) == counts
        other = grok.responses("Hi", fault=f"counts={form}")["usage"]
        assert (other["input_tokens"], other["output_tokens"], other["total_tokens"]) == counts
    details = grok.chat("Hi", fault="counts=beside")["usage"]["completion_tokens_details"]
    assert details == {"reasoning_tokens": 39}
    assert grok.chat("Hi", fault="counts=zeros")["usage"]["cost_in_usd_ticks"] == 0


def test_zerosbehind_sends_one_more_chunk_with_nothing_used(grok: Endpoint) -> None:
    plain, events = grok.chat_events("Hi"), grok.chat_events("Hi", fault="zerosbehind")
    assert events[:-1] == plain and events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 0 == events[-1]["usage"]["cost_in_usd_ticks"]
    assert grok.responses_events("Hi", fault="zerosbehind") == grok.responses_events("Hi")


def test_floatticks_and_ticks_change_the_price(grok: Endpoint) -> None:
    plain = grok.chat("Hi")["usage"]["cost_in_usd_ticks"]
    assert f'"cost_in_usd_ticks": {float(plain)}' in grok.send_chat("Hi", "floatticks").text
    assert grok.responses("Hi", fault="ticks=347")["usage"]["cost_in_usd_ticks"] == 347


@pytest.mark.parametrize(("form", "fee"), [("free", 0.0), ("fee", 0.05), ("whole", 1.05)])
def test_byok_bills_a_fee_and_tells_what_the_account_upstream_pays(
    grok: Endpoint, form: str, fee: float
) -> None:
    cost = grok.chat("Hi")["usage"]["cost_in_usd_ticks"] / 10**10
    usage = grok.chat("Hi", fault=f"byok={form}")["usage"]
    assert usage["is_byok"] and usage["cost_details"] == {"upstream_inference_cost": cost}
    assert usage["cost"] == pytest.approx(fee * cost) and "cost_in_usd_ticks" not in usage


def test_addedtext_stands_in_the_added_item_and_in_the_deltas(grok: Endpoint) -> None:
    plain = grok.responses_events("Hi")
    text = text_of(plain[-1]["response"])
    for form, start in (("whole", text), ("start", text[:9])):
        events = grok.responses_events("Hi", fault=f"addedtext={form}")
        (added,) = [one["item"] for one in events if one["type"] == "response.output_item.added"][-1:]
        assert added["content"][0]["text"] == start
        assert less(events, "item") == less(plain, "item")


def test_veiled_hides_characters_in_the_final_text(grok: Endpoint) -> None:
    plain, events = grok.responses_events("Hi"), grok.responses_events("Hi", fault="veiled")
    text = text_of(events[-1]["response"])
    assert "\u200b" in text and text.replace("\u200b", "") == text_of(plain[-1]["response"])
    (told,) = [event["text"] for event in events if event["type"] == "response.output_text.done"]
    assert told == text
    pieces = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert "".join(pieces) == text_of(plain[-1]["response"])


def test_oddsources_lists_what_is_no_page(grok: Endpoint) -> None:
    plain = grok.responses("latest tram", tools=SEARCH)
    urls = [note["url"] for note in notes_of(grok.responses("latest tram", tools=SEARCH, fault="oddsources"))]
    assert urls[: len(notes_of(plain))] == [note["url"] for note in notes_of(plain)]
    odd = urls[len(notes_of(plain)) :]
    assert odd[0] == "javascript:alert(1)" and odd[-1] == "n/a" and len(odd) == 5
    assert max(map(len, odd)) > 2_000
    assert grok.chat("latest tram", fault="oddsources", **LEGACY)["citations"][-5:] == odd
    nested = grok.chat("latest tram", fault="oddsources", **PLUGIN)["choices"][0]["message"]["annotations"]
    assert [note["url_citation"]["url"] for note in nested][-5:] == odd
    assert grok.chat("Hi", fault="oddsources") == grok.chat("Hi")


def test_untitled_leaves_the_titles_of_annotations_out(grok: Endpoint) -> None:
    body = grok.responses("latest tram", tools=SEARCH, fault="untitled")
    assert notes_of(body) and not any("title" in note for note in notes_of(body))
    nested = grok.chat("latest tram", fault="untitled", **PLUGIN)["choices"][0]["message"]["annotations"]
    assert nested and not any("title" in note["url_citation"] for note in nested)


def test_unlisted_leaves_sources_in_the_text_only(grok: Endpoint) -> None:
    body = grok.responses("latest tram", tools=SEARCH, include=SHOW, fault="unlisted")
    assert notes_of(body) == [] and "[[1]](https://" in text_of(body)
    assert "sources" not in items(body, "web_search_call")[0]["action"]
    assert "citations" not in grok.chat("latest tram", fault="unlisted", **LEGACY)
    message = grok.chat("latest tram", fault="unlisted", **PLUGIN)["choices"][0]["message"]
    assert message["annotations"] == []


# ------------------------------------------------------------------------------------- all of them


OWN = {"Responses": ("failed",), "Chat completions": ("splitcalls", "rebuilt"), "Both dialects": ("served",)}
GROUPS = {
    name: [*(word for word in WORDS if word.name in OWN.get(name, ())), *group]
    for name, group in REPLIES.items()
}
EVERY = [word for group in GROUPS.values() for word in group]
STREAM_ONLY = ("interleave", "nooutput", "nousage")


def scripts_of(word: Word) -> list[str]:
    """The word with each of its values."""
    values = {"": [""], "N": ["=3"], "NAME": ["=other"]}
    return [
        f"{word.name}{value}"
        for value in values.get(word.kind) or (f"={value}" for value in word.kind.split("|"))
    ]


SCRIPTS = [script for word in EVERY for script in scripts_of(word)]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_whole_body_changes_as_the_end_of_the_stream_is(grok: Endpoint, script: str) -> None:
    """The same request asked for as a body; less the deviations that only a stream can have."""
    fields: JSON = {"tools": SEARCH, "include": SHOW, "stream": True}
    name = script.partition("=")[0]
    last = grok.responses_events("latest tram", fault=script, **fields)[-1]["response"]
    whole = grok.responses("latest tram", fault=f"{script};json", **fields)
    assert (last == whole) == (name not in STREAM_ONLY)
    usage: JSON = {"stream": True, "stream_options": {"include_usage": True}}
    chunk = grok.chat_events("Hi", fault=script, **usage)[-1]
    body = grok.chat("Hi", fault=f"{script};json", **usage)
    assert name == "zerosbehind" or chunk.get("usage") == body.get("data", body).get("usage")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_change_leaves_its_input_as_it_was(grok: Endpoint, script: str) -> None:
    """Events share their parts with each other and with the body, so none may be changed in place."""
    fault = read_fault(script, (*WORDS, *FAULTS))
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
    for fault in (script for word in GROUPS[group] for script in scripts_of(word)):
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
