"""Which requests a fault script refuses, and how it takes a question otherwise than it was meant."""

import json
from typing import Any

import pytest

from .wire import WEATHER, Endpoint, flat_function, joined, notes_of, read_body, text_of

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
