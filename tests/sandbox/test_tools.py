import json
from typing import Any

import jsonschema_rs
import pytest

from .wire import WEATHER, Endpoint, flat_function, function, items, text_of


def fits(arguments: str) -> bool:
    return jsonschema_rs.validator_for(WEATHER).is_valid(json.loads(arguments))


def test_a_prompt_that_names_two_functions_gets_both_calls(grok: Endpoint) -> None:
    tools = [function("get_weather"), function("get_tides"), function("get_news")]
    body = grok.chat("Use get_weather and get_tides", tools=tools)
    choice = body["choices"][0]
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_tides"]
    assert all(fits(call["function"]["arguments"]) for call in calls)
    assert len({call["id"] for call in calls}) == 2
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "")
    assert body["usage"]["completion_tokens"] > 0


def test_a_stream_carries_whole_calls_in_one_delta(grok: Endpoint) -> None:
    tools = [function("get_weather"), function("get_tides")]
    events = grok.chat_events("get_weather, get_tides", tools=tools)
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls", ())]
    assert [call["index"] for call in calls] == [0, 1]
    assert sum("tool_calls" in delta for delta in deltas) == 1
    assert deltas[-1] == {}
    assert events[-2]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("auto", None),
        ("none", None),
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "get_tides"}}, "get_tides"),
    ],
)
def test_the_tool_choice_is_obeyed(grok: Endpoint, choice: Any, name: str | None) -> None:
    tools = [function("get_weather"), function("get_tides")]
    message = grok.chat("Hello", tools=tools, tool_choice=choice)["choices"][0]["message"]
    calls = message.get("tool_calls", [])
    assert [call["function"]["name"] for call in calls] == ([name] if name else [])


def test_results_are_quoted_and_end_the_calls(grok: Endpoint) -> None:
    tools = [function("get_weather")]
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
    }
    messages = [
        {"role": "user", "content": "get_weather for Oslo"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"temp_c":2}'},
        {"role": "tool", "tool_call_id": "call_2", "content": "station offline"},
    ]
    body = grok.chat(messages=messages, tools=tools, tool_choice="required")
    assert 'returned: {"temp_c":2}; station offline.' in body["choices"][0]["message"]["content"]
    more = [*messages, {"role": "user", "content": "In Fahrenheit?"}]
    text = grok.chat(messages=more, tools=tools)["choices"][0]["message"]["content"]
    assert "“In Fahrenheit?”" in text and "station offline" in text


def test_responses_streams_function_calls_and_understands_their_output(grok: Endpoint) -> None:
    tools = [flat_function("get_weather"), flat_function("get_tides")]
    choice = {"type": "function", "name": "get_tides"}
    events = grok.responses_events("Go", tools=tools, tool_choice=choice)
    body = events[-1]["response"]
    call = items(body, "function_call")[0]
    assert body["status"] == "completed"
    assert [item["type"] for item in body["output"]] == ["reasoning", "function_call"]
    assert (call["name"], fits(call["arguments"])) == ("get_tides", True)
    parts = {event["type"]: event for event in events if "function_call_arguments" in event["type"]}
    assert parts["response.function_call_arguments.delta"]["delta"] == call["arguments"]
    assert parts["response.function_call_arguments.done"]["arguments"] == call["arguments"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "high tide at 4"}
    said = {"role": "user", "content": "Go"}
    after = grok.responses([said, *body["output"], output], tools=tools, tool_choice=choice)
    assert "returned: high tide at 4." in text_of(after)


def test_required_with_a_server_tool_searches_rather_than_calls(grok: Endpoint) -> None:
    tools = [{"type": "web_search"}, flat_function("get_weather")]
    body = grok.responses("Hello", tools=tools, tool_choice="required")
    assert {item["type"] for item in body["output"]} == {"reasoning", "web_search_call", "message"}


@pytest.mark.parametrize("kind", ["web_search", "x_search", "code_interpreter"])
def test_chat_refuses_server_tools_in_plain_text(grok: Endpoint, kind: str) -> None:
    response = grok.send_chat(tools=[function("f"), {"type": kind}])
    assert response.status_code == 422
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    expected = f"tools[1].type: unknown variant `{kind}`, expected `function` or `live_search`"
    assert expected in response.text


def test_the_live_search_tool_is_gone(grok: Endpoint) -> None:
    response = grok.send_chat(tools=[{"type": "live_search"}])
    assert response.status_code == 410
    assert "Live search is deprecated" in response.json()["error"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}}, 400),
        ({"tool_choice": {"type": "x_search"}}, 422),
        ({"tools": [{"type": "function", "function": {}}]}, 422),
        ({"tools": [function("f")] * 129}, 400),
        ({"tools": ["f"]}, 422),
    ],
)
def test_wrong_tools_and_choices_are_refused(grok: Endpoint, fields: dict[str, Any], status: int) -> None:
    assert grok.send_chat(**fields).status_code == status


def test_responses_refuses_too_many_tools(grok: Endpoint) -> None:
    assert grok.send_responses(tools=[flat_function("f")] * 129).status_code == 400
