"""Fits the caller's JSON Schema to what endpoints take, keeping its meaning where that can be kept.

The answer is checked against the caller's own schema afterwards, so what is left out here is still held.
What xAI refuses or ignores: docs.x.ai, structured outputs.
"""

import re
from collections.abc import Mapping
from typing import Any

from grok_mcp.errors import InvalidArgumentError

WRAPPER = "result"
"""The property that a schema whose root is no object is wrapped in, upstream only."""

_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames")
_ROOT_ONLY = ("$schema", "$id", "$defs", "definitions")

# Back-references, \p{…}, \b, look-around and inline flags, as xAI's pattern subset leaves them out.
_FOREIGN_PATTERN = re.compile(r"\\[1-9]|\\k<|\\[pPbB]|\(\?[=!<imsux-]")


def fit(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool, list[str]]:
    """The schema that is sent, whether its root was wrapped, and what the endpoint is not told.

    Raises InvalidArgumentError for a schema that no value can fit.
    """
    untold: dict[str, None] = {}
    fitted = _fit(schema, "", untold)
    fitted.pop("$id", None)
    warnings = [f"The endpoint takes no {name}: the answer is held to it here only." for name in untold]
    if fitted.get("type") == "object" or "properties" in fitted:
        return {"type": "object", **fitted}, False, warnings
    wrapped = {name: fitted[name] for name in _ROOT_ONLY if name in fitted} | {
        "type": "object",
        "properties": {WRAPPER: {name: fitted[name] for name in fitted if name not in _ROOT_ONLY}},
        "required": [WRAPPER],
        "additionalProperties": False,
    }
    return wrapped, True, warnings


def _fit(schema: Mapping[str, Any], path: str, untold: dict[str, None]) -> dict[str, Any]:
    """One level of the schema and all below it."""
    for name in ("enum", *_LISTS):
        if schema.get(name) == []:
            raise InvalidArgumentError(
                f"schema: {path or '/'}: {name} has no members, so that nothing fits.", "Correct the schema."
            )
    off = _refused(schema, untold)
    fitted = {
        name: _fit_value(name, value, f"{path}/{name}", untold)
        for name, value in schema.items()
        if name not in off
    }
    if isinstance(fitted.get("items"), list):  # a tuple, as draft-07 writes it
        fitted["prefixItems"] = fitted.pop("items")
        if "additionalItems" in fitted:
            fitted["items"] = fitted.pop("additionalItems")
    return fitted


def _refused(schema: Mapping[str, Any], untold: dict[str, None]) -> set[str]:
    """The keywords of this level that the endpoint would refuse."""
    off = {name for name in ("minContains", "maxContains") if name in schema}
    if _FOREIGN_PATTERN.search(str(schema.get("pattern", ""))):
        off.add("pattern")
    untold.update(dict.fromkeys(sorted(off)))
    return off


def _fit_value(name: str, value: Any, path: str, untold: dict[str, None]) -> Any:
    """What stands under one keyword: a schema, a list of schemas, schemas by name, or plain data."""
    if name in _MAPS and isinstance(value, Mapping):
        return {
            key: _fit_value("items", {} if one is True else one, f"{path}/{key}", untold)
            for key, one in value.items()
            if one is not False
        }
    if name not in (*_LISTS, *_SINGLE):
        return value
    if isinstance(value, list):
        return [_fit_value("items", one, f"{path}/{number}", untold) for number, one in enumerate(value)]
    return _fit(value, path, untold) if isinstance(value, Mapping) else value
