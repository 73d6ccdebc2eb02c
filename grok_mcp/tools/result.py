"""`grok_result`: collects an answer that was handed over while it ran, or is too long for one result."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field, field_validator

from grok_mcp.errors import GrokError
from grok_mcp.messages import Answer
from grok_mcp.pipeline.grok import Grok
from grok_mcp.tools.arguments import ToolArguments, not_blank
from grok_mcp.tools.spec import Call, ToolSpec


class ResultArguments(ToolArguments):
    """The arguments of `grok_result`."""

    answer_id: str
    offset: Annotated[int, Field(ge=0)] = 0

    @field_validator("answer_id")
    @classmethod
    def _id_given(cls, value: str) -> str:
        return not_blank(value).strip()


async def result(grok: Grok, arguments: ResultArguments, call: Call) -> Answer:
    """Answer one `grok_result` call: the end of another call, or how far it has come."""
    outcome = await grok.runs.collect(
        arguments.answer_id, arguments.offset, call.caller, call.wait_s, call.observe
    )
    if isinstance(outcome, GrokError):
        raise outcome
    return replace(outcome, start=arguments.offset)


RESULT = ToolSpec(
    name="grok_result",
    title="Grok result",
    description="Rest of a slow or long Grok answer.",
    arguments=ResultArguments,
    run=result,
    collects=True,
)
