"""What OpenTelemetry is told of a call: one span and some measurements, no content, and nothing unasked."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from dirty_equals import IsFloat, IsPartialDict, IsStr
from mcp.shared.exceptions import MCPError
from opentelemetry import baggage, context, metrics, trace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import grok_mcp
from grok_mcp import __version__, events
from grok_mcp.messages import Call, ChatRequest, Message
from grok_mcp.pipeline.grok import Grok
from grok_mcp.serving import telemetry as telemetry_setup
from grok_mcp.settings import Settings
from tests.support.collector import collector
from tests.support.endpoint import Endpoint, Reply, body, chat, events as stream
from tests.support.host import host_on
from tests.support.pace import within
from tests.support.stdio import INITIALIZE, INITIALIZED, ask, session

pytestmark = pytest.mark.anyio

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 20},
    "cost_in_usd_ticks": 25_000_000,
}
ASKED = ChatRequest("grok-4.7", (Message("user", "Hello?"),), cache_key="an-opaque-id")


class Faulty(SpanProcessor):
    """An SDK that fails, while `broken`, wherever it is told anything."""

    broken = False

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        assert not self.broken, "a span began"

    def on_end(self, span: ReadableSpan) -> None:
        assert not self.broken, "a span ended"


@dataclass
class Told:
    """What an SDK in this process has been told since the test began."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    faulty: Faulty

    @property
    def spans(self) -> list[ReadableSpan]:
        """Ours."""
        found = self.exporter.get_finished_spans()
        return [span for span in found if (span.instrumentation_scope or span).name == "grok_mcp"]

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(self.span.attributes or {})

    def points(self) -> dict[str, list[Any]]:
        """The measurements since the last look, by instrument."""
        data = self.reader.get_metrics_data()
        scopes = [scope for one in (data.resource_metrics if data else ()) for scope in one.scope_metrics]
        return {
            metric.name: list(metric.data.data_points)
            for scope in scopes
            if scope.scope.name == "grok_mcp"
            for metric in scope.metrics
        }


@pytest.fixture(scope="module")
def sdk() -> Iterator[Told]:
    """The one SDK that a process can have; it keeps nothing once this module is done."""
    exporter, faulty = InMemorySpanExporter(), Faulty()
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(preferred_temporality={Counter: delta, Histogram: delta})
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    tracers.add_span_processor(faulty)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    yield Told(exporter, reader, faulty)
    exporter.shutdown()


@pytest.fixture
def told(sdk: Told) -> Iterator[Told]:
    sdk.exporter.clear()
    sdk.points()
    yield sdk
    sdk.faulty.broken = False


@asynccontextmanager
async def grok_on(url: str) -> AsyncIterator[Grok]:
    """The pipeline without MCP around it."""
    settings: dict[str, Any] = {"XAI_BASE_URL": url, "XAI_API_KEY": "xai-test-key-1234567890"}
    grok = Grok(Settings(**settings))
    try:
        yield grok
    finally:
        await grok.aclose()


async def test_a_call_is_one_span_below_the_span_of_the_tool_call(told: Told) -> None:
    async with Endpoint(chat("Hello", " there.", usage=USAGE)) as endpoint:
        async with host_on(endpoint) as host:
            result = await host.ask(
                model="grok-4.7-beta",
                temperature=0.5,
                max_output_tokens=500,
                options={"top_p": 0.9, "seed": 7, "n": 1},
            )
    span = told.span
    found = told.exporter.get_finished_spans()
    (tool_call,) = [one for one in found if one.name == "tools/call ask_grok" and one.kind is SpanKind.SERVER]
    assert (span.parent, span.name) == (tool_call.context, "chat grok-4.7-beta")
    assert span.kind is SpanKind.CLIENT
    assert (span.status.status_code, span.status.description) == (trace.StatusCode.UNSET, None)
    assert span.events == ()
    conversation = told.attributes["gen_ai.conversation.id"]
    assert conversation not in result.text  # nobody can go on from it
    assert told.attributes == {
        "gen_ai.conversation.id": conversation,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "x_ai",
        "gen_ai.request.choice.count": 1,
        "gen_ai.request.max_tokens": 500,
        "gen_ai.request.model": "grok-4.7-beta",
        "gen_ai.request.seed": 7,
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.model": "grok-4.7",
        "gen_ai.response.time_to_first_chunk": IsFloat(gt=0, lt=5),
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 20,
        "grok_mcp.attempts": 1,
        "grok_mcp.caller": "local",
        "grok_mcp.cost_source": "reported",
        "grok_mcp.cost_usd": 0.0025,
        "grok_mcp.dialect": "chat_completions",
        "grok_mcp.gateway": "generic",
        "grok_mcp.tool": "ask_grok",
        "server.address": "127.0.0.1",
        "server.port": int(endpoint.url.split(":")[2].removesuffix("/v1")),
    }


