"""The question about the cost of a call, on each transport and in both eras, and what a raw client gets."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult, ElicitResult

from tests.network.server import KEY, SERVE, Served, environment, modern, serving
from tests.support.endpoint import Endpoint, chat
from tests.support.host import Result
from tests.support.pace import within
from tests.support.stdio import INITIALIZED, ask, program, request

pytestmark = pytest.mark.anyio

LIMIT: dict[str, Any] = {"GROK_MCP_CALL_LIMIT_USD": "0.01"}
KINDS = ("stdio-2026", "stdio-2025", "http-2026", "http-2025", "sse-2026", "sse-2025")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shared_endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint(chat("Hi.")) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def server(shared_endpoint: Endpoint) -> Iterator[Served]:
    with serving(shared_endpoint.url, **LIMIT) as served:
        yield served


@pytest.fixture
def endpoint(shared_endpoint: Endpoint) -> Endpoint:
    """The endpoint as if it was new."""
    shared_endpoint.requests.clear()
    return shared_endpoint


@asynccontextmanager
async def client_of(kind: str, server: Served, endpoint: Endpoint, answer: Any) -> AsyncIterator[Client]:
    transport, _, era = kind.partition("-")
    how: dict[str, Any] = {
        "mode": "legacy" if era == "2025" else "auto",
        "elicitation_callback": answer,
    }
    if transport == "http":
        client = Client(f"{server.url}/mcp", **how)
    elif transport == "sse":
        client = Client(sse_client(f"{server.url}/sse"), **how)
    else:
        variables = environment(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, **LIMIT)
        client = Client(
            stdio_client(StdioServerParameters(command=SERVE[0], args=[*SERVE[1:]], env=variables)), **how
        )
    async with client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["accept", "decline", "cancel", None])
async def test_a_call_above_the_limit_goes_out_only_when_its_user_accepts(
    kind: str, action: Any, server: Served, endpoint: Endpoint
) -> None:
    questions: list[str] = []

    async def answer(context: Any, params: Any) -> ElicitResult:
        questions.append(params.message)
        return ElicitResult(action=action)

    async with client_of(kind, server, endpoint, answer if action else None) as client:
        with within(30):
            raw = await client.call_tool("ask_grok", {"prompt": "Hi"})
    assert isinstance(raw, CallToolResult)
    assert len(questions) == (1 if action else 0)
    if action == "accept":
        assert Result(raw).text.startswith("Hi.")
        assert len(endpoint.requests) == 1
    else:
        assert Result(raw).error["code"] == "call_limit"
        assert endpoint.requests == []


async def post(server: Served, capabilities: Any, **params: Any) -> dict[str, Any]:
    """What a raw client of 2026-07-28 gets for a call."""
    sent = modern(1, "tools/call", name="ask_grok", arguments={"prompt": "Hi"}, **params)
    meta = sent["json"]["params"]["_meta"]
    meta["io.modelcontextprotocol/clientCapabilities"] = capabilities
    async with httpx2.AsyncClient(timeout=30) as client:
        found: dict[str, Any] = (await client.post(f"{server.url}/mcp", **sent)).json()
    return found


FORM: dict[str, Any] = {"elicitation": {"form": {}}}


async def test_the_rounds_on_the_wire(server: Served, endpoint: Endpoint) -> None:
    result = (await post(server, FORM))["result"]
    assert result["resultType"] == "input_required"
    assert result["inputRequests"]["cost"]["method"] == "elicitation/create"
    asked = result["inputRequests"]["cost"]["params"]
    assert "0.0301 USD" in asked["message"] and "GROK_MCP_CALL_LIMIT_USD" in asked["message"]
    assert asked["requestedSchema"] == {"type": "object", "properties": {}}
    assert KEY not in json.dumps(result)
    again = {"requestState": result["requestState"], "inputResponses": {"cost": {"action": "accept"}}}
    answered = (await post(server, FORM, **again))["result"]
    assert answered["resultType"] == "complete" and answered["content"][0]["text"].startswith("Hi.")
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "capabilities",
    [{}, {"elicitation": {"url": {}}}],
    ids=["none", "url"],
)
async def test_a_client_that_cannot_show_a_form_is_refused(
    capabilities: Any, server: Served, endpoint: Endpoint
) -> None:
    """Spec: a server must not ask for what a client has not declared."""
    result = (await post(server, capabilities))["result"]
    assert result["isError"] and "This host can't ask its user." in result["content"][0]["text"]
    assert endpoint.requests == []


@pytest.mark.parametrize(
    "answers",
    [
        {"cost": {"action": "maybe"}},
        {"cost": {"action": "accept", "content": "yes"}},
        {"cost": "accept"},
        {"cost": None},
        ["accept"],
        "accept",
    ],
    ids=str,
)
async def test_an_answer_of_a_wrong_shape_is_refused_and_nothing_breaks(
    answers: Any, server: Served, endpoint: Endpoint
) -> None:
    state = (await post(server, FORM))["result"]["requestState"]
    refused = await post(server, FORM, requestState=state, inputResponses=answers)
    assert refused["error"]["code"] == -32602
    assert (await post(server, FORM, requestState=17))["error"]["code"] == -32602
    assert endpoint.requests == []
    assert not [line for line in server.lines if "Traceback" in line]


@pytest.mark.parametrize(
    "answer",
    [
        {"result": {"action": "maybe"}},
        {"result": {}},
        {"result": {"action": "accept", "content": ["yes"]}},
        {"result": {"content": {}}},
        {"error": {"code": -32601, "message": "no"}},
    ],
    ids=str,
)
async def test_an_older_client_that_answers_in_a_wrong_shape_is_refused(
    answer: Any, endpoint: Endpoint
) -> None:
    client = {"name": "raw", "version": "1"}
    initialize = request(1, "initialize", protocolVersion="2025-11-25", capabilities=FORM, clientInfo=client)
    with program(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY, **LIMIT) as process:
        assert process.stdin and process.stdout

        def send(*messages: Any) -> None:
            assert process.stdin
            process.stdin.write(b"".join(json.dumps(one).encode() + b"\n" for one in messages))
            process.stdin.flush()

        send(initialize, INITIALIZED, ask(2))
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        (question,) = (line for line in lines if line.get("method") == "elicitation/create")
        assert question["params"]["mode"] == "form"
        send({"jsonrpc": "2.0", "id": question["id"], **answer})
        result = json.loads(process.stdout.readline())
    assert result["id"] == 2 and result["result"]["isError"]
    assert result["result"]["content"][0]["text"].startswith("[call_limit] ")
    assert endpoint.requests == []


async def test_workers_that_share_nothing_take_the_answer_of_a_question_of_another(
    endpoint: Endpoint,
) -> None:
    with serving(endpoint.url, **LIMIT) as one, serving(endpoint.url, **LIMIT) as other:
        state = (await post(one, FORM))["result"]["requestState"]
        yes = {"cost": {"action": "accept"}}
        answered = (await post(other, FORM, requestState=state, inputResponses=yes))["result"]
    assert answered["content"][0]["text"].startswith("Hi.")
