"""How the network is served: what is refused at the start, who may come in, health, what is logged."""

import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from click.testing import CliRunner
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult
from starlette.types import ASGIApp, Receive, Scope, Send

from grok_mcp.cli.main import cli
from grok_mcp.pipeline.grok import Grok
from grok_mcp.sandbox import SandboxServer
from grok_mcp.serving.http.app import create_app
from grok_mcp.serving.http.guards import InTurn
from grok_mcp.serving.http.listen import serve
from grok_mcp.serving.http.token_lines import new_token
from grok_mcp.settings import Settings
from tests.network.issuer import AUDIENCE, KEYS, Issuer
from tests.network.place import Place
from tests.network.redis import RedisServer, redis as redis
from tests.network.server import (
    KEY,
    UVICORN,
    exchange,
    in_process,
    modern,
    refused,
    serving,
    wire,
)
from tests.support.host import Result
from tests.support.pace import within

ELSEWHERE = "203.0.113.9"
FAULTY = (sys.executable, "-m", "tests.network.faulty")


@pytest.fixture(scope="module")
def outward() -> str:
    """An address of this machine that others can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = str(probe.getsockname()[0])
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has loopback addresses only")
    return address


def test_an_address_that_others_reach_is_not_served_without_authentication() -> None:
    status, lines = refused("--transport", "http", "--host", "0.0.0.0", "--port", "0")
    assert status == 2
    (line,) = lines
    assert line.startswith("grok-mcp-server: 0.0.0.0 is not a loopback address")
    assert "GROK_MCP_TOKEN_FILE" in line and "--insecure-no-auth" in line


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"transport": "http", "host": "192.0.2.7"}, "192.0.2.7 is not a loopback address"),
        ({"transport": "sse", "host": "::"}, ":: is not a loopback address"),
        ({"transport": "http", "host": "host.example"}, "host.example is not a loopback address"),
        ({"transport": "sse", "workers": 2}, "SSE needs one process"),
        ({"transport": "sse", "redis_url": "redis://127.0.0.1:1"}, "SSE needs one process"),
    ],
    ids=str,
)
def test_what_must_not_be_served_is_said_in_one_line(
    settings: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # else a server that is not refused would serve
        assert serve(Settings(**settings, port=taken.getsockname()[1])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"grok-mcp-server: {said}")


def test_a_port_that_is_taken_is_said_in_one_line_and_sse_may_have_sticky_workers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, lines = refused("--transport", "sse", "--workers", "2", "--sticky", "--port", port)
    assert (status, lines) == (
        1,
        [f"grok-mcp-server: can't listen at 127.0.0.1:{port}: Address already in use"],
    )


def test_whoever_spells_it_out_is_served_without_authentication(outward: str) -> None:
    flags = ("--host", "0.0.0.0", "--insecure-no-auth", "--allowed-hosts", "team.example:*")
    with SandboxServer(pace=0) as sandbox, serving(sandbox.url, *flags) as server:
        url = f"http://{outward}:{server.port}"
        assert exchange(url, wire({"Host": "team.example:8000"})).status == 200
        assert exchange(url, wire({"Host": f"{outward}:{server.port}"})).status == 421


def test_under_another_server_only_this_machine_is_served_without_authentication(outward: str) -> None:
    with SandboxServer(pace=0) as sandbox:
        with serving(sandbox.url, "--host", "0.0.0.0", command=UVICORN) as server:
            here, there = f"http://127.0.0.1:{server.port}", f"http://{outward}:{server.port}"
            assert exchange(here, wire()).status == 200
            assert exchange(here, wire({"X-Forwarded-For": ELSEWHERE})).status == 403
            away = exchange(there, wire())
            assert (away.status, "GROK_MCP_TOKEN_FILE" in away.body) == (403, True)
            assert exchange(there, wire({"X-Forwarded-For": "127.0.0.1"})).status == 403
            assert exchange(there, wire(method="GET", path="/sse")).status == 403


class WithoutClient:
    """A server on a socket of the file system does not know from where a request comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "client": None}, receive, send)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"X-Forwarded-For": "127.0.0.1, ::1"}, 200),
        ({"X-Forwarded-For": "127.0.0.1:4711"}, 200),
        ({"Forwarded": 'for=127.0.0.1;proto=https, for="[::1]:4711"'}, 200),
        ({"X-Forwarded-For": f"127.0.0.1, {ELSEWHERE}"}, 403),
        ({"X-Forwarded-For": "unknown"}, 403),
        ({"X-Forwarded-For": ""}, 403),
        ({"X-Forwarded-For": "2001:db8::1"}, 403),
        ({"X-Real-IP": ELSEWHERE}, 403),
        ({"Forwarded": f"for={ELSEWHERE};by=127.0.0.1"}, 403),
        ({"Forwarded": 'proto=https;For="[2001:db8::1]:443"'}, 403),
        ({"Forwarded": "proto=https"}, 403),
    ],
    ids=str,
)
def test_what_proxies_say_of_the_client_counts(headers: dict[str, str | None], status: int) -> None:
    with in_process() as url:
        assert exchange(url, wire(headers)).status == status


