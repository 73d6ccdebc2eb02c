"""A fleet: nginx in front of two server processes that share a Redis, as docs/deploy.md describes it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp_types import CallToolResult

from grok_mcp.sandbox import SandboxServer
from tests.network.redis import RedisServer
from tests.network.server import Served, serving
from tests.sandbox_faults import FAULTS
from tests.support.host import Result
from tests.support.pace import within

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not (shutil.which("nginx") and shutil.which("redis-server"))
        and (os.name == "nt" or not os.environ.get("CI")),
        reason="nginx and redis-server (Debian packages) are not installed",
    ),
]

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream grok {{ {servers} keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://grok;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_buffering off;
            proxy_read_timeout 60s;
        }}
    }}
}}
"""


@contextmanager
def nginx(*ports: int) -> Iterator[str]:
    """A proxy that hands one request after the other to these ports in turn; its address."""
    program = shutil.which("nginx")
    assert program, "nginx is not installed"
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        servers = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
        file = Path(folder) / "nginx.conf"
        file.write_text(CONFIGURATION.format(folder=folder, servers=servers, port=port), encoding="utf-8")
        process = subprocess.Popen([program, "-c", str(file), "-p", folder], stderr=subprocess.DEVNULL)
        try:
            _until_listening(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def _until_listening(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")


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
