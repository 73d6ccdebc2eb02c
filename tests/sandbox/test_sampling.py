import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings, strategies as st

from grok_mcp.sandbox.sampling import sample

from .wire import Endpoint, text_of

NODE = {
    "type": "object",
    "properties": {
        "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        "right": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
    },
    "required": ["left", "right"],
    "additionalProperties": False,
}

FITTING: list[Any] = [
    {},
    {"type": "string", "minLength": 30},
    {"type": "string", "maxLength": 3},
    *({"type": "string", "format": kind} for kind in ("date", "time", "date-time", "email", "uuid")),
    *({"type": "string", "format": kind} for kind in ("ipv4", "ipv6", "uri", "hostname-of-mine")),
    {"type": "integer"},
    {"type": "integer", "minimum": 3, "maximum": 3},
    {"type": "integer", "maximum": -4},
    {"type": "integer", "exclusiveMaximum": -4},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1},
    {"type": "number", "minimum": 0.1, "maximum": 0.2},
    {"minimum": 5},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["null", "integer"]},
    {"type": ["null"]},
    {"enum": ["b", "a"]},
    {"const": {"a": [1]}},
    {"type": "array", "maxItems": 0},
    {"oneOf": [{"type": "number"}, {"type": "integer"}, {"type": "string"}]},
    {"oneOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"required": ["b"]}]},
    {"description": "one", "allOf": [{"description": "two", "minimum": 3}], "type": "integer"},
    {"$defs": {"node": NODE}, "$ref": "#/$defs/node"},
    {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"type": "integer"}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a/b": {"type": "integer"}},
     "type": "object", "properties": {"x": {"$ref": "#/definitions/a~1b"}}, "required": ["x"]},
    {"anyOf": [{"$ref": "#/anyOf/1"}, {"type": "integer"}]},
]  # fmt: skip


@pytest.mark.parametrize("schema", FITTING, ids=str)
def test_a_value_fits_its_schema(schema: Any) -> None:
    value = sample(schema)
    assert jsonschema_rs.validator_for(schema).is_valid(value), value
    assert sample(schema) == value


REFUSED: list[Any] = [
    5,
    False,
    {"not": {}},
    {"enum": []},
    {"anyOf": [False]},
    {"type": "whatever"},
    {"$ref": "#/$defs/missing"},
    {"$ref": "https://city.example/schema.json"},
    {"$ref": "#"},
    {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
    {"allOf": [False]},
    {"oneOf": [{"type": "integer"}, {"type": "integer"}]},
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [{"type": "string"}]},
    {"type": "string", "pattern": r"^a\b"},
    {"$schema": "http://json-schema.org/draft-04/schema#", "enum": []},
    {"$schema": "http://json-schema.org/draft-07/schema#", "anyOf": [{"enum": []}], "enum": []},
]


@pytest.mark.parametrize("schema", REFUSED, ids=str)
def test_a_schema_without_a_value_is_refused(grok: Endpoint, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    response = grok.send_chat(response_format=wanted)
    assert response.status_code == 400, response.text
    assert response.json()["error"].startswith("Invalid schema: ")


def test_both_dialects_answer_with_json_that_fits(grok: Endpoint) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    nested = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    flat = {"type": "json_schema", "name": "x", "strict": True, "schema": schema}
    chat = grok.chat(response_format=nested)["choices"][0]["message"]["content"]
    body = grok.responses("latest", text={"format": flat}, tools=[{"type": "web_search"}])
    assert json.loads(chat) == json.loads(text_of(body)) == {"city": "sandbox city"}
    assert body["output"][-1]["content"][0]["annotations"][0]["end_index"] == 0
    assert body["text"] == {"format": flat}


def test_a_json_object_without_a_schema_is_small(grok: Endpoint) -> None:
    text = grok.chat("Why?", response_format={"type": "json_object"})["choices"][0]["message"]["content"]
    assert json.loads(text) == {"from": "sandbox", "prompt": "Why?"}


def test_a_json_schema_format_needs_a_schema(grok: Endpoint) -> None:
    assert grok.send_chat(response_format={"type": "json_schema", "json_schema": {}}).status_code == 400


def bounds(low: str, high: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(numbers, numbers).map(sorted)
    return pairs.map(lambda pair: {low: pair[0], high: pair[1]})


LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    bounds("minLength", "maxLength", st.integers(0, 40)).map(lambda one: {"type": "string", **one}),
    bounds("minimum", "maximum", st.integers(-1000, 1000)).map(lambda one: {"type": "integer", **one}),
    bounds("minimum", "maximum", st.floats(-10, 10)).map(lambda one: {"type": "number", **one}),
    st.lists(st.integers() | st.text(), min_size=1).map(lambda members: {"enum": members}),
)


def nest(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    objects = st.dictionaries(st.text(max_size=5), inner, max_size=4).map(
        lambda fields: {
            "type": "object",
            "properties": fields,
            "required": list(fields)[::2],
            "additionalProperties": False,
        }
    )
    arrays = inner.map(lambda one: {"type": "array", "items": one, "minItems": 1, "maxItems": 3})
    return objects | arrays | st.lists(inner, min_size=1, max_size=3).map(lambda many: {"anyOf": many})


@settings(max_examples=150, deadline=None, database=None)
@given(st.recursive(LEAVES, nest, max_leaves=8))
def test_values_fit_all_simple_schemas(schema: dict[str, Any]) -> None:
    assert jsonschema_rs.validator_for(schema).is_valid(sample(schema))
