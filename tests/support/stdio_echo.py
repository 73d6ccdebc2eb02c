"""A server with one `echo` tool on the stdio transport, run as a process by its tests.

`python tests/support/stdio_echo.py [grace seconds] [seconds in C that end the process]`
"""

import itertools
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.serving import pulse
from grok_mcp.serving.pulse import watch_loop
from grok_mcp.serving.signals import take_signals
from grok_mcp.serving.stdio.session import serve_stdio

ENDLESS: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "a sum": lambda: sum(itertools.repeat(1)),
    "a search": lambda: 0 in itertools.repeat(1),
    "a queue": lambda: deque(itertools.repeat(1), maxlen=0),
    "a pattern": lambda: re.match("(a+)+$", "a" * 100 + "b"),  # obeys signals now and then
}


async def list_tools(
    ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None
) -> ListToolsResult:
    return ListToolsResult(tools=[Tool(name="echo", input_schema={"type": "object"})])


def echo_server(calls: InFlight) -> Server[Any]:
    async def echo(ctx: ServerRequestContext[Any], text: str, options: dict[str, Any]) -> str:
        if options.get("garbage"):
            print("garbage by print", flush=True)  # noqa: T201 - the point of it
            os.write(1, b"garbage by os.write\n")
        note = "half \ud83d" if options.get("surrogate") else "n" * options.get("note_size", 4)
        for number in range(options.get("notes", 0)):
            await ctx.session.report_progress(number, None, note)
        await anyio.sleep(options.get("sleep", 0))
        if options.get("thread"):
            threading.Thread(target=threading.Event().wait).start()  # nobody ends it
        ENDLESS[options.get("endless", "")]()
        busy_until = time.thread_time() + options.get("busy", 0)
        while time.thread_time() < busy_until:
            pass
        if log := options.get("log"):
            os.write(2, log.encode())
        text *= options.get("times", 1)
        return text + "\ud83d" if options.get("surrogate") else text

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        options = params.arguments or {}
        text = "closing"
        if not calls.closing:
            with calls.track() as scope, scope:
                text = await echo(ctx, options.get("text", ""), options)
            if scope.cancelled_caught:
                text = "interrupted"
        return CallToolResult(content=[TextContent(text=text)])

    return Server("echo", on_list_tools=list_tools, on_call_tool=call_tool)


async def main() -> None:
    calls = InFlight()
    take_signals()
    pulse.FROZEN_S = float(sys.argv[2]) if sys.argv[2:] else pulse.FROZEN_S
    watch_loop(may_end=True)
    await serve_stdio(echo_server(calls), calls, float(sys.argv[1]) if sys.argv[1:] else 10)


if __name__ == "__main__":
    anyio.run(main)
