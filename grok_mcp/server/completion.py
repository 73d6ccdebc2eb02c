"""What a host can offer while a person fills in the arguments of a prompt."""

from collections.abc import Iterable, Mapping, Sequence

from mcp_types import CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from grok_mcp.models import find_model
from grok_mcp.pipeline.grok import Grok
from grok_mcp.redaction import quote
from grok_mcp.server.prompts import EFFORT, MODEL, ArgumentSpec, find_prompt, refusal, unknown_argument

MAX_VALUES = 100
"""The protocol's limit."""


async def complete(grok: Grok, params: CompleteRequestParams) -> CompleteResult:
    """The values that fit what is typed so far; raises MCPError for an unknown prompt or argument."""
    if isinstance(params.ref, ResourceTemplateReference):
        raise refusal(f"Unknown resource template: {quote(params.ref.uri, limit=80)}. There are none.")
    spec = find_prompt(params.ref.name)
    argument = next((one for one in spec.arguments if one.name == params.argument.name), None)
    if argument is None:
        raise unknown_argument(spec, params.argument.name)
    given = (params.context and params.context.arguments) or {}
    fitting = _fitting(params.argument.value, await _values(grok, argument, given))
    return CompleteResult(
        completion=Completion(
            values=fitting[:MAX_VALUES], total=len(fitting), has_more=len(fitting) > MAX_VALUES
        )
    )


async def _values(grok: Grok, argument: ArgumentSpec, given: Mapping[str, str]) -> Sequence[str]:
    """All values of an argument, the likeliest first."""
    if argument.name == MODEL.name:
        return list(dict.fromkeys((grok.default_model, *await grok.catalog.names())))
    if argument.name == EFFORT.name:
        model = find_model(given.get(MODEL.name, "").strip() or grok.default_model)
        return model.efforts if model and model.efforts else argument.choices
    return argument.choices


def _fitting(typed: str, values: Iterable[str]) -> list[str]:
    """The values that begin with what is typed, then those that have it inside."""
    wanted = typed.strip().lower()
    found = [value for value in values if wanted in value.lower()]
    return sorted(found, key=lambda value: not value.lower().startswith(wanted))
