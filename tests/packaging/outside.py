"""Ways to run a package outside of the checkout."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client

from grok_mcp.tools import TOOLS
from tests.support.pace import within

START_S = 240
"""A first start downloads the dependencies."""


def outside(home: Path, **more: str) -> dict[str, str]:
    """An environment with a home of its own, in which uv keeps its downloads below `.venv`."""
    passed = {
        name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE", "SYSTEMROOT") if name in os.environ
    }
    uv = {
        "UV_CACHE_DIR": str(Path(sys.prefix) / "uv-cache"),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_TOOL_DIR": str(home / "tools"),
    }
    return {**passed, **uv, "HOME": str(home), "USERPROFILE": str(home), **more}


def script(name: str) -> str:
    """A program of the virtual environment."""
    return str(Path(sys.executable).parent / name)


Run = Callable[..., str]


async def lists_its_tools(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]) -> None:
    """A real client starts the server by this command, and sees what this checkout publishes."""
    program, *arguments = [str(part) for part in command]
    server = StdioServerParameters(command=program, args=arguments, cwd=cwd, env=dict(environment))
    with within(START_S):
        async with Client(stdio_client(server)) as client:
            tools = (await client.list_tools()).tools
    assert [(tool.name, tool.input_schema) for tool in tools] == [
        (tool.name, tool.input_schema) for tool in TOOLS.values()
    ]
