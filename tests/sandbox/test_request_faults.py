"""Which requests a fault script refuses, and how it takes a question otherwise than it was meant."""

import json
from typing import Any

import pytest

from .wire import IMAGE, WEATHER, Endpoint, flat_function, joined, notes_of, read_body, text_of

JSON = dict[str, Any]

SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": WEATHER}}
FLAT_SCHEMA = {"format": {"type": "json_schema", "name": "x", "strict": True, "schema": WEATHER}}
WEB = {"type": "web_search"}


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("wrongkey", 400, "Incorrect API key provided"),
        ("credits=402", 402, "Insufficient credits"),
        ("credits=403", 403, "used all available credits"),
        ("credits=429", 429, "used all available credits"),
        ("unsafe", 403, "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_"),
    ],
)
def test_some_refusals_meet_every_question(grok: Endpoint, fault: str, status: int, words: str) -> None:
    for response in (grok.send_chat(fault=fault, stream=True), grok.send_responses(fault=fault)):
        assert response.status_code == status
        assert words in response.json()["error"]


def test_a_refusal_takes_the_shape_and_the_words_that_the_script_names(grok: Endpoint) -> None:
    response = grok.send_chat(fault="credits=403;body=newapi;message=no%20more;retry-after=7")
    error = response.json()["error"]
    assert error["type"] == "new_api_error" and error["message"].startswith("no more (request id")
    assert response.headers["retry-after"] == "7"
    body = grok.send_chat(model="grok-9!body=openai").json()
    assert body["error"]["code"] == "not-found"


def test_nolivesearch_refuses_search_parameters_in_every_mode(grok: Endpoint) -> None:
    for fields in ({"search_parameters": {"mode": "off"}}, {"tools": [{"type": "live_search"}]}):
        response = grok.send_chat(fault="nolivesearch", **fields)
        assert response.status_code == 410
        assert response.json()["error"].startswith("Live search is deprecated")
    assert grok.chat(fault="nolivesearch")["choices"]


@pytest.mark.parametrize(("status", "words"), [(404, "Not Found"), (422, "tools[1].type: unknown variant")])
def test_notools_refuses_server_tools_on_responses(grok: Endpoint, status: int, words: str) -> None:
    tools = [flat_function("get_weather"), WEB]
    response = grok.send_responses(fault=f"notools={status}", tools=tools)
    assert response.status_code == status
    assert words in response.text
    assert grok.send_responses(fault=f"notools={status}", tools=tools[:1]).status_code == 200
    assert grok.send_responses(fault=f"notools={status}").status_code == 200


def test_chatonly_knows_the_model_on_chat_completions_only(grok: Endpoint) -> None:
    response = grok.send_responses(fault="chatonly")
    assert (response.status_code, response.json()["code"]) == (404, "not-found")
    assert "The model grok-4.7 does not exist" in response.json()["error"]
    assert grok.chat(fault="chatonly") == grok.chat()


@pytest.mark.parametrize(
    ("fault", "refused"), [("noformat", ["json_object", "json_schema"]), ("noschema", ["json_schema"])]
)
def test_json_formats_are_refused_by_name(grok: Endpoint, fault: str, refused: list[str]) -> None:
    for kind in ("text", "json_object", "json_schema"):
        chat: JSON = SCHEMA if kind == "json_schema" else {"type": kind}
        flat: JSON = FLAT_SCHEMA if kind == "json_schema" else {"format": {"type": kind}}
        answers = {
            "response_format": grok.send_chat(fault=fault, response_format=chat),
            "text.format": grok.send_responses(fault=fault, text=flat),
        }
        for name, response in answers.items():
            assert response.status_code == (400 if kind in refused else 200)
            assert kind not in refused or name in response.json()["error"]


def test_prose_ignores_the_format(grok: Endpoint) -> None:
    message = grok.chat("A city", fault="prose", response_format=SCHEMA)["choices"][0]["message"]
    assert message["content"].startswith("Sandbox answer: you asked “A city”.")
    assert text_of(grok.responses("A city", fault="prose", text=FLAT_SCHEMA)).startswith("Sandbox answer")


