"""`grok_result`: collects an answer that was handed over while it ran, or is too long for one result."""

from typing import Annotated

from pydantic import Field, field_validator

from grok_mcp.messages import Call, Collected
from grok_mcp.pipeline import Grok
from grok_mcp.tools.arguments import ToolArguments, not_blank
from grok_mcp.tools.spec import ToolSpec


class ResultArguments(ToolArguments):
    """The arguments of `grok_result`."""

    answer_id: Annotated[str, Field(description="From that result")]
    offset: Annotated[int, Field(ge=0, description="From that result")] = 0

    @field_validator("answer_id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        return not_blank(value).strip()


async def result(grok: Grok, arguments: ResultArguments, call: Call) -> Collected:
    """Answer one `grok_result` call: the end of another call, or how far it has come."""
    return await grok.runs.collect(arguments.answer_id, arguments.offset, call)


RESULT = ToolSpec(
    name="grok_result",
    title="Grok result",
    description="The rest of a slow or long answer, where a result asks for it. Free.",
    arguments=ResultArguments,
    run=result,
    collects=True,
)
