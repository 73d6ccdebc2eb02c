"""The published schemas of the tools' arguments, kept as data so that no start has to derive them.

They are made from the models: after a change run `python -m grok_mcp.tools.published` and read the
difference. A test compares both.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")

PUBLISHED: Mapping[str, Mapping[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
"""By tool name."""

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
    from grok_mcp.tools import TOOLS  # it reads this module
    from grok_mcp.tools.arguments import Arguments

    return {name: flat_schema(spec.arguments, Arguments.model_fields) for name, spec in TOOLS.items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(derived(), indent=1) + "\n", encoding="utf-8")
