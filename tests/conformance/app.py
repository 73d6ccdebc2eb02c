"""Our HTTP application as a process, for the conformance suite: `python -m tests.conformance.app WHAT`.

Prints the address of `/mcp` and serves until a signal comes. WHAT is `fixtures` for the server of
`fixtures.py`, `product` for our own on the sandbox, with the tools of `task_tools.py` beside ours. Callers
need a token, as on any network. The suite can't send one, so it is added to requests that bring none.
"""

import signal
import socket
import sys
import tempfile
import warnings
from pathlib import Path

import uvicorn
from mcp.shared.exceptions import MCPDeprecationWarning
from starlette.types import ASGIApp, Receive, Scope, Send

from grok_mcp import bounds
from grok_mcp.pipeline.grok import Grok
from grok_mcp.server.server import build_server
from grok_mcp.serving.http.app import build_app
from grok_mcp.serving.http.protocol import GuardedProtocol
from grok_mcp.serving.http.token_lines import new_token
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS
from tests.conformance.fixtures import fixture_server
from tests.conformance.task_tools import TASK_TOOLS

GRACE_S = 1


class WithToken:
    """Adds the token to requests that bring none."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._header = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and all(name != b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


def main() -> None:
    """Serve on a free port, one process, so with sessions."""
    warnings.simplefilter("ignore", MCPDeprecationWarning)  # log messages, which old clients are still sent
    with tempfile.TemporaryDirectory() as folder:
        token, line = new_token("conformance")
        token_file = Path(folder, "tokens")
        token_file.write_text(line + "\n", encoding="utf-8")
        state = Path(folder, "state")
        settings = Settings(
            gateway="sandbox", token_file=token_file, transport="http", grace=GRACE_S, state_dir=state
        )
        grok = Grok(settings)
        tools = {**TOOLS, **TASK_TOOLS}
        server = build_server(grok, tools) if sys.argv[1] == "product" else fixture_server()
        _serve(WithToken(build_app(server, grok, settings), token))


def _serve(app: ASGIApp) -> None:
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        h11_max_incomplete_event_size=bounds.HEADER_BYTES,
        timeout_graceful_shutdown=GRACE_S + 1,
    )
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when it is done
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