def test_a_client_of_whom_nothing_is_known_is_not_served_without_authentication() -> None:
    with in_process(WithoutClient) as url:
        assert exchange(url, wire()).status == 403


@pytest.mark.parametrize(
    ("settings", "good", "bad"),
    [
        ({"public_url": "https://Grok.Example/mcp"}, "grok.example grok.example:443", "grok.example:80"),
        ({"public_url": "https://grok.example:443/"}, "grok.example grok.example:443", "grok.example:8443"),
        ({"public_url": "http://grok.example:8080/mcp"}, "grok.example:8080", "grok.example evil.example"),
        ({"public_url": "http://[2001:db8::1]/mcp"}, "[2001:db8::1] [2001:db8::1]:80", "2001:db8::1"),
        ({"allowed_hosts": "a.example, b.example:*"}, "a.example b.example:9", "a.example:9 c.example"),
        ({"host": "192.0.2.7"}, "192.0.2.7 192.0.2.7:80 localhost:1 127.0.0.1 [::1]:2", "192.0.2.8"),
        ({"host": "0.0.0.0"}, "localhost", "0.0.0.0 0.0.0.0:80"),
    ],
    ids=str,
)
def test_only_hosts_that_are_ours_are_let_in(settings: dict[str, Any], good: str, bad: str) -> None:
    with in_process(**settings) as url:
        assert {host: exchange(url, wire({"Host": host})).status for host in good.split()} == dict.fromkeys(
            good.split(), 200
        )
        assert {exchange(url, wire({"Host": host})).status for host in bad.split()} == {421}


def test_pages_of_our_own_addresses_may_call() -> None:
    with in_process(public_url="https://grok.example/mcp", allowed_origins="https://team.example") as url:
        for origin in ("https://grok.example", "https://team.example", "http://localhost:6274"):
            assert exchange(url, wire({"Origin": origin})).status == 200
        for origin in ("http://grok.example", "https://grok.example:8443", "http://team.example"):
            assert exchange(url, wire({"Origin": origin})).status == 403


@pytest.mark.parametrize(
    ("told", "settings", "status", "key"),
    [
        ((200, {}), {}, 200, "works"),
        ((401, {}), {}, 503, "refused"),
        ((403, {}), {}, 503, "refused"),
        ((500, {}), {}, 200, "unknown"),
        ((200, {}), {"XAI_API_KEY": ""}, 503, "missing"),
    ],
    ids=["works", "refused", "forbidden", "unknown", "missing"],
)
def test_ready_is_who_has_a_key_that_is_not_known_to_fail(
    told: tuple[int, dict[str, str]], settings: dict[str, Any], status: int, key: str
) -> None:
    with Issuer() as upstream:  # any server of documents does
        upstream.documents = {"/v1/models": told}
        with in_process(XAI_BASE_URL=f"{upstream.url}/v1", **settings) as url:
            assert exchange(url, wire(method="GET", path="/healthz")).status == 200
            assert upstream.requests == [], "health is not the endpoint's"
            ready = httpx2.get(f"{url}/readyz")
            assert (ready.status_code, ready.json()["key"], ready.json()["closing"]) == (status, key, False)
            httpx2.get(f"{url}/readyz")
            assert len(upstream.requests) <= 1, "a probe may come every second"