async def test_a_call_is_measured(told: Told) -> None:
    async with Endpoint(chat("Hello.", usage=USAGE)) as endpoint:
        async with host_on(endpoint) as host:
            await host.ask()
            await host.ask()
    points = told.points()
    shared = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "x_ai",
        "gen_ai.request.model": "grok-4.7",
        "gen_ai.response.model": "grok-4.7",
        "grok_mcp.gateway": "generic",
        "grok_mcp.tool": "ask_grok",
        "server.address": "127.0.0.1",
        "server.port": told.spans[0].attributes["server.port"],  # type: ignore[index]
    }
    tokens = {point.attributes["gen_ai.token.type"]: point for point in points["gen_ai.client.token.usage"]}
    assert {kind: (point.count, point.sum) for kind, point in tokens.items()} == {
        "input": (2, 200),
        "output": (2, 100),
    }
    assert tokens["input"].explicit_bounds[:4] == (1, 4, 16, 64)
    assert tokens["input"].attributes == {**shared, "gen_ai.token.type": "input"}
    for kind, total in (("input", 200), ("output", 100)):
        (point,) = points[f"gen_ai.client.inference.operation.{kind}_tokens"]
        assert (point.attributes, point.count, point.sum) == (shared, 2, total)
    used = ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
    for name, total in zip(used, (200, 100, 120, 40), strict=True):
        (point,) = points[f"gen_ai.client.inference.usage.{name}"]
        assert (point.attributes, point.value) == ({**shared, "gen_ai.token.modality": "unknown"}, total)


@pytest.mark.parametrize("name", ["duration", "time_to_first_chunk"])
async def test_times_have_the_newest_name_and_the_one_before_it(told: Told, name: str) -> None:
    async with Endpoint(chat("Hello.")) as endpoint, host_on(endpoint) as host:
        await host.ask()
        await host.ask()
    points = told.points()
    (new,), (old,) = (points[f"gen_ai.client.{what}.{name}"] for what in ("inference", "operation"))
    assert (new.attributes, new.count, new.sum) == (old.attributes, 2, old.sum)
    assert old.attributes["gen_ai.operation.name"] == "chat"
    assert new.explicit_bounds[-2:] == old.explicit_bounds[-2:] == (40.96, 81.92)


async def test_requests_of_clients_are_measured_by_method_and_tool(told: Told) -> None:
    async with Endpoint(chat("Hello."), body({"error": {"message": "No."}}, status=401)) as endpoint:
        async with host_on(endpoint) as host:
            await host.client.list_tools()
            await host.ask()
            await host.ask()
            with pytest.raises(MCPError):
                await host.client.call_tool("order_pizza", {})
    points = told.points()["mcp.server.operation.duration"]
    common = {"mcp.protocol.version": IsStr(), "network.transport": "pipe"}
    call = {**common, "mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool"}
    found = [(dict(point.attributes), point.count) for point in points]
    for expected in (
        {**common, "mcp.method.name": "tools/list"},
        {**call, "gen_ai.tool.name": "ask_grok"},
        {**call, "gen_ai.tool.name": "ask_grok", "error.type": "tool_error"},
        {**call, "gen_ai.tool.name": "_OTHER", "error.type": "-32602"},
    ):
        assert (expected, 1) in found
    assert points[0].explicit_bounds[-2:] == (120, 300)


async def test_the_level_of_reasoning_is_what_was_asked_for(told: Told) -> None:
    async with Endpoint(chat("Hello.")) as endpoint, host_on(endpoint) as host:
        await host.ask(reasoning_effort="low")
        await host.ask()
    assert [(span.attributes or {}).get("gen_ai.request.reasoning.level") for span in told.spans] == [
        "low",
        None,
    ]


