"""The end of a server on the network: SIGTERM while calls run, on every transport and under every parent."""

import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio
import anyio.to_thread
import httpx2
import pytest
from anyio.abc import SocketStream
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp_types import CallToolResult

from tests.network.server import BOTH_FORMS, INITIALIZE, SERVE, UVICORN, Served, modern, serving
from tests.support.endpoint import Endpoint, Reply, Request, chat
from tests.support.host import Result
from tests.support.pace import slowness, within

pytestmark = pytest.mark.anyio

BY_SESSION = ("http-2026", "http-2025", "sse-2026", "sse-2025")
STATELESS = ("http-2026", "http-2025")
GRACE_S = 1.5
WATCHFUL = tuple("tests.network.watchful:create_app" if "create_app" in part else part for part in UVICORN)
SLACK_S = 3.0
"""For the end of a Python process on a busy machine."""
WORKERS_S = 5.0
"""How long the parent of workers may wait for one that still starts, before it heeds a signal."""


class Calls:
    """An endpoint where each caller makes a call that ends when told to, and one that never ends."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = kinds
        self.ends = anyio.Event()
        self.results: dict[str, Result] = {}
        self.endpoint = Endpoint(choose=self._reply)

    def _reply(self, request: Request) -> Reply:
        prompt = request.body["messages"][-1]["content"]
        start, *rest = chat("So far, ", "so good.").pieces
        if prompt.startswith("Never"):
            return Reply((start,), end="hang")
        return Reply((start, *rest), hold=1, release=self.ends)

    async def run(self, client: Client, prompt: str) -> None:
        result = await client.call_tool("ask_grok", {"prompt": prompt})
        assert isinstance(result, CallToolResult)
        self.results[prompt] = Result(result)

    async def started(self) -> None:
        with within(20):
            while len(self.endpoint.requests) < 2 * len(self.kinds):
                await anyio.sleep(0.01)


@asynccontextmanager
async def clients(server: Served, kinds: Sequence[str]) -> AsyncIterator[dict[str, Client]]:
    async with AsyncExitStack() as stack:
        made = {}
        for kind in kinds:
            transport, _, era = kind.partition("-")
            mode = "legacy" if era == "2025" else "auto"
            place = f"{server.url}/mcp" if transport == "http" else sse_client(f"{server.url}/sse")
            made[kind] = await stack.enter_async_context(Client(place, mode=mode))
            await made[kind].list_tools()  # which it would ask for after its first call
        yield made


@asynccontextmanager
async def idle_connection(server: Served) -> AsyncIterator[SocketStream]:
    """A connection that has been served and is kept open: the server closes it first of all."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        yield stream


async def until_closed(stream: SocketStream) -> None:
    with within(WORKERS_S), suppress(anyio.EndOfStream):
        while True:
            await stream.receive()


async def until_refused(server: Served) -> None:
    """Until nobody listens at the server's address any more."""
    with within(GRACE_S):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", server.port)
            except OSError:
                return
            await stream.aclose()


HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none


async def exit_status(server: Served) -> int:
    return await anyio.to_thread.run_sync(server.status)


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["one process", "two workers"])
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, HANG_UP], ids=["SIGTERM", "SIGINT", "SIGHUP"]
)
def test_a_signal_that_comes_as_soon_as_the_address_is_told_ends_the_server(
    flags: tuple[str, ...], number: signal.Signals
) -> None:
    with serving(None, *flags) as server:
        server.process.send_signal(number)
        assert server.status() == 0


@pytest.mark.parametrize(
    ("command", "flags", "kinds", "number", "status"),
    [
        pytest.param(SERVE, (), BY_SESSION, signal.SIGTERM, 0, id="serve"),
        pytest.param(SERVE, (), BY_SESSION, HANG_UP, 0, id="serve, SIGHUP"),
        pytest.param(SERVE, ("--workers", "2"), STATELESS, signal.SIGTERM, 0, id="serve with two workers"),
        pytest.param(SERVE, ("--workers", "2"), STATELESS, HANG_UP, 0, id="serve with two workers, SIGHUP"),
        pytest.param(UVICORN, (), BY_SESSION, signal.SIGTERM, -signal.SIGTERM, id="uvicorn"),
    ],
)
async def test_calls_in_flight_end_in_the_grace_period_or_come_back_interrupted(
    command: tuple[str, ...], flags: tuple[str, ...], kinds: Sequence[str], number: int, status: int
) -> None:
    calls = Calls(kinds)
    async with calls.endpoint:
        with serving(calls.endpoint.url, *flags, command=command, GROK_MCP_GRACE=str(GRACE_S)) as server:
            async with clients(server, kinds) as connected, anyio.create_task_group() as group:
                for kind, client in connected.items():
                    group.start_soon(calls.run, client, f"Ends, {kind}")
                    group.start_soon(calls.run, client, f"Never ends, {kind}")
                await calls.started()
                async with idle_connection(server) as idle:
                    server.process.send_signal(number)
                    told = time.monotonic()
                    await until_closed(idle)
                calls.ends.set()
                with within(GRACE_S + WORKERS_S):
                    while len(calls.results) < 2 * len(kinds):
                        await anyio.sleep(0.01)
                took = time.monotonic() - told
            assert await exit_status(server) == status
    for kind in kinds:
        ended, interrupted = calls.results[f"Ends, {kind}"], calls.results[f"Never ends, {kind}"]
        assert ended.answer["finish_reason"] == "stop"
        assert ended.text.startswith("So far, so good.")
        assert interrupted.answer["finish_reason"] == "interrupted"
        assert interrupted.text.startswith("So far, \n\nNote: The answer is incomplete: [interrupted]")
    assert GRACE_S < took < (GRACE_S + WORKERS_S) * slowness()


