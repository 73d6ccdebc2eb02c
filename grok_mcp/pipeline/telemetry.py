"""OpenTelemetry: a span and measurements for each call upstream, named by the GenAI semantic conventions.

Each call has a record, which is reported to the SDK where one is set up (by `serving/telemetry.py`, or by
whoever embeds us) and dropped where none is. It holds no word of prompts and answers, and no error of
telemetry reaches a call. docs/telemetry.md lists everything that is reported.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry import propagate, trace

from grok_mcp import __version__
from grok_mcp.addresses import is_loopback
from grok_mcp.errors import GrokError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import Answer, Call, ChatRequest
from grok_mcp.pipeline.answer import usage_of
from grok_mcp.pipeline.fold import Fold
from grok_mcp.redaction import one_line
from grok_mcp.reports import tokens_by_kind

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, UpDownCounter

MAX_MODEL = 80
SECONDS = tuple(0.01 * 2**step for step in range(14))
TOKENS = tuple(float(4**step) for step in range(14))
OPERATION_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds of the histograms, as the conventions want them."""

_tracer = trace.get_tracer("grok_mcp", __version__)
_NO_REPLY = Fold()


class Record:
    """What is recorded of one call while it runs; `headers` go with its requests."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}
        self.span: trace.Span = trace.INVALID_SPAN
        self.started = self.attempted = time.monotonic()
        self.first_content: float | None = None
        self.attempts = 0
        self.dialect = ""
        self.fold = _NO_REPLY
        self.answered: Answer | None = None
        self.failed = ""

    @contextmanager
    def attempt(self, dialect: str, fold: Fold) -> Iterator[None]:
        """Record one request, made while the block runs, whose reply adds up in `fold`."""
        self.attempts += 1
        self.attempted = time.monotonic()
        if self.attempts > 1:
            again: dict[str, str | int] = {
                "error.type": self.failed,
                "grok_mcp.attempt": self.attempts,
                "grok_mcp.dialect": dialect,
            }
            with suppress(Exception):
                self.span.add_event("grok_mcp.attempt", again)
        self.dialect, self.fold = dialect, fold
        try:
            yield
        except GrokError as error:
            self.failed = error.code
            raise

    def content(self) -> None:
        """Record that content has begun to come."""
        self.first_content = time.monotonic()

    def answer(self, answer: Answer, failure: GrokError | None) -> None:
        """Record the answer, and what broke it if anything did."""
        self.answered, self.failed = answer, failure.code if failure else ""


def record_of(
    call: Call, gateway: Gateway, request: ChatRequest, address: str | None
) -> AbstractContextManager[Record]:
    """The record of one call, to be open around all of its attempts.

    Records an error that leaves the block; a cancelled call is reported with its usage so far.
    """
    return _recorded(call, gateway, request, address) if _is_listening() else nullcontext(Record())


@contextmanager
def _recorded(call: Call, gateway: Gateway, request: ChatRequest, address: str | None) -> Iterator[Record]:
    record, ends = Record(), ExitStack()
    with suppress(Exception):
        _begin(record, ends, call, gateway, request, address)
    try:
        yield record
    except BaseException as error:
        other = "internal" if isinstance(error, Exception) else "cancelled"
        record.failed = error.code if isinstance(error, GrokError) else other
        raise
    finally:
        with suppress(Exception):
            ends.close()


def _is_listening() -> bool:
    """Whether an SDK takes reports."""
    if is_real(trace.get_tracer_provider()):
        return True
    metrics = sys.modules.get("opentelemetry.metrics")  # where nobody has imported it, nobody has set it up
    provider = getattr(metrics, "get_meter_provider", None)  # another thread may still be loading it
    return provider is not None and is_real(provider())


def is_real(provider: object) -> bool:
    """Whether a tracer or meter provider is more than the API's own placeholder."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


def record_operation(
    method: str, tool: str, error: str, seconds: float, protocol: str, transport: str
) -> None:
    """Record how long a request of an MCP client took, which the SDK does not."""
    with suppress(Exception):
        if not _is_listening():
            return
        attributes = {
            "mcp.method.name": method,
            "gen_ai.operation.name": "execute_tool" if tool else None,
            "gen_ai.tool.name": tool,
            "error.type": error,
            "mcp.protocol.version": protocol,
            "network.transport": "pipe" if transport == "stdio" else "tcp",
        }
        _instruments().operation.record(seconds, _without_none(attributes))


class _Instruments(NamedTuple):
    operation: "Histogram"
    durations: "tuple[Histogram, Histogram]"
    first_contents: "tuple[Histogram, Histogram]"
    tokens: "Histogram"
    tokens_of: "Mapping[str, Histogram]"
    used: "Mapping[str, Counter]"
    cost: "Counter"
    active: "UpDownCounter"