def test_fenced_puts_json_into_a_code_fence(grok: Endpoint) -> None:
    plain = text_of(grok.responses("A city", text=FLAT_SCHEMA))
    assert text_of(grok.responses("A city", fault="fenced", text=FLAT_SCHEMA)) == f"```json\n{plain}\n```\n"
    events = grok.chat_events("A city", fault="fenced", response_format=SCHEMA)
    assert joined(events) == f"```json\n{plain}\n```\n"
    assert grok.chat("Hi", fault="fenced") == grok.chat("Hi")


def test_a_schema_in_words_is_obeyed(grok: Endpoint) -> None:
    told = f"Be valid against this JSON Schema:\n{json.dumps(WEATHER)}\nand nothing else."
    first = {"role": "system", "content": told}
    for fault, fields in (("", {}), ("", {"response_format": {"type": "json_object"}}), ("noformat", {})):
        messages = [first, {"role": "user", "content": "A city"}]
        body = read_body(grok.send_chat(messages=messages, fault=fault, **fields))
        assert set(json.loads(body["choices"][0]["message"]["content"])) == {"city", "days"}
    for told in ("a type?", "5", "[" * 3000):
        assert text_of(grok.responses(f"What is a JSON Schema: {told}")).startswith("Sandbox answer")


def test_echo_sends_groks_last_words_again_in_one_piece(grok: Endpoint) -> None:
    messages = [
        {"role": "user", "content": "tram"},
        {"role": "assistant", "content": "I said so."},
        {"role": "user", "content": "latest tram"},
    ]
    plain, again = (grok.chat_events(messages=messages, fault=fault) for fault in ("", "echo"))
    assert joined(again) == f"I said so.{joined(plain)}"
    pieces = [choice["delta"].get("content") for event in again for choice in event["choices"]]
    assert pieces.count("I said so.") == 1
    assert grok.chat("Hi", fault="echo") == grok.chat("Hi")


def test_an_echo_moves_the_citations_that_stand_in_the_text(grok: Endpoint) -> None:
    turns = [{"role": "assistant", "content": "I said so."}, {"role": "user", "content": "latest tram"}]
    body = read_body(grok.send_responses(turns, "echo", tools=[WEB]))
    notes, text = notes_of(body), text_of(body)
    assert text.startswith("I said so.")
    for note in notes:
        if note["end_index"]:
            assert text[note["start_index"] : note["end_index"]] == f"[[{note['title']}]]({note['url']})"
    assert [note["end_index"] for note in notes].count(0) == 1


@pytest.mark.parametrize(
    ("wording", "words"),
    [
        ("model", "Argument not supported on this model: seed"),
        ("bare", "Argument not supported: seed"),
        ("openai", "Unrecognized request argument supplied: seed"),
        ("path", "Validation error at #/seed: Extra inputs are not permitted"),
        ("groq", "property 'seed' is unsupported"),
        ("newapi", "Model grok-4.7 does not support parameter seed."),
    ],
)
def test_refuses_names_a_field_in_the_words_that_are_asked_for(
    grok: Endpoint, wording: str, words: str
) -> None:
    fault = f"refuses=seed+top_p;wording={wording}"
    for response in (grok.send_chat(fault=fault, seed=1), grok.send_responses(fault=fault, seed=1)):
        assert (response.status_code, response.json()["error"]) == (400, words)
    assert "top_p" in grok.send_chat(fault=fault, top_p=0.5).json()["error"]
    assert grok.chat(fault=fault) == grok.chat()


def test_refuses_may_name_a_field_by_its_place(grok: Endpoint) -> None:
    response = grok.send_chat(fault="refuses=seed;wording=fastapi", seed=1)
    detail = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
    assert (response.status_code, response.json()) == (422, {"detail": [detail]})


@pytest.mark.parametrize(
    ("wording", "status", "words"),
    [
        ("absent", 404, "The model grok-4.7 does not exist"),
        ("retired", 404, "no longer accessible"),
        ("noid", 400, "grok-4.7 is not a valid model ID"),
        ("passedin", 400, "Invalid model name passed in model=grok-4.7."),
    ],
)
def test_nomodel_refuses_the_model_in_the_words_of_several_endpoints(
    grok: Endpoint, wording: str, status: int, words: str
) -> None:
    for response in (
        grok.send_chat(fault=f"nomodel={wording}"),
        grok.send_responses(fault=f"nomodel={wording}"),
    ):
        assert response.status_code == status and words in response.json()["error"]


