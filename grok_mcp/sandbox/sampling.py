"""Makes a value that fits a JSON Schema: const, enum, the first alternative, and bounds.

The same schema always gets the same value. One that this does not fit, as with a pattern, is refused.
"""

from math import ceil, floor
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from grok_mcp.sandbox.errors import JSON, RefusalError

FULL_DEPTH = 3  # below it optional properties are left out, and references are the last alternative
MAX_DEPTH = 24
MAX_SIZE = 2048

_FORMATS = {
    "date": "2026-11-01",
    "time": "09:30:00Z",
    "date-time": "2026-11-01T09:30:00Z",
    "email": "sandbox@city.example",
    "uri": "https://city.example/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Any) -> Any:
    """A value that fits the schema; a schema that is refused or too hard is a RefusalError."""
    try:
        check = jsonschema_rs.validator_for(schema, retriever=_refuse_address)
        value = _Sampler(schema).value(schema, "result", 0)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RefusalError(400, f"Invalid schema: {reason}") from None
    if not check.is_valid(value):
        raise RefusalError(400, "Invalid schema: the sandbox has no value that fits it.")
    return value


def _refuse_address(address: str) -> Any:
    raise ValueError(f"{address} is not fetched")


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root

    def value(self, schema: Any, name: str, depth: int) -> Any:
        """A value for what is called `name`."""
        if schema is False or depth > MAX_DEPTH:
            raise ValueError(f"{name} has no value")
        if schema is True or not schema:
            return f"sandbox {name}"
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        for word in ("$ref", "allOf", "anyOf", "oneOf"):
            if word in schema:
                rest = {key: value for key, value in schema.items() if key != word}
                first = self._first(schema[word], depth)
                merged = rest | first if isinstance(first, dict) else first and rest
                return self.value(merged, name, depth + 1)
        return self._typed(schema, name, depth)

    def _first(self, alternatives: Any, depth: int) -> Any:
        """What a reference names, or the first of some alternatives; deep down one that ends there."""
        if isinstance(alternatives, list):
            return min(alternatives, key=lambda schema: depth > FULL_DEPTH and "$ref" in str(schema))
        target = self._root
        for step in unquote(alternatives.removeprefix("#")).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            target = target[int(key)] if isinstance(target, list) else target[key]
        return target

    def _typed(self, schema: JSON, name: str, depth: int) -> Any:
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((other for other in kind if other != "null"), "null")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return _string(schema, name)
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    def _object(self, schema: JSON, depth: int) -> JSON:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        names = [name for name in properties if name in required or depth < FULL_DEPTH]
        names += [name for name in required if name not in properties]
        return {name: self.value(properties.get(name, True), name, depth + 1) for name in names}

    def _array(self, schema: JSON, name: str, depth: int) -> list[Any]:
        usual = 0 if depth >= FULL_DEPTH else 1 if schema.get("uniqueItems") else 2
        count = min(max(schema.get("minItems", 0), usual), schema.get("maxItems", MAX_SIZE), MAX_SIZE)
        names = [f"{name} {number}" if number > 1 else name for number in range(1, count + 1)]
        return [self.value(schema.get("items", True), each, depth + 1) for each in names]


def _string(schema: JSON, name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    shortest = min(schema.get("minLength", 0), MAX_SIZE)
    return f"sandbox {name}".ljust(shortest, ".")[: schema.get("maxLength", MAX_SIZE)]


def _number(schema: JSON, *, whole: bool) -> int | float:
    """The least number in the bounds, the greatest, or 3; between two bounds of fractions the middle."""
    low: float | None = schema.get("minimum", schema.get("exclusiveMinimum"))
    high: float | None = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None and not whole:
        return (low + high) / 2
    if low is not None:
        return (ceil(low) if whole else low) + ("minimum" not in schema)
    if high is not None:
        return (floor(high) if whole else high) - ("maximum" not in schema)
    return 3 if whole else 1.5