@cache
def _instruments() -> _Instruments:
    from opentelemetry import metrics  # only where somebody listens

    meter = metrics.get_meter("grok_mcp", __version__)

    def histogram(name: str, unit: str, bounds: tuple[float, ...]) -> "Histogram":
        return meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=bounds)

    counters = (
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
    )
    used = {name.partition(".usage.")[2]: meter.create_counter(name, "{token}") for name in counters}
    return _Instruments(
        histogram("mcp.server.operation.duration", "s", OPERATION_SECONDS),
        # By its name, and by the one that it had until October 2026.
        (
            histogram("gen_ai.client.inference.duration", "s", SECONDS),
            histogram("gen_ai.client.operation.duration", "s", SECONDS),
        ),
        (
            histogram("gen_ai.client.inference.time_to_first_chunk", "s", SECONDS),
            histogram("gen_ai.client.operation.time_to_first_chunk", "s", SECONDS),
        ),
        histogram("gen_ai.client.token.usage", "{token}", TOKENS),
        {
            "input_tokens": histogram("gen_ai.client.inference.operation.input_tokens", "{token}", TOKENS),
            "output_tokens": histogram("gen_ai.client.inference.operation.output_tokens", "{token}", TOKENS),
        },
        used,
        meter.create_counter("grok_mcp.cost_usd", "{USD}"),
        meter.create_up_down_counter("grok_mcp.active_calls", "{call}"),
    )


def _begin(
    record: Record,
    ends: ExitStack,
    call: Call,
    gateway: Gateway,
    request: ChatRequest,
    address: str | None,
) -> None:
    """Start the span, and leave on `ends` what there is to do at the end."""
    server = urlsplit(address or "")
    model = one_line(request.model)[:MAX_MODEL]
    shared = _without_none(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "x_ai",
            "gen_ai.request.model": model,
            "server.address": server.hostname,
            "server.port": server.port or {"https": 443, "http": 80}.get(server.scheme),
            "grok_mcp.gateway": gateway.name,
            "grok_mcp.tool": call.tool,
        }
    )
    request_attributes = {
        "gen_ai.conversation.id": request.cache_key,
        "gen_ai.output.type": "json" if request.response_format else None,
        "gen_ai.request.choice.count": request.options.get("n"),
        "gen_ai.request.max_tokens": request.max_output_tokens,
        "gen_ai.request.reasoning.level": request.reasoning_effort,
        "gen_ai.request.seed": request.options.get("seed"),
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.top_p": request.options.get("top_p"),
        "grok_mcp.caller": call.account,
    }
    attributes = _without_none(shared | request_attributes)
    record.span = _tracer.start_span(f"chat {model}", kind=trace.SpanKind.CLIENT, attributes=attributes)
    ends.enter_context(
        trace.use_span(record.span, end_on_exit=True, record_exception=False, set_status_on_exception=False)
    )
    active = _instruments().active
    active.add(1, shared)
    ends.callback(active.add, -1, shared)
    ends.callback(_report, record, gateway, request, shared)
    if record.span.is_recording() and is_loopback(server.hostname):
        context: dict[str, str] = {}
        propagate.inject(context)
        record.headers = {name: value for name, value in context.items() if name == "traceparent"}


def _report(record: Record, gateway: Gateway, request: ChatRequest, shared: dict[str, Any]) -> None:
    """Report how the call ended."""
    seconds = time.monotonic() - record.started
    first_s = record.first_content and record.first_content - record.attempted
    fold, answer = record.fold, record.answered
    usage = answer.usage if answer else usage_of(fold, request, gateway)
    others = [reason for choice, reason in sorted(fold.finish_reasons.items()) if choice]
    cost = None if usage.cost_usd is None else float(usage.cost_usd)
    shared = _without_none(
        {**shared, "gen_ai.response.model": one_line(answer.model if answer else fold.model)[:MAX_MODEL]}
    )
    ended = {
        "error.type": record.failed,
        "gen_ai.response.id": answer.response_id if answer else None,
        "gen_ai.response.finish_reasons": [answer.finish_reason, *others] if answer else None,
        "gen_ai.response.time_to_first_chunk": first_s,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "grok_mcp.attempts": record.attempts,
        "grok_mcp.cost_source": usage.cost_source,
        "grok_mcp.cost_usd": cost,
        "grok_mcp.dialect": record.dialect,
        "grok_mcp.service_tier": usage.service_tier,
        "grok_mcp.web_searches": usage.web_searches,
        "grok_mcp.x_searches": usage.x_searches,
        "grok_mcp.x_posts_fetched": usage.x_posts_fetched,
        "grok_mcp.x_users_fetched": usage.x_users_fetched,
        "grok_mcp.code_runs": usage.code_runs,
        "grok_mcp.documents_searched": usage.documents_searched,
    }
    record.span.set_attributes(_without_none(shared | ended))
    if record.failed:
        record.span.set_status(trace.StatusCode.ERROR)
    instruments = _instruments()
    with_error = _without_none({**shared, "error.type": record.failed})
    for duration in instruments.durations:
        duration.record(seconds, with_error)
    if first_s is not None:
        for first_content in instruments.first_contents:
            first_content.record(first_s, shared)
    for kind, count in tokens_by_kind(usage).items():
        # Which of them are of images, no endpoint says.
        instruments.used[kind].add(count, {**shared, "gen_ai.token.modality": "unknown"})
        if kind in instruments.tokens_of:
            instruments.tokens_of[kind].record(count, with_error)
            instruments.tokens.record(count, {**shared, "gen_ai.token.type": kind.partition("_")[0]})
    if cost is not None:
        instruments.cost.add(cost, {**shared, "grok_mcp.cost_source": usage.cost_source})


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are known."""
    return {name: value for name, value in values.items() if value is not None and value != ""}
