"""Metrics over HTTP: who may read them, at the server's own port or at an address of their own.

They show everybody's totals. So no token of a caller opens them, and where they have no token of their own
they answer this machine only.
"""

import asyncio
import errno
import hmac
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from grok_mcp import bounds, errors
from grok_mcp.addresses import is_loopback
from grok_mcp.pipeline import Grok
from grok_mcp.serving.http.guards import CheckedHeaders, addresses_of
from grok_mcp.serving.http.protocol import GuardedProtocol
from grok_mcp.serving.http.sockets import listen_at
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS

if TYPE_CHECKING:
    from grok_mcp.metrics import Source

EVERY_S = 1.0
"""Between two looks at how much there is, and how late the event loop is."""
CONNECTIONS = 32
"""To an address of their own; what is more is answered 503."""
CLOSE_S = 3.0

_bound: list[socket.socket] = []
"""The socket of that address, from the start of the process until it is served."""

logger = logging.getLogger(__name__)


def metrics_refusal(settings: Settings) -> str | None:
    """Why metrics must not be served by these settings, None where they may, or are off."""
    if settings.metrics == "off":
        return None
    address = settings.metrics_address
    if address is not None and settings.metrics_token is None and not is_loopback(address[0]):
        return (
            f"GROK_MCP_METRICS: {address[0]} is not a loopback address, and anybody could read the metrics: "
            "set GROK_MCP_METRICS_TOKEN"
        )
    from grok_mcp.metrics import folder_problem  # needs an extra

    return folder_problem()


def shared_folder() -> AbstractContextManager[None]:
    """A folder in which the processes that are started in the block measure together."""
    from grok_mcp.metrics import shared_folder

    return shared_folder()


class MetricsPage:
    """The page itself: the text for whoever may read it, and 401, 403 or 405 for everybody else."""

    def __init__(self, settings: Settings, make: "Callable[[], Source]") -> None:
        token = settings.metrics_token
        self._expected = None if token is None else f"Bearer {token.get_secret_value()}".encode()
        self._make = make
        self._source: Source | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            response = self._refusal(scope) or await self._text(scope)
            await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope.get("path") != "/metrics":
            return PlainTextResponse("Not Found\n", 404)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET, HEAD"})
        if self._expected is None:
            return None if _is_of_this_machine(scope) else PlainTextResponse(_ONLY_HERE, 403)
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) == 1 and hmac.compare_digest(_as_sent(given[0]), self._expected):
            return None
        return PlainTextResponse(_NEEDS_TOKEN, 401, {"WWW-Authenticate": "Bearer"})

    async def _text(self, scope: Scope) -> Response:
        from grok_mcp.metrics import CONTENT_TYPE

        if self._source is None:
            self._source = self._make()
        return Response(
            await self._source.text(), media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"}
        )


_ONLY_HERE = "Metrics are for this machine only, as localhost: set GROK_MCP_METRICS_TOKEN for others.\n"
_NEEDS_TOKEN = "Metrics need the token of GROK_MCP_METRICS_TOKEN; those of callers do not open them.\n"


def _as_sent(value: bytes) -> bytes:
    """A value of the header with its scheme as it is usually written."""
    scheme, _, token = value.partition(b" ")
    return b"Bearer " + token.strip() if scheme.lower() == b"bearer" else value


def _is_of_this_machine(scope: Scope) -> bool:
    """Whether a request comes from this machine and is no page's of elsewhere, whatever proxies it passed."""
    headers = Headers(scope=scope)
    with suppress(ValueError):
        named = urlsplit(f"//{headers.get('host', '')}").hostname
        return all(map(is_loopback, addresses_of(scope))) and is_loopback(named) and "origin" not in headers
    return False


class Measured:
    """What one process measures while it serves."""

    def __init__(self, grok: Grok, settings: Settings) -> None:
        from grok_mcp.metrics import Prometheus

        self._grok = grok
        self._settings = settings
        callers = settings.metrics_callers == "on"
        codes = {
            kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")
        }
        self.prometheus = Prometheus(grok.gateway.name, TOOLS, codes, settings.model, callers=callers)
        grok.reporting.monitor = self.prometheus

    def source(self) -> "Source":
        """The text of this process, or of all that share a folder with it."""
        from grok_mcp.metrics import Source

        return Source(self.prometheus.registry)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Look at the process once a second, and serve the address of their own where nobody does so yet."""
        sampling = asyncio.create_task(self._sample())
        try:
            with self._apart():
                yield
        finally:
            sampling.cancel()

    def _apart(self) -> AbstractContextManager[None]:
        address = self._settings.metrics_address
        if address is None:
            return nullcontext()
        if not _bound:
            try:
                bind(address)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:  # else another process of this server has it
                    logger.warning("metrics are not served at %s:%s: %s", *address, error.strerror or error)
                return nullcontext()
        return serving_apart(self._settings, self.source)

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        self.prometheus.sample(self._grok.load, None)
        while True:
            due = loop.time() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.prometheus.sample(self._grok.load, max(0.0, loop.time() - due))


def metrics_page(settings: Settings, measured: Measured | None) -> ASGIApp:
    """The page for the server's own port."""
    assert measured is not None
    return MetricsPage(settings, measured.source)


def bind(address: tuple[str, int]) -> None:
    """Listen at an address of their own, to be served later. Raises OSError."""
    _bound.append(listen_at(*address, CONNECTIONS))


def _shared() -> "Source":
    from grok_mcp.metrics import Source

    return Source()


@contextmanager
def serving_apart(settings: Settings, make: "Callable[[], Source]" = _shared) -> Iterator[None]:
    """Serve the socket that is bound, on a thread of its own, while the block runs."""
    config = uvicorn.Config(
        CheckedHeaders(MetricsPage(settings, make)),
        http=GuardedProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # they are looked at here
        limit_concurrency=CONNECTIONS,
        h11_max_incomplete_event_size=bounds.HEADER_BYTES,
        timeout_graceful_shutdown=1,
    )
    server, listening = uvicorn.Server(config), _bound.pop()
    worker = threading.Thread(target=server.run, args=([listening],), name="metrics", daemon=True)
    worker.start()
    try:
        yield
    finally:
        server.should_exit = True
        worker.join(CLOSE_S)
        listening.close()
