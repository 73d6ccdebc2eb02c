"""The same behaviours on every transport and in both eras of the protocol, through real sockets."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import pairwise
from typing import Any

import anyio
import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, PromptReference, TextContent, TextResourceContents

from grok_mcp.server.connection import GONE_AFTER_S
from grok_mcp.server.prompts import PROMPTS
from grok_mcp.skills import load_skills
from grok_mcp.tools import TOOLS
from tests.network.server import (
    BOTH_FORMS,
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
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.host import Result
from tests.support.pace import slowness, within
from tests.support.skills import SKILLS, asked, declared, read

pytestmark = pytest.mark.anyio

KINDS = ("stdio", "http-2026", "http-2025", "sse-2026", "sse-2025")
SOON_S = 1.0
ASK = {"name": "ask_grok", "arguments": {"prompt": "Hi"}}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_endpoint() -> AsyncIterator[Endpoint]:
    def next_reply(request: Request) -> Reply:
        return made.replies.pop(0)

    made = Endpoint(choose=next_reply)
    async with made:
        yield made


@pytest.fixture(scope="module")
def server(shared_endpoint: Endpoint) -> Iterator[Served]:
    with serving(shared_endpoint.url, GROK_MCP_PROGRESS="deltas") as served:
        yield served


@pytest.fixture
def endpoint(shared_endpoint: Endpoint) -> Endpoint:
    """The endpoint as if it was new."""
    shared_endpoint.requests.clear()
    shared_endpoint.closed = anyio.Event()
    return shared_endpoint


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest, server: Served, endpoint: Endpoint) -> AsyncIterator[Client]:
    """The SDK's client on each transport, in both eras."""
    transport, _, era = request.param.partition("-")
    mode = "legacy" if era == "2025" else "auto"
    if transport == "http":
        client = Client(f"{server.url}/mcp", mode=mode)
    elif transport == "sse":
        client = Client(sse_client(f"{server.url}/sse"), mode=mode)
    else:
        variables = environment(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, GROK_MCP_PROGRESS="deltas")
        program = StdioServerParameters(command=SERVE[0], args=[*SERVE[1:]], env=variables)
        client = Client(stdio_client(program), mode=mode)
    async with client:
        assert client.protocol_version == {"2025": "2025-11-25"}.get(era, "2026-07-28")
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> Result:
    with within(20):
        raw = await client.call_tool(tool, arguments)
    assert isinstance(raw, CallToolResult)
    return Result(raw)


async def until_asked(endpoint: Endpoint) -> None:
    with within(10):
        while not endpoint.requests:
            await anyio.sleep(0.01)


async def closed_after(endpoint: Endpoint) -> float:
    """Seconds from now until the server has closed its connection to the endpoint."""
    started = time.monotonic()
    with within(20):
        await endpoint.closed.wait()
    return time.monotonic() - started


async def test_tools_and_resources_are_listed_and_the_list_of_models_is_read(
    client: Client, endpoint: Endpoint
) -> None:
    endpoint.replies = [body({"data": [{"id": "grok-4.7"}, {"id": "grok-of-the-test"}]})]
    tools = await client.list_tools()
    resources = await client.list_resources()
    models = await client.read_resource("grok://models")
    assert [tool.name for tool in tools.tools] == list(TOOLS)
    assert "grok://models" in [str(resource.uri) for resource in resources.resources]
    (content,) = models.contents
    assert isinstance(content, TextResourceContents) and "grok-4.7" in content.text


async def test_skills_are_listed_got_and_read_where_the_version_has_them(client: Client) -> None:
    review = "skill://grok-review/SKILL.md"
    text = await read(client, review)
    assert text == load_skills()["grok-review"].text
    if client.protocol_version != "2026-07-28":
        assert declared(client) == {}
        for method in ("skills/list", "skills/get"):
            with pytest.raises(MCPError, match="Method not found"):
                await asked(client, method, uri=review)
        return
    assert SKILLS in declared(client)
    listed = {skill["uri"]: skill for skill in (await asked(client, "skills/list"))["skills"]}
    assert [skill["frontmatter"]["name"] for skill in listed.values()] == list(load_skills())
    assert (await asked(client, "skills/get", uri=review))["skill"] == listed[review]
    digest = f"sha256:{sha256(text.encode()).hexdigest()}"
    assert listed[review]["resources"] == [{"uri": review, "digest": digest, "size": len(text.encode())}]
    with pytest.raises(MCPError, match=r"Unknown skill: skill://x/SKILL\.md"):
        await asked(client, "skills/get", uri="skill://x/SKILL.md")