@pytest.mark.parametrize("mark", ["team_blocked", "api_key_blocked", "api_key_disabled"])
def test_a_key_that_xai_has_blocked_is_not_ready(mark: str) -> None:
    told = {"team_blocked": False, "api_key_blocked": False, "api_key_disabled": False}
    with Issuer() as upstream:
        for blocked, status, key in ((False, 200, "works"), (True, 503, "refused")):
            upstream.documents = {"/v1/api-key": {**told, mark: blocked}}
            with in_process(gateway="xai", XAI_BASE_URL=f"{upstream.url}/v1") as url:
                ready = httpx2.get(f"{url}/readyz")
            assert (ready.status_code, ready.json()) == (
                status,
                {"ready": not blocked, "key": key, "closing": False},
            )


NOBODY: dict[str, Callable[[Path], object]] = {
    "missing": lambda file: None,
    "empty": lambda file: file.write_bytes(b""),
    "comments only": lambda file: file.write_text("# alice\n\n"),
    "a token in the clear": lambda file: file.write_text("alice:gmt_abcdefgh\n"),
    "JSON": lambda file: file.write_text('{"alice": "x"}'),
    "UTF-16": lambda file: file.write_text(f"alice:{'0' * 64}\n", encoding="utf-16"),
    "bytes": lambda file: file.write_bytes(bytes(range(256))),
    "a folder": lambda file: file.mkdir(),
    "a pipe": os.mkfifo,
    "huge": lambda file: file.write_text(f"alice:{'0' * 64}\n" * 20_000),
}


