"""The baseline over HTTP: the echo tool on the SDK's own Streamable HTTP application, under uvicorn."""

import socket
from typing import Any

import uvicorn
from mcp.server.lowlevel import Server

from benchmarks.bare_server import call_tool, list_tools

if __name__ == "__main__":
    server = Server[Any]("bare", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_level="warning", loop="asyncio", http="h11")
    uvicorn.Server(config).run(sockets=[listening])
