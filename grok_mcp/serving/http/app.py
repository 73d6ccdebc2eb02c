"""MCP over HTTP: one ASGI application with Streamable HTTP, legacy SSE, health, and the checks before them.

`create_app` runs under any ASGI server with any number of workers; `listen.py` runs our own. From outside
in, a request passes: loopback check where there is no authentication, Host and Origin, the bearer token, time
limit and size of its body, its message, then the count of sessions and the SDK's transport.
"""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import RequestBodyLimitMiddleware
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from grok_mcp.endpoint import KeyState, report
from grok_mcp.environment import EXIT_BAD_SETTINGS, read_settings
from grok_mcp.pipeline import Grok, InFlight
from grok_mcp.server import STREAMED
from grok_mcp.serving.http.challenge import TokenNeeded, metadata_routes
from grok_mcp.serving.http.guards import (
    LINGER_S,
    CheckedHeaders,
    Completed,
    Farewell,
    InTurn,
    LoopbackOnly,
    TimedBody,
)
from grok_mcp.serving.http.messages import ReadableMessages
from grok_mcp.serving.http.metrics import Measured, metrics_page, metrics_refusal
from grok_mcp.serving.http.origins import OwnNames
from grok_mcp.serving.http.sessions import BoundedSessions, Sessions
from grok_mcp.serving.http.sse import SseTransport, public_prefix
from grok_mcp.serving.http.tokens import Callers, token_file_problem, token_verifier
from grok_mcp.serving.process import build_process, close_process, settle_memory
from grok_mcp.settings import Settings

TRANSPORTS = ("streamable-http", "sse")
TURNS_TO_SEND = 1000
"""Turns of the event loop between the end of the last call and the end of all streams: an answer passes
through a handful of tasks on its way out, and a stream that is ended on the way drops it."""

logger = logging.getLogger(__name__)


def create_app() -> Starlette:
    """The application of this process, from its environment; what any ASGI server can run as a factory."""
    settings = read_settings()
    if settings is None:
        raise SystemExit(EXIT_BAD_SETTINGS)
    if problem := token_file_problem(settings) or metrics_refusal(settings):
        sys.stderr.write(f"grok-mcp-server: {problem}\n")
        raise SystemExit(EXIT_BAD_SETTINGS)
    built = build_process(settings)
    if built is None:
        raise SystemExit(EXIT_BAD_SETTINGS)
    settle_memory()
    return build_app(*built, settings, served_transports(settings))


def served_transports(settings: Settings) -> tuple[str, ...]:
    """The network transports that these settings ask for and allow; all where they name none of them."""
    wanted = (settings.transport,) if settings.transport in TRANSPORTS else TRANSPORTS
    return tuple(name for name in wanted if name != "sse" or settings.sticky or not settings.shared)


