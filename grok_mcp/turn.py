"""One request to the endpoint and what has come of it, over all attempts; `grok.py` drives it."""

import time
from collections.abc import Callable
from dataclasses import replace

from grok_mcp import errors, events
from grok_mcp.error_bodies import read_error_payload
from grok_mcp.errors import GrokError
from grok_mcp.fold import Fold
from grok_mcp.gateways import Gateway
from grok_mcp.messages import Answer
from grok_mcp.outcome import build_answer
from grok_mcp.plan import Plan
from grok_mcp.taxonomy import Endpoint, classify

Observer = Callable[[events.Event, str], None]
"""Is told every event, and the text that it added; must not block."""


def ignore(event: events.Event, added: str) -> None:
    """The observer of a call that nobody watches."""


class Turn:
    """One request to the endpoint and what has come of it, over all attempts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.fold = Fold()
        self.failure: GrokError | None = None
        self.unreadable = 0
        self.started = time.monotonic()
        self.first_content: float | None = None

    def restart(self) -> None:
        """Begin an attempt with nothing received."""
        self.fold = Fold(clean=self.plan.request.search is not None)

    def receive(self, event: events.Event, observe: Observer) -> None:
        """Take one event in and tell the observer."""
        observe(event, self.fold.add(event))
        if self.first_content is None and self.fold.has_content:
            self.first_content = time.monotonic()

    def check_end(self, endpoint: Endpoint, *, done: bool) -> None:
        """Raise for an answer that failed, stopped without a sign of its end, or holds nothing."""
        fold = self.fold
        if fold.failure:
            raise classify(read_error_payload(fold.failure.payload), endpoint)
        if not (done or fold.ended or fold.finish_reasons) and fold.has_content:
            raise errors.InterruptedAnswerError(
                f"{endpoint.title} ended its answer before it was complete.", "Ask again."
            )
        if fold.tool_calls or any(part.length for part in fold.parts.values()):
            return
        reason = fold.finish_reasons.get(0)
        if reason == "length":
            raise errors.LengthError(
                "The token limit was reached before any text was written.", "Raise max_output_tokens."
            )
        if reason == "content_filter":
            raise errors.ContentFilterError(
                f"{endpoint.title} stopped the answer for safety.",
                "Rephrase the request; a retry will not help.",
            )
        unreadable = " that could be read" if self.unreadable else ""
        raise errors.UpstreamError(
            f"{endpoint.title} answered with neither text nor calls{unreadable}.",
            "Try again, or name another model.",
        )

    def conclude(self, gateway: Gateway) -> Answer:
        """The answer with its times and warnings, or the failure where no text came."""
        fold, failure = self.fold, self.failure
        answer = build_answer(fold, self.plan.request, gateway, broken=failure is not None)
        usage = replace(
            answer.usage,
            duration_s=time.monotonic() - self.started,
            time_to_first_token_s=self.first_content and self.first_content - self.started,
        )
        if failure and not answer.text:
            failure.usage = usage if fold.report else None
            raise failure
        warnings = [*self.plan.warnings, *answer.warnings]
        if self.unreadable:
            warnings.append(f"{self.unreadable} pieces of the stream could not be read and are missing.")
        if failure:
            warnings.append(f"The answer is incomplete: [{failure.code}] {failure.message}")
        return replace(answer, usage=usage, warnings=tuple(dict.fromkeys(warnings)))
