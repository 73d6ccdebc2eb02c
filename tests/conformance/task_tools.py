"""The tools that the scenarios of tasks call, run by the product's own code."""

from collections.abc import Mapping
from typing import Any

import anyio

from grok_mcp.errors import InternalError, InvalidArgumentError
from grok_mcp.messages import Answer, Call
from grok_mcp.pipeline import Grok
from grok_mcp.tools import ToolSpec
from grok_mcp.tools.arguments import Arguments


class _Spec(ToolSpec):
    """A tool whose schema is in no list of ours."""

    @property
    def input_schema(self) -> Mapping[str, Any]:
        schema = self.arguments.model_json_schema()["properties"]
        properties = {name: {"type": schema[name]["type"]} for name in ("name", "seconds") if name in schema}
        return {"type": "object", "properties": properties, "required": []}


class _Greeted(Arguments):
    name: str = "you"


class _Computed(Arguments):
    seconds: float = 0.0


async def _greet(grok: Grok, arguments: _Greeted, call: Call) -> Answer:
    return Answer(text=f"Hello, {arguments.name}!")


async def _compute(grok: Grok, arguments: _Computed, call: Call) -> Answer:
    await anyio.sleep(arguments.seconds)
    return Answer(text=f"{arguments.seconds:g} seconds have passed.")


async def _fail(grok: Grok, arguments: _Computed, call: Call) -> Answer:
    await anyio.sleep(1)
    raise InvalidArgumentError("This job always fails.", "Do not call it.")


async def _break(grok: Grok, arguments: _Computed, call: Call) -> Answer:
    await anyio.sleep(1)
    raise InternalError("This job has a bug.")


TASK_TOOLS: Mapping[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        _Spec("greet", "Greet", "Says hello.", _Greeted, _greet),
        _Spec("slow_compute", "Compute", "Takes its time.", _Computed, _compute, searches=True),
        _Spec("failing_job", "Fail", "Ends as an error.", _Computed, _fail, searches=True),
        _Spec("protocol_error_job", "Break", "Has a bug.", _Computed, _break, searches=True),
    )
}