def build_app(
    server: Server[Any], grok: Grok, settings: Settings, transports: Collection[str] = TRANSPORTS
) -> Starlette:
    """The application around one server; its lifespan closes `grok`."""
    verifier = token_verifier(settings)
    measured = Measured(grok, settings) if settings.metrics != "off" else None
    sessions = Sessions(settings.sessions_per_caller, settings.session_idle)
    guard, routes, middleware = _authentication(verifier, settings)
    manager = StreamableHTTPSessionManager(
        server,
        stateless=settings.shared,
        max_request_body_size=settings.max_body_bytes,
        session_idle_timeout=settings.session_idle,
        max_sessions=None,  # ours are bounded for each caller
    )

    def endpoint(app: ASGIApp, *, marks: Mapping[str, Any] | None = None, **how: Any) -> ASGIApp:
        """An application for messages, behind all that a request passes."""
        readable = RequestBodyLimitMiddleware(ReadableMessages(app, **how), settings.max_body_bytes)
        return OwnNames(guard(InTurn(Completed(TimedBody(readable, marks)))), settings)

    prefixes = dict.fromkeys(("", public_prefix(settings)))
    if "streamable-http" in transports:
        served = BoundedSessions(StreamableHTTPASGIApp(manager), sessions)
        app = endpoint(served, marks={STREAMED: True}, needs_session=not settings.shared)
        routes += [Route(f"{before}{path}", app) for before in prefixes for path in ("/mcp", "/mcp/")]
    if "sse" in transports:
        sse = SseTransport(server, sessions, settings)
        stream = OwnNames(guard(Completed(sse.stream)), settings)
        messages = endpoint(sse.messages, on_refusal=sse.refuse)
        for before in prefixes:
            for slash in ("", "/"):
                routes.append(Route(f"{before}/sse{slash}", stream, methods=["GET", "OPTIONS"]))
                routes.append(Route(f"{before}/messages{slash}", messages, methods=["POST", "OPTIONS"]))

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> JSONResponse:
        said = await _readiness(grok, verifier)
        return JSONResponse(said, 200 if said["ready"] else 503)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        AppStatus.enable_automatic_graceful_drain = False  # it cuts calls in flight; ours lets them end
        AppStatus.should_exit = False
        async with manager.run(), measured.going_on() if measured else nullcontext():
            with _draining_on_signals(grok.in_flight, settings.grace, settings.leave):
                yield
            await grok.in_flight.drain(settings.grace if grok.in_flight.is_collectable() else 0)
        await close_process(grok)

    routes += [Route("/healthz", healthz), Route("/readyz", readyz)]
    if settings.metrics == "on":
        routes.append(Route("/metrics", metrics_page(settings, measured)))
    middleware = [Middleware(CheckedHeaders), Middleware(Farewell, in_flight=grok.in_flight), *middleware]
    app = Starlette(routes=routes, middleware=middleware, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


async def _readiness(grok: Grok, verifier: Callers | None) -> dict[str, Any]:
    """What `/readyz` says: whether there is a call that would not be refused."""
    own_only = grok.settings.caller_keys == "required" and grok.keys.key is None
    key: KeyState = "callers" if own_only else await grok.readiness.key_state()
    problem = None if own_only else grok.readiness.problem
    if problem is None and verifier:
        problem = await verifier.problem()
    if problem is None and grok.budget:
        problem = await grok.budget.problem()
    if problem is None and grok.quotas:
        problem = await grok.quotas.problem()
    has_key = grok.keys.key is not None
    return report(
        key, closing=grok.in_flight.closing or grok.in_flight.leaving, problem=problem, has_key=has_key
    )


def _authentication(
    verifier: Callers | None, settings: Settings
) -> tuple[Callable[[ASGIApp], ASGIApp], list[BaseRoute], list[Middleware]]:
    """What guards an endpoint, the routes and the middleware that go with it."""
    if verifier is None:
        middleware = [] if settings.insecure_no_auth else [Middleware(LoopbackOnly)]
        return lambda app: app, [], middleware
    metadata_url, routes = metadata_routes(settings)

    def guard(app: ASGIApp) -> ASGIApp:
        needed = TokenNeeded(app, settings.oauth_scopes, metadata_url)
        return AuthenticationMiddleware(needed, BearerAuthBackend(verifier), _keys_unavailable)

    return guard, [*routes], []


def _keys_unavailable(connection: HTTPConnection, error: Exception) -> Response:
    """The one thing that the verifier raises: whether a token is good is unknown."""
    return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "5"})


@contextmanager
def _draining_on_signals(in_flight: InFlight, grace_s: float, leave_s: float) -> Iterator[None]:
    """When the process has to end: say so for `leave_s` seconds, take no new call, let those in flight end,
    then close idle streams.

    The ASGI server's own handler runs as well; it stops listening and waits for the responses.
    """
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []

    async def drain() -> None:
        await in_flight.drain(grace_s)
        for _ in range(TURNS_TO_SEND):
            await asyncio.sleep(0)
        AppStatus.should_exit = True

    def begin() -> None:
        if not draining:
            in_flight.closing = True
            draining.append(loop.create_task(drain()))

    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                before[number] = handler
                signal.signal(number, _first(loop, begin, handler, in_flight, leave_s))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first(
    loop: asyncio.AbstractEventLoop,
    begin: Callable[[], None],
    handler: Callable[..., Any],
    in_flight: InFlight,
    leave_s: float,
) -> Callable[..., None]:
    """A handler of a signal that begins to drain, and lets `handler` stop listening, after `leave_s` seconds.

    A second signal waits for nothing.
    """

    def handle(number: int, frame: Any) -> None:
        if in_flight.leaving or not leave_s:
            loop.call_soon_threadsafe(begin)
            handler(number, frame)
        else:
            in_flight.leaving = True
            loop.call_soon_threadsafe(loop.call_later, leave_s, leave, number)

    def leave(number: int) -> None:
        if not in_flight.closing:  # else a second signal has done all this, and the handler would hurry now
            loop.call_later(LINGER_S, begin)  # calls that come until it listens no more are served
            handler(number, None)

    return handle
