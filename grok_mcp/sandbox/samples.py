"""Values that fit a JSON Schema: the same schema always gets the same value."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from grok_mcp.sandbox.errors import RefusalError
from grok_mcp.sandbox.leaves import make_number, make_string

MAX_DEPTH = 24
FULL_DEPTH = 3
"""Below this depth optional properties are left out, and references are the last choice."""

JSON = dict[str, Any]


class UnsupportedError(ValueError):
    """No value can be made for a schema."""


def sample(schema: Any) -> Any:
    """A value that fits the schema; a schema that is refused or too hard is a RefusalError."""
    try:
        check = _validator(schema).is_valid
        for optional in (True, False):
            value = _Sampler(schema, optional).value(schema, "result", 0, 0)
            if check(value):
                return value
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise RefusalError(400, f"Invalid schema: {reason}") from None
    raise RefusalError(400, "Invalid schema: the sandbox found no value that fits it.")


def _validator(schema: Any) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schema, retriever=_refuse_address)


def _refuse_address(address: str) -> Any:
    raise UnsupportedError(f"{address} is not fetched")


class _Sampler:
    def __init__(self, root: Any, optional: bool) -> None:
        self._root = root
        self._optional = optional

    def value(self, schema: Any, name: str, salt: int, depth: int) -> Any:
        """A value; `salt` tells the values of one array apart."""
        if depth > MAX_DEPTH:
            raise UnsupportedError("it refers to itself without an end")
        if schema is False:
            raise UnsupportedError("a schema of false has no values")
        if schema is True or not schema:
            return f"sandbox {name}"
        flat = self._flatten(schema)
        if "const" in flat:
            return flat["const"]
        if "enum" in flat:
            return self._choose(flat, salt)
        for key in ("anyOf", "oneOf"):
            if key in flat:
                return self._first(flat, key, name, salt, depth)
        return self._typed(flat, name, salt, depth)

    def _choose(self, flat: JSON, salt: int) -> Any:
        if not flat["enum"]:
            raise UnsupportedError("enum has no members")
        members = [one for one in flat["enum"] if self._fits(flat, one)] or flat["enum"]
        return members[salt % len(members)]

    def _first(self, flat: JSON, key: str, name: str, salt: int, depth: int) -> Any:
        """The first option that works out, and fits the others where it may."""
        options = list(flat[key])
        if depth > FULL_DEPTH:
            options.sort(key=lambda option: "$ref" in str(option))
        rest = {word: value for word, value in flat.items() if word != key}
        values = []
        for option in options:
            try:
                values.append(self.value(_merge(rest, option), name, salt, depth + 1))
            except ValueError:
                continue
            if self._fits(flat, values[-1]):
                return values[-1]
        if not values:
            raise UnsupportedError(f"no member of {key} has a value")
        return values[0]

    def _fits(self, schema: JSON, value: Any) -> bool:
        kept = ("$defs", "definitions", "$schema")
        root = {word: self._root[word] for word in kept if word in self._root}
        return _validator({**root, **schema}).is_valid(value)

    def _flatten(self, schema: JSON) -> JSON:
        """The schema with its references and all of its allOf members merged into it."""
        flat = dict(schema)
        for _ in range(MAX_DEPTH):
            if "$ref" in flat:
                flat = _merge(flat, self._look_up(flat.pop("$ref")))
            elif "allOf" in flat:
                for member in flat.pop("allOf"):
                    flat = _merge(flat, member)
            else:
                return flat
        raise UnsupportedError("its references form a circle")

    def _look_up(self, reference: str) -> Any:
        found = self._root
        for step in unquote(reference.removeprefix("#")).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            found = found[int(key)] if isinstance(found, list) else found[key]
        return found

    def _typed(self, flat: JSON, name: str, salt: int, depth: int) -> Any:
        kind = _kind(flat)
        if kind == "object":
            return self._object(flat, depth)
        if kind == "array":
            return list(self._items(flat, name, salt, depth))
        if kind == "string":
            return make_string(flat, name, salt)
        if kind in ("integer", "number"):
            return make_number(flat, salt, whole=kind == "integer")
        return salt % 2 == 0 if kind == "boolean" else None

    def _object(self, flat: JSON, depth: int) -> JSON:
        properties = flat.get("properties", {})
        required = flat.get("required", [])
        made = {key: self._property(properties.get(key, True), key, depth) for key in required}
        room = flat.get("maxProperties", 64) - len(made)
        if self._optional and depth < FULL_DEPTH:
            for key in [key for key in properties if key not in made][: max(room, 0)]:
                made[key] = self._property(properties[key], key, depth)
        for number in range(flat.get("minProperties", 0) - len(made)):
            key = f"extra_{number + 1}"
            made[key] = self.value(flat.get("additionalProperties", True), key, number, depth + 1)
        order = [*properties, *made]
        return {key: made[key] for key in order if key in made}

    def _property(self, schema: Any, key: str, depth: int) -> Any:
        return self.value(schema, key, 0, depth + 1)

    def _items(self, flat: JSON, name: str, salt: int, depth: int) -> Iterator[Any]:
        if isinstance(flat.get("items"), list):
            raise UnsupportedError("items is an array; use prefixItems")
        if "minContains" in flat or "maxContains" in flat:
            raise UnsupportedError("minContains and maxContains are not supported")
        first = flat.get("prefixItems", [])
        rest = flat.get("items", True)
        low = flat.get("minItems", 0)
        wish = max(low, len(first), 0 if rest is False or depth >= FULL_DEPTH else 2)
        for number in range(min(wish, flat.get("maxItems", wish))):
            schema = first[number] if number < len(first) else rest
            yield self.value(schema, name, salt + number, depth + 1)


def _kind(flat: JSON) -> str:
    kinds = flat.get("type")
    if isinstance(kinds, list):
        return next((kind for kind in kinds if kind != "null"), "null")
    if kinds is not None:
        return str(kinds)
    for kind, words in _TELLING.items():
        if words & flat.keys():
            return kind
    return "string"


_TELLING = {
    "object": {"properties", "required", "additionalProperties", "minProperties"},
    "array": {"items", "prefixItems", "minItems", "uniqueItems"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
}


def _merge(left: JSON, right: Any) -> JSON:
    """Both schemas in one; where they bound the same thing, the tighter bound counts."""
    if right is False:
        raise UnsupportedError("a schema of false has no values")
    merged = dict(left)
    for word, value in ({} if right is True else right).items():
        have = merged.get(word)
        if have is None:
            merged[word] = value
        elif word == "properties":
            merged[word] = {**have, **value}
        elif word == "required":
            merged[word] = [*have, *(key for key in value if key not in have)]
        elif word == "enum":
            merged[word] = [one for one in have if one in value]
        elif word in _LOWER:
            merged[word] = max(have, value)
        elif word in _UPPER:
            merged[word] = min(have, value)
        else:
            merged[word] = value
    return merged


_LOWER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_UPPER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
