"""What is wrong in a caller's schema, in words: a validator's own sentence speaks of its meta-schema."""

from typing import TYPE_CHECKING, Any

from grok_mcp.tools.patterns import LISTS, MAPS, SINGLE

if TYPE_CHECKING:
    import jsonschema_rs

_TYPES = "one of array, boolean, integer, null, number, object and string, or a list of these"
_SCHEMA = "a schema: an object, true or false"
_TEXT = "a text"
_COUNT = "a whole number, 0 or more"
_NUMBER = "a number"
_NAMES = "a list of names, each once"

_MUST_BE = {
    **dict.fromkeys(MAPS, "an object that holds schemas by name"),
    **dict.fromkeys(LISTS, "a list of schemas, at least one"),
    **dict.fromkeys(SINGLE, _SCHEMA),
    **dict.fromkeys(("title", "description", "format", "pattern", "$ref", "$id", "$comment"), _TEXT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), _COUNT),
    **dict.fromkeys(("maxProperties", "minContains", "maxContains"), _COUNT),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), "true or false"),
    "type": _TYPES,
    "enum": "a list of values",
    "examples": "a list of values",
    "multipleOf": "a number above 0",
    "required": _NAMES,
    "dependentRequired": "an object that holds lists of names",
}
"""What each keyword takes (json-schema.org, draft 2020-12)."""


def in_words(error: "jsonschema_rs.ValidationError") -> str:
    """Where a schema is wrong, what has to stand there and what does: `/city/type must be one of …`."""
    path = [str(step) for step in error.instance_path]
    place, expected = _expected(path)
    found = repr(error.instance)
    shown = found if len(found) <= 60 else f"{found[:59]}…"
    return f"{place} must be {expected}, not {shown}"


def _expected(path: list[str]) -> tuple[str, str]:
    """The place that is named, and what has to stand there, by the last keyword of the path."""
    place: Any = "/" + "/".join(path)
    if not path:
        return "it", _SCHEMA
    for back, step in enumerate(reversed(path)):
        within = path[-back - 2] if len(path) > back + 1 else ""
        if within in MAPS and back == 0:
            return place, _SCHEMA
        if step in _MUST_BE and within not in MAPS:
            if back and step in LISTS:
                return place, _SCHEMA
            return f"/{'/'.join(path[: len(path) - back])}", _MUST_BE[step]
    return place, "as JSON Schema has it"
