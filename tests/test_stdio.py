"""The program as a host runs it: a subprocess, JSON-RPC on its pipes, nothing else on stdout."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.sandbox import SandboxServer
from grok_mcp.tools import TOOLS
from tests.support.cli import unmeasured
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.host import Result
from tests.support.pace import within
from tests.support.payloads import payload_reply
from tests.support.stdio import COMMAND, INITIALIZE, INITIALIZED, ask, mcp_client, program, request, session


def test_a_raw_session_with_the_sandbox_answers_and_stdout_holds_nothing_but_json_rpc() -> None:
    with SandboxServer(pace=0) as url:
        answers, stderr, status = session(
            INITIALIZE,
            INITIALIZED,
            request(2, "tools/list"),
            ask(3, "Why is the sky blue?"),
            GROK_MCP_GATEWAY="sandbox",
            XAI_BASE_URL=url.url,
        )
    assert (stderr, status) == ("", 0)
    assert {answer["jsonrpc"] for answer in answers} == {"2.0"}
    by_id = {answer["id"]: answer["result"] for answer in answers}
    assert by_id[1]["protocolVersion"] == "2024-11-05"
    assert by_id[1]["instructions"]
    assert [tool["name"] for tool in by_id[2]["tools"]] == list(TOOLS)
    assert "Why is the sky blue?" in by_id[3]["content"][0]["text"]


def test_the_sandbox_gateway_needs_neither_key_nor_address() -> None:
    answers, stderr, status = session(INITIALIZE, INITIALIZED, ask(2), GROK_MCP_GATEWAY="sandbox")
    assert (stderr, status) == ("", 0)
    assert "Sandbox answer" in answers[-1]["result"]["content"][0]["text"]


def test_without_a_key_the_server_starts_lists_its_tools_and_a_call_names_the_variable() -> None:
    answers, stderr, status = session(INITIALIZE, INITIALIZED, request(2, "tools/list"), ask(3))
    assert (stderr, status) == ("", 0)
    assert len(answers[1]["result"]["tools"]) == len(TOOLS)
    result = answers[2]["result"]
    assert result["isError"] is True
    assert result["content"][0]["text"].startswith("[configuration] There is no API key")
    assert "XAI_API_KEY" in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("variables", "faults"),
    [
        ({"GROK_MCP_TIMEOUT": "soon"}, ["grok-mcp-server: GROK_MCP_TIMEOUT: "]),
        (
            {"GROK_MCP_GATEWAY": "x", "XAI_BASE_URL": "y", "XAI_API_KEY": "xai-never-shown"},
            ["grok-mcp-server: XAI_BASE_URL: ", "grok-mcp-server: GROK_MCP_GATEWAY: "],
        ),
    ],
)
def test_wrong_settings_are_one_line_each_on_stderr_and_status_2(
    variables: Mapping[str, str], faults: list[str]
) -> None:
    answers, stderr, status = session(INITIALIZE, **variables)
    assert (answers, status) == ([], 2)
    lines = stderr.splitlines()
    assert len(lines) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(lines, faults, strict=True))
    assert "never-shown" not in stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_server_without_a_way_to_its_client_says_so(closed: str) -> None:
    command = ["sh", "-c", f'exec "$0" -m grok_mcp {closed}', sys.executable]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=90, check=False)
    assert done.returncode == 2
    assert done.stderr == "grok-mcp-server: a server on stdio needs an open stdin and stdout\n"


def test_a_variable_that_is_no_setting_is_told_and_does_no_harm() -> None:
    answers, stderr, status = session(INITIALIZE, GROK_MCP_TIMOUT="5")
    assert (len(answers), status) == (1, 0)
    assert stderr == "grok-mcp-server: GROK_MCP_TIMOUT is not a setting of this version and has no effect\n"


def test_stdout_stays_clean_and_the_server_alive_whatever_comes_in() -> None:
    broken = "\\ud83d"
    answers, stderr, _ = session(
        INITIALIZE,
        INITIALIZED,
        b"{nonsense",
        b"[]",
        b'"text"',
        request(2, "no/such/method"),
        request(3, "tools/call", name="nope", arguments={}),
        request(4, "tools/call", name="ask_grok", arguments="text"),
        request(5, "tools/call", name="ask_grok", arguments={"prompt": []}),
        b'{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"ask_grok","arguments":'
        b'{"prompt":"half an emoji ' + broken.encode() + b'"}}}',
        request(7, "ping"),
    )
    by_id = {answer["id"]: answer for answer in answers if answer["id"] is not None}
    assert by_id[2]["error"]["code"] == -32601
    assert by_id[3]["error"]["code"] == -32602
    assert "error" in by_id[4]
    assert by_id[5]["result"]["isError"] is True
    assert "[configuration]" in by_id[6]["result"]["content"][0]["text"]
    assert by_id[7]["result"] == {}
    assert "Traceback" not in stderr


@pytest.mark.anyio
@pytest.mark.parametrize("form", ["text", "json"])
async def test_at_log_level_debug_nothing_of_a_request_upstream_reaches_stderr(form: str) -> None:
    key = "xai-never-logged-0815-4711-abcdefghijk"
    refused = body({"error": {"message": "no"}}, status=400, x_request_id="never-logged-either")
    async with Endpoint(chat("Hello."), refused) as endpoint:
        settings = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": key, "GROK_MCP_LOG_FORMAT": form}
        asks = (INITIALIZE, INITIALIZED, ask(2), ask(3))
        answers, stderr, status = await anyio.to_thread.run_sync(
            lambda: session(*asks, GROK_MCP_LOG_LEVEL="debug", **settings)
        )
    assert (len(answers), len(endpoint.requests), status) == (3, 2, 0)
    logged = stderr.lower()
    assert logged.count("call ended") == 2
    address = endpoint.url.split("/")[2]
    headers = ("authorization", "bearer", "user-agent", "content-type", "never-logged-either")
    for never in (key, address, "/chat/completions", *headers, "httpx", "httpcore"):
        assert never not in logged


def test_version_is_answered_without_starting_anything() -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, timeout=90, check=True)
    assert done.stdout.startswith("grok-mcp-server 0.")
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "grok_mcp", "--version"],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert "mcp.server" not in loaded.stderr and "pydantic" not in loaded.stderr


def test_the_server_lists_its_tools_without_loading_what_only_calls_need() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "grok_mcp"],
        input=b"".join(json.dumps(line).encode() + b"\n" for line in (INITIALIZE, request(2, "tools/list"))),
        env=unmeasured(),
        capture_output=True,
        timeout=90,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert "mcp.server.lowlevel" in loaded
    assert not loaded & {
        "mcp",
        "mcp.client",
        "mcp.server.mcpserver",
        "cryptography",
        "jsonschema_rs",
        "genai_prices",
        "stamina",
        "grok_mcp.sandbox",
        "grok_mcp.cli",
        "rich",
        "sqlite3",
        "platformdirs",
        "grok_mcp.accounting.sqlite",
        "grok_mcp.pipeline.evidence",
        "grok_mcp.pipeline.same_page",
        "grok_mcp.pipeline.steps",
        "httpcore2",
        "h11",
    }


IN_MANY_THREADS = """
import mcp
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as threads:
    list(threads.map(lambda _: (mcp.ClientSession, mcp.server.MCPServer), range(64)))
