"""Serves the application of `app.py`: the listening socket, one or several worker processes, slow clients.

Our own settings of uvicorn: `TCP_NODELAY` (without it each answer waits 40 ms for an acknowledgement), a time
limit for headers, a small bound for their size, and exit status 0 after a signal.
"""

import asyncio
import gc
import logging
import math
import signal
import socket
import sys
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from grok_mcp import bounds
from grok_mcp.addresses import is_loopback
from grok_mcp.environment import EXIT_BAD_SETTINGS
from grok_mcp.logs import start_line
from grok_mcp.serving.http.tokens import token_file_problem, token_verifier
from grok_mcp.serving.start import facts
from grok_mcp.settings import Settings

EXIT_NO_SOCKET = 1
BACKLOG = 2048
GATHERED_BYTES = 64 * 1024


class Gathered:
    """A transport that sends what is written in one turn of the event loop at once.

    uvicorn writes head and body of a response one after the other: two packets, and two wakes of the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it with what else is written in this turn; much of it at once."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending += data
        if len(self._pending) > GATHERED_BYTES:
            self._flush()

    def close(self) -> None:
        """Close the connection when all has been sent."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        if pending and not self._transport.is_closing():
            self._transport.write(pending)


class GuardedProtocol(H11Protocol):
    """Closes a connection whose request headers do not arrive in time."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the headers of the first request."""
        super().connection_made(cast(asyncio.Transport, Gathered(transport, self.loop)))
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for what is missing of the headers; nothing is, while a request is served."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(bounds.HEADERS_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def serve(settings: Settings) -> int:
    """Serve the network until a signal comes; returns the exit status."""
    gc.enable()
    refusal = _refusal(settings)
    if refusal:
        sys.stderr.write(f"grok-mcp-server: {refusal}\n")
        return EXIT_BAD_SETTINGS
    try:
        listening = _listen(settings.host, settings.port)
    except OSError as error:
        reason = error.strerror or error
        sys.stderr.write(f"grok-mcp-server: can't listen at {settings.host}:{settings.port}: {reason}\n")
        return EXIT_NO_SOCKET
    config = uvicorn.Config(
        "grok_mcp.http:create_app",
        factory=True,
        http=GuardedProtocol,
        loop="auto",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        workers=settings.workers,
        h11_max_incomplete_event_size=bounds.HEADER_BYTES,
        timeout_keep_alive=math.ceil(settings.keep_alive),
        timeout_graceful_shutdown=int(settings.grace) + 5,
    )
    server = uvicorn.Server(config)
    if settings.workers > 1:
        workers = Multiprocess(config, sockets=[listening])  # which takes signals from now on
        if hasattr(signal, "SIGHUP"):  # else it would start the workers anew
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        _announce(settings, listening)
        workers.run()
    else:
        for number in (signal.SIGINT, signal.SIGTERM):  # also before it runs, and when it raises them again
            signal.signal(number, server.handle_exit)
        _announce(settings, listening)
        server.run(sockets=[listening])
    return 0 if server.started or settings.workers > 1 else 1


def _refusal(settings: Settings) -> str | None:
    """Why these settings must not be served."""
    if token_verifier(settings) is None and not settings.insecure_no_auth and not is_loopback(settings.host):
        return (
            f"{settings.host} is not a loopback address, and nobody would have to authenticate: set "
            "GROK_MCP_TOKEN_FILE or GROK_MCP_OAUTH_ISSUER, or give --insecure-no-auth"
        )
    if settings.transport == "sse" and settings.shared and not settings.sticky:
        return "SSE needs one process, or a proxy that keeps each client at one: say so with --sticky"
    return token_file_problem(settings) or _limits_problem(settings)


def _limits_problem(settings: Settings) -> str | None:
    """What is wrong with the file of limits, before there are processes."""
    if settings.limits_file is None:
        return None
    from grok_mcp.quotas import LimitsFileError, read_file  # only where callers have limits

    try:
        read_file(settings.limits_file)
    except LimitsFileError as error:
        return str(error)
    return None


def _listen(host: str, port: int) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, socket.IPPROTO_TCP)  # the protocol makes asyncio set TCP_NODELAY
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def _announce(settings: Settings, listening: socket.socket) -> None:
    """One line that says where and what the server is, for people and for whoever took port 0."""
    host, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    paths = {"sse": "/sse"}.get(settings.transport, "/mcp")
    line = start_line(settings, f"serving http://{name}:{port}{paths}", facts(settings))
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