async def test_a_measured_call_costs_what_it_says(told: Told) -> None:
    async with Endpoint(chat("Hello.", usage=USAGE)) as endpoint, host_on(endpoint) as host:
        await host.ask()
        await host.ask()
    points = told.points()
    (cost,) = points["grok_mcp.cost_usd"]
    assert cost.attributes["grok_mcp.cost_source"] == "reported"
    assert cost.value == pytest.approx(0.005)
    assert sum(point.value for point in points["grok_mcp.active_calls"]) == 0


async def test_what_tools_at_the_endpoint_did_is_told_with_the_name_and_tier_of_the_answer(
    told: Told,
) -> None:
    counts = {"code_interpreter_calls": 2, "x_posts_fetched": 8, "file_search_calls": 1}
    response = {
        "object": "response",
        "id": "9f0c",
        "model": "grok-4.7",
        "service_tier": "priority",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi."}]}],
        "usage": {"input_tokens": 1, "output_tokens": 1, "server_side_tool_usage_details": counts},
    }
    async with Endpoint(body(response)) as endpoint, host_on(endpoint) as host:
        await host.ask()
    assert told.attributes == IsPartialDict(
        {
            "gen_ai.response.id": "9f0c",
            "grok_mcp.code_runs": 2,
            "grok_mcp.documents_searched": 1,
            "grok_mcp.service_tier": "priority",
            "grok_mcp.x_posts_fetched": 8,
        }
    )
    assert "grok_mcp.x_users_fetched" not in told.attributes


async def test_json_and_further_alternatives_are_told_as_such(told: Told) -> None:
    second = {"model": "grok-4.7", "choices": [{"index": 1, "delta": {"content": "B"}}]}
    end = {"choices": [{"index": 0, "finish_reason": "stop"}, {"index": 1, "finish_reason": "length"}]}
    first = {"model": "grok-4.7", "choices": [{"index": 0, "delta": {"content": '{"a":1}'}}]}
    async with Endpoint(stream(first, second, end)) as endpoint:
        async with host_on(endpoint) as host:
            await host.call("grok_structured", prompt="A?", schema={"type": "object"}, options={"n": 2})
    assert told.attributes == IsPartialDict(
        {
            "gen_ai.output.type": "json",
            "gen_ai.request.choice.count": 2,
            "gen_ai.response.finish_reasons": ("stop", "length"),
            "grok_mcp.tool": "grok_structured",
        }
    )


async def test_all_turns_of_a_conversation_have_one_id(told: Told) -> None:
    async with Endpoint(chat("Hello.")) as endpoint:
        async with host_on(endpoint) as host:
            handle = (await host.ask()).answer["conversation_id"]
            await host.ask(conversation_id=handle)
            await host.ask()
    first, second, other = [(span.attributes or {})["gen_ai.conversation.id"] for span in told.spans]
    assert first == second != other
    assert handle not in (first, other)


async def test_what_was_tried_again_is_an_event_in_the_one_span(told: Told) -> None:
    busy = body({"error": {"message": "busy"}}, status=503)
    async with Endpoint(busy, busy, chat("Hello.")) as endpoint:
        async with host_on(endpoint) as host:
            await host.ask()
    assert told.attributes["grok_mcp.attempts"] == 3
    assert "error.type" not in told.attributes
    assert [(event.name, dict(event.attributes or {})) for event in told.span.events] == [
        (
            "grok_mcp.attempt",
            {"error.type": "overloaded", "grok_mcp.attempt": number, "grok_mcp.dialect": "chat_completions"},
        )
        for number in (2, 3)
    ]


async def test_a_failure_is_its_code_and_no_word_more(told: Told) -> None:
    async with Endpoint(body({"error": {"message": "No such key: SECRET"}}, status=401)) as endpoint:
        async with host_on(endpoint) as host:
            result = await host.ask()
    assert result.error["code"] == "authentication"
    assert told.attributes["error.type"] == "authentication"
    assert (told.span.status.status_code, told.span.status.description) == (trace.StatusCode.ERROR, None)
    assert told.span.events == ()
    points = told.points()
    assert [point.attributes["error.type"] for point in points["gen_ai.client.operation.duration"]] == [
        "authentication"
    ]
    assert not {"gen_ai.client.token.usage", "grok_mcp.cost_usd"} & points.keys()


