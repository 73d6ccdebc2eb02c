"""Answers that are collected later: on every transport, by the right caller only, and at the end."""

import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult

from grok_mcp.serving.http.token_lines import new_token
from tests.network.redis import RedisServer, redis
from tests.network.server import (
    INITIALIZE,
    INITIALIZED,
    KEY,
    SERVE,
    Served,
    environment,
    in_process,
    modern,
    rpc,
    serving,
)
from tests.support.answers import sentence, slow
from tests.support.endpoint import Endpoint, Reply, chat
from tests.support.host import Result
from tests.support.pace import slowness, within

__all__ = ["redis"]

pytestmark = pytest.mark.anyio

WAIT_S = "0.4"
KINDS = ("stdio", "http-2026", "http-2025", "sse-2026", "sse-2025")


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint() as made:
        yield made


@pytest.fixture
def server(endpoint: Endpoint) -> Iterator[Served]:
    with serving(endpoint.url, GROK_MCP_WAIT=WAIT_S, GROK_MCP_GRACE="1.5") as served:
        yield served


async def called(client: Client, tool: str, **arguments: Any) -> Result:
    with within(20):
        raw = await client.call_tool(tool, arguments)
    assert isinstance(raw, CallToolResult)
    return Result(raw)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_slow_call_is_handed_over_and_collected_on_every_transport(
    kind: str, endpoint: Endpoint, request: pytest.FixtureRequest
) -> None:
    transport, _, era = kind.partition("-")
    mode = "legacy" if era == "2025" else "auto"
    reply = slow("It is ", "blue.")
    endpoint.replies = [reply]
    if transport == "stdio":
        variables = environment(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, GROK_MCP_WAIT=WAIT_S)
        program = StdioServerParameters(command=SERVE[0], args=[*SERVE[1:]], env=variables)
        client = Client(stdio_client(program), mode=mode)
    else:
        url = request.getfixturevalue("server").url
        client = Client(f"{url}/mcp" if transport == "http" else sse_client(f"{url}/sse"), mode=mode)
    async with client:
        answer_id, offset = sentence(await called(client, "ask_grok", prompt="Hi"))
        again = await called(client, "grok_result", answer_id=answer_id, offset=offset)
        reply.release.set()
        rest = await called(client, "grok_result", answer_id=answer_id, offset=offset)
    assert again.answer["finish_reason"] == "running"
    assert rest.text.startswith("blue.\n\n") and rest.answer["finish_reason"] == "stop"


async def test_a_handed_over_call_outlives_the_connection_that_it_came_with(
    server: Served, endpoint: Endpoint
) -> None:
    reply = slow("It is ", "blue.")
    endpoint.replies = [reply]
    async with Client(f"{server.url}/mcp", mode="legacy") as client:
        answer_id, offset = sentence(await called(client, "ask_grok", prompt="Hi"))
    await anyio.sleep(0.2)
    reply.release.set()
    async with Client(f"{server.url}/mcp") as client:
        rest = await called(client, "grok_result", answer_id=answer_id, offset=offset)
    assert rest.text.startswith("blue.\n\n")
    assert not endpoint.closed.is_set()


async def raw(http: httpx2.AsyncClient, token: str, tool: str, **arguments: Any) -> Any:
    request = modern(2, "tools/call", name=tool, arguments=arguments)
    request["headers"]["Authorization"] = f"Bearer {token}"
    answer = await http.post("/mcp", **request)
    assert answer.status_code == 200
    return answer.json()["result"] if "json" in answer.headers["content-type"] else _event(answer.text)


def _event(text: str) -> Any:
    (line,) = (line for line in text.splitlines() if line.startswith("data: {"))
    return json.loads(line.removeprefix("data: "))["result"]


