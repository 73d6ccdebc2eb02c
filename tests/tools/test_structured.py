"""`grok_structured` through a real client: valid JSON, one repair, or a clear error."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from dirty_equals import IsPartialDict

from tests.gateways.shapes import message, response_stream, web_search
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.host import Host, Result, host_on
from tests.support.pace import within
from tests.support.payloads import PAYLOADS, payload_reply

pytestmark = pytest.mark.anyio

FACTS = json.loads((PAYLOADS / "07_structured_output_both_dialects.json").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = FACTS["responses"]["request"]["text"]["format"]["schema"]
NGERULMUD = {"city": "Ngerulmud", "population": 271, "tags": ["capital", "palau"]}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost_in_usd_ticks": 100}


async def get_json(host: Host, schema: Any = SCHEMA, **arguments: Any) -> Result:
    return await host.call("grok_structured", prompt="Facts, please.", schema=schema, **arguments)


@pytest.mark.parametrize("dialect", ["chat", "responses"])
async def test_the_schema_is_sent_strictly_and_the_json_comes_back_as_data(dialect: str) -> None:
    gateway = "xai" if dialect == "responses" else "nebula"
    async with Endpoint(body(FACTS[dialect]["response"])) as endpoint:
        async with host_on(endpoint, gateway=gateway) as host:
            result = await host.call(
                "grok_structured",
                prompt="Ngerulmud, capital of Palau, has 271 residents.",
                instructions="Extract facts.",
                schema=SCHEMA,
                name="city facts",
                model="grok-4.7",
            )
    assert result.structured == IsPartialDict(data=NGERULMUD, model="grok-4.7", finish_reason="stop")
    assert result.text == json.dumps(result.structured, ensure_ascii=False, separators=(",", ":"))
    expected = FACTS[dialect]["request"]
    sent = endpoint.requests[0].body
    format_name = "response_format" if dialect == "chat" else "text"
    assert sent[format_name] == expected[format_name]
    turns = "messages" if dialect == "chat" else "input"
    assert sent[turns] == expected[turns]


async def test_code_fences_around_the_json_are_taken_off() -> None:
    async with Endpoint(body(FACTS["gateway_fenced_json"]["response"])) as endpoint:
        async with host_on(endpoint) as host:
            assert (await get_json(host)).structured["data"] == NGERULMUD


async def test_json_that_was_cut_is_an_error_of_length_with_what_came() -> None:
    async with Endpoint(body(FACTS["chat_truncated"]["response"])) as endpoint:
        async with host_on(endpoint) as host:
            result = await get_json(host)
    assert result.error["code"] == "length"
    assert result.error["usage"]["output_tokens"] == 104
    assert '{"city":"Ngerulmud","popul' in result.text
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "integer"}}, [1, 2]),
        ({"enum": ["yes", "no"]}, "yes"),
        ({"type": "null"}, None),
        ({"type": "boolean"}, False),
    ],
)
async def test_a_root_that_is_no_object_is_wrapped_upstream_only(schema: dict[str, Any], value: Any) -> None:
    async with Endpoint(chat(json.dumps({"result": value}))) as endpoint, host_on(endpoint) as host:
        result = await get_json(host, schema)
    sent = endpoint.requests[0].body["response_format"]["json_schema"]["schema"]
    assert sent["type"] == "object" and sent["properties"] == {"result": schema}
    assert result.structured["data"] == value


async def test_an_answer_that_does_not_fit_is_repaired_once_and_both_turns_are_counted() -> None:
    replies = [chat('{"city": 3}', usage=USAGE), chat(json.dumps(NGERULMUD), usage=USAGE)]
    async with Endpoint(*replies) as endpoint, host_on(endpoint) as host:
        result = await get_json(host)
    assert result.structured["data"] == NGERULMUD
    assert result.structured["usage"] == IsPartialDict(input_tokens=20, output_tokens=10, cost_usd=2e-8)
    assert "corrected" in result.structured["warnings"][0]
    complaint = endpoint.requests[1].body["messages"][-1]["content"]
    assert "/city" in complaint and "required" in complaint


async def test_a_repair_turn_does_not_search_again() -> None:
    found = web_search("capital of Palau", "https://city.example/ngerulmud")
    replies = [
        response_stream("grok-4.7", found, message('{"city": 3}')),
        response_stream("grok-4.7", message(json.dumps(NGERULMUD))),
    ]
    async with Endpoint(*replies) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await get_json(host, search=True)
    first, repair = (request.body for request in endpoint.requests)
    assert first["tools"] == [{"type": "web_search"}, {"type": "x_search"}]
    assert first["tool_choice"] == "required"
    assert not {"tools", "tool_choice", "search_parameters"} & repair.keys()
    assert "This is not valid against the schema:" in repair["input"][-1]["content"]
    assert result.structured["data"] == NGERULMUD


async def test_an_answer_that_never_fits_is_an_error_with_paths_text_and_usage() -> None:
    async with Endpoint(chat('{"city": 3}', usage=USAGE)) as endpoint, host_on(endpoint) as host:
        result = await get_json(host)
    assert result.error == IsPartialDict(code="schema_mismatch", usage=IsPartialDict(input_tokens=20))
    assert "/city" in result.text and '{"city": 3}' in result.text
    assert len(endpoint.requests) == 2


async def test_prose_instead_of_json_is_repaired_too() -> None:
    async with Endpoint(chat("Sure! Here:"), chat(json.dumps(NGERULMUD))) as endpoint:
        async with host_on(endpoint) as host:
            assert (await get_json(host)).structured["data"] == NGERULMUD


async def test_an_endpoint_that_refuses_schemas_gets_the_schema_in_words() -> None:
    refused = body({"error": {"message": "response_format json_schema is not supported"}}, status=400)
    async with Endpoint(refused, chat(json.dumps(NGERULMUD))) as endpoint:
        async with host_on(endpoint, max_retries=0) as host:
            result = await get_json(host)
    second = endpoint.requests[1].body
    assert second["response_format"] == {"type": "json_object"}
    assert '"population"' in second["messages"][0]["content"]
    assert "in words" in result.structured["warnings"][0]


async def test_an_endpoint_that_takes_no_format_at_all_still_gets_the_schema_in_words() -> None:
    refused = body({"error": {"message": "response_format is not supported"}}, status=400)
    async with Endpoint(refused, refused, chat(json.dumps(NGERULMUD))) as endpoint:
        async with host_on(endpoint, max_retries=0) as host:
            result = await get_json(host)
    last = endpoint.requests[2].body
    assert "response_format" not in last
    assert '"population"' in last["messages"][0]["content"]
    assert result.structured["data"] == NGERULMUD
    assert len(result.structured["warnings"]) == 1


async def test_an_endpoint_that_ignores_the_format_is_shown_the_schema_in_the_second_turn() -> None:
    async with Endpoint(chat("Ngerulmud has 271 people."), chat(json.dumps(NGERULMUD))) as endpoint:
        async with host_on(endpoint) as host:
            result = await get_json(host)
    complaint = endpoint.requests[1].body["messages"][-1]["content"]
    assert '"population"' in complaint
    assert result.structured["data"] == NGERULMUD


async def test_json_whose_stream_broke_is_no_mismatch() -> None:
    async with Endpoint(Reply(chat('{"city"').pieces[:1], end="cut")) as endpoint:
        async with host_on(endpoint) as host:
            result = await get_json(host)
    assert result.error["code"] == "interrupted"
    assert len(endpoint.requests) == 1


async def test_search_and_json_come_back_together_with_citations() -> None:
    text = json.dumps({"winner": "tram"})
    item = {
        "type": "message",
        "id": "m",
        "content": [
            {
                "type": "output_text",
                "text": text,
                "annotations": [{"type": "url_citation", "url": "https://city.example/a"}],
            }
        ],
    }
    reply = body({"object": "response", "status": "completed", "output": [item]})
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await get_json(host, {"type": "object", "required": ["winner"]}, search="true")
    assert [tool["type"] for tool in endpoint.requests[0].body["tools"]] == ["web_search", "x_search"]
    assert result.structured["data"] == {"winner": "tram"}
    assert result.structured["citations"][0]["url"] == "https://city.example/a"
    assert result.answer["searched"] is True


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "foo"}, "type"),
        ({"$ref": "https://elsewhere.example/s.json"}, "$ref"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "whole schema"),
        (
            {"$defs": {"n": {"properties": {"n": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
            "refers to itself",
        ),
        ({"$ref": "#/$defs/missing"}, "points nowhere"),
        ({"type": "string", "pattern": "("}, "pattern"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "$schema"),
        (nested(70), "levels deep"),
        ({"type": "object", "description": "x" * 300_000}, "larger"),
        ("{not json", "schema"),
        ([1], "schema"),
        ("", "schema"),
    ],
)
async def test_a_schema_that_can_not_be_used_is_refused_before_any_request(schema: Any, reason: str) -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await get_json(host, schema)
    assert result.error["code"] == "invalid_argument"
    assert result.text.startswith("[invalid_argument] schema: ") and reason in result.text
    assert endpoint.requests == []


async def test_a_schema_may_come_as_text_and_in_draft_07() -> None:
    schema = json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **SCHEMA})
    async with Endpoint(chat(json.dumps(NGERULMUD))) as endpoint, host_on(endpoint) as host:
        assert (await get_json(host, schema)).structured["data"] == NGERULMUD


async def test_whole_answers_as_data_hold_the_json_too() -> None:
    async with Endpoint(chat(json.dumps(NGERULMUD))) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            result = await get_json(host)
    assert result.structured == IsPartialDict(data=NGERULMUD, text=json.dumps(NGERULMUD))


async def test_json_continues_a_conversation() -> None:
    first = payload_reply("01_chat_stream_plain.sse")
    async with Endpoint(first, chat(json.dumps(NGERULMUD))) as endpoint, host_on(endpoint) as host:
        handle = (await host.ask("Hi")).answer["conversation_id"]
        await get_json(host, conversation_id=handle)
    assert [turn["role"] for turn in endpoint.requests[1].body["messages"]] == ["user", "assistant", "user"]


async def test_a_pattern_that_could_run_away_is_matched_in_linear_time() -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    almost = {"result": "a" * 5_000 + "!"}
    async with Endpoint(chat(json.dumps(almost))) as endpoint, host_on(endpoint) as host:
        with within(5):
            assert (await get_json(host, schema)).error["code"] == "schema_mismatch"


EMAIL = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"
"""What zod makes of an e-mail address."""


@pytest.mark.parametrize(
    ("pattern", "value", "other"),
    [
        pytest.param(EMAIL, "ann@city.example", "ann..lee@city.example", id="look-ahead"),
        pytest.param(r"^(\w)\w*\1$", "abba", "abc", id="a back-reference"),
        pytest.param(r"(?<!un)tidy", "tidy", "untidy", id="look-behind"),
    ],
)
async def test_a_pattern_that_needs_to_backtrack_is_held_here(pattern: str, value: str, other: str) -> None:
    schema = {"type": "object", "properties": {"value": {"type": "string", "pattern": pattern}}}
    replies = [chat(json.dumps({"value": one})) for one in (other, value)]
    async with Endpoint(*replies) as endpoint, host_on(endpoint) as host:
        result = await get_json(host, schema)
    assert result.structured["data"] == {"value": value} and len(endpoint.requests) == 2
    assert "does not match" in endpoint.requests[1].body["messages"][-1]["content"]


async def test_patterns_that_name_properties_may_backtrack_too() -> None:
    schema = {"patternProperties": {r"^(?!x_)": {"type": "integer"}}, "additionalProperties": False}
    replies = [chat(json.dumps(one)) for one in ({"a": "one"}, {"x_a": 1})]
    async with Endpoint(*replies) as endpoint, host_on(endpoint) as host:
        result = await get_json(host, {"type": "object", **schema})
    assert result.error["code"] == "schema_mismatch" and "x_a" in result.text


async def test_a_pattern_that_backtracks_for_ever_is_given_up_with_a_note() -> None:
    schema = {"type": "string", "pattern": r"(?=.*x)(?=.*y)^.*$"}
    reply = chat(json.dumps({"result": "a" * 3_000_000}))
    async with Endpoint(reply) as endpoint, host_on(endpoint) as host:
        result = await get_json(host, schema)
    assert len(result.structured["data"]) == 3_000_000
    assert "The patterns with look-around took too long" in " ".join(result.structured["warnings"])


@pytest.mark.parametrize("pattern", [r"^[\w-.]+$", r"(?<n>a)\k<n>", r"^a\Z"])
async def test_a_pattern_that_no_engine_here_knows_is_left_out_with_a_note(pattern: str) -> None:
    schema = {"type": "object", "properties": {"value": {"type": "string", "pattern": pattern}}}
    async with Endpoint(chat('{"value":"?"}')) as endpoint, host_on(endpoint) as host:
        result = await get_json(host, schema)
    assert result.structured["data"] == {"value": "?"}
    assert "was left out: it can't be matched here" in " ".join(result.structured["warnings"])
    assert "pattern" not in json.dumps(endpoint.requests[0].body["response_format"])


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strin"}, "/type must be one of array, boolean, integer"),
        ({"properties": {"a": {"type": ["string", "nul"]}}}, "/properties/a/type must be one of array"),
        ({"properties": {"type": 5}}, "/properties/type must be a schema: an object, true or false, not 5"),
        ({"properties": []}, "/properties must be an object that holds schemas by name, not []"),
        ({"required": "city"}, "/required must be a list of names, each once, not 'city'"),
        ({"required": [5]}, "/required must be a list of names"),
        ({"minimum": "3"}, "/minimum must be a number, not '3'"),
        ({"minLength": -1}, "/minLength must be a whole number, 0 or more, not -1"),
        ({"anyOf": [5]}, "/anyOf/0 must be a schema"),
        ({"items": 5}, "/items must be a schema"),
        ({"pattern": "[a-"}, "the pattern '[a-' is broken"),
    ],
)
async def test_what_is_wrong_in_a_schema_is_said_in_words(schema: dict[str, Any], words: str) -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await get_json(host, {"type": "object", **schema})
    assert words in result.error["message"] and not endpoint.requests
    assert "any of the schemas" not in result.text and "is not of type" not in result.text


@dataclass(frozen=True)
class Fitted:
    """A schema, what is sent of it inside the wrapper, a value that fits, and the word of a warning."""

    name: str
    schema: dict[str, Any]
    sent: dict[str, Any]
    value: Any
    untold: str = ""


FITTED = [
    Fitted(
        "a tuple of draft-07",
        {"type": "array", "items": [{"type": "string"}], "additionalItems": {"type": "integer"}},
        {"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
        ["word", 1],
    ),
    Fitted(
        "counted contents",
        {"type": "array", "contains": {"const": 1}, "minContains": 1, "maxContains": 2},
        {"type": "array", "contains": {"const": 1}},
        [1],
        "minContains",
    ),
    Fitted(
        "a word boundary",
        {"anyOf": [{"type": "string", "pattern": r"^\bword$"}, {"type": "null"}]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "word",
        "pattern",
    ),
    Fitted(
        "properties that are only true or false",
        {"anyOf": [{"properties": {"a": True, "b": False, "pattern": {"enum": [1]}}}]},
        {"anyOf": [{"properties": {"a": {}, "pattern": {"enum": [1]}}}]},
        {"a": 1},
    ),
]


@pytest.mark.parametrize("case", FITTED, ids=lambda case: case.name)
async def test_what_endpoints_refuse_is_rewritten_or_told_and_held_here(case: Fitted) -> None:
    async with Endpoint(chat(json.dumps({"result": case.value}))) as endpoint, host_on(endpoint) as host:
        result = await get_json(host, case.schema)
    published = endpoint.requests[0].body["response_format"]["json_schema"]["schema"]["properties"]["result"]
    assert published == case.sent
    assert result.structured["data"] == case.value
    assert case.untold in " ".join(result.structured.get("warnings", []))


@pytest.mark.parametrize("empty", [{"enum": []}, {"type": "object", "properties": {"a": {"anyOf": []}}}])
async def test_a_choice_without_members_is_refused(empty: dict[str, Any]) -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        assert (await get_json(host, empty)).error["code"] == "invalid_argument"
    assert endpoint.requests == []
