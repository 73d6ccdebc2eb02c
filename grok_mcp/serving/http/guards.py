"""What a request passes before the MCP transports of `app.py`: all of it plain ASGI."""

import asyncio
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grok_mcp import bounds
from grok_mcp.addresses import is_loopback
from grok_mcp.pipeline import InFlight

LINGER_S = 1.0
"""How long a connection without a request is kept when the server ends: one may be on its way."""

_CLOSE = {"Connection": "close"}
_FORWARDED = re.compile(r"for\s*=\s*([^;,\s]+)", re.IGNORECASE)


class LoopbackOnly:
    """Serves this machine only: the application may listen anywhere, and nobody has to say who they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and not all(map(is_loopback, addresses_of(scope))):
            refusal = PlainTextResponse(
                "This server has no authentication set up and so serves its own machine only: "
                "set GROK_MCP_TOKEN_FILE or GROK_MCP_OAUTH_ISSUER.\n",
                403,
            )
            return await refusal(scope, receive, send)
        await self._app(scope, receive, send)


def addresses_of(scope: Scope) -> list[str]:
    """Where a request comes from, by its connection and by whatever proxies say; "" for what is not known.

    Not every ASGI server reads the proxies' headers. To make them up can only keep oneself out.
    """
    headers = Headers(scope=scope)
    client = scope.get("client")
    addresses = [client[0] if client else ""]
    for name in ("x-forwarded-for", "x-real-ip"):
        addresses += [part for value in headers.getlist(name) for part in value.split(",")]
    for value in headers.getlist("forwarded"):
        addresses += _FORWARDED.findall(value) or [""]
    return [_without_port(address.strip().strip('"')) for address in addresses]


def _without_port(address: str) -> str:
    """The host of `1.2.3.4:5`, `[::1]:5` or an address alone."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


class CheckedHeaders:
    """Refuses headers that are too many or too long, or that leave open where the body of a request ends.

    An ASGI server bounds what it waits for, not what arrives at once; and some look-ups are quadratic.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 431 or 400."""
        headers = scope.get("headers", ())
        refusal = None
        if (
            len(headers) > bounds.HEADERS
            or sum(len(name) + len(value) for name, value in headers) > bounds.HEADER_BYTES
        ):
            refusal = PlainTextResponse("Too many or too long headers\n", 431, _CLOSE)
        elif {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}:
            refusal = PlainTextResponse("Two lengths\n", 400, _CLOSE)  # a proxy may go by the other one
        await (refusal or self._app)(scope, receive, send)


class Farewell:
    """Closes connections with their responses while the server leaves, so that proxies keep none of them."""

    def __init__(self, app: ASGIApp, in_flight: InFlight) -> None:
        self._app = app
        self._in_flight = in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if not self._in_flight.leaving or scope.get("http_version") != "1.1":
            return await self._app(scope, receive, send)

        async def last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        await self._app(scope, receive, last)


class InTurn:
    """Lets one request pass at each turn of the event loop.

    A crowd that arrives at once would else move in step: the endpoint would see the first request when the
    last one is ready, and all answers would come back together. This way the endpoint works on the first ones
    meanwhile. A request that arrives alone passes at once.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it is its turn."""
        loop = asyncio.get_running_loop()
        if self._taken:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._taken = True
            loop.call_soon(self._next, loop)
        await self._app(scope, receive, send)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled meanwhile
                turn.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._taken = False


class _TooSlowError(Exception):
    """The body of a request did not arrive in time."""


class TimedBody:
    """Answers 408 where a request's body takes too long; `marks` go into the scope of the request."""

    def __init__(
        self, app: ASGIApp, marks: Mapping[str, Any] | None = None, *, limit_s: float = bounds.BODY_S
    ) -> None:
        self._app = app
        self._marks = marks or {}
        self._limit_s = limit_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a body that comes in time."""
        deadline = anyio.current_time() + self._limit_s
        arrived = False

        async def timed() -> Message:
            nonlocal arrived, deadline
            if arrived:
                return await receive()
            with anyio.move_on_after(deadline - anyio.current_time()):
                message = await receive()
                arrived = not message.get("more_body", False)
                deadline += len(message.get("body", b"")) / bounds.BODY_BYTES_PER_S
                return message
            raise _TooSlowError

        try:
            await self._app({**scope, **self._marks}, timed, send)
        except _TooSlowError:
            refusal = PlainTextResponse("The request body took too long\n", 408, _CLOSE)
            await refusal(scope, receive, send)
        except ClientDisconnect:
            pass  # in the middle of its body: nobody is there to answer, and it is nothing to log


class Completed:
    """Ends a response that was left open: the streams of the SDK just stop when the server has to end.

    An ASGI server would log each of them as an error.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and see its response to the end."""
        is_open = False

        async def noting(message: Message) -> None:
            nonlocal is_open
            is_open = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        await self._app(scope, receive, noting)
        if is_open:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
