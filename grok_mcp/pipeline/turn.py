"""One request to the endpoint and what has come of it, over all attempts; `grok.py` drives it."""

import time
from dataclasses import replace
from functools import reduce

from grok_mcp import errors, events
from grok_mcp.endpoint import Endpoint, classify, read_error_payload
from grok_mcp.errors import GrokError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import Answer, Call
from grok_mcp.pipeline.answer import build_answer, usage_of
from grok_mcp.pipeline.fold import Fold
from grok_mcp.pipeline.plan import Plan
from grok_mcp.pipeline.telemetry import Record
from grok_mcp.usage import Usage


class Turn:
    """One request to the endpoint and what has come of it, over all attempts."""

    def __init__(self, plan: Plan, call: Call) -> None:
        self.plan = plan
        self.call = call
        self.fold = Fold()
        self.record = Record()
        self.failure: GrokError | None = None
        self.unreadable = 0
        self.is_cut = False
        self.started = time.monotonic()
        self.first_content: float | None = None
        self.key: str | None = None
        """The key that the present attempt was sent with."""
        self.tried: set[str | None] = set()
        """All keys that it was sent with."""
        self.is_renewed = False
        """Whether the file with the keys was read anew for it."""
        self._earlier: list[Fold] = []

    def restart(self) -> None:
        """Begin an attempt with nothing received; what an earlier one has spent still counts."""
        if self.fold.report:
            self._earlier.append(self.fold)
        self.unreadable, self.is_cut = 0, False
        self.fold = self.call.attempt = Fold(clean=self.plan.form.request.search is not None)

    @property
    def is_billed(self) -> bool:
        """Whether the endpoint has begun an answer, so that nothing is sent again."""
        return self.fold.has_content or self.is_cut

    def receive(self, event: events.Event) -> None:
        """Take one event in and pass it on to the observer."""
        self.call.observe(event, self.fold.add(event))
        if self.fold.is_rewritten:
            self.fold.is_rewritten = False
            self.call.observe(events.Restarted(), "")
            for known, added in self.fold.replay():
                self.call.observe(known, added)
        if self.first_content is None and self.fold.has_content:
            self.first_content = time.monotonic()
            self.record.content()

    def check_end(self, endpoint: Endpoint, *, done: bool) -> None:
        """Raise for an answer that failed, stopped without a sign of its end, or holds nothing."""
        fold = self.fold
        if fold.failure:
            raise classify(read_error_payload(fold.failure.payload), endpoint)
        if self.is_cut:
            raise errors.InterruptedAnswerError(
                f"{endpoint.title} broke off in the middle of its answer.", "Ask again; it has been billed."
            )
        if not (done or fold.ended or fold.finish_reasons):
            if fold.has_content:
                raise errors.InterruptedAnswerError(
                    f"{endpoint.title} ended its answer before it was complete.", "Ask again."
                )
            if not self.unreadable:
                raise errors.UpstreamConnectionError(
                    f"{endpoint.title} closed the connection before its answer began.", "Try again."
                )
        if fold.has_answer:
            return
        reason = fold.finish_reasons.get(fold.first)
        if reason == "length":
            raise errors.LengthError(
                "The token limit was reached before any text was written.", "Raise max_output_tokens."
            )
        if reason == "content_filter":
            raise errors.ContentFilterError(
                f"{endpoint.title} stopped the answer for safety.",
                "Rephrase the request; a retry will not help.",
            )
        if fold.tool_calls:
            raise errors.UpstreamError(
                f"{endpoint.title} answered with a call of a function that it does not name.",
                "Try again, or name another model.",
                retryable=True,
            )
        unreadable = " that could be read" if self.unreadable else ""
        raise errors.UpstreamError(
            f"{endpoint.title} answered with neither text nor calls{unreadable}.",
            "Ask in other words, or name another model.",
        )

    def spent(self, gateway: Gateway) -> Usage | None:
        """What the endpoint has counted so far, over all attempts; None where it has counted nothing."""
        counted = [
            usage_of(fold, self.plan.form.request, gateway)
            for fold in (*self._earlier, self.fold)
            if fold.report
        ]
        return reduce(Usage.__add__, counted) if counted else None

    def meter(self, usage: Usage | None) -> None:
        """Add what was spent to the meter of this tool call."""
        self.call.meter.add(
            usage,
            self.fold.model,
            attempts=self.record.attempts,
            has_content=self.fold.has_content,
            characters=sum(fold.characters for fold in (*self._earlier, self.fold)),
        )

    def conclude(self, gateway: Gateway) -> Answer:
        """The answer with its times and warnings, or the failure where no text came."""
        cut = False
        if self.failure and self._is_whole(self.failure):
            self.failure, cut = None, True
        if self.unreadable and self.failure is None:
            self.failure = errors.InterruptedAnswerError(
                f"{self.unreadable} pieces of the stream could not be read and are missing.", "Ask again."
            )
        fold, failure = self.fold, self.failure
        request = self.plan.form.request
        answer = build_answer(fold, request, gateway, broken=failure is not None, cut=cut)
        usage = answer.usage
        for earlier in self._earlier:
            usage = usage_of(earlier, request, gateway) + usage
        usage = replace(
            usage,
            duration_s=time.monotonic() - self.started,
            time_to_first_token_s=self.first_content and self.first_content - self.started,
        )
        if failure and not answer.text:
            failure.usage = usage if fold.report or self._earlier else None
            raise failure
        warnings = [*self.plan.warnings, *answer.warnings]
        if failure:
            warnings.append(f"The answer is incomplete: [{failure.code}] {failure.message}")
        return replace(answer, usage=usage, warnings=tuple(dict.fromkeys(warnings)))

    def _is_whole(self, failure: GrokError) -> bool:
        """Whether only the stream broke, behind an answer whose end had been reported."""
        fold = self.fold
        broke = isinstance(failure, _BROKE) and bool(fold.finish_reasons) and not self.is_cut
        return broke and set(fold.choices) <= fold.finish_reasons.keys() and fold.has_answer


_BROKE = (errors.UpstreamConnectionError, errors.UpstreamTimeoutError, errors.InterruptedAnswerError)
