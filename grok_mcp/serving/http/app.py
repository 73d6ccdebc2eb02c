"""MCP over HTTP: one ASGI application with Streamable HTTP, legacy SSE, health, and the checks before them.

`create_app` runs under any ASGI server with any number of workers; `listen.py` runs our own. From outside
in, a request passes: loopback check where there is no authentication, the bearer token, the time limit of
its body, then the SDK's checks (Host, Origin, size) and its transport.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl
from sse_starlette.sse import AppStatus
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grok_mcp.addresses import is_wildcard
from grok_mcp.endpoint import report
from grok_mcp.environment import EXIT_BAD_SETTINGS, read_settings
from grok_mcp.pipeline import Grok, InFlight
from grok_mcp.server import STREAMED
from grok_mcp.serving.http.guards import CheckedHeaders, InTurn, LoopbackOnly, TimedBody
from grok_mcp.serving.http.tokens import token_verifier
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
    security = transport_security(settings)
    manager = StreamableHTTPSessionManager(
        server,
        stateless=settings.shared,
        security_settings=security,
        max_request_body_size=settings.max_body_bytes,
    )
    guard, routes, middleware = _authentication(settings)
    if "streamable-http" in transports:
        endpoint = guard(InTurn(TimedBody(StreamableHTTPASGIApp(manager), {STREAMED: True})))
        routes += [Route(path, endpoint=endpoint) for path in ("/mcp", "/mcp/")]
    if "sse" in transports:
        sse = SseServerTransport("/messages/", security, settings.max_body_bytes)
        routes += [
            Route("/sse", endpoint=guard(_SseStream(sse, server)), methods=["GET"]),
            Route("/messages/", endpoint=guard(TimedBody(sse.handle_post_message)), methods=["POST"]),
        ]

    async def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(request: Request) -> JSONResponse:
        readiness = report(await grok.readiness.key_state(), closing=grok.in_flight.closing)
        return JSONResponse(readiness, 200 if readiness["ready"] else 503)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        AppStatus.enable_automatic_graceful_drain = False  # it cuts calls in flight; ours lets them end
        AppStatus.should_exit = False
        async with manager.run():
            with _draining_on_signals(grok.in_flight, settings.grace):
                yield
            await grok.in_flight.drain(settings.grace if grok.in_flight.collectable else 0)
        await close_process(grok)

    routes += [Route("/healthz", healthz), Route("/readyz", readyz)]
    middleware = [Middleware(CheckedHeaders), *middleware]
    app = Starlette(routes=routes, middleware=middleware, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def _authentication(
    settings: Settings,
) -> tuple[Callable[[ASGIApp], ASGIApp], list[BaseRoute], list[Middleware]]:
    """What guards an endpoint, the routes and the middleware that go with it."""
    verifier = token_verifier(settings)
    if verifier is None:
        middleware = [] if settings.insecure_no_auth else [Middleware(LoopbackOnly)]
        return lambda app: app, [], middleware
    routes: list[BaseRoute] = []
    metadata_url = None
    if settings.oauth_issuer and settings.public_url:
        resource = AnyHttpUrl(settings.public_url)
        metadata_url = build_resource_metadata_url(resource)
        issuer = AnyHttpUrl(settings.oauth_issuer)
        routes += create_protected_resource_routes(resource, [issuer], list(settings.oauth_scopes) or None)

    def guard(app: ASGIApp) -> ASGIApp:
        return RequireAuthMiddleware(app, list(settings.oauth_scopes), metadata_url)

    backend = BearerAuthBackend(verifier)
    return guard, routes, [Middleware(AuthenticationMiddleware, backend=backend, on_error=_keys_unavailable)]


def _keys_unavailable(connection: HTTPConnection, error: Exception) -> Response:
    """The one thing that the verifier raises: whether a token is good is unknown."""
    return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "5"})


class _SseStream:
    """The GET of legacy SSE. A class and no function: Starlette would send a second response behind it."""

    def __init__(self, sse: SseServerTransport, server: Server[Any]) -> None:
        self._sse = sse
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with self._sse.connect_sse(scope, receive, noting) as (incoming, outgoing):
                await self._server.run(incoming, outgoing, self._server.create_initialization_options())
        except ValueError:  # how the SDK says that it has refused the request, and answered so itself
            if not started:
                raise


@contextmanager
def _draining_on_signals(in_flight: InFlight, grace_s: float) -> Iterator[None]:
    """When the process has to end: take no new call, let those in flight end, then close idle streams.

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
                signal.signal(number, _both(begin, loop, handler))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _both(
    begin: Callable[[], None], loop: asyncio.AbstractEventLoop, handler: Callable[..., Any]
) -> Callable[..., None]:
    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(begin)
        handler(number, frame)

    return handle


_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PORTS = {"http": 80, "https": 443}


def transport_security(settings: Settings) -> TransportSecuritySettings:
    """What is allowed: loopback, the address listened at, the public one, and the settings'."""
    hosts = [entry for name in _LOOPBACK_NAMES for entry in (name, f"{name}:*")]
    origins = [entry for name in _LOOPBACK_NAMES for entry in (f"http://{name}", f"http://{name}:*")]
    if not is_wildcard(settings.host):
        named = _in_brackets(settings.host)
        hosts += [named, f"{named}:*"]
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        named = _in_brackets(parts.hostname or "")  # as clients spell it: in small letters
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
        hosts.append(f"{named}:{port}")
        if port == usual:
            hosts.append(named)
        origins.append(f"{parts.scheme}://{named}" if port == usual else f"{parts.scheme}://{named}:{port}")
    return TransportSecuritySettings(
        allowed_hosts=[*hosts, *settings.allowed_hosts],
        allowed_origins=[*origins, *settings.allowed_origins],
    )


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
