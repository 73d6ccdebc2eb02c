"""Two servers behind nginx, with Redis and Postgres, restarted one after the other while calls go on."""

import signal
import socket
from collections import Counter
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest

from grok_mcp.serving.http.token_lines import new_token
from tests.network.fleet import needs_a_fleet, nginx
from tests.network.postgres import PostgresServer, cluster, postgres
from tests.network.redis import RedisServer, redis
from tests.network.server import SERVE, Served, modern, serving
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.pace import within

__all__ = ["cluster", "postgres", "redis"]

pytestmark = [pytest.mark.anyio, needs_a_fleet]

CALLERS = 6


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def started(upstream: str, port: int, variables: dict[str, str]) -> tuple[ExitStack, Served]:
    """A server that takes calls, and what ends it."""
    stack = ExitStack()
    server = stack.enter_context(serving(upstream, command=SERVE, **variables, GROK_MCP_PORT=str(port)))
    httpx2.get(f"{server.url}/readyz", timeout=60)
    return stack, server


def left(stack: ExitStack, server: Served) -> None:
    """End a server as an orchestrator does."""
    server.process.send_signal(signal.SIGTERM)
    assert server.status() == 0
    stack.close()


async def test_a_rolling_restart_loses_no_call_and_none_is_billed_twice(
    tmp_path: Path, redis: RedisServer, postgres: PostgresServer
) -> None:
    made = [new_token(f"caller {number}") for number in range(CALLERS)]
    (tmp_path / "tokens").write_text("".join(f"{line}\n" for _, line in made))
    asked: Counter[str] = Counter()
    outcomes: list[object] = []
    is_over = anyio.Event()

    def choose(request: Request) -> Reply:
        if request.body is None:  # it is asked about the key
            return body({})
        asked[request.body["messages"][-1]["content"]] += 1
        return chat("Hi.", usage={"prompt_tokens": 5, "completion_tokens": 2, "cost_in_usd_ticks": 1_000})

    async def ask_on(url: str, caller: int) -> None:
        headers = {"Authorization": f"Bearer {made[caller][0]}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            number = 0
            while not is_over.is_set():
                number += 1
                arguments = {"prompt": f"{caller} {number}"}
                request = modern(number, "tools/call", name="ask_grok", arguments=arguments)
                try:
                    response = await http.post("/mcp", **request)
                    outcomes.append(response.json()["result"]["content"][0]["text"][:3])
                except Exception as error:  # whatever it is, the call is lost
                    outcomes.append(error)

    async with Endpoint(choose=choose) as endpoint:
        ports = [free_port(), free_port()]
        variables = {
            "GROK_MCP_TOKEN_FILE": str(tmp_path / "tokens"),
            "GROK_MCP_REDIS_URL": redis.url,
            "GROK_MCP_LEDGER_URL": postgres.url,
            "GROK_MCP_LEAVE": "0.5",
        }

        start = partial(started, endpoint.url, variables=variables)
        servers = [await anyio.to_thread.run_sync(start, port) for port in ports]
        try:
            with nginx(*ports) as url, within(120):
                async with anyio.create_task_group() as group:
                    for caller in range(CALLERS):
                        group.start_soon(ask_on, url, caller)
                    for place, (stack, server) in enumerate(list(servers)):
                        await anyio.sleep(0.3)
                        await anyio.to_thread.run_sync(left, stack, server)
                        servers[place] = await anyio.to_thread.run_sync(start, server.port)
                    await anyio.sleep(0.3)
                    is_over.set()
        finally:
            for stack, _ in servers:
                stack.close()
    assert [outcome for outcome in outcomes if outcome != "Hi."] == []
    assert len(outcomes) == len(asked) and set(asked.values()) == {1}
    rows = postgres.ask("SELECT COUNT(*), SUM(cost_ticks) FROM grok_mcp.calls")
    assert rows == [(len(asked), 1_000 * len(asked))]
