"""The echo tool that makes the raw request too: both baselines in one process, as a host meets ours.

Echo and raw measured apart each have the processors to themselves and stay warm in their own loop; a call
through a server passes three processes in turn. This one passes them as well and does nothing else.
"""

import json
import sys
from typing import Any

import anyio
import httpx2
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, TextContent

from benchmarks.bare_server import Context, list_tools
from benchmarks.raw_client import request
from benchmarks.wire import DIALECT, PATHS, body


async def main(base: str) -> None:
    """Serve on stdin and stdout, before this endpoint; the prompt is the model."""
    async with httpx2.AsyncClient(timeout=120, trust_env=False) as client:

        async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
            asked = body(str((params.arguments or {})["prompt"]), DIALECT)
            sent = json.dumps(asked, separators=(",", ":")).encode()
            _, _, size = await request(client, base + PATHS[DIALECT], sent)
            return CallToolResult(content=[TextContent(text=str(size))])

        server = Server[Any]("relay", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
