"""The HTTP library's transport on connections of our own: makes them, and keeps those that are idle.

`upstream.py` uses it where no proxy is in the way. There is no bound on how many are open: the pipeline has
one on the calls. See docs/decisions/0021-a-parser-in-c.md.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import NamedTuple

import aiohappyeyeballs
import httpx2

from grok_mcp.addresses import is_address
from grok_mcp.endpoint.connection import Connection, Incoming, Timeouts

IDLE_S = 5.0
"""How long a connection that nobody uses is kept."""

NEXT_ADDRESS_S = 0.25
"""How long the first address of a name may take before the next is tried in parallel (RFC 8305)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"(?:[^\0\s]+(?:[ \t]+[^\0\s]+)*)?")

_CONNECTING: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (TimeoutError, httpx2.ConnectTimeout),
    (OSError, httpx2.ConnectError),  # also ssl.SSLError and socket.gaierror
    (ValueError, httpx2.ConnectError),  # also UnicodeError, of a name that can't be one
    (OverflowError, httpx2.ConnectError),  # of a port
)
"""What connecting raises, and what the HTTP library calls it. The first that fits counts."""


class _Origin(NamedTuple):
    """Where a connection leads."""

    scheme: str
    host: str
    port: int


class Transport(httpx2.AsyncBaseTransport):
    """Sends each request over a connection that is idle, or a new one."""

    def __init__(self, tls: ssl.SSLContext, *, idle_s: float = IDLE_S) -> None:
        self._tls = tls
        self._idle_s = idle_s
        self._open: set[Connection] = set()
        self._idle: dict[_Origin, dict[Connection, asyncio.TimerHandle]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it; the response is handed out once its head is there."""
        head, body = _head(request), await request.aread()
        timeouts: Timeouts = request.extensions.get("timeout", {})
        origin = _origin(request.url)
        connection = self._reused(origin) or await self._connected(origin, timeouts.get("connect"))
        try:
            incoming = await connection.send(head, body, timeouts)
        except BaseException:
            connection.finish()
            raise
        stream = _Body(self, origin, connection, incoming, timeouts.get("read"))
        return httpx2.Response(incoming.status, headers=incoming.headers, stream=stream)

    def _reused(self, origin: _Origin) -> Connection | None:
        """The connection that has been idle for the shortest time."""
        idle = self._idle.get(origin, {})
        while idle:
            connection, expiry = idle.popitem()
            expiry.cancel()
            if connection.is_open:
                return connection
        return None

    async def _connected(self, origin: _Origin, timeout: float | None) -> Connection:
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(origin)
        except tuple(kind for kind, _ in _CONNECTING) as error:
            meant = next(meant for kind, meant in _CONNECTING if isinstance(error, kind))
            raise meant(str(error)) from error

    async def _connect(self, origin: _Origin) -> Connection:
        """A connection to the first address that answers; a dead one is not waited for."""
        loop = asyncio.get_running_loop()
        tls, name = (self._tls, origin.host) if origin.scheme == "https" else (None, None)

        def protocol() -> Connection:
            return Connection(self._open)

        if is_address(origin.host):
            made = loop.create_connection(protocol, origin.host, origin.port, ssl=tls, server_hostname=name)
        else:  # the event loops do not all race addresses
            addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            connected = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, loop=loop
            )
            made = loop.create_connection(protocol, sock=connected, ssl=tls, server_hostname=name)
        return (await made)[1]

    def take_back(self, origin: _Origin, connection: Connection) -> None:
        """Keep a connection for the next request, where it is fit for one."""
        if connection.finish():
            expiry = asyncio.get_running_loop().call_later(self._idle_s, self._expire, origin, connection)
            self._idle.setdefault(origin, {})[connection] = expiry

    def _expire(self, origin: _Origin, connection: Connection) -> None:
        self._idle[origin].pop(connection, None)
        connection.close()

    async def aclose(self) -> None:
        """Close all connections, also those that are in use."""
        for idle in self._idle.values():
            for expiry in idle.values():
                expiry.cancel()
        self._idle.clear()
        for connection in list(self._open):
            connection.close()
        await asyncio.sleep(0)  # the event loop closes the sockets in its next turn


class _Body(httpx2.AsyncByteStream, AsyncIterator[bytes]):
    """The bytes of a response as they come."""

    def __init__(
        self,
        transport: Transport,
        origin: _Origin,
        connection: Connection,
        incoming: Incoming,
        timeout: float | None,
    ) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._incoming = incoming
        self._timeout = timeout
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if piece := await self._connection.read(self._incoming, self._timeout):
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.take_back(self._origin, self._connection)


def _origin(url: httpx2.URL) -> _Origin:
    if url.scheme not in _DEFAULT_PORTS or not url.raw_host:
        raise httpx2.UnsupportedProtocol("the address is no HTTP URL")
    return _Origin(url.scheme, url.raw_host.decode("ascii"), url.port or _DEFAULT_PORTS[url.scheme])


def _head(request: httpx2.Request) -> bytes:
    """The request up to its body. Raises LocalProtocolError for headers that would not arrive as they are."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [_header(name, value) for name, value in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])


@lru_cache(maxsize=64)  # nearly all are the same with each request
def _header(name: bytes, value: bytes) -> bytes:
    if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        raise httpx2.LocalProtocolError(f"Illegal header value of {name.decode('ascii', 'replace')}")
    return b"%b: %b" % (name, value)