async def test_another_caller_s_answer_is_as_unknown_as_one_that_never_was(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    tokens, lines = zip(*(new_token(name) for name in ("ann", "bob")), strict=True)
    file = tmp_path / "tokens"
    file.write_text("\n".join(lines) + "\n")
    running, long = slow("It is ", "blue."), chat("Some words. " * 500)
    endpoint.replies = [running, long]
    settings: dict[str, Any] = {"token_file": file, "wait": 0.3, "max_result_chars": 1_000}
    with in_process(XAI_BASE_URL=endpoint.url, **settings) as url:
        async with httpx2.AsyncClient(base_url=url, timeout=20) as http:
            ids = []
            for prompt in ("Hi", "Go on"):
                result = await raw(http, tokens[0], "ask_grok", prompt=prompt)
                ids.append(result["_meta"]["grok-mcp/answer"]["answer_id"])
            refusals = [
                await raw(http, tokens[1], "grok_result", answer_id=one, offset=0)
                for one in (*ids, "ans_AAAAAAAAAAAAAAAAAAAAAA")
            ]
            running.release.set()
            own = [await raw(http, tokens[0], "grok_result", answer_id=one) for one in ids]
    assert refusals[0]["isError"] and refusals[0] == refusals[1] == refusals[2]
    assert refusals[0]["content"][0]["text"].startswith("[answer_not_found] ")
    assert own[0]["content"][0]["text"].startswith("It is blue.")
    assert own[1]["content"][0]["text"].startswith("Some words.")


@pytest.mark.parametrize("ends", [True, False], ids=["ends in time", "never ends"])
async def test_a_server_that_ends_gives_what_others_can_collect_the_grace_period(
    ends: bool, redis: RedisServer, endpoint: Endpoint
) -> None:
    start, *rest = chat("It is ", "blue.").pieces
    reply = Reply((start, *rest), hold=1)
    endpoint.replies = [reply]
    variables: dict[str, Any] = {
        "GROK_MCP_WAIT": WAIT_S,
        "GROK_MCP_GRACE": "1.5",
        "GROK_MCP_REDIS_URL": redis.url,
    }
    with serving(endpoint.url, **variables) as one, serving(endpoint.url, **variables) as other:
        async with Client(f"{one.url}/mcp") as client:
            answer_id, _offset = sentence(await called(client, "ask_grok", prompt="Hi"))
        one.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        if ends:
            await anyio.sleep(0.3)
            reply.release.set()
        status = await anyio.to_thread.run_sync(one.status)
        took = time.monotonic() - told
        async with Client(f"{other.url}/mcp") as client:
            result = await called(client, "grok_result", answer_id=answer_id, offset=0)
    assert status == 0
    assert took < 6 * slowness() and (ends or took > 1.5)
    assert result.answer["finish_reason"] == ("stop" if ends else "interrupted")
    assert result.text.startswith("It is blue." if ends else "It is \n\nNote: The answer is incomplete: [int")
    assert one.lines[1:] == []


async def test_a_server_on_its_own_ends_at_once_because_nobody_can_collect_any_more(
    server: Served, endpoint: Endpoint
) -> None:
    endpoint.replies = [slow("It is ", "blue.")]
    async with Client(f"{server.url}/mcp") as client:
        sentence(await called(client, "ask_grok", prompt="Hi"))
    server.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert await anyio.to_thread.run_sync(server.status) == 0
    assert time.monotonic() - told < 3 * slowness()
    with within(5):
        await endpoint.closed.wait()
    assert server.lines[1:] == []


@asynccontextmanager
async def asked_on_stdio(endpoint: Endpoint, **settings: str) -> AsyncIterator[anyio.abc.Process]:
    """A process that has been asked something."""
    variables = environment(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, GROK_MCP_WAIT=WAIT_S, **settings)
    async with await anyio.open_process([*SERVE[:3]], env=variables) as process:
        assert process.stdin
        for message in (
            INITIALIZE,
            INITIALIZED,
            rpc(2, "tools/call", name="ask_grok", arguments={"prompt": "Hi"}),
        ):
            await process.stdin.send(json.dumps(message).encode() + b"\n")
        yield process


async def answer_of(process: anyio.abc.Process) -> bytes:
    assert process.stdout
    out = b""
    with within(30):
        while b'"id":2' not in out or not out.endswith(b"\n"):
            out += await process.stdout.receive()
    return out


@pytest.mark.parametrize("signalled", [True, False], ids=["SIGTERM", "end of input"])
async def test_on_stdio_where_nothing_is_kept_nobody_can_collect_any_more_so_the_end_comes_at_once(
    signalled: bool, endpoint: Endpoint
) -> None:
    endpoint.replies = [slow("It is ", "blue.")]
    async with asked_on_stdio(endpoint, GROK_MCP_KEEP="off") as process:
        assert process.stdin and process.stderr
        assert b'"finish_reason":"running"' in await answer_of(process)
        told = time.monotonic()
        if signalled:
            process.send_signal(signal.SIGTERM)
        else:
            await process.stdin.aclose()
        with within(8):
            assert await process.wait() == 0
        assert time.monotonic() - told < 5 * slowness()
        with within(5):
            await endpoint.closed.wait()
        err = b"".join([chunk async for chunk in process.stderr])
    assert err == b""


async def test_behind_the_end_of_input_a_call_is_not_handed_over_but_waited_for(endpoint: Endpoint) -> None:
    reply = slow("It is ", "blue.")
    endpoint.replies = [reply]
    async with asked_on_stdio(endpoint) as process:
        assert process.stdin
        with within(20):
            while not endpoint.requests:
                await anyio.sleep(0.01)
        await process.stdin.aclose()
        await anyio.sleep(2 * float(WAIT_S))
        reply.release.set()
        assert b"It is blue." in await answer_of(process)
        with within(8):
            assert await process.wait() == 0
