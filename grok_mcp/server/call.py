"""One `tools/call`, from its raw arguments to its result.

Nothing that fails inside reaches the SDK: no traceback and no secret can get to a host.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ProgressNotification,
    ProgressNotificationParams,
)
from pydantic_core import to_json

from grok_mcp import bounds, events
from grok_mcp.errors import CallLimitError, GrokError, OverloadedError
from grok_mcp.logs import FIELDS, current_call, log_internal_error
from grok_mcp.messages import Answer, Call, Collected, Consent, Outcome, Running
from grok_mcp.pipeline import Grok, Kind, report_of
from grok_mcp.rendering import (
    DeltaProgress,
    Page,
    PhaseLine,
    Progress,
    StatusProgress,
    is_too_long,
    page_of,
    whole,
)
from grok_mcp.reports import ADMITTED, ASKED, JOINED
from grok_mcp.server.connection import (
    Context,
    caller_of,
    check_key,
    group_of,
    key_of,
    shows_cards,
    transport_of,
    while_connected,
)
from grok_mcp.server.consent import Asking
from grok_mcp.server.results import RESTART_META, render_error, render_page
from grok_mcp.server.roots import Roots
from grok_mcp.server.tasks import created, takes_tasks
from grok_mcp.tools import ToolSpec, file_names, report_end, run_tool, state_of_files
from grok_mcp.usage import Usage

logger = logging.getLogger(__name__)


Result = CallToolResult | InputRequiredResult | dict[str, Any]
"""A result, the question that has to be answered first, or a task."""

FIRST_WITH_LINKS = "2025-06-18"
"""The version of the protocol since which a result may link to a resource."""
AT_ONCE_S = 0.1
"""How long a call that is expected to be slow may take before it becomes a task: as a refusal does."""


class ToolCall:
    """One call of a tool by a host."""

    def __init__(
        self, spec: ToolSpec, grok: Grok, params: CallToolRequestParams, ctx: Context, roots: Roots
    ) -> None:
        self._spec = spec
        self._grok = grok
        self._arguments: Mapping[str, Any] = params.arguments or {}
        self._params = params
        self._ctx = ctx
        self._roots = roots
        self._files: str | None = ""
        """What tells apart two calls that name the same files; None where they can't be read."""
        self._progress = self._requested_progress()
        wait_s = grok.settings.wait_s(watched=self._progress is not None)
        self._kind = self._expected_kind()
        self._phase: PhaseLine | None = None
        """Watches a call that may become a task."""
        if wait_s is not None and not spec.collects and takes_tasks(ctx):
            self._phase = PhaseLine(grok.gateway.mention)
            if grok.pace.is_slow(self._kind):
                wait_s = AT_ONCE_S
        self._call = Call(tool=spec.name, caller=caller_of(ctx), wait_s=wait_s)
        self._call.group = group_of(ctx, grok)
        self._call.own_key = key_of(ctx, grok.settings)
        self._call.transport = transport_of(ctx)
        self._is_begun = False
        """Whether the tool was begun, which is what reports its end then."""
        self._unreported: tuple[Outcome | None, str] | None = None
        """How the call ended where no tool was begun for it, and what decided that."""
        if self._progress:
            self._call.observe = self._progress
        if grok.call_limit is not None:
            self._asking = Asking(ctx, params)
            self._call.may_ask, self._call.consent = self._asking.begin()

    def _expected_kind(self) -> Kind:
        """What kind of call this is, as far as its raw arguments say."""

        def word(name: str) -> str:
            value = self._arguments.get(name)
            return value.strip().lower()[: bounds.MODEL_CHARACTERS] if isinstance(value, str) else ""

        model = word("model") or self._grok.default_model
        effort = word("reasoning_effort") or self._grok.settings.reasoning_effort or ""
        return Kind(self._spec.name, model, effort, self._spec.searches)

    def _requested_progress(self) -> Progress | None:
        """The pump of progress notes; None where the client wants none or the settings forbid them."""
        mode, meta = self._grok.settings.progress, self._ctx.meta
        if mode == "off" or not meta or "progress_token" not in meta:
            return None
        report = partial(_report, self._ctx)  # not a method: a cycle would hold the answer until a collection
        if mode == "deltas":
            return DeltaProgress(report, partial(_report_restart, self._ctx))
        return StatusProgress(report, self._grok.gateway.mention)

    async def run(self) -> Result:
        """The result, whatever happens, or the task that the call has become, once its end is reported."""
        try:
            result = await self._run()
        except BaseException:
            if not self._is_begun:
                report = report_of(self._call, self._grok.gateway.name, "cancelled")
                self._grok.reporting.end_now(report)
            raise
        if not self._is_begun:
            outcome, decision = self._unreported or (None, ADMITTED)
            await report_end(self._grok, self._call, outcome, decision=decision)
        return result

    async def _run(self) -> Result:
        """The result; notes go out meanwhile."""
        if self._grok.in_flight.closing:
            error = OverloadedError("This server is closing and takes no new call.", "Ask again in a moment.")
            error.gate = "closing"
            return self._render_error(error)
        current_call.set(self._call)
        with self._grok.in_flight.track():
            async with while_connected(self._ctx):
                if self._progress is None:
                    return await self._result()
                async with anyio.create_task_group() as group:
                    group.start_soon(self._progress.pump)
                    result = await self._result()
                    group.cancel_scope.cancel()
                return result

    async def _result(self) -> Result:
        """The result of how the call ended, or of how far it has come when its host has waited enough."""
        try:
            question = await self._prepare()
            if question is not None:
                self._unreported = None, ASKED
                return question
            outcome = await self._outcome()
            if self._call.may_ask and isinstance(outcome, CallLimitError):
                answer = await self._ask(outcome)
                if isinstance(answer, InputRequiredResult):
                    self._unreported = None, ASKED
                    return answer
                self._call.may_ask, self._call.consent = False, answer
                self._call.observe(events.Waiting("waiting for the endpoint"), "")
                outcome = await self._outcome()
            self._unreported = outcome.outcome if isinstance(outcome, Collected) else outcome, JOINED
            if isinstance(outcome, GrokError):
                return self._render_error(outcome)
            if self._phase and isinstance(outcome, Running):
                return created(outcome)
            return await self._render(outcome)
        except GrokError as error:
            return self._render_error(error)
        except Exception:
            return self._render_error(log_internal_error(logger, f"call of {self._spec.name}"))

    async def _prepare(self) -> InputRequiredResult | None:
        """See whose key it takes and which folders are open; the question that has to be answered first.

        Raises ConfigurationError.
        """
        if not self._spec.collects:
            check_key(self._ctx, self._grok.settings, self._grok.gateway)
        if self._arguments.get("files") and "files" in self._spec.arguments.model_fields:
            roots = await self._roots.of(self._ctx, self._params)
            if isinstance(roots, InputRequiredResult):
                return roots
            self._call.file_roots = roots
            names = file_names(self._arguments["files"])
            if self._call.wait_s is not None:
                self._files = await state_of_files(names, self._call)
        return None

    async def _ask(self, error: CallLimitError) -> Consent | InputRequiredResult:
        """Whether the user agrees to what the call may cost. Nothing of it runs meanwhile."""
        self._call.observe(events.Waiting("waiting until its cost is agreed to"), "")
        with self._grok.in_flight.track() as scope, scope:
            return await self._asking.ask(error)
        return Consent(reason="This server was stopped before its user answered.")

    async def _outcome(self) -> Outcome | Collected:
        if self._spec.collects:
            return await self._served(self._call)
        return await self._grok.runs.within(
            self._call,
            self._serve,
            as_data=self._spec.renders == "data",
            request=self._request(),
            status=self._phase,
        )

    def _request(self) -> str:
        """The same for the same tool with the same arguments, and files as they are, at the same endpoint.

        Empty for arguments that are no Unicode, and for files that can't be read.
        """
        if self._files is None:
            return ""
        known = [self._grok.identity, self._spec.name, self._files, sorted(self._arguments.items())]
        try:
            asked = to_json(known)
        except ValueError:
            return ""
        return hashlib.sha256(asked).hexdigest()

    async def _serve(self, call: Call) -> Answer | GrokError:
        outcome = await self._served(call)
        assert not isinstance(outcome, Collected)  # only a tool that collects returns one
        return outcome

    async def _served(self, call: Call) -> Answer | Collected | GrokError:
        """How one call ends, whether somebody still waits for it or not; the one catch-all, and the log."""
        self._is_begun = True
        started = time.monotonic()
        outcome: Answer | Collected | GrokError
        try:
            outcome = await run_tool(self._spec, self._grok, self._arguments, call)
        except GrokError as error:
            error.__context__ = None
            # Its frames hold the arguments, and this frame would hold it, until a collection of garbage.
            outcome = error.with_traceback(None)
        except Exception:
            return log_internal_error(logger, f"call of {self._spec.name}")
        if call.may_ask and isinstance(outcome, CallLimitError):
            self._is_begun = False  # the call goes on
            return outcome
        passed_s = time.monotonic() - started
        if isinstance(outcome, Answer):
            self._grok.pace.note(self._kind, passed_s)
        self._log(passed_s, outcome)
        return outcome

    async def _render(self, outcome: Answer | Running | Collected) -> CallToolResult:
        """An answer as its host gets it: whole, or the page that fits into one result."""
        page = await self._page(outcome)
        if self._progress:
            text = outcome.outcome.text[: page.end] if isinstance(outcome, Collected) else outcome.text
            await self._progress.finish(text)
        return render_page(
            page,
            structured=self._grok.settings.results == "structured",
            with_card=shows_cards(self._ctx, self._grok.settings),
            keep_data=not self._spec.collects,
            with_link=not self._spec.collects and self._ctx.protocol_version >= FIRST_WITH_LINKS,
        )

    async def _page(self, outcome: Answer | Running | Collected) -> Page:
        limit = self._grok.settings.max_result_chars
        match outcome:
            case Collected(collected, answer_id, offset):
                return page_of(collected, answer_id, offset, limit)
            case Running():
                return page_of(outcome, outcome.answer_id, 0, limit)
        if is_too_long(outcome, limit):
            stored_as = await self._grok.runs.keep(outcome, self._call.owner)
            if stored_as:
                return page_of(outcome, stored_as, 0, limit)
        return whole(outcome)

    def _render_error(self, error: GrokError) -> CallToolResult:
        self._unreported = self._unreported or (error, ADMITTED)
        return render_error(error, self._grok.gateway.name)

    def _log(self, duration_s: float, outcome: Answer | Collected | GrokError) -> None:
        """One line for a call that ended, without a word of the prompt or the answer."""
        if not logger.isEnabledFor(logging.INFO):
            return
        usage = Usage()
        model, ending, response_id = None, "", None
        match outcome:
            case GrokError():
                usage, ending = outcome.usage or usage, outcome.code
            case Answer():
                usage, model, ending = outcome.usage, outcome.model, outcome.finish_reason
                response_id = outcome.response_id or None
            case Collected(collected):  # its usage is logged with the call that it was spent for
                model = collected.model
                ending = collected.finish_reason if isinstance(collected, Answer) else "running"
        fields = {
            "tool": self._spec.name,
            "caller": self._call.account,
            "outcome": ending,
            "model": model,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "code_runs": usage.code_runs,
            "cost_usd": usage.cost_usd,
            "service_tier": usage.service_tier,
            "response_id": response_id,
            "duration_s": round(duration_s, 3),
        }
        logger.info("call ended", extra={FIELDS: fields})


async def _report(ctx: Context, seconds: float, message: str) -> None:
    await ctx.session.report_progress(seconds, None, message)


async def _report_restart(ctx: Context, seconds: float, message: str) -> None:
    """A note that programs can read: what follows it, and not what came before, is the text."""
    token = (ctx.meta or {}).get("progress_token")
    assert isinstance(token, str | int)
    params = ProgressNotificationParams(
        progress_token=token, progress=seconds, message=message, _meta={RESTART_META: True}
    )
    await ctx.session.send_notification(ProgressNotification(params=params), ctx.request_id)