"""
AT_CROSS_PURPOSES = """
import mcp
from threading import Thread
from importlib import import_module
name, module = lambda: mcp.ClientSession, lambda: import_module("mcp.client.session")
threads = [Thread(target=name), Thread(target=module)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(30)
assert not any(thread.is_alive() for thread in threads)
"""
NOT_THERE = """
import mcp
try:
    mcp.nothing
except AttributeError as error:
    assert "nothing" in str(error)
"""
ASKED_FOR = {
    "an attribute": "import mcp; assert mcp.ClientSession and mcp.server.MCPServer",
    "a name": "from mcp import ClientSession; from mcp.server import MCPServer",
    "all names": "from mcp import *; from mcp.server import *; ClientSession, MCPServer",
    "in many threads": IN_MANY_THREADS,
    "by threads that wait for each other": AT_CROSS_PURPOSES,
    "what it does not have": NOT_THERE,
}
WITH_OURS = "import sys, grok_mcp.http; grok_mcp.http.create_app; assert 'mcp.client' not in sys.modules\n"


@pytest.mark.parametrize("code", ASKED_FOR.values(), ids=ASKED_FOR.keys())
def test_a_program_that_has_our_application_can_use_the_sdk_as_ever(code: str) -> None:
    subprocess.run([sys.executable, "-c", WITH_OURS + code], env=unmeasured(), timeout=90, check=True)


@pytest.mark.anyio
@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_the_sdk_s_client_gets_answers_and_progress_in_both_eras(legacy: bool) -> None:
    notes: list[tuple[float, str | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        notes.append((progress, message))

    reply = payload_reply("05_responses_stream_web_and_x_search.sse")
    async with Endpoint(reply) as endpoint:
        async with mcp_client(endpoint.url, legacy=legacy, GROK_MCP_PROGRESS="deltas") as client:
            assert client.protocol_version == ("2025-11-25" if legacy else "2026-07-28")
            called = await client.call_tool("grok_search", {"query": "Tram?"}, progress_callback=note)
            failed = await client.call_tool("grok_structured", {"prompt": "x", "schema": {"type": "foo"}})
    result = Result(called)
    told = "".join(message or "" for _, message in notes)
    assert result.text.startswith(told) and told.startswith("The council approved")
    assert result.answer == IsPartialDict(searched=True, model="grok-4.7")
    assert Result(failed).error["code"] == "invalid_argument"


async def read_answer(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    assert process.stdout is not None
    with within(15):
        line = await anyio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True)
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("end", ["end of input", "SIGTERM", "SIGHUP"])
async def test_a_call_in_flight_comes_back_interrupted_when_the_grace_is_over(end: str) -> None:
    slow = Reply(chat("So far, so good.").pieces[:1], end="hang")
    async with Endpoint(slow) as endpoint:
        with program(XAI_BASE_URL=endpoint.url, XAI_API_KEY="x", GROK_MCP_GRACE="0.5") as process:
            assert process.stdin is not None
            for message in (INITIALIZE, INITIALIZED, ask(2)):
                process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            await read_answer(process)
            with within(10):
                while not endpoint.requests:
                    await anyio.sleep(0.01)
            if end.startswith("SIG"):
                process.send_signal(signal.Signals[end])
            else:
                process.stdin.close()
                process.stdin = None
            answer = await read_answer(process)
            with within(10):
                status = await anyio.to_thread.run_sync(process.wait)
        await endpoint.closed.wait()
    text = answer["result"]["content"][0]["text"]
    assert text.startswith("So far, so good.\n\nNote: The answer is incomplete: [interrupted]")
    assert status == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
def test_who_wants_hanging_up_to_be_ignored_has_it_ignored() -> None:
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$0" -m grok_mcp', sys.executable],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    with process:
        for number in (1, 2):
            process.stdin.write(json.dumps(request(number, "ping")).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
            process.send_signal(signal.SIGHUP)
        process.stdin.close()
        assert process.wait(60) == 0


LONG = ('A "quoted" word, a \\ backslash, é, 🚀 and a tab\t.\n' * 30_000)[:-1]


@pytest.mark.anyio
async def test_a_long_answer_arrives_whole_beside_short_ones() -> None:
    async with Endpoint(chat(LONG), chat("Short.")) as endpoint:
        lines = (INITIALIZE, INITIALIZED, ask(2), ask(3), request(4, "ping"))
        answers, _, status = await anyio.to_thread.run_sync(
            lambda: session(*lines, XAI_BASE_URL=endpoint.url, XAI_API_KEY="x", GROK_MCP_MAX_RESULT_CHARS="0")
        )
    texts = [
        answer["result"]["content"][0]["text"] for answer in answers if "content" in answer.get("result", {})
    ]
    assert sorted(len(text) > 1_000_000 for text in texts) == [False, True]
    assert max(texts, key=len).startswith(f"{LONG}\n\n")
    assert {answer["id"] for answer in answers} == {1, 2, 3, 4}
    assert status == 0