async def test_a_broken_answer_is_told_with_what_broke_it(told: Told) -> None:
    cut = chat("Half an ans", finish=None, done=False)
    async with Endpoint(cut) as endpoint:
        async with host_on(endpoint) as host:
            assert (await host.ask()).answer["finish_reason"] == "interrupted"
    assert told.span.status.status_code is trace.StatusCode.ERROR
    assert told.attributes == IsPartialDict(
        {"error.type": "interrupted", "gen_ai.response.finish_reasons": ("interrupted",)}
    )


async def test_the_deadline_is_told_as_timeout(told: Told) -> None:
    async with Endpoint(Reply(end="silent")) as endpoint:
        async with host_on(endpoint, timeout=0.2) as host:
            assert (await host.ask()).error["code"] == "timeout"
    assert told.attributes["error.type"] == "timeout"
    assert "gen_ai.response.model" not in told.attributes


async def test_a_cancelled_call_is_told_with_the_usage_seen_so_far(told: Told) -> None:
    some = {"model": "grok-4.7", "choices": [{"index": 0, "delta": {"content": "Hel"}}], "usage": USAGE}
    writing = anyio.Event()

    def observe(event: events.Event, added: str) -> None:
        if isinstance(event, events.UsageReported):
            writing.set()

    async with Endpoint(stream(some, done=False, end="hang")) as endpoint, grok_on(endpoint.url) as grok:
        with within(10):
            async with anyio.create_task_group() as group:
                group.start_soon(grok.complete, ASKED, Call(observe=observe))
                await writing.wait()
                assert sum(point.value for point in told.points()["grok_mcp.active_calls"]) == 1
                group.cancel_scope.cancel()
    assert told.span.status.status_code is trace.StatusCode.ERROR
    assert told.attributes == IsPartialDict(
        {
            "error.type": "cancelled",
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 50,
            "gen_ai.response.model": "grok-4.7",
            "grok_mcp.cost_usd": 0.0025,
        }
    )
    points = told.points()
    assert sum(point.value for point in points["grok_mcp.active_calls"]) == 0
    assert sum(point.sum for point in points["gen_ai.client.token.usage"]) == 150


