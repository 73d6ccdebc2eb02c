"""How a tool stands in the list that hosts get."""

from typing import Any

from mcp_types import Tool, ToolAnnotations

from grok_mcp.tools import ToolSpec

MAX_RESULT_SIZE_CHARS = 200_000

_WHOLE_ANSWER = {"type": "object", "properties": {"text": {"type": "string"}}, "required": []}


def publish(spec: ToolSpec, *, structured: bool) -> Tool:
    """A tool as it is published; where results are `structured`, each has an output schema."""
    meta: dict[str, Any] = {"anthropic/maxResultSizeChars": MAX_RESULT_SIZE_CHARS}
    if spec.always_load:
        meta["anthropic/alwaysLoad"] = True
    output = spec.output_schema
    if output is None and structured:
        output = _WHOLE_ANSWER
    return Tool(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        input_schema=dict(spec.input_schema),
        output_schema=dict(output) if output else None,
        annotations=ToolAnnotations(
            title=spec.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=spec.collects,
            open_world_hint=not spec.collects,
        ),
        _meta=meta,
    )