async def test_prompts_are_listed_filled_in_and_completed(client: Client, endpoint: Endpoint) -> None:
    prompts = (await client.list_prompts()).prompts
    (message,) = (await client.get_prompt("fact_check", {"claim": "Water is wet."})).messages
    found = await client.complete(PromptReference(name="news_brief"), {"name": "period", "value": "m"})
    with pytest.raises(MCPError, match="fact_check: claim is missing"):
        await client.get_prompt("fact_check", {})
    assert [prompt.name for prompt in prompts] == list(PROMPTS)
    assert isinstance(message.content, TextContent) and "Water is wet." in message.content.text
    assert found.completion.values == ["month"]
    assert endpoint.requests == []


async def test_the_whole_configuration_is_shown_on_stdio_only(
    client: Client, request: pytest.FixtureRequest
) -> None:
    (content,) = (await client.read_resource("grok://config")).contents
    assert isinstance(content, TextResourceContents) and KEY not in content.text
    document = json.loads(content.text)
    if request.node.callspec.params["client"] == "stdio":
        assert document["key"] == {"usable": True, "from": "XAI_API_KEY"}
        assert document["settings"]["progress"] == {"value": "deltas", "from": "GROK_MCP_PROGRESS"}
    else:
        assert "key" not in document
        assert document["settings"]["progress"] == "deltas"


async def test_notes_arrive_in_order_while_the_endpoint_still_writes(
    client: Client, endpoint: Endpoint
) -> None:
    reply = chat("Once ", "upon ", "a ", "time.")
    reply.hold = 3  # the last words and the end come only when a note has arrived
    endpoint.replies = [reply]
    notes: list[tuple[float, str]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        notes.append((progress, message or ""))
        reply.release.set()

    with within(10):
        result = await client.call_tool("ask_grok", {"prompt": "Hi"}, progress_callback=note)
    assert isinstance(result, CallToolResult)
    text = "".join(message for _, message in notes)
    assert text and Result(result).text.startswith(text) and "Once upon a time." in Result(result).text
    assert all(one < other for (one, _), (other, _) in pairwise(notes))


async def test_a_refusal_is_an_error_result_and_a_conversation_goes_on(
    client: Client, endpoint: Endpoint
) -> None:
    refusal = body({"error": {"message": "Incorrect API key provided"}}, status=401)
    endpoint.replies = [refusal, chat("It is blue."), chat("By scattering.")]
    refused = await called(client, "ask_grok", prompt="Hi")
    first = await called(client, "ask_grok", prompt="Which colour has the sky?")
    second = await called(client, "ask_grok", prompt="Why?", conversation_id=first.answer["conversation_id"])
    assert (refused.error["code"], refused.error["status"]) == ("authentication", 401)
    assert second.text.startswith("By scattering.")
    sent = [turn["content"] for turn in endpoint.requests[-1].body["messages"]]
    assert sent[-3:] == ["Which colour has the sky?", "It is blue.", "Why?"]


async def test_half_a_surrogate_pair_in_an_answer_is_a_replacement_character(
    client: Client, endpoint: Endpoint
) -> None:
    endpoint.replies = [
        chat(r'{"a": "x \ud83d y", "\ude00": ["\ud83d\ude00", "\ud83d"]}'),
        chat("Still here."),
    ]
    with within(20):
        result = await client.call_tool("grok_structured", {"prompt": "Hi", "schema": {"type": "object"}})
    assert isinstance(result, CallToolResult) and isinstance(result.structured_content, dict)
    assert result.structured_content["data"] == {"a": "x \ufffd y", "\ufffd": ["\U0001f600", "\ufffd"]}
    assert (await called(client, "ask_grok", prompt="Hi")).text.startswith("Still here.")


async def test_a_call_that_its_client_cancels_closes_the_connection_upstream(
    client: Client, endpoint: Endpoint
) -> None:
    endpoint.replies = [Reply(end="hang")]
    async with anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "ask_grok", {"prompt": "Hi"})
        await until_asked(endpoint)
        group.cancel_scope.cancel()
    assert await closed_after(endpoint) < SOON_S * slowness()
    endpoint.replies = [chat("Still here.")]
    assert (await called(client, "ask_grok", prompt="Hi")).text.startswith("Still here.")