@pytest.mark.parametrize("kind", NOBODY)
def test_a_token_file_that_lets_nobody_in_stops_the_start(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tokens"
    NOBODY[kind](file)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve(Settings(token_file=file, transport="http", port=port)) == 2
        assert serve(Settings(token_file=file, transport="http", port=port, workers=2)) == 2
    for name, value in {"GROK_MCP_TOKEN_FILE": str(file), "XAI_API_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refused:
        create_app()
    assert refused.value.code == 2
    said = capsys.readouterr().err.splitlines()
    lines = {line for line in said if line.startswith("grok-mcp-server: GROK_MCP_TOKEN_FILE")}
    (line,) = lines
    assert str(file) in line and "grok-mcp-server token NAME" in line and "gmt_" not in line


def test_a_wrong_line_among_good_ones_stops_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"alice:{'0' * 64}\nnot a line\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert serve(Settings(token_file=file, transport="http", port=taken.getsockname()[1])) == 1


def readiness(url: str) -> tuple[int, str]:
    """The status of /readyz, and what it names as the problem."""
    ready = httpx2.get(f"{url}/readyz", timeout=20)
    assert ready.json()["ready"] is (ready.status_code == 200)
    return ready.status_code, ready.json().get("problem", "")


@pytest.mark.parametrize("kind", NOBODY)
def test_while_the_token_file_lets_nobody_in_nothing_is_ready(kind: str, tmp_path: Path) -> None:
    token, line = new_token("alice")
    file, aside = tmp_path / "tokens", tmp_path / "aside"
    file.write_text(line)
    with in_process(token_file=file, XAI_BASE_URL="http://127.0.0.1:1/v1") as url:
        assert readiness(url) == (200, "")
        file.rename(aside)
        NOBODY[kind](file)
        status, problem = readiness(url)
        assert (status, exchange(url, wire({"Authorization": f"Bearer {token}"})).status) == (503, 401)
        assert "token file" in problem
        if file.is_dir():
            file.rmdir()
        aside.replace(file)
        assert readiness(url) == (200, "")


def test_while_tokens_can_t_be_checked_nothing_is_ready(tmp_path: Path) -> None:
    with Issuer() as issuer:
        keys = issuer.documents.pop(KEYS)
        settings: dict[str, Any] = {"oauth_issuer": issuer.url, "public_url": AUDIENCE}
        with in_process(**settings, XAI_BASE_URL="http://127.0.0.1:1/v1") as url:
            status, problem = readiness(url)
            assert (status, "keys of the issuer" in problem) == (503, True)
            assert issuer.url not in problem
        file = tmp_path / "tokens"
        file.write_text(new_token("alice")[1])
        with in_process(**settings, token_file=file, XAI_BASE_URL="http://127.0.0.1:1/v1") as url:
            assert readiness(url) == (200, ""), "alice can call"
        issuer.documents[KEYS] = keys
        with in_process(**settings, XAI_BASE_URL="http://127.0.0.1:1/v1") as url:
            assert readiness(url) == (200, "")
            issuer.documents[KEYS] = (503, {})
            assert readiness(url) == (200, ""), "the keys are kept"


def test_while_the_redis_of_a_budget_is_away_nothing_is_ready(redis: RedisServer) -> None:
    settings: dict[str, Any] = {"redis_url": redis.url, "XAI_BASE_URL": "http://127.0.0.1:1/v1"}
    with in_process(**settings) as without, in_process(**settings, budget_usd_per_day=1) as url:
        assert (readiness(url), readiness(without)) == ((200, ""), (200, ""))
        redis.kill()
        status, problem = readiness(url)
        assert (status, "Redis" in problem) == (503, True)
        assert readiness(without) == (200, ""), "calls without a conversation are served"
        redis.start()
        deadline = time.monotonic() + 20
        while readiness(url)[0] != 200:
            assert time.monotonic() < deadline


def test_where_the_client_of_the_endpoint_can_t_be_built_nothing_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    garbage = tmp_path / "certificates.pem"
    garbage.write_text("nothing of the kind")
    monkeypatch.setenv("SSL_CERT_FILE", str(garbage))
    with in_process(XAI_BASE_URL="https://grok.example/v1") as url:
        ready = exchange(url, wire(method="GET", path="/readyz"))
    assert (ready.status, json.loads(ready.body)["key"]) == (503, "unknown")
    assert json.loads(ready.body)["problem"]


def test_an_endpoint_that_can_t_be_reached_leaves_the_server_ready() -> None:
    with in_process(XAI_BASE_URL="http://127.0.0.1:1/v1") as url:
        ready = httpx2.get(f"{url}/readyz")
    assert (ready.status_code, ready.json()["key"]) == (200, "unknown")


def test_a_closing_server_is_not_ready_and_takes_no_call() -> None:
    def close(grok: Grok) -> None:
        grok.in_flight.closing = True

    with in_process(prepare=close, XAI_BASE_URL="http://127.0.0.1:1/v1") as url:
        ready = httpx2.get(f"{url}/readyz")
        told = httpx2.post(
            f"{url}/mcp", **modern(1, "tools/call", name="ask_grok", arguments={"prompt": "Hi"})
        )
    assert (ready.status_code, ready.json()["closing"]) == (503, True)
    assert told.json()["result"]["_meta"]["grok-mcp/error"]["code"] == "overloaded"


def test_the_line_that_the_command_prints_lets_its_token_in(tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["token", "dora@example.com"]).output.split()
    token = next(word for word in said if word.startswith("gmt_"))
    line = next(word for word in said if word.startswith("dora@example.com:"))
    assert token not in line
    file = tmp_path / "tokens"
    file.write_text(line)
    with in_process(token_file=file) as url:
        assert exchange(url, wire({"Authorization": f"Bearer {token}"})).status == 200
        assert exchange(url, wire({"Authorization": f"bearer {token}"})).status == 200
        assert exchange(url, wire({"Authorization": f"Bearer {token}x"})).status == 401
        assert exchange(url, wire({"Authorization": f"Bearer {line.partition(':')[2]}"})).status == 401


@asynccontextmanager
async def client_of(place: Place, name: str, transport: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {place.tokens[name]}"}
    if transport == "sse":
        async with Client(sse_client(f"{place.server.url}/sse", headers=headers)) as client:
            yield client
    else:
        async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
            streams = streamable_http_client(f"{place.server.url}/mcp", http_client=http)
            async with Client(streams, mode="legacy" if transport == "legacy" else "auto") as client:
                yield client


async def ask(client: Client, **arguments: Any) -> Result:
    result = await client.call_tool("ask_grok", {"prompt": "Hi", **arguments})
    assert isinstance(result, CallToolResult)
    return Result(result)


@pytest.mark.anyio
@pytest.mark.parametrize(("first", "then"), [("http", "sse"), ("sse", "legacy"), ("legacy", "http")])
async def test_a_caller_keeps_his_conversation_on_another_transport_and_nobody_else_gets_it(
    first: str, then: str, place: Place
) -> None:
    async with client_of(place, "alice", first) as client:
        handle = (await ask(client)).answer["conversation_id"]
    async with client_of(place, "alice", then) as client:
        assert (await ask(client, conversation_id=handle)).answer["conversation_id"]
    async with client_of(place, "bob", then) as client:
        assert (await ask(client, conversation_id=handle)).error["code"] == "conversation_not_found"


def test_a_call_is_logged_with_its_caller_and_without_a_word_of_it(place: Place) -> None:
    place.call(place.tokens["bob"], prompt="My secret plan")
    line = place.server.line_with("call ended", "caller=bob", "outcome=stop")
    assert line.startswith("grok-mcp-server: INFO [") and "tool=ask_grok" in line
    place.call(place.issuer.token(sub="erin"))
    place.server.line_with("call ended", "caller=erin")
    assert not [line for line in place.server.lines if "secret plan" in line or "gmt_" in line]


def broken_call(**settings: str) -> list[str]:
    """What a server has logged that answered one call and broke in the next."""
    with SandboxServer(pace=0) as sandbox:
        with serving(sandbox.url, command=FAULTY, GROK_MCP_LOG_LEVEL="info", **settings) as server:
            for name, arguments in (("ask_grok", {"prompt": "Hi"}), ("grok_search", {"query": "Hi"})):
                request = modern(1, "tools/call", name=name, arguments=arguments)
                answer = httpx2.post(f"{server.url}/mcp", **request)
            server.line_with("Traceback")
    assert "two lines" not in answer.text and "[internal]" in answer.text
    return server.lines[1:]


def test_as_json_each_line_is_one_object_with_the_request_also_for_a_traceback() -> None:
    said: list[dict[str, Any]] = [json.loads(line) for line in broken_call(GROK_MCP_LOG_FORMAT="json")]
    assert {"time", "level", "logger", "message"} <= set.intersection(*map(set, said))
    (ended,) = [line for line in said if line["message"] == "call ended"]
    (broke,) = [line for line in said if "traceback" in line]
    assert (ended["tool"], ended["outcome"], ended["level"]) == ("ask_grok", "stop", "info")
    assert broke["level"] == "error" and "in two lines" in broke["traceback"]
    assert ended["request_id"] and broke["request_id"] and ended["request_id"] != broke["request_id"]


def test_as_text_a_traceback_is_one_line_as_well() -> None:
    said = broken_call()
    assert [line for line in said if not line.startswith("grok-mcp-server: ")] == []
    (broke,) = [line for line in said if "Traceback" in line]
    assert broke.startswith("grok-mcp-server: ERROR [") and "in two lines" in broke


@pytest.mark.anyio
async def test_of_a_crowd_the_first_need_not_wait_until_the_last_is_ready() -> None:
    steps: list[tuple[str, int]] = []

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        steps.append(("begins", scope["number"]))
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        steps.append(("ends", scope["number"]))

    admit, leaves = InTurn(served), anyio.CancelScope()

    async def comes(number: int) -> None:
        with leaves if number == 9 else anyio.CancelScope():
            await admit({"type": "http", "number": number}, _nothing, _nothing)

    with within(5):
        async with anyio.create_task_group() as crowd:
            for number in range(20):
                crowd.start_soon(comes, number)
            await anyio.lowlevel.checkpoint()
            leaves.cancel()
    begun = [number for step, number in steps if step == "begins"]
    assert begun == [number for number in range(20) if number != 9]
    assert steps.index(("ends", 0)) < steps.index(("begins", 19))


async def _nothing(*_: Any) -> Any:
    """Neither body nor response."""
