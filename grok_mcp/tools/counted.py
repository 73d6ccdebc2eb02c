"""One tool call with its accounts: within the budget before, in the ledger after, however it ends.

Hosts and the command line call tools by it; it knows nothing of MCP.
"""

import time
from collections.abc import Mapping
from typing import Any

from grok_mcp.accounting import Entry
from grok_mcp.errors import GrokError
from grok_mcp.messages import Answer, Call, Collected
from grok_mcp.pipeline import Grok
from grok_mcp.redaction import one_line
from grok_mcp.tools.arguments import Arguments
from grok_mcp.tools.spec import ToolSpec
from grok_mcp.usage import Usage

MAX_MODEL = 80

UNCOUNTED = "What this call cost is unknown, so the budget of the day does not count it."

_SPENT_IN_SILENCE = ("cancelled", "interrupted", "timeout", "internal")
"""Ends that the endpoint does not know of: it may bill what it had done by then."""


async def run_tool(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], call: Call) -> Answer | Collected:
    """Read the arguments, run the tool, record what became of it; raises what the tool raises.

    Raises BudgetError where the caller has spent what a day allows. A tool that `collects` spends nothing:
    what it collects is recorded with the call that spent it.
    """
    if not spec.collects:
        return await run_counted(spec, grok, raw, call)
    arguments, warnings = spec.read(raw)
    collected = await spec.run(grok, arguments, call)
    assert isinstance(collected, Collected)
    return collected._replace(outcome=collected.outcome.with_warnings(warnings))


async def run_counted(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], call: Call) -> Answer:
    """The same for a tool that asks Grok, which always has an answer of its own."""
    account = _Account(grok, call)
    try:
        arguments, warnings = spec.read(raw)
        assert isinstance(arguments, Arguments)  # as those of all tools that ask Grok
        account.model_asked = arguments.model or grok.default_model
        if grok.budget and account.ticket:
            await grok.budget.admit(account.ticket, spec.name, account.model_asked)
        answer = await spec.run(grok, arguments, call)
        assert isinstance(answer, Answer)
    except GrokError as error:
        account.close(error.usage, error=error.code)
        await account.settled()
        raise
    except BaseException as error:
        account.close(None, error="internal" if isinstance(error, Exception) else "cancelled")
        raise
    account.close(answer.usage, answer.model, finish_reason=answer.finish_reason)
    await account.settled()
    if grok.budget and answer.usage.cost_usd is None:
        warnings = [*warnings, UNCOUNTED]
    return answer.with_warnings(warnings)


class _Account:
    """One call, from its beginning to its row."""

    def __init__(self, grok: Grok, call: Call) -> None:
        self._grok = grok
        self._call = call
        self._at, self._started = time.time(), time.monotonic()
        self.model_asked = grok.default_model
        self.ticket = grok.budget.ticket(call.caller) if grok.budget else None

    async def settled(self) -> None:
        """Where there is a budget, wait until all who share it know of this call: the next may come now."""
        if self._grok.budget:
            await self._grok.budget.settled()

    def close(
        self,
        usage: Usage | None,
        model: str = "",
        *,
        finish_reason: str | None = None,
        error: str | None = None,
    ) -> None:
        """Record the call. Does not wait, and does nothing that can fail it."""
        meter = self._call.meter
        usage = usage or meter.usage
        paid = finish_reason or meter.has_content or usage or (meter.sent and error in _SPENT_IN_SILENCE)
        passed_s = time.monotonic() - self._started
        entry = Entry(
            at=self._at,
            tool=self._call.tool,
            caller=self._call.caller,
            gateway=self._grok.gateway.name,
            model_asked=one_line(self.model_asked)[:MAX_MODEL],
            model=one_line(model or meter.model)[:MAX_MODEL],
            usage=usage,
            duration_s=round((usage and usage.duration_s) or passed_s, 3),
            finish_reason=finish_reason,
            error=error,
            unpriced=bool(paid),
        )
        self._grok.ledger.record(entry, self.ticket)
