"""Serves the application of `app.py`: the listening socket, one or several worker processes, slow clients.

Our own settings of uvicorn: `TCP_NODELAY` (without it each answer waits 40 ms for an acknowledgement), a time
limit for headers, a small bound for their size, and exit status 0 after a signal.
"""

import gc
import logging
import math
import signal
import socket
import sys
from contextlib import ExitStack

import uvicorn
from uvicorn.supervisors import Multiprocess

from grok_mcp import bounds
from grok_mcp.addresses import is_loopback
from grok_mcp.environment import EXIT_BAD_SETTINGS
from grok_mcp.logs import start_line
from grok_mcp.serving.http.metrics import bind, metrics_refusal, serving_apart, shared_folder
from grok_mcp.serving.http.protocol import GuardedProtocol, PatientProtocol, PatientServer
from grok_mcp.serving.http.sockets import listen_at
from grok_mcp.serving.http.tokens import token_file_problem, token_verifier
from grok_mcp.serving.start import facts
from grok_mcp.settings import Settings

EXIT_NO_SOCKET = 1
BACKLOG = 2048


def serve(settings: Settings) -> int:
    """Serve the network until a signal comes; returns the exit status."""
    gc.enable()
    refusal = _refusal(settings)
    if refusal:
        sys.stderr.write(f"grok-mcp-server: {refusal}\n")
        return EXIT_BAD_SETTINGS
    try:
        listening = listen_at(settings.host, settings.port, BACKLOG)
        listening.set_inheritable(True)
    except OSError as error:
        reason = error.strerror or error
        sys.stderr.write(f"grok-mcp-server: can't listen at {settings.host}:{settings.port}: {reason}\n")
        return EXIT_NO_SOCKET
    with ExitStack() as ends:
        if settings.metrics_address is not None:
            try:
                bind(settings.metrics_address)
            except OSError as error:
                host, port = settings.metrics_address
                reason = error.strerror or error
                sys.stderr.write(f"grok-mcp-server: can't listen at {host}:{port}: {reason}\n")
                return EXIT_NO_SOCKET
        if settings.metrics != "off" and settings.workers > 1:
            ends.enter_context(shared_folder())
            if settings.metrics_address is not None:
                ends.enter_context(serving_apart(settings))
        return _serve(settings, listening)


def _serve(settings: Settings, listening: socket.socket) -> int:
    config = uvicorn.Config(
        "grok_mcp.http:create_app",
        factory=True,
        http=PatientProtocol if settings.leave else GuardedProtocol,
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
    server = PatientServer(config) if settings.leave else uvicorn.Server(config)
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
    return token_file_problem(settings) or _limits_problem(settings) or metrics_refusal(settings)


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


def _announce(settings: Settings, listening: socket.socket) -> None:
    """One line that says where and what the server is, for people and for whoever took port 0."""
    host, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    paths = {"sse": "/sse"}.get(settings.transport, "/mcp")
    line = start_line(settings, f"serving http://{name}:{port}{paths}", facts(settings))
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
