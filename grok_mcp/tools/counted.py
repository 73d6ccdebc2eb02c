"""One tool call with its accounts: within the budget, and in the ledger before its request goes out and
before its answer is delivered, however it ends.

Hosts and the command line call tools by it; it knows nothing of MCP.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grok_mcp.accounting import Begun, Entry
from grok_mcp.errors import AnswerNotFoundError, CallLimitError, GrokError, InvalidArgumentError
from grok_mcp.messages import Answer, Call, ChatRequest, Collected, Outcome, Running
from grok_mcp.pipeline import Grok, report_of
from grok_mcp.redaction import one_line
from grok_mcp.reports import ADMITTED, ASKED, COLLECTED, CallReport
from grok_mcp.tools.arguments import Arguments
from grok_mcp.tools.spec import ToolSpec
from grok_mcp.usage import Usage

if TYPE_CHECKING:
    from grok_mcp.quotas import Admission

MAX_MODEL = 80

UNCOUNTED = "What this call cost is unknown, so the budget of the day does not count it."

_SPENT_IN_SILENCE = ("cancelled", "interrupted", "timeout", "internal")
"""Ends that the endpoint does not know of: it may bill what it had done by then."""


async def run_tool(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], call: Call) -> Answer | Collected:
    """Read the arguments, run the tool, record what became of it; raises what the tool raises.

    Raises BudgetError where the caller has spent what a day allows, QuotaError where it has used what a
    minute allows, ModelNotAllowedError, and CallLimitError where the call may cost too much: without a row in
    the ledger while its user can still be asked. A tool that `collects` spends nothing: what it collects is
    recorded with the call that spent it.
    """
    if not spec.collects:
        return await run_counted(spec, grok, raw, call)
    try:
        arguments, warnings = spec.read(raw)
        collected = await spec.run(grok, arguments, call)
        assert isinstance(collected, Collected)
    except GrokError as error:
        own = isinstance(
            error, InvalidArgumentError | AnswerNotFoundError
        )  # else it is how the other one ended
        await report_end(grok, call, error, decision=error.gate if own else COLLECTED)
        raise
    except Exception:
        await report_end(grok, call, None)
        raise
    except BaseException:
        grok.reporting.end_now(report_of(call, grok.gateway.name, "cancelled"))
        raise
    await report_end(grok, call, collected.outcome, decision=COLLECTED)
    return collected._replace(outcome=collected.outcome.with_warnings(warnings))


async def run_counted(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], call: Call) -> Answer:
    """The same for a tool that asks Grok, which always has an answer of its own."""
    account = _Account(grok, call)
    try:
        arguments, warnings = spec.read(raw)
        assert isinstance(arguments, Arguments)  # as those of all tools that ask Grok
        if not arguments.model:
            await grok.catalog.settle_default()
            arguments, notes = _with_allowed_model(grok, arguments, call)
            warnings = [*warnings, *notes]
        account.open(arguments.model or grok.default_model)
        answer = await spec.run(grok, arguments, call)
        assert isinstance(answer, Answer)
    except GrokError as error:
        if call.may_ask and isinstance(error, CallLimitError):
            account.leave()
        else:
            await account.close(error.usage, error=error.code, gate=error.gate)
        raise
    except Exception:
        await account.close(None, error="internal")
        raise
    except BaseException:
        account.abandon()
        raise
    await account.close(_with_sources(answer), answer.model, finish_reason=answer.finish_reason)
    if account.has_budget and answer.usage.cost_usd is None:
        warnings = [*warnings, UNCOUNTED]
    return answer.with_warnings(warnings)


async def report_end(grok: Grok, call: Call, outcome: Outcome | None, *, decision: str = ADMITTED) -> None:
    """Report a call that has no account: one that collects, was refused before it ran, or joined another.

    None is an error of ours, or a question that its host has to answer first. What an answer has cost is
    reported with the call that spent it.
    """
    model, ending = "", "input_required" if decision == ASKED else "internal"
    match outcome:
        case GrokError():
            ending = outcome.code
            if decision == ADMITTED:
                decision = outcome.gate or decision
        case Answer():
            model, ending = outcome.model, outcome.finish_reason
        case Running():
            model, ending = outcome.model, "running"
    report = report_of(call, grok.gateway.name, ending, decision=decision, model=_short(model))
    await grok.reporting.end(report)


class _Account:
    """One call, from its beginning to its row."""

    def __init__(self, grok: Grok, call: Call) -> None:
        self._grok = grok
        self._call = call
        self._started = time.monotonic()
        self._is_sent = False
        self._admission: Admission | None = None
        self._begun = Begun(
            id=secrets.token_hex(8),
            at=time.time(),
            tool=call.tool,
            caller=call.account,
            gateway=grok.gateway.name,
            model_asked=_short(grok.default_model),
            group="" if call.own_key else call.group,
        )

    @property
    def has_budget(self) -> bool:
        """Whether this server pays, and not for everything."""
        budget, call = self._grok.budget, self._call
        return budget is not None and call.own_key is None and budget.caps(call.caller, call.group).any

    def open(self, model: str) -> None:
        """Have the call admitted by its limits once its request is known, which waits for its row."""
        self._begun = self._begun._replace(model_asked=_short(model))
        self._call.begin = self._begin
        if self.has_budget or self._grok.call_limit is not None or self._grok.quotas is not None:
            self._call.admit = self._admit

    async def _admit(self, request: ChatRequest, dialect: str) -> list[str]:
        self._call.admit = None  # once: what corrects an answer belongs to the same call
        limit, quotas, notes = self._grok.call_limit, self._grok.quotas, list[str]()
        if quotas is not None:
            quotas.check_model(self._call, request.model)
        if limit is not None:
            notes = limit.check(request, dialect, self._call.consent)
        if quotas is not None:
            self._admission = await quotas.admit(self._call, request)
        if self._grok.budget is not None and self.has_budget:
            await self._grok.budget.admit(self._begun)
        return notes

    async def _begin(self) -> None:
        if not self._is_sent:
            self._is_sent = True
            await self._grok.ledger.begin(self._begun)

    async def close(
        self,
        usage: Usage | None,
        model: str = "",
        *,
        finish_reason: str | None = None,
        error: str | None = None,
        gate: str = "",
    ) -> None:
        """Record the call; its host hears of it afterwards. Does nothing that can fail it."""
        entry = self._entry(usage, model, finish_reason, error)
        if self._admission is not None:
            came = self._call.meter.characters
            await self._admission.settle(entry.usage, unknown=entry.unpriced, came=came)
        try:
            await self._grok.ledger.end(entry, self._begun.id)
        except BaseException:
            self._grok.reporting.end_now(self._report(entry, gate))
            raise
        await self._grok.reporting.end(self._report(entry, gate))

    def leave(self) -> None:
        """Have nothing more to do with the call; alone, for one whose user has to be asked first."""
        self._call.begin = self._call.admit = None  # which hold this account

    def abandon(self) -> None:
        """Record a call that was cancelled, and which must not wait."""
        entry = self._entry(None, "", None, "cancelled")
        if self._admission is not None:
            came = self._call.meter.characters
            self._admission.settle_soon(entry.usage, unknown=entry.unpriced, came=came)
        self._grok.ledger.record(entry, self._begun.id)
        self._grok.reporting.end_now(self._report(entry, ""))

    def _report(self, entry: Entry, gate: str) -> CallReport:
        """The report of the call; a gate refuses only what has not gone out."""
        return report_of(
            self._call,
            entry.gateway,
            entry.finish_reason or entry.error or "internal",
            decision=ADMITTED if entry.sent else gate or ADMITTED,
            model_asked=entry.model_asked,
            model=entry.model,
            usage=entry.usage,
        )

    def _entry(self, usage: Usage | None, model: str, finish_reason: str | None, error: str | None) -> Entry:
        self.leave()
        begun, meter = self._begun, self._call.meter
        usage = usage or meter.usage
        paid = finish_reason or meter.has_content or usage or (meter.sent and error in _SPENT_IN_SILENCE)
        passed_s = time.monotonic() - self._started
        return Entry(
            at=begun.at,
            tool=begun.tool,
            caller=begun.caller,
            gateway=begun.gateway,
            model_asked=begun.model_asked,
            model=_short(model or meter.model),
            usage=usage,
            duration_s=round((usage and usage.duration_s) or passed_s, 3),
            finish_reason=finish_reason,
            error=error,
            unpriced=bool(paid),
            sent=self._is_sent or meter.sent,
            group=begun.group,
        )


def _with_allowed_model(grok: Grok, arguments: Arguments, call: Call) -> tuple[Arguments, list[str]]:
    """The arguments with a model that the caller may use, and a note, where the default is none."""
    default = grok.default_model
    model = grok.quotas.model_for(call, default) if grok.quotas is not None else default
    if model == default:
        return arguments, []
    note = f"The model {model} was used: you may not use {_short(default)}, the default of this server."
    return arguments.model_copy(update={"model": model}), [note]


def _with_sources(answer: Answer) -> Usage:
    """The usage with the sources that the answer names, each once, where the endpoint counts none."""
    sources = len({cited.url for cited in answer.citations if not cited.from_text})
    return replace(answer.usage, sources_used=answer.usage.sources_used or sources or None)


def _short(model: str) -> str:
    return one_line(model)[:MAX_MODEL]
