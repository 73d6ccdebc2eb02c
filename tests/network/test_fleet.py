"""A fleet: nginx in front of two server processes that share a Redis, as docs/deploy.md describes it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp_types import CallToolResult

from grok_mcp.sandbox import SandboxServer
from tests.network.fleet import needs_a_fleet, nginx
from tests.network.redis import RedisServer
from tests.network.server import Served, serving
from tests.sandbox_faults import FAULTS
from tests.support.host import Result
from tests.support.pace import within

pytestmark = [pytest.mark.anyio, needs_a_fleet]


@contextmanager
def fleet() -> Iterator[tuple[str, list[Served], RedisServer]]:
    """Two workers behind nginx: the address, the workers and their Redis."""
    sandbox = SandboxServer(pace=0.0, faults=FAULTS)
    with ExitStack() as stack:
        upstream = sandbox.start()
        stack.callback(sandbox.stop)
        redis = stack.enter_context(RedisServer())
        workers = [
            stack.enter_context(
                serving(
                    upstream,
                    GROK_MCP_REDIS_URL=redis.url,
                    GROK_MCP_LOG_LEVEL="info",
                    GROK_MCP_GATEWAY="sandbox",
                )
            )
            for _ in range(2)
        ]
        yield stack.enter_context(nginx(*(worker.port for worker in workers))), workers, redis


async def ask(client: Client, **arguments: Any) -> Result:
    with within(30):
        raw = await client.call_tool("ask_grok", {"prompt": "Hello?", **arguments})
    assert isinstance(raw, CallToolResult)
    return Result(raw)


def calls_of(worker: Served) -> int:
    return sum("call ended" in line for line in worker.lines)


@pytest.mark.parametrize("mode", ["auto", "legacy"], ids=["2026-07-28", "2025-11-25"])
async def test_a_conversation_goes_on_at_whichever_worker_it_meets(mode: Any) -> None:
    with fleet() as (url, workers, redis):
        handles = []
        async with Client(f"{url}/mcp", mode=mode) as client:
            handle = None
            for _ in range(8):
                result = await ask(client, **({"conversation_id": handle} if handle else {}))
                handle = result.answer["conversation_id"]
                handles.append(handle)
            branches = [(await ask(client, conversation_id=handles[2])).answer for _ in range(4)]
            redis.kill()
            fresh = await ask(client)
            lost = await ask(client, conversation_id=handle)
            redis.start()
            healed = [(await ask(client)).answer for _ in range(4)]
        counts = [calls_of(worker) for worker in workers]
    assert len({*handles, *(branch["conversation_id"] for branch in branches)}) == 12
    assert "can't be continued" in fresh.text and "conversation_id" not in fresh.answer
    assert lost.error["code"] == "overloaded" and lost.error["retryable"]
    assert all("conversation_id" in answer for answer in healed)
    assert all(count >= 5 for count in counts), "both workers had their share"


async def test_many_clients_of_both_eras_at_once_are_all_answered() -> None:
    with fleet() as (url, workers, _):

        async def one(mode: Any, number: int) -> None:
            async with Client(f"{url}/mcp", mode=mode) as client:
                notes: list[str] = []

                async def note(progress: float, total: float | None, message: str | None) -> None:
                    notes.append(message or "")

                arguments = {"prompt": f"Number {number}?", "model": "grok-4.7!pace=0.02"}
                with within(60):
                    raw = await client.call_tool("ask_grok", arguments, progress_callback=note)
                assert isinstance(raw, CallToolResult)
                assert f"Number {number}?" in Result(raw).text
                assert notes

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, "auto", number)
                group.start_soon(one, "legacy", 100 + number)
        counts = [calls_of(worker) for worker in workers]
    assert sum(counts) == 20
    assert min(counts) >= 5