async def test_streams_end_only_when_every_answer_has_left() -> None:
    calls = Calls([f"http-{era} {number}" for era in ("2026", "2025") for number in range(5)])
    async with calls.endpoint:
        with serving(calls.endpoint.url, command=WATCHFUL, GROK_MCP_GRACE="0.5") as server:
            async with clients(server, STATELESS) as connected, anyio.create_task_group() as group:
                for kind in calls.kinds:
                    client = connected[kind.partition(" ")[0]]
                    group.start_soon(calls.run, client, f"Ends, {kind}")
                    group.start_soon(calls.run, client, f"Never ends, {kind}")
                await calls.started()
                server.process.send_signal(signal.SIGTERM)
            await exit_status(server)
    reasons = {result.answer["finish_reason"] for result in calls.results.values()}
    assert (len(calls.results), reasons) == (2 * len(calls.kinds), {"interrupted"})


async def test_idle_streams_do_not_hold_the_end_up() -> None:
    with serving("http://127.0.0.1:1/v1") as server:
        async with httpx2.AsyncClient(base_url=server.url, headers={"Accept": BOTH_FORMS}) as http:
            session = (await http.post("/mcp", json=INITIALIZE)).headers["mcp-session-id"]
            headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
            async with http.stream("GET", "/mcp", headers=headers), http.stream("GET", "/sse"):
                server.process.send_signal(signal.SIGTERM)
                told = time.monotonic()
                assert await exit_status(server) == 0
    assert time.monotonic() - told < SLACK_S * slowness()


@pytest.mark.parametrize("command", [SERVE, UVICORN], ids=["serve", "uvicorn"])
async def test_while_calls_end_nobody_new_is_let_in(command: tuple[str, ...]) -> None:
    calls = Calls(["http-2026"])
    async with calls.endpoint:
        with serving(calls.endpoint.url, command=command, GROK_MCP_GRACE="15") as server:
            async with clients(server, calls.kinds) as connected, anyio.create_task_group() as group:
                for prompt in ("Ends", "Ends as well"):
                    group.start_soon(calls.run, connected["http-2026"], prompt)
                await calls.started()
                server.process.send_signal(signal.SIGTERM)
                await until_refused(server)
                calls.ends.set()
            await exit_status(server)
    assert {result.answer["finish_reason"] for result in calls.results.values()} == {"stop"}


LEAVE_S = 2.0


@pytest.mark.parametrize(
    ("command", "flags"),
    [(SERVE, ()), (SERVE, ("--workers", "2")), (UVICORN, ())],
    ids=["one", "workers", "uvicorn"],
)
async def test_a_server_that_leaves_says_so_first_and_still_takes_calls(
    command: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    async with Endpoint(chat("Hi.")) as endpoint, httpx2.AsyncClient(timeout=20) as http:
        with serving(endpoint.url, *flags, command=command, GROK_MCP_LEAVE=str(LEAVE_S)) as server:
            assert (await http.get(f"{server.url}/readyz")).status_code == 200
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            with within(20):
                while (await http.get(f"{server.url}/readyz")).status_code == 200:
                    await anyio.sleep(0.01)
            async with Client(f"{server.url}/mcp") as client:  # of a balancer that does not know it yet
                result = await client.call_tool("ask_grok", {"prompt": "Hi?"})
            assert isinstance(result, CallToolResult) and not result.is_error
            status = await anyio.to_thread.run_sync(server.status)
            assert status == (-signal.SIGTERM if command is UVICORN else 0), "uvicorn alone dies of it"
            assert time.monotonic() - told >= LEAVE_S


async def test_who_asks_a_leaving_server_again_to_end_is_heard_at_once() -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        with serving(endpoint.url, GROK_MCP_LEAVE="300") as server:
            await anyio.to_thread.run_sync(httpx2.get, f"{server.url}/readyz")  # by now it takes signals
            server.process.send_signal(signal.SIGTERM)
            with within(20):
                async with httpx2.AsyncClient() as http:
                    while (await http.get(f"{server.url}/readyz")).status_code == 200:
                        await anyio.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(server.status) == 0


@pytest.mark.parametrize("kept", [True, False], ids=["connections that are kept", "a connection for each"])
async def test_whoever_reaches_a_server_that_leaves_is_answered_until_it_listens_no_more(kept: bool) -> None:
    answered, lost = [], []

    async def ask_on(url: str, caller: int) -> None:
        """Ask without a pause until nobody is there to connect to."""
        number = 0
        while True:
            limits = httpx2.Limits(max_keepalive_connections=1 if kept else 0)
            async with httpx2.AsyncClient(base_url=url, timeout=20, limits=limits) as http:
                closes = False
                while not closes:
                    number += 1
                    arguments = {"prompt": f"{caller} {number}"}
                    request = modern(number, "tools/call", name="ask_grok", arguments=arguments)
                    try:
                        response = await http.post("/mcp", **request)
                    except httpx2.ConnectError:
                        return
                    except httpx2.TransportError as error:
                        lost.append(error)
                        return
                    closes = response.headers.get("connection") == "close"
                    answered.append(response.json()["result"].get("isError", False))

    async with Endpoint(chat("Hi.")) as endpoint:
        with serving(endpoint.url, GROK_MCP_LEAVE="0.5") as server:
            await anyio.to_thread.run_sync(httpx2.get, f"{server.url}/readyz")
            async with anyio.create_task_group() as group:
                for caller in range(8):
                    group.start_soon(ask_on, server.url, caller)
                await anyio.sleep(0.5)
                server.process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(server.status) == 0
    assert not lost
    assert len(answered) >= 8 and not any(answered), "each of them was served"
