"""The program as a host runs it: a subprocess, and JSON-RPC on its pipes."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

COMMAND = [sys.executable, "-m", "grok_mcp"]
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2024-11-05",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def request(number: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def ask(number: int, prompt: str = "") -> dict[str, Any]:
    """A call that asks for something else than any other of this session."""
    arguments = {"prompt": prompt or f"Hi, I am number {number}"}
    return request(number, "tools/call", name="ask_grok", arguments=arguments)


@contextmanager
def program(**variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The server process with these variables; gone at the end, whatever happens."""
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **variables},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def session(*lines: Any, **variables: str) -> tuple[list[dict[str, Any]], str, int]:
    """Give the program these lines and the end of its input; its answers, its stderr and its status."""
    sent = b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )
    with program(**variables) as process:
        out, err = process.communicate(sent, timeout=90)
    return [json.loads(line) for line in out.splitlines()], err.decode(), process.returncode


@asynccontextmanager
async def mcp_client(url: str, *, legacy: bool = False, **variables: str) -> AsyncIterator[Client]:
    environment = {**os.environ, "XAI_BASE_URL": url, "XAI_API_KEY": "x", **variables}
    parameters = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment)
    async with Client(stdio_client(parameters), mode="legacy" if legacy else "auto") as client:
        yield client