def test_undecryptable_refuses_reasoning_that_comes_back(grok: Endpoint) -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2VhbGVk"}
    turns = [{"role": "user", "content": "Hi"}, thought, {"role": "user", "content": "And now?"}]
    response = grok.send_responses(turns, "undecryptable")
    assert response.status_code == 400 and "Could not decrypt" in response.json()["error"]
    assert grok.send_responses("Hi", "undecryptable").status_code == 200


def test_toolong_refuses_every_prompt(grok: Endpoint) -> None:
    for response in (grok.send_chat(fault="toolong"), grok.send_responses(fault="toolong")):
        assert response.status_code == 400 and "maximum prompt length" in response.json()["error"]


def test_noimages_refuses_images_with_500(grok: Endpoint) -> None:
    parts = [{"type": "image_url", "image_url": {"url": IMAGE}}]
    response = grok.send_chat(parts, "noimages")
    assert (response.status_code, response.json()["error"]) == (500, "image input is not supported")
    turn = {"role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}
    assert grok.send_responses([turn], "noimages").status_code == 500
    assert grok.chat(fault="noimages") == grok.chat()


@pytest.mark.parametrize(("output", "status"), [("", 400), ("Fine.", 200)])
def test_noemptyoutput_refuses_tool_results_without_a_word(grok: Endpoint, output: str, status: int) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "get_weather"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": output},
    ]
    assert grok.send_chat(messages=messages, fault="noemptyoutput").status_code == status
    items = [
        {"role": "user", "content": "get_weather"},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": output},
    ]
    assert grok.send_responses(items, "noemptyoutput").status_code == status


@pytest.mark.parametrize("pattern", ["^(?=a)", "^(?!a)", "(?<=a)b", "(?<!a)b"])
def test_nolookaround_refuses_such_patterns(grok: Endpoint, pattern: str) -> None:
    schema = {"type": "object", "properties": {"mail": {"type": "string", "pattern": pattern}}}
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    assert grok.send_chat(fault="nolookaround", response_format=asked).status_code == 400
    flat = {"format": {"type": "json_schema", "name": "x", "schema": schema}}
    assert grok.send_responses(fault="nolookaround", text=flat).status_code == 400
    assert grok.send_chat(fault="nolookaround", response_format=SCHEMA).status_code == 200


def test_onlyknown_refuses_fields_of_others_and_limits_of_0(grok: Endpoint) -> None:
    assert "foo" in grok.send_chat(fault="onlyknown", foo=1).json()["error"]
    assert grok.send_responses(fault="onlyknown", foo=1).status_code == 400
    assert grok.send_chat(fault="onlyknown", max_tokens=0).status_code == 400
    assert grok.send_responses(fault="onlyknown", max_output_tokens=0).status_code == 400
    assert grok.chat(fault="onlyknown", max_tokens=500)["choices"]


def test_nosearch_answers_without_a_search(grok: Endpoint) -> None:
    plain = text_of(grok.responses("latest tram"))
    body = grok.responses("latest tram", fault="nosearch", tools=[WEB])
    assert text_of(body) == plain and [item["type"] for item in body["output"]] == ["reasoning", "message"]
    for fields in ({"search_parameters": {"mode": "on"}}, {"plugins": [{"id": "web"}]}):
        body = grok.chat("latest tram", fault="nosearch", **fields)
        assert "citations" not in body and "annotations" not in body["choices"][0]["message"]
    kept = grok.responses("get_weather", fault="nosearch", tools=[flat_function("get_weather"), WEB])
    assert [item["type"] for item in kept["output"]][-1] == "function_call"


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ("nan", '{"odd": NaN, "city"'),
        ("infinity", '{"odd": -Infinity, "city"'),
        ("huge", '{"odd": 1e999, "city"'),
        ("deep", '{"odd": [[['),
        ("surrogate", '{"odd": "\\ud83d", "city"'),
    ],
)
def test_odddata_puts_an_odd_value_into_json_answers(grok: Endpoint, value: str, start: str) -> None:
    fault = f"odddata={value}"
    assert text_of(grok.responses("A city", text=FLAT_SCHEMA, fault=fault)).startswith(start)
    assert joined(grok.chat_events("A city", fault=fault, response_format=SCHEMA)).startswith(start)
    assert grok.chat("Hi", fault=fault) == grok.chat("Hi")
