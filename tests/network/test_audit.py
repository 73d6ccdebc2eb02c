"""The audit stream: one line for each call, whatever becomes of it, before its answer goes out."""

import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp_types import ElicitResult
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from grok_mcp.audit.lines import line_of
from grok_mcp.audit.sinks import File
from grok_mcp.reports import CallReport
from grok_mcp.usage import COUNTS, Usage
from tests.network.fleet_of_callers import Fleet, fleet
from tests.network.scrape import scraped
from tests.network.server import KEY, SERVE, Served, environment, modern, refused, serving
from tests.support.collector import collector
from tests.support.endpoint import Endpoint
from tests.support.host import host_on
from tests.support.ledger import CENT, priced
from tests.support.pace import within

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="files and limits as POSIX has them"),
]
PROMPT = "A prompt that nobody else may read"
FIELDS = (
    *("time", "request_id", "caller", "group", "transport", "tool", "gateway", "model_asked", "model"),
    *("decision", "outcome", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
    *("cost_usd", "cost_source", "attempts", "duration_s"),
)
Line = dict[str, Any]
resource = pytest.importorskip("resource")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two processes that write one file."""
    with fleet(2, tmp_path_factory.mktemp("audited")) as made:
        yield made


def nothing_sent(outcome: str, decision: str, **more: Any) -> Line:
    return {"outcome": outcome, "decision": decision, "attempts": 0, "cost_usd": None} | more


def line(outcome: str = "stop", **more: Any) -> Line:
    return {"caller": "ann", "outcome": outcome, "decision": "admitted", "attempts": 1} | more


async def beyond_its_budget(fleet: Fleet) -> None:
    await fleet.call("bob", model="dear")
    await fleet.call("bob")


async def handed_over(fleet: Fleet) -> None:
    before = len(fleet.lines())
    assert "answer_id" in str(await fleet.call(model="held", prompt=PROMPT))
    assert len(fleet.lines()) == before  # it has not ended
    fleet.release()


ROWS: dict[str, tuple[Callable[[Fleet], Awaitable[object]], list[Line]]] = {
    "an answer": (
        lambda fleet: fleet.call(prompt=PROMPT),
        [
            line(
                tool="ask_grok",
                transport="streamable-http",
                gateway="generic",
                model="grok-4.7",
                model_asked="grok-4.7",
                group=None,
                input_tokens=10,
                cached_tokens=4,
                output_tokens=5,
                reasoning_tokens=2,
                cost_usd=0.01,
                cost_source="reported",
            )
        ],
    ),
    "a second attempt": (lambda fleet: fleet.call(model="busy"), [line(attempts=2, cost_usd=0.01)]),
    "half an answer": (lambda fleet: fleet.call(model="cut"), [line("interrupted", model_asked="cut")]),
    "a refused key": (lambda fleet: fleet.call(model="refused"), [line("authentication", cost_usd=None)]),
    "a wrong argument": (
        lambda fleet: fleet.call(temperature="hot"),
        [nothing_sent("invalid_argument", "arguments")],
    ),
    "a conversation that nobody knows": (
        lambda fleet: fleet.call(conversation_id="conv_" + 22 * "x"),
        [nothing_sent("conversation_not_found", "arguments")],
    ),
    "a call above the limit": (
        lambda fleet: fleet.call(max_output_tokens=400_000),
        [nothing_sent("call_limit", "call_limit")],
    ),
    "a tool that nobody has": (
        lambda fleet: fleet.call(tool="order_pizza"),
        [nothing_sent("unknown_tool", "arguments", tool="order_pizza", caller="ann")],
    ),
    "an answer_id that nobody knows": (
        lambda fleet: fleet.call(tool="grok_result", answer_id="ans_" + 22 * "x"),
        [nothing_sent("answer_not_found", "arguments", tool="grok_result")],
    ),
    "a budget that is spent": (
        beyond_its_budget,
        [line(caller="bob", cost_usd=2.0), nothing_sent("budget", "budget", caller="bob")],
    ),
    "a model that is not allowed": (
        lambda fleet: fleet.call("max", model="grok-4.7"),
        [nothing_sent("permission", "permission", caller="max", model_asked="grok-4.7")],
    ),
    "a call that is given up": (
        lambda fleet: fleet.give_up(prompt=PROMPT),
        [line("cancelled", model_asked="held")],
    ),
    "a call that is handed over": (handed_over, [line(model_asked="held", cost_usd=0.01)]),
}


@pytest.mark.parametrize("row", ROWS)
async def test_a_call_has_one_line_that_says_what_became_of_it(audited: Fleet, row: str) -> None:
    act, expected = ROWS[row]
    before = len(audited.lines()) if audited.audit.exists() else 0
    with within(30):
        await act(audited)
        while len(audited.lines()) < before + len(expected):
            await anyio.sleep(0.05)
    await anyio.sleep(0.1)
    found = audited.lines()[before:]
    assert [
        {name: one[name] for name in wanted} for one, wanted in zip(found, expected, strict=True)
    ] == expected
    for one in found:
        assert tuple(one) == FIELDS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"])
    text = audited.audit.read_text()
    assert PROMPT not in text and KEY not in text and "http:" not in text


async def test_the_line_is_there_before_the_answer(audited: Fleet) -> None:
    for _ in range(5):
        before = len(audited.lines())
        await audited.call("kim")
        assert len(audited.lines()) == before + 1


async def test_two_processes_that_write_at_once_tear_no_line(audited: Fleet) -> None:
    before = len(audited.lines())
    with within(60):
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(partial(audited.call, "kim", prompt=f"Question {number}", temperature="hot"))
    found = audited.lines()[before:]  # each is JSON
    assert len(found) == 40 and len({one["request_id"] for one in found}) == 40


def test_a_line_of_the_longest_names_is_one_that_a_pipe_takes_at_once() -> None:
    for character in ("\U0001f600", "\u00e9", '"', "\u2028", "\ud800", "x\n"):
        name = character * 255
        known: dict[str, Any] = dict.fromkeys(COUNTS, 10**15)
        counts = Usage(**known, cost_usd=Decimal("1.23456789012345678e-5"))
        report = CallReport(
            *(1e9, "0" * 8, name, name, "streamable-http", name, "openrouter", name, name),
            *("conversation_not_found", "configuration", counts, 123456.789, 99),
        )
        line = line_of(report)
        assert len(line) <= 4096 and line.isascii() and line.count(b"\n") == 1
        assert json.loads(line)["caller"] == json.loads(line)["group"]


def test_the_file_is_for_its_owner_only(audited: Fleet) -> None:
    assert stat.S_IMODE(audited.audit.stat().st_mode) == 0o600


async def test_a_file_that_is_moved_away_is_begun_anew(audited: Fleet) -> None:
    await audited.call("kim")
    moved = audited.audit.rename(audited.audit.with_suffix(".1"))
    size = moved.stat().st_size
    for _ in range(6):
        await audited.call("kim", temperature="hot")
    assert len(audited.lines()) == 6 and moved.stat().st_size == size
    assert stat.S_IMODE(audited.audit.stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint(priced(CENT)) as endpoint:
        yield endpoint


def ask(server: Served) -> str:
    """The text of an answer, over HTTP."""
    request = modern(1, "tools/call", name="ask_grok", arguments={"prompt": PROMPT})
    answer = httpx2.post(f"{server.url}/mcp", timeout=60, **request).json()
    text: str = answer["result"]["content"][0]["text"]
    return text


def full(server: Served, size: int) -> None:
    """Let no file of the server grow beyond this, as on a disk that is full; -1 makes room again."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, -1))


@pytest.mark.parametrize("strict", ["off", "on"])
async def test_a_disk_that_is_full(endpoint: Endpoint, tmp_path: Path, strict: str) -> None:
    await anyio.to_thread.run_sync(fill, endpoint, tmp_path, strict)


def fill(endpoint: Endpoint, folder: Path, strict: str) -> None:
    file = folder / "audit.jsonl"
    settings: dict[str, Any] = {
        "GROK_MCP_AUDIT": str(file),
        "GROK_MCP_AUDIT_STRICT": strict,
        "GROK_MCP_METRICS": "on",
    }
    with serving(endpoint.url, **settings) as server:
        assert ask(server).startswith("Hi.")
        full(server, file.stat().st_size + 20)
        asked = len(endpoint.requests)
        assert ask(server).startswith("Hi.")  # nobody knew before its end
        texts = [ask(server), ask(server)]
        told = server.line_with("the audit stream can't be written")
        if strict == "off":
            assert [text[:3] for text in texts] == ["Hi.", "Hi."]
            assert "lines are lost" in told
            while scraped(server.url, None)['grok_mcp_audit_lines_total{result="lost"}'] < 3:
                time.sleep(0.1)
        else:
            assert all(text.startswith("[overloaded] The audit stream") for text in texts)
            assert len(endpoint.requests) == asked + 1 and "no call begins" in told
        full(server, -1)
        assert ask(server).startswith("Hi.")
        server.line_with("the audit stream is written again")
        assert len([line for line in server.lines if "can't be written" in line]) == 1
    lines = [one for one in file.read_text().splitlines() if one.endswith("}")]
    outcomes = [json.loads(one)["outcome"] for one in lines]
    # A strict stream loses none: what could not be written is written when it can be.
    assert outcomes == (
        ["stop"] * 2 if strict == "off" else ["stop", "stop", "overloaded", "overloaded", "stop"]
    )
    if strict == "on":
        assert [json.loads(one)["decision"] for one in lines][2:4] == ["audit", "audit"]


async def test_a_folder_that_is_gone_refuses_calls_of_a_strict_stream_until_it_is_back(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    file = tmp_path / "gone" / "audit.jsonl"

    def check() -> None:
        with serving(endpoint.url, GROK_MCP_AUDIT=str(file), GROK_MCP_AUDIT_STRICT="on") as server:
            server.line_with("the audit stream can't be written", "No such file")
            asked = len(endpoint.requests)
            assert "[overloaded]" in ask(server) and len(endpoint.requests) == asked
            file.parent.mkdir()
            assert ask(server).startswith("Hi.")

    await anyio.to_thread.run_sync(check)
    assert [json.loads(one)["decision"] for one in file.read_text().splitlines()] == ["audit", "admitted"]


async def test_what_is_no_file_is_not_written_to(endpoint: Endpoint, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with host_on(endpoint, audit=str(pipe), audit_strict="on") as host:
        assert "[overloaded]" in (await host.call("ask_grok", prompt="Hi")).text


async def test_a_disk_that_hangs_holds_up_no_call(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    write = File.write

    def slow(file: File, report: CallReport) -> None:
        answers.wait(20)
        write(file, report)

    monkeypatch.setattr(File, "write", slow)
    file = tmp_path / "audit.jsonl"
    async with host_on(endpoint, audit=str(file)) as host:
        with within(8):
            for _ in range(5):
                await host.call("ask_grok", prompt="Hi")
        assert file.read_text() == ""
        answers.set()
    assert len(file.read_text().splitlines()) == 5


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_lines_go_to_a_standard_stream(endpoint: Endpoint, stream: str) -> None:
    def check() -> str:
        named = {"GROK_MCP_TRANSPORT": "http", "GROK_MCP_PORT": "0", "GROK_MCP_AUDIT": stream}
        variables = environment(XAI_API_KEY=KEY, XAI_BASE_URL=endpoint.url, **named)
        pipe = subprocess.PIPE
        process = subprocess.Popen(SERVE, stdout=pipe, stderr=pipe, text=True, env=variables)
        assert process.stderr
        url = re.search(r"http://[\w.]+:\d+", process.stderr.readline())
        assert url
        request = modern(1, "tools/call", name="ask_grok", arguments={"prompt": PROMPT})
        assert httpx2.post(f"{url[0]}/mcp", **request, timeout=60).status_code == 200
        process.terminate()
        out, err = process.communicate(timeout=30)
        return out if stream == "stdout" else err

    (found,) = (await anyio.to_thread.run_sync(check)).splitlines()
    assert json.loads(found)["outcome"] == "stop"


def test_on_stdio_stdout_is_refused_at_the_start() -> None:
    status, lines = refused(GROK_MCP_AUDIT="stdout")
    assert (status, lines) == (
        2,
        ["grok-mcp-server: GROK_MCP_AUDIT: stdout belongs to JSON-RPC on stdio: name stderr or a file"],
    )


async def test_a_call_from_a_shell_has_its_line_too_and_stdout_holds_the_answer_alone(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"

    async def shell(audit: str) -> "subprocess.CompletedProcess[bytes]":
        variables = environment(XAI_API_KEY=KEY, XAI_BASE_URL=endpoint.url, GROK_MCP_AUDIT=audit)
        command = [sys.executable, "-m", "grok_mcp", "ask", PROMPT]
        return await anyio.run_process(command, env=variables, check=False)

    done = await shell(str(file))
    assert (done.returncode, done.stdout.strip()) == (0, b"Hi.")
    (found,) = map(json.loads, file.read_text().splitlines())
    assert (found["transport"], found["caller"], found["outcome"]) == ("shell", "local", "stop")
    done = await shell("stdout")
    assert done.returncode == 2 and b"GROK_MCP_AUDIT" in done.stderr and done.stdout == b""


async def test_the_same_call_that_joins_another_has_a_line_without_its_cost(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    async with Endpoint(priced(CENT)) as slow:
        slow.replies[0].hold = 0
        async with host_on(slow, audit=str(file)) as host:
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(partial(host.call, "ask_grok", prompt="Hi"))
                await anyio.sleep(0.3)
                slow.replies[0].release.set()
    lines = [json.loads(one) for one in file.read_text().splitlines()]
    assert sorted((one["decision"], one["cost_usd"]) for one in lines) == [
        ("admitted", 0.01),
        ("joined", None),
    ]


async def test_what_collects_an_answer_has_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    async with Endpoint(priced(CENT)) as slow:
        slow.replies[0].hold = 0
        async with host_on(slow, audit=str(file), wait=0.2) as host:
            text = (await host.call("ask_grok", prompt="Hi")).text
            found = re.search(r"ans_[\w-]{22}", text)
            assert found
            await host.call("grok_result", answer_id=found[0])
            slow.replies[0].release.set()
            await host.call("grok_result", answer_id=found[0])
    lines = [json.loads(one) for one in file.read_text().splitlines()]
    kinds = sorted((one["tool"], one["decision"], one["outcome"], one["cost_usd"]) for one in lines)
    assert kinds == [
        ("ask_grok", "admitted", "stop", 0.01),
        ("grok_result", "collected", "running", None),
        ("grok_result", "collected", "stop", None),
    ]


async def test_a_server_without_a_key_and_one_that_closes_say_so(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    async with Endpoint(priced(CENT)) as unused:
        async with host_on(unused, audit=str(file), XAI_API_KEY="") as host:
            await host.call("ask_grok", prompt="Hi")
            host.grok.in_flight.closing = True
            await host.call("ask_grok", prompt="Hi")
    lines = [json.loads(one) for one in file.read_text().splitlines()]
    assert [(one["decision"], one["outcome"]) for one in lines] == [
        ("key", "configuration"),
        ("closing", "overloaded"),
    ]


async def test_lines_go_to_a_collector_over_otlp(endpoint: Endpoint) -> None:
    with collector() as received:
        variables: dict[str, Any] = {
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{received.url}/v1/logs",
            "GROK_MCP_AUDIT": "otlp",
        }

        def check() -> None:
            with serving(endpoint.url, **variables) as server:
                ask(server)

        await anyio.to_thread.run_sync(check)
        sent = [ExportLogsServiceRequest.FromString(content) for content in received.received["/v1/logs"]]
    (record,) = [
        record
        for request in sent
        for one in request.resource_logs
        for scope in one.scope_logs
        for record in scope.log_records
    ]
    attributes = {one.key: one.value for one in record.attributes}
    assert record.event_name == "grok_mcp.call" and record.body.string_value == "ask_grok stop"
    assert attributes["grok_mcp.caller"].string_value == "local"
    assert attributes["grok_mcp.cost_usd"].double_value == 0.01
    assert PROMPT not in str(sent)


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "before"])
@pytest.mark.parametrize("agrees", [True, False])
async def test_a_call_whose_user_is_asked_first_has_a_line_for_each_request(
    endpoint: Endpoint, tmp_path: Path, legacy: bool, agrees: bool
) -> None:
    file = tmp_path / "audit.jsonl"

    async def answer(*asked: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={}) if agrees else ElicitResult(action="decline")

    settings: dict[str, Any] = {"call_limit_usd": "0.01", "audit": str(file)}
    async with host_on(endpoint, legacy=legacy, elicitation=answer, **settings) as host:
        await host.call("ask_grok", prompt="Hi", max_output_tokens=100_000)
    lines = [json.loads(one) for one in file.read_text().splitlines()]
    end = ("admitted", "stop") if agrees else ("call_limit", "call_limit")
    asked = [] if legacy else [("asked", "input_required")]  # since then the question is a result
    assert [(one["decision"], one["outcome"]) for one in lines] == [*asked, end]
