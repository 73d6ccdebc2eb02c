"""Our server with one tool that breaks, run as a process by the tests of what is logged.

`python -m tests.network.faulty`
"""

import socket
import sys

import uvicorn

from grok_mcp.environment import read_settings
from grok_mcp.logs import configure_logging
from grok_mcp.messages import Answer, Call
from grok_mcp.pipeline.grok import Grok
from grok_mcp.server.server import build_server
from grok_mcp.serving.http.app import build_app
from grok_mcp.tools import TOOLS
from grok_mcp.tools.arguments import Arguments


async def break_down(grok: Grok, arguments: Arguments, call: Call) -> Answer:
    raise RuntimeError("a fault of ours\nin two lines")


def main() -> None:
    settings = read_settings()
    assert settings is not None
    configure_logging(settings)
    tools = {**TOOLS, "grok_search": TOOLS["grok_search"]._replace(run=break_down)}
    grok = Grok(settings)
    app = build_app(build_server(grok, tools), grok, settings)
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stderr.write(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp\n")
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
