"""Derives the published schemas of the tools' arguments from their models, and writes them down."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from grok_mcp.tools import TOOLS
from grok_mcp.tools.arguments import Arguments
from grok_mcp.tools.published import FILE

_DROPPED = frozenset(
    {
        *("title", "default", "format", "minLength", "minItems", "additionalProperties"),
        *("minimum", "maximum", "exclusiveMinimum", "pattern", "maxItems", "maxLength"),
    }
)


def flat_schema(model: Any, common: Iterable[str]) -> dict[str, Any]:
    """The flat JSON Schema of a pydantic model: no references, unions, titles, defaults or bounds.

    A tool's own properties come before the `common` ones.
    """
    schema = model.model_json_schema(by_alias=True)
    properties = {name: _flat(one) for name, one in schema["properties"].items()}
    own = [name for name in properties if name not in common]
    return {
        "type": "object",
        "properties": {name: properties[name] for name in (*own, *common) if name in properties},
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def _flat(schema: Mapping[str, Any]) -> dict[str, Any]:
    """One property without what hosts stumble over."""
    if "anyOf" in schema:
        (known,) = (one for one in schema["anyOf"] if one != {"type": "null"})
        schema = {**known, **{name: value for name, value in schema.items() if name != "anyOf"}}
    flat = {name: value for name, value in schema.items() if name not in _DROPPED}
    if "items" in flat:
        flat["items"] = _flat(flat["items"])
    if "$ref" in flat:
        flat = {"type": "object", **{name: value for name, value in flat.items() if name != "$ref"}}
    return flat


def derived() -> dict[str, Any]:
    """The schemas as the models have them now."""
    return {name: flat_schema(spec.arguments, Arguments.model_fields) for name, spec in TOOLS.items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(derived(), indent=1) + "\n", encoding="utf-8")
