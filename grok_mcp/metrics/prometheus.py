"""The instruments: what is reported becomes counters, gauges and histograms of the Prometheus client.

Names are those of OpenTelemetry's GenAI and MCP conventions in Prometheus' spelling where they have one;
docs/metrics.md lists all. Values of labels are bounded: what callers can choose is counted under its name
only where it is known to us.
"""

import typing
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from grok_mcp import __version__
from grok_mcp.messages import LOCAL, FinishReason
from grok_mcp.models import MOVING, RETIRED, find_model
from grok_mcp.reports import (
    ADMITTED,
    ASKED,
    COLLECTED,
    JOINED,
    KINDS_OF_TOKENS,
    CallReport,
    InferenceReport,
    Load,
    Monitor,
    tokens_by_kind,
)

MAX_CALLERS = 100
OTHER = "other"
GENAI_SECONDS = tuple(0.01 * 2**step for step in range(14))
OPERATION_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds in seconds, as the GenAI and the MCP conventions want them."""
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

REASONS = frozenset(
    word for part in typing.get_args(FinishReason) for word in (typing.get_args(part) or (part,))
)

GATES = frozenset(
    (
        *("arguments", "audit", "budget", "call_limit", "capacity", "closing", "configuration", "key"),
        *("permission", "quota"),
    )
)
NO_REFUSALS = frozenset((ADMITTED, ASKED, COLLECTED, JOINED))
OUTCOMES = REASONS | {"cancelled", "input_required", "internal", "running", "unknown_tool"}
_ABOUT_INFERENCE = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


class Prometheus(Monitor):
    """The instruments of one process, registered in `registry`.

    `tools` and `codes` are the names of all tools and error codes; `model` is the operator's own choice of a
    model, which is counted under its name whatever it is.
    """

    listens = True

    def __init__(
        self, gateway: str, tools: Iterable[str], codes: Iterable[str], model: str | None, *, callers: bool
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._tools = frozenset(tools)
        self._codes = frozenset(codes)
        self._model = model
        self._callers: set[str] | None = set() if callers else None
        by_caller = ("caller",) if callers else ()
        self._gateway = gateway

        self._operations = self._histogram(
            "mcp_server_operation_duration_seconds",
            "Duration of a request of an MCP client, as the server sees it.",
            ("mcp_method_name", "gen_ai_tool_name", "error_type"),
            OPERATION_SECONDS,
        )
        self._calls = self._counter(
            "grok_mcp_calls", "Tool calls that have ended.", ("tool", "transport", "outcome", *by_caller)
        )
        self._refusals = self._counter(
            "grok_mcp_refusals", "Tool calls that were refused before anything was sent.", ("tool", "gate")
        )
        self._durations = [
            self._histogram(
                f"gen_ai_client_{what}_duration_seconds",
                f"Duration of an answer that was asked of the endpoint, over all attempts{note}.",
                (*_ABOUT_INFERENCE, "error_type"),
                GENAI_SECONDS,
            )
            for what, note in (("inference", ""), ("operation", "; the older name of the same"))
        ]
        self._first_content = self._histogram(
            "gen_ai_client_inference_time_to_first_chunk_seconds",
            "Time from the last attempt to its first content.",
            _ABOUT_INFERENCE,
            GENAI_SECONDS,
        )
        self._tokens = {
            kind: self._counter(
                f"gen_ai_client_inference_usage_{kind.replace('.', '_')}",
                f"Tokens that the endpoint has counted: {kind}.",
                _ABOUT_INFERENCE,
            )
            for kind in KINDS_OF_TOKENS
        }
        self._cost = self._counter(
            "grok_mcp_cost_usd", "Cost in US dollars.", ("model", "gateway", "cost_source", *by_caller)
        )
        self._attempts = self._counter(
            "grok_mcp_upstream_attempts", "Requests to the endpoint that have ended.", ("error_type",)
        )
        self._budget = self._histogram(
            "grok_mcp_budget_used_ratio",
            "Share of its caller's budget of the day that is used or bound, at each call that asks.",
            (),
            SHARES,
        )
        self._spent: Gauge | None = None
        if callers:
            about = "What a caller has spent today, at its last call that asked."
            self._spent = self._gauge("grok_mcp_budget_spent_usd", about, by_caller, "mostrecent")
        self._lag = self._histogram(
            "grok_mcp_event_loop_lag_seconds", "How late the event loop is, once a second.", (), LAG_SECONDS
        )
        self._audited = self._counter("grok_mcp_audit_lines", "Lines of the audit stream.", ("result",))
        self._load = {
            name: self._gauge(f"grok_mcp_{name}", about, (), "livesum")
            for name, about in (
                ("calls_in_flight", "Tool calls and streams in flight."),
                ("places", "Calls that may be upstream at once."),
                ("places_taken", "Calls that are upstream."),
                ("calls_waiting", "Calls that wait for a place upstream."),
                ("answers_running", "Calls that were handed over, as tasks or by answer_id, and go on."),
                ("conversations", "Conversations in memory."),
                ("answers_held", "Answers in memory that wait to be collected."),
            )
        }
        self._gauge("grok_mcp_processes", "Processes that serve.", (), "livesum").set(1)
        info = self._gauge("grok_mcp_info", "The server that runs.", ("version", "gateway"), "max")
        info.labels(__version__, gateway).set(1)
        for name in ("written", "lost"):
            self._audited.labels(name)
        # To find the child of some labels takes as long as to count with it.
        self._child = cache(lambda instrument, *labels: instrument.labels(*labels))

    def _counter(self, name: str, about: str, labels: Sequence[str]) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float]) -> Histogram:
        return Histogram(name, about, labels, buckets=bounds, registry=self.registry)

    def _gauge(self, name: str, about: str, labels: Sequence[str], mode: str) -> Gauge:
        make: Callable[..., Gauge] = Gauge  # which takes the mode as a literal
        return make(name, about, labels, registry=self.registry, multiprocess_mode=mode)

    def operation(self, method: str, tool: str, error: str, seconds: float) -> None:
        """A request of a client was served; its labels are bounded by whoever reports it."""
        self._child(self._operations, method, tool, error).observe(seconds)

    def call(self, report: CallReport) -> None:
        """A tool call has ended."""
        tool = report.tool if report.tool in self._tools else OTHER
        known = report.outcome in self._codes or report.outcome in OUTCOMES
        outcome = report.outcome if known else OTHER
        caller = self._caller(report.caller)
        self._child(self._calls, tool, report.transport, outcome, *caller).inc()
        if report.decision not in NO_REFUSALS:
            gate = report.decision if report.decision in GATES else OTHER
            self._child(self._refusals, tool, gate).inc()

    def inference(self, report: InferenceReport) -> None:
        """An answer that was asked of the endpoint has ended."""
        model = self._known(report.model)
        about = ("chat", "x_ai", model)
        for duration in self._durations:
            self._child(duration, *about, self._code(report.error)).observe(report.seconds)
        if report.first_content_s is not None:
            self._child(self._first_content, *about).observe(report.first_content_s)
        if report.usage is None:
            return
        for kind, count in tokens_by_kind(report.usage).items():
            self._child(self._tokens[kind], *about).inc(count)
        if report.usage.cost_usd is not None:
            source = report.usage.cost_source or OTHER
            cost = self._child(self._cost, model, report.gateway, source, *self._caller(report.caller))
            cost.inc(float(report.usage.cost_usd))

    def attempt(self, error: str) -> None:
        """A request to the endpoint has ended."""
        self._child(self._attempts, self._code(error)).inc()

    def budget(self, caller: str, spent_usd: float, used: float) -> None:
        """A call asked for its budget."""
        self._budget.observe(used)
        if self._spent is not None:
            self._child(self._spent, *self._caller(caller)).set(spent_usd)

    def audited(self, *, written: int = 0, lost: int = 0) -> None:
        """Lines of the audit stream were written, or could not be."""
        for result, number in (("written", written), ("lost", lost)):
            if number:
                self._child(self._audited, result).inc(number)

    def sample(self, load: Load, lag_s: float | None) -> None:
        """How much there is in this process now, and how late its event loop is where that is known."""
        if lag_s is not None:
            self._lag.observe(lag_s)
        for gauge, number in zip(self._load.values(), load, strict=True):
            gauge.set(number or 0)

    def _code(self, code: str) -> str:
        return code if not code or code in self._codes or code in OUTCOMES else OTHER

    def _caller(self, caller: str) -> tuple[str, ...]:
        """The label of a caller, where callers have one: the names of the first hundred."""
        if self._callers is None:
            return ()
        if caller not in self._callers:
            if len(self._callers) >= MAX_CALLERS and caller != LOCAL:
                return (OTHER,)
            self._callers.add(caller)
        return (caller,)

    def _known(self, model: str) -> str:
        """The label of a model."""
        if found := find_model(model):
            return found.id
        return model if model == self._model or model in RETIRED or model in MOVING else OTHER