@asynccontextmanager
async def handshake(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client in a session of 2025-11-25, where the server keeps sessions."""
    headers = {"Accept": BOTH_FORMS, "MCP-Protocol-Version": "2025-11-25"}
    async with httpx2.AsyncClient(headers=headers, base_url=url) as http:
        opened = await http.post("/mcp", json=INITIALIZE)
        if session := opened.headers.get("mcp-session-id"):
            http.headers["Mcp-Session-Id"] = session
        await http.post("/mcp", json=INITIALIZED)
        yield http


@asynccontextmanager
async def streamed(
    http: httpx2.AsyncClient, request: dict[str, Any], endpoint: Endpoint
) -> AsyncIterator[httpx2.Response]:
    """The response of a call, given up at the end of the block."""
    async with anyio.create_task_group() as group:
        async with http.stream("POST", "/mcp", **request) as response:
            await until_asked(endpoint)
            yield response
        group.cancel_scope.cancel()


async def test_a_stream_of_2025_that_is_closed_ends_its_call_only_after_a_while(
    server: Served, endpoint: Endpoint
) -> None:
    endpoint.replies = [Reply(end="hang")]
    async with handshake(server.url) as http:
        async with streamed(http, {"json": rpc(2, "tools/call", **ASK)}, endpoint):
            pass
        assert GONE_AFTER_S - 2 < await closed_after(endpoint) < GONE_AFTER_S + 2


async def test_a_call_of_2025_that_was_cancelled_by_notification_ends_at_once(
    server: Served, endpoint: Endpoint
) -> None:
    endpoint.replies = [Reply(end="hang")]
    notice = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
    async with handshake(server.url) as http:
        async with streamed(http, {"json": rpc(2, "tools/call", **ASK)}, endpoint):
            assert (await http.post("/mcp", json=notice)).status_code == 202
            assert await closed_after(endpoint) < SOON_S * slowness()


async def test_a_client_that_takes_json_only_gets_json_also_where_its_session_ends(
    server: Served, endpoint: Endpoint
) -> None:
    endpoint.replies = [Reply(end="hang")]
    async with handshake(server.url) as http:
        responses: list[httpx2.Response] = []

        async def call() -> None:
            json_only = {"Accept": "application/json"}
            responses.append(await http.post("/mcp", json=rpc(2, "tools/call", **ASK), headers=json_only))

        with within(20):
            async with anyio.create_task_group() as group:
                group.start_soon(call)
                await until_asked(endpoint)
                assert (await http.delete("/mcp")).status_code == 200
    (response,) = responses
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["code"] == -32603


async def test_a_stream_of_2026_that_is_closed_ends_its_call_at_once(
    server: Served, endpoint: Endpoint
) -> None:
    endpoint.replies = [Reply(chat("So far.").pieces[:1], end="hang")]
    async with httpx2.AsyncClient(base_url=server.url) as http:
        async with streamed(http, modern(2, "tools/call", token=7, **ASK), endpoint) as response:
            assert response.headers["x-accel-buffering"] == "no"
        assert await closed_after(endpoint) < SOON_S * slowness()


async def test_dropping_the_sse_connection_ends_its_calls_at_once(server: Served, endpoint: Endpoint) -> None:
    endpoint.replies = [Reply(end="hang")]
    async with httpx2.AsyncClient(base_url=server.url) as http:
        async with http.stream("GET", "/sse") as events:
            assert events.headers["x-accel-buffering"] == "no"
            lines = events.aiter_lines()
            place = next(line.removeprefix("data: ") for line in [await anext(lines), await anext(lines)][1:])
            for message in (INITIALIZE, INITIALIZED, rpc(2, "tools/call", **ASK)):
                assert (await http.post(place, json=message)).status_code == 202
            await until_asked(endpoint)
        assert await closed_after(endpoint) < SOON_S * slowness()


async def test_streams_of_2025_are_not_to_be_buffered(server: Served, endpoint: Endpoint) -> None:
    endpoint.replies = [chat("Hello.")]
    async with handshake(server.url) as http:
        answer = await http.post("/mcp", json=rpc(2, "tools/call", **ASK))
        async with http.stream("GET", "/mcp") as idle:
            assert idle.headers["x-accel-buffering"] == "no"
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("shared", [{"workers": 2}, {"redis_url": "redis://127.0.0.1:1/0"}], ids=str)
async def test_where_processes_share_the_clients_no_session_is_kept(
    shared: dict[str, Any], endpoint: Endpoint
) -> None:
    endpoint.replies = [Reply(end="hang")]
    with in_process(XAI_BASE_URL=endpoint.url, **shared) as url:
        async with handshake(url) as http:
            assert "mcp-session-id" not in http.headers
            async with streamed(http, {"json": rpc(2, "tools/call", **ASK)}, endpoint):
                pass
            assert await closed_after(endpoint) < GONE_AFTER_S + 2
    endpoint.closed = anyio.Event()


async def test_an_answer_does_not_wait_for_an_acknowledgement(server: Served) -> None:
    """Without TCP_NODELAY each answer is 40 ms late, once the kernel acknowledges lazily."""
    async with httpx2.AsyncClient(base_url=server.url) as http:
        took = []
        for number in range(40):
            started = time.monotonic()
            assert (await http.post("/mcp", **modern(number + 1, "tools/list"))).status_code == 200
            took.append(time.monotonic() - started)
    assert min(took[20:]) < 0.03
