"""What is reported of calls to whoever measures or records: plain values, and a monitor that ignores it.

`metrics` measures, `audit` records. Whoever reports knows neither of them, and imports nothing for them.
"""

from typing import NamedTuple

from grok_mcp.usage import Usage

ADMITTED = "admitted"
JOINED = "joined"
COLLECTED = "collected"
ASKED = "asked"
"""Decisions of a call that no gate refused: it ran, the same call answered it that was under way already, it
collects how another one has ended, or its host has to answer a question first.
"""


KINDS_OF_TOKENS = ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
"""As the GenAI conventions of OpenTelemetry call them: the last two are parts of the first two."""


class CallReport(NamedTuple):
    """One tool call that has ended.

    `outcome` is the reason why its answer ended (`stop`, …), the code of its error, or `running` where
    another call brings its end; `decision` is `admitted`, or the gate that refused it. Times are in seconds.
    """

    ended_at: float
    request_id: str
    caller: str
    group: str
    transport: str
    tool: str
    gateway: str
    model_asked: str
    model: str
    outcome: str
    decision: str
    usage: Usage | None
    duration_s: float
    attempts: int


class InferenceReport(NamedTuple):
    """One answer that was asked of the endpoint, over all attempts; `error` is the code of what broke it."""

    tool: str
    caller: str
    gateway: str
    model: str
    error: str
    seconds: float
    first_content_s: float | None
    usage: Usage | None


class Load(NamedTuple):
    """How much there is in this process at one moment; None where a number is not this process's to know."""

    calls: int
    places: int
    places_taken: int
    waiting: int
    handed_over: int
    conversations: int | None
    answers: int | None


class Monitor:
    """Takes reports of what happens, and ignores them; one that measures overrides all."""

    listens = False
    """Whether anybody does anything with a report, so that it is worth making."""

    def operation(self, method: str, tool: str, error: str, seconds: float) -> None:
        """A request of a client was served; `error` is empty for one that went well."""

    def call(self, report: CallReport) -> None:
        """A tool call has ended."""

    def inference(self, report: InferenceReport) -> None:
        """An answer that was asked of the endpoint has ended."""

    def attempt(self, error: str) -> None:
        """A request to the endpoint has ended; `error` is empty for one that went well."""

    def budget(self, caller: str, spent_usd: float, used: float) -> None:
        """A call asked for its budget, of which this share is used or bound by calls in flight."""

    def audited(self, *, written: int = 0, lost: int = 0) -> None:
        """Lines of the audit stream were written, or could not be; may come from any thread."""


def tokens_by_kind(usage: Usage) -> dict[str, int]:
    """The counts that are known, by what the conventions call them; some are parts of others."""
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens)
    return {kind: count for kind, count in zip(KINDS_OF_TOKENS, counts, strict=True) if count is not None}
