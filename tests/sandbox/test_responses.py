import base64

from .wire import Endpoint, items, text_of

SEARCH = [{"type": "web_search"}, {"type": "x_search"}]


def test_a_plain_answer_has_the_response_form(grok: Endpoint) -> None:
    body = grok.responses("Why?", instructions="Be brief.", store=False, top_p=0.5)
    assert text_of(body).startswith("Sandbox answer: you asked “Why?”.")
    assert (body["object"], body["status"], body["model"]) == ("response", "completed", "grok-4.7")
    assert (body["store"], body["top_p"], body["instructions"]) == (False, 0.5, "Be brief.")
    assert [item["type"] for item in body["output"]] == ["reasoning", "message"]
    assert "encrypted_content" not in body["output"][0]


def test_a_stream_ends_with_the_whole_response(grok: Endpoint) -> None:
    events = grok.responses_events("latest tram extension", tools=SEARCH)
    whole = grok.responses("latest tram extension", tools=SEARCH)
    last = events[-1]["response"]
    assert last.pop("id") != whole.pop("id")
    for body in (last, whole):
        for item in body["output"]:
            item.pop("id")
    assert last == whole
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_code_streams_in_the_order_of_the_real_wire_and_its_output_comes_where_it_is_included(
    grok: Endpoint,
) -> None:
    tools = [{"type": "code_interpreter"}]
    include = ["code_interpreter_call.outputs"]
    events = grok.responses_events("Add 3 and 4.", tools=tools, include=include)
    kinds = [event["type"].removeprefix("response.code_interpreter_call") for event in events]
    order = [kind for kind in kinds if kind.startswith((".", "_"))]
    code = ["_code.delta", "_code.delta", "_code.done"]
    assert order == [".in_progress", *code, ".interpreting", ".completed"]
    (run,) = items(events[-1]["response"], "code_interpreter_call")
    assert run["code"] == "numbers = [3, 4]\nprint(sum(numbers))\n"
    assert run["outputs"] == [{"type": "logs", "logs": "7\n"}]
    body = grok.responses("How many words?", tools=tools)
    assert items(body, "code_interpreter_call")[0]["outputs"] is None
    assert body["usage"]["server_side_tool_usage_details"]["code_interpreter_calls"] == 1
    assert not items(grok.responses("Hi", tools=tools, tool_choice="none"), "code_interpreter_call")


def test_a_search_opens_a_page_and_looks_something_up_in_it(grok: Endpoint) -> None:
    body = grok.responses("latest tram extension", tools=SEARCH)
    actions = [item["action"] for item in items(body, "web_search_call")]
    assert [action["type"] for action in actions] == ["search", "open_page", "find_in_page"]
    assert len(actions[0]["queries"]) == 2 and actions[1]["url"] == actions[2]["url"]
    assert actions[2]["pattern"] == "extension"


def test_a_search_stream_has_the_recorded_order_of_events(grok: Endpoint) -> None:
    events = grok.responses_events("latest tram extension", tools=SEARCH)
    kinds = [event["type"].removeprefix("response.") for event in events]
    order = [kind for kind, before in zip(kinds, [None, *kinds], strict=False) if kind != before]
    assert order == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "web_search_call.in_progress",
        "web_search_call.searching",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "web_search_call.completed",
        "output_item.done",
        *(
            "output_item.added",
            "web_search_call.in_progress",
            "web_search_call.completed",
            "output_item.done",
        ),
        *(
            "output_item.added",
            "web_search_call.in_progress",
            "web_search_call.completed",
            "output_item.done",
        ),
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["output"] == []
    assert events[0]["response"]["usage"] is None


def test_deltas_and_annotations_add_up_to_the_message(grok: Endpoint) -> None:
    events = grok.responses_events("latest tram extension", tools=SEARCH)
    part = items(events[-1]["response"], "message")[0]["content"][0]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    notes = [
        event["annotation"] for event in events if event["type"] == "response.output_text.annotation.added"
    ]
    assert "".join(deltas) == part["text"]
    assert notes == part["annotations"]


def test_an_output_cap_holds_the_reasoning_too(grok: Endpoint) -> None:
    whole = grok.responses("Why?")
    thoughts = whole["usage"]["output_tokens_details"]["reasoning_tokens"]
    events = grok.responses_events("Why?", max_output_tokens=thoughts + 2)
    last = events[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["usage"]["output_tokens"] == thoughts + 2
    assert items(last["response"], "message")[0]["status"] == "incomplete"
    short = grok.responses("Why?", max_output_tokens=1)
    assert (short["status"], text_of(short)) == ("incomplete", "")
    assert short["usage"]["output_tokens"] == 1


def test_encrypted_reasoning_comes_only_when_it_is_asked_for(grok: Endpoint) -> None:
    body = grok.responses("Why?", include=["reasoning.encrypted_content"])
    item = body["output"][0]
    assert base64.b64decode(item["encrypted_content"]).decode() == item["summary"][0]["text"]


def test_effort_none_leaves_the_reasoning_item_out(grok: Endpoint) -> None:
    body = grok.responses("Why?", model="grok-4.3", reasoning={"effort": "none"})
    assert [item["type"] for item in body["output"]] == ["message"]
    assert body["reasoning"]["effort"] == "none"


def test_items_that_are_sent_back_are_understood(grok: Endpoint) -> None:
    first = grok.responses("Why?", include=["reasoning.encrypted_content"])
    said = {"role": "user", "content": "Why?"}
    again = {"role": "user", "content": [{"type": "input_text", "text": "And then?"}]}
    body = grok.responses([said, *first["output"], again])
    assert "“And then?”" in text_of(body)
    assert body["usage"]["input_tokens"] > first["usage"]["total_tokens"]