async def test_nothing_of_what_is_asked_and_answered_is_told(told: Told) -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "needle_called", "arguments": '{"a":"needle"}'}}
    reply = stream(
        {"model": "grok-4.7", "choices": [{"index": 0, "delta": {"content": "A needle."}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]},
        {"choices": [{"index": 0, "finish_reason": "tool_calls"}], "citations": ["https://needle.example/"]},
    )
    refused = body({"error": {"message": "I do not like needle"}}, status=400)
    async with Endpoint(reply, refused) as endpoint:
        async with host_on(endpoint) as host:
            for _ in range(2):
                await host.ask(
                    "Where is the needle?",
                    instructions="Seek the needle.",
                    images=["https://needle.example/1.png"],
                    tools=[{"type": "function", "function": {"name": "needle_called", "parameters": {}}}],
                    options={"stop": ["needle"], "user": "needle"},
                )
    assert len(told.spans) == 2
    spans = [span.to_json() for span in told.exporter.get_finished_spans()]
    assert "needle" not in f"{spans} {told.points()}"


async def test_trace_context_goes_to_this_machine_only(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    state = trace.TraceState([("vendor", "theirs")])
    their_span = trace.SpanContext(
        0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1), trace_state=state
    )
    async with Endpoint(chat("Hello.")) as endpoint:
        async with grok_on(endpoint.url) as grok:
            with trace.use_span(trace.NonRecordingSpan(their_span)):
                token = context.attach(baggage.set_baggage("team", "ours"))
                await grok.complete(ASKED)
                context.detach(token)
        monkeypatch.setenv("HTTP_PROXY", endpoint.url)
        async with grok_on("http://gateway.example/v1") as grok:
            await grok.complete(ASKED)
    near, far = endpoint.requests
    ours = told.spans[0].context
    assert ours is not None
    assert near.headers["traceparent"] == f"00-{0xABC:032x}-{ours.span_id:016x}-01"
    assert not {"tracestate", "baggage"} & near.headers.keys()
    assert far.path == "http://gateway.example/v1/chat/completions"
    assert not {"traceparent", "tracestate", "baggage"} & far.headers.keys()
    assert (told.spans[1].attributes or {})["server.port"] == 80


async def test_a_trace_that_is_not_recorded_is_not_passed_on(told: Told) -> None:
    unsampled = trace.SpanContext(1, 1, is_remote=True, trace_flags=trace.TraceFlags(0))
    async with Endpoint(chat("Hello.", usage=USAGE)) as endpoint, grok_on(endpoint.url) as grok:
        with trace.use_span(trace.NonRecordingSpan(unsampled)):
            await grok.complete(ASKED)
    assert told.spans == []
    assert "traceparent" not in endpoint.requests[0].headers
    assert told.points()["grok_mcp.cost_usd"]  # what is measured does not depend on it


async def test_a_fault_of_the_sdk_reaches_no_call(told: Told) -> None:
    async with Endpoint(chat("Hello.")) as endpoint, grok_on(endpoint.url) as grok:
        told.faulty.broken = True
        assert (await grok.complete(ASKED)).text == "Hello."
        told.faulty.broken = False

        def breaks(event: events.Event, added: str) -> None:
            told.faulty.broken = True

        assert (await grok.complete(ASKED, Call(observe=breaks))).text == "Hello."
        assert not trace.get_current_span().is_recording()


async def test_a_fault_of_our_own_is_told_as_internal(told: Told) -> None:
    def fault(event: events.Event, added: str) -> None:
        raise ZeroDivisionError("needle")

    async with Endpoint(chat("Hello.")) as endpoint, grok_on(endpoint.url) as grok:
        with pytest.raises(ZeroDivisionError):
            await grok.complete(ASKED, Call(observe=fault))
    assert told.attributes["error.type"] == "internal"
    assert "needle" not in told.span.to_json()


async def test_a_model_name_is_told_in_one_line_of_bounded_length(told: Told) -> None:
    async with Endpoint(chat("Hello.")) as endpoint:
        async with host_on(endpoint) as host:
            await host.ask(model="a\nb" + "c" * 500)
    assert told.span.name == "chat a b" + "c" * 77


def test_the_page_names_all_that_is_told_and_nothing_else() -> None:
    root = Path(grok_mcp.__file__).parent
    name = r"(?:gen_ai|grok_mcp|server|error|mcp|network)\.[a-z_.]+[a-z]"
    told = set(re.findall(rf'"({name})"', (root / "pipeline" / "telemetry.py").read_text(encoding="utf-8")))
    page = (root.parent / "docs" / "telemetry.md").read_text(encoding="utf-8")
    assert len(told) > 30
    assert set(re.findall(rf"`({name})`", page)) == told


LOADED = "sorted({n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'opentelemetry.metrics'))})"
CALL = """
import sys
import anyio
from grok_mcp.errors import UpstreamConnectionError
from grok_mcp.pipeline.grok import Grok
from grok_mcp.messages import Call, ChatRequest, Message
from grok_mcp.settings import Settings

async def main():
    grok = Grok(Settings(XAI_BASE_URL="http://127.0.0.1:9", XAI_API_KEY="a-key", max_retries=0))
    try:
        await grok.complete(ChatRequest("grok-4.7", (Message("user", "Hi"),)))
    except UpstreamConnectionError as error:
        print(error.code)

anyio.run(main)
"""
CONFIGURE = """
import logging, os, sys, time
from opentelemetry import trace
from grok_mcp.serving import close_telemetry, configure_telemetry
logging.basicConfig(format="%(levelname)s %(message)s")
configure_telemetry()
"""


def python(code: str, **variables: str) -> tuple[str, str]:
    """What a process with these variables writes to stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout.strip(), done.stderr.strip()


def test_where_nobody_listens_a_call_loads_neither_sdk_nor_metrics() -> None:
    assert python(f"{CALL}print({LOADED})") == ("connection\n[]", "")


def test_nothing_is_set_up_that_was_not_asked_for() -> None:
    unasked = [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": " None "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "True"},
    ]
    code = f"""{CONFIGURE}
before = dict(os.environ)
for variables in {unasked}:
    os.environ.clear()
    os.environ.update(before | variables)
    configure_telemetry()
    print({LOADED})
"""
    assert python(code) == ("\n".join(["[]"] * len(unasked)), "")


RESOURCE = f"""{CONFIGURE}
found = trace.get_tracer_provider().resource.attributes
print(found["service.name"], found["service.version"], len(found["service.instance.id"]))
trace.get_tracer("any").start_span("one").end()
close_telemetry()
"""


@pytest.mark.parametrize(
    ("variables", "resource"),
    [
        ({}, f"grok-mcp-server {__version__} 36"),
        (
            {"OTEL_SERVICE_NAME": "ours", "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=7"},
            f"ours {__version__} 1",
        ),
    ],
)
def test_the_service_has_a_name_that_the_environment_can_change_and_the_console_is_not_stdout(
    variables: dict[str, str], resource: str
) -> None:
    out, err = python(RESOURCE, OTEL_TRACES_EXPORTER="console", **variables)
    assert (out, json.loads(err)["name"]) == (resource, "one")


def test_what_cannot_be_set_up_is_one_warning() -> None:
    code = f"""{CONFIGURE}
os.environ.update(OTEL_TRACES_EXPORTER="otlp", OTEL_EXPORTER_OTLP_PROTOCOL="carrier-pigeon")
configure_telemetry()
print(type(trace.get_tracer_provider()).__name__)
"""
    assert python(code, OTEL_TRACES_EXPORTER="zipkin") == (
        "ProxyTracerProvider",
        "WARNING telemetry is off: 'zipkin' in OTEL_TRACES_EXPORTER is not otlp, console or none\n"
        "WARNING telemetry is off: no exporter of traces is installed for the protocol that "
        "OTEL_ variables name",
    )


def test_an_sdk_that_somebody_else_has_set_up_is_left_alone(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "console")
    before = trace.get_tracer_provider(), metrics.get_meter_provider()
    telemetry_setup.configure_telemetry()
    assert (trace.get_tracer_provider(), metrics.get_meter_provider()) == before
    telemetry_setup.close_telemetry()
    assert trace.get_tracer("any").start_span("still").is_recording()
    assert caplog.records == []


def test_the_end_waits_for_a_silent_collector_for_no_longer_than_it_may() -> None:
    code = f"""{CONFIGURE}
trace.get_tracer("any").start_span("one").end()
logging.disable()
began = time.monotonic()
close_telemetry()
print(time.monotonic() - began)
"""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        out, _ = python(code, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    assert (
        telemetry_setup.CLOSE_S - 0.1 < float(out) < 9
    )  # the exporters alone wait for 10 s, and for each signal


def test_a_server_on_stdio_tells_all_before_it_ends_and_stdout_holds_nothing_but_json_rpc() -> None:
    with collector() as server:
        answers, stderr, status = session(
            INITIALIZE,
            INITIALIZED,
            ask(2),
            GROK_MCP_GATEWAY="sandbox",
            GROK_MCP_GRACE="60",
            OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
            OTEL_TRACES_EXPORTER="otlp, console",
            OTEL_METRICS_EXPORTER="otlp,console",
        )
    assert (len(answers), status) == (2, 0)

    sent = [ExportTraceServiceRequest.FromString(content) for content in server.received["/v1/traces"]]
    spans = [
        (scope.scope.name, span)
        for request in sent
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    (ours,) = [span for scope, span in spans if scope == "grok_mcp"]
    assert ours.name == "chat grok-4.7"
    assert ours.parent_span_id in [span.span_id for scope, span in spans if scope == "mcp-python-sdk"]

    measured = [ExportMetricsServiceRequest.FromString(content) for content in server.received["/v1/metrics"]]
    assert {
        metric.name
        for request in measured
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    } == {
        *(f"gen_ai.client.inference.operation.{kind}_tokens" for kind in ("input", "output")),
        *(f"gen_ai.client.inference.usage.{kind}_tokens" for kind in ("input", "output")),
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "mcp.server.operation.duration",
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "grok_mcp.active_calls",
        "grok_mcp.cost_usd",
    }

    lines = [json.loads(line) for line in stderr.splitlines()]  # each a whole span, or all metrics
    assert "chat grok-4.7" in [line.get("name") for line in lines]
    assert [line for line in lines if "resource_metrics" in line]
