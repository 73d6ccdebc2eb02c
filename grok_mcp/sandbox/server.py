"""The sandbox on a loopback port, served by a thread of its own."""

import asyncio
import logging
import socket
import struct
import threading
from collections.abc import Iterable
from functools import partial
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from grok_mcp.sandbox.app import create_app
from grok_mcp.sandbox.faults import Word
from grok_mcp.sandbox.sending import RESET

START_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 5.0
KEEP_ALIVE_S = 60


class SandboxServer:
    """Serves the sandbox while it is started, on a free port for 0; `faults` are further words of scripts."""

    def __init__(
        self, port: int = 0, *, host: str = "127.0.0.1", pace: float = 0.03, faults: Iterable[Word] = ()
    ) -> None:
        self._address = (host, port)
        self._app = partial(create_app, pace=pace, faults=tuple(faults))
        self.url = ""
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Start serving and return the base URL; raises OSError if the port is taken."""
        self.stop()
        # asyncio sets TCP_NODELAY only on sockets whose protocol is named
        tcp = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener = socket.socket(*tcp, fileno=socket.create_server(self._address).detach())
        host, port = listener.getsockname()
        self.url = f"http://{host}:{port}/v1"
        quiet: dict[str, Any] = {"ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
        config = uvicorn.Config(self._app(), http=_Protocol, timeout_keep_alive=KEEP_ALIVE_S, **quiet)
        self._server = server = _Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.run_on(listener)), name="grok-sandbox", daemon=True
        )
        self._thread.start()
        server.ready.wait(START_TIMEOUT_S)
        return self.url

    def stop(self) -> None:
        """Close the port and every open stream; does nothing if it isn't started."""
        if self._server is None or self._thread is None:
            return
        self._server.force_exit = True
        self._server.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def run_on(self, listener: socket.socket) -> None:
        await self.serve([listener])
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted transports close


class _Protocol(H11Protocol):
    """Lets a fault script reset its connection; does not log the answers that one breaks off on purpose."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("grok_mcp.sandbox")
        self.logger.setLevel(logging.CRITICAL)
        app = self.app

        async def with_reset(scope: Any, receive: Any, send: Any) -> None:
            extensions = {**scope.get("extensions", {}), RESET: self._reset}
            await app({**scope, "extensions": extensions}, receive, send)

        self.app = with_reset

    def _reset(self) -> None:
        if not self.transport.is_closing():
            connection = self.transport.get_extra_info("socket")
            # closing a socket that lingers for no time is a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
