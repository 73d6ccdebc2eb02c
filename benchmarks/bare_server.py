"""The baseline: one echo tool on the SDK's lowlevel server and its own stdio transport, and nothing else."""

from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

Context = ServerRequestContext[Any]

ECHO = Tool(
    name="echo",
    description="Say it again.",
    input_schema={"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
)


async def list_tools(ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
    """The one tool."""
    return ListToolsResult(tools=[ECHO])


async def call_tool(ctx: Context, params: CallToolRequestParams) -> CallToolResult:
    """Give the prompt back."""
    return CallToolResult(content=[TextContent(text=str((params.arguments or {}).get("prompt")))])


async def main() -> None:
    """Serve on stdin and stdout."""
    server = Server[Any]("bare", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
