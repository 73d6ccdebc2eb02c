"""Small real calls of the tools. They cost money: only `--full` makes them."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.errors import GrokError
from grok_mcp.messages import Call
from grok_mcp.pipeline import Grok
from grok_mcp.rendering import usage_facts
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS, run_counted

CALL_S = 60.0

_SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
_CALLS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ask": ("ask_grok", {"prompt": "Answer with the word OK."}),
    "search": ("grok_search", {"query": "What is the title of example.com?", "options": {"max_turns": 1}}),
    "structured": ("grok_structured", {"prompt": "Set ok to true.", "schema": _SCHEMA}),
}


async def check_calls(settings: Settings) -> list[Check]:
    """A call of each tool, and what they cost together."""
    grok = Grok(settings.model_copy(update={"redis_url": None, "limits_file": None}))
    try:
        made = await asyncio.gather(*(_check(grok, name) for name in _CALLS))
    finally:
        await grok.aclose()
    costs = [cost for _, cost in made if cost is not None]
    total = f"{sum(costs, Decimal()):.6f} USD" if costs else "unknown: the endpoint reports no price"
    return [*(check for check, _ in made), fine("cost", f"of these calls: {total}")]


async def _check(grok: Grok, name: str) -> tuple[Check, Decimal | None]:
    """One call: the finding, and its cost where that is known."""
    tool, arguments = _CALLS[name]
    name = f"call {name}"
    try:
        async with asyncio.timeout(CALL_S):
            answer = await run_counted(TOOLS[tool], grok, arguments, Call(tool))
    except TimeoutError:
        return wrong(name, f"no answer within {CALL_S:g} s", "Name a faster model in GROK_MCP_MODEL."), None
    except GrokError as error:
        cost = error.usage.cost_usd if error.usage else None
        return wrong(name, f"[{error.code}] {error.message}", error.advice), cost
    facts = ", ".join([answer.model, *usage_facts(answer.usage)])
    warnings = [warning for warning in answer.warnings if warning != grok.gateway.notice]
    if answer.searched is False:
        fix = "Set GROK_MCP_SEARCH_DIALECT to a way that the endpoint speaks, or take another model."
        check = wrong(name, f"it answered without searching: {facts}", fix)
    elif warnings:
        check = doubtful(name, f"{facts}: {warnings[0]}", "Check the settings that it names.")
    else:
        check = fine(name, facts)
    return check, answer.usage.cost_usd
