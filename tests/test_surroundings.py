"""Surroundings that nobody would choose: a server there answers a call, or ends with a line and status 2."""

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import pytest

from tests.support.cli import unmeasured
from tests.support.endpoint import Endpoint
from tests.support.ledger import CENT, priced
from tests.support.pace import within
from tests.support.stdio import INITIALIZE, INITIALIZED, ask

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="surroundings as Linux has them"),
]
ROOT = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root becomes others")
MAIN = "from grok_mcp.__main__ import main; main()"


async def answer(code: str, *by: str, **variables: str | None) -> tuple[dict[str, Any], str]:
    """What a call to a server gets, after this code has run in its process; and stderr."""
    named = {**unmeasured(), "XAI_API_KEY": "x", **variables}
    lines = [INITIALIZE, INITIALIZED, ask(2)]
    with within(60):
        done = await anyio.run_process(
            [*by, sys.executable, "-c", f"import os\n{code}\n{MAIN}"],
            input=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
            env={name: value for name, value in named.items() if value is not None},
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    (found,) = [one for one in map(json.loads, done.stdout.splitlines()) if one.get("id") == 2]
    return found["result"], done.stderr.decode()


STRANGER = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
# This Python may lie where only root looks: the stranger reads it all the same.
READS = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
GONE = "import tempfile; place = tempfile.mkdtemp(); os.chdir(place); os.rmdir(place)"
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
NO_HOME = {"HOME": None, "XDG_STATE_HOME": None, "GROK_MCP_STATE_DIR": None}
SURROUNDINGS: dict[str, tuple[str, dict[str, str | None]]] = {
    "HOME nowhere": ("", {**NO_HOME, "HOME": "/proc/nowhere"}),
    "HOME on a place without room": ("", {**NO_HOME, "HOME": "/proc/self"}),
    "HOME is no folder": ("", {**NO_HOME, "HOME": "/dev/null"}),
    "HOME empty": ("", {**NO_HOME, "HOME": ""}),
    "a relative state folder in a folder that is gone": (GONE, {"GROK_MCP_STATE_DIR": "state"}),
    "the working folder is gone": (GONE, {}),
    "TMPDIR nowhere": ("", {"TMPDIR": "/nowhere"}),
    "TMPDIR is a file": ("", {"TMPDIR": "/dev/null"}),
    "nothing can be written": (FULL, {}),
    "the state folder is a device": ("", {"GROK_MCP_STATE_DIR": "/dev/full"}),
    "no PATH and no locale": ("", {"PATH": None, "LANG": "xx_XX", "LC_ALL": "xx_XX", "TZ": "Nowhere/None"}),
}


@pytest.mark.parametrize(("code", "variables"), SURROUNDINGS.values(), ids=SURROUNDINGS)
async def test_a_call_is_answered_in_any_surroundings(code: str, variables: dict[str, str | None]) -> None:
    async with Endpoint(priced(CENT)) as endpoint:
        result, stderr = await answer(code, XAI_BASE_URL=endpoint.url, **variables)
    assert not result.get("isError"), result
    assert "Traceback" not in stderr and len(stderr.splitlines()) <= 1


@ROOT
@pytest.mark.parametrize("home", [None, "/root", "/nowhere"])
async def test_a_user_whom_the_system_does_not_know_is_served(home: str | None) -> None:
    async with Endpoint(priced(CENT)) as endpoint:
        result, stderr = await answer(
            "", *STRANGER, *READS, **{**NO_HOME, "HOME": home}, XAI_BASE_URL=endpoint.url
        )
    assert not result.get("isError"), result
    assert "Traceback" not in stderr and len(stderr.splitlines()) <= 1


@asynccontextmanager
async def socks_proxy(to: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A SOCKS5 proxy that connects whoever comes with this port here, and the names that were asked for."""
    asked: list[str] = []

    async def serve(client: anyio.abc.SocketStream) -> None:
        async with client:
            greeting = await client.receive()
            assert greeting[0] == 5
            await client.send(b"\x05\x00")
            wish = await client.receive()
            assert wish[:4] == b"\x05\x01\x00\x03"  # to connect, to a name
            asked.append(wish[5 : 5 + wish[4]].decode())
            await client.send(b"\x05\x00\x00\x01" + socket.inet_aton("127.0.0.1") + bytes(2))
            async with await anyio.connect_tcp("127.0.0.1", to) as far, anyio.create_task_group() as group:
                group.start_soon(copy, far, client)
                await copy(client, far)
                group.cancel_scope.cancel()

    async def copy(source: anyio.abc.SocketStream, target: anyio.abc.SocketStream) -> None:
        try:
            async for piece in source:
                await target.send(piece)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}", asked
        group.cancel_scope.cancel()
    await listener.aclose()


WITHOUT_SOCKS = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "socksio" else find(name, package)
"""


@pytest.mark.parametrize(
    ("variable", "scheme"),
    [("ALL_PROXY", "socks5"), ("all_proxy", "socks5h"), ("HTTP_PROXY", "socks5"), ("http_proxy", "SOCKS5H")],
)
async def test_a_socks_proxy_is_used_with_the_extra_and_told_of_without_it(
    variable: str, scheme: str
) -> None:
    pytest.importorskip("socksio")
    async with Endpoint(priced(CENT)) as endpoint:
        port = int(endpoint.url.split(":")[2].partition("/")[0])
        async with socks_proxy(port) as (address, asked):
            named = {variable: f"{scheme}://{address}", "XAI_BASE_URL": "http://grok.invalid/v1"}
            result, _ = await answer("", **named)
            refused, _ = await answer(WITHOUT_SOCKS, **named)
    assert not result.get("isError"), result
    assert asked == ["grok.invalid"] and len(endpoint.requests) == 1
    text = refused["content"][0]["text"]
    assert f"{variable} can't be used" in text and "grok-mcp-server[socks]" in text
