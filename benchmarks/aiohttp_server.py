"""The leanest honest proxy on this SDK: its lowlevel server, `aiohttp`, and `json.loads` for each event.

No attempts, deadlines, bounds, ledger, progress, usage or errors in words: what these cost in ours is the
difference to it. The benchmarks put `aiohttp` on the path (`peers.py`).
"""

import json
import sys
from typing import Any

import aiohttp
import anyio
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, TextContent

from benchmarks.bare_server import Context, list_tools
from benchmarks.raw_client import HEADERS
from benchmarks.wire import DIALECT, PATHS, body


async def answer_to(session: aiohttp.ClientSession, url: str, sent: bytes) -> str:
    """The text of one streamed answer."""
    parts, rest = [], b""
    async with session.post(url, data=sent, headers=HEADERS) as response:
        async for chunk in response.content.iter_any():
            *events, rest = (rest + chunk).split(b"\n\n")
            for event in events:
                payload = json.loads(event.removeprefix(b"data: "))
                if payload["type"] == "response.output_text.delta":
                    parts.append(payload["delta"])
    return "".join(parts)


async def main(base: str) -> None:
    """Serve on stdin and stdout, before this endpoint; the prompt is the model."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
            asked = body(str((params.arguments or {})["prompt"]), DIALECT)
            sent = json.dumps(asked, separators=(",", ":")).encode()
            text = await answer_to(session, base + PATHS[DIALECT], sent)
            return CallToolResult(content=[TextContent(text=text)])

        server = Server[Any]("aiohttp", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
