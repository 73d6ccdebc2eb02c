"""Connections to the endpoint straight on asyncio, in place of the HTTP library's own way through anyio.

A stream that waits for each piece of an answer pays there for a cancel scope and three layers a read. See
docs/decisions/0010-own-network-backend.md. `upstream.py` uses it where no proxy is in the way.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from typing import Any, cast

import aiohappyeyeballs
import httpcore2
import httpx2

from grok_mcp.addresses import is_address

READ_AHEAD = 256 * 1024
"""Bytes of an answer that wait to be read before the endpoint is held up."""

NEXT_ADDRESS_S = 0.25
"""How long the first address of a name may take before the next is tried in parallel (RFC 8305)."""

_SocketOption = Any


class AsyncioTransport(httpx2.AsyncHTTPTransport):
    """The HTTP library's transport with connections of ours below it."""

    def __init__(self, context: ssl.SSLContext, limits: httpx2.Limits) -> None:
        super().__init__(verify=context, limits=limits)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(),
        )


class _Backend(httpcore2.AsyncNetworkBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                return await _connect(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _connect(host: str, port: int) -> "_Stream":
    """A connection to the first address that answers; a dead one is not waited for."""
    loop = asyncio.get_running_loop()
    if is_address(host):
        return (await loop.create_connection(_Stream, host, port))[1]
    # The event loops do not all race addresses.

    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await aiohappyeyeballs.start_connection(
        addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, loop=loop
    )
    return (await loop.create_connection(_Stream, sock=connected))[1]


class _Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection; what has arrived waits in `_arrived` until it is read."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: list[bytes] = []
        self._size = 0
        self._ended = False
        self._lost: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._writable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._arrived.append(data)
        self._size += len(data)
        if self._size > READ_AHEAD:
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        self._ended = True
        _wake(self._reader)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._lost = exc
        _wake(self._reader)
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        _wake(self._writer)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._arrived and not self._ended:
            self._reader = self._loop.create_future()
            await self._wait(self._reader, timeout, httpcore2.ReadTimeout)
        if self._arrived:
            return self._take(max_bytes)
        if self._lost is not None:
            raise httpcore2.ReadError(str(self._lost)) from self._lost
        return b""

    def _take(self, max_bytes: int) -> bytes:
        data = self._arrived[0] if len(self._arrived) == 1 else b"".join(self._arrived)
        rest = data[max_bytes:]
        self._arrived = [rest] if rest else []
        if self._size > READ_AHEAD >= len(rest) and not self._transport.is_closing():
            self._transport.resume_reading()
        self._size = len(rest)
        return data[:max_bytes] if rest else data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._ended and self._transport.is_closing():
            raise httpcore2.WriteError(str(self._lost or "the connection is closed"))
        self._transport.write(buffer)
        if not self._writable:
            self._writer = self._loop.create_future()
            await self._wait(self._writer, timeout, httpcore2.WriteTimeout)
            if self._lost is not None:
                raise httpcore2.WriteError(str(self._lost)) from self._lost

    async def _wait(
        self, future: "asyncio.Future[None]", timeout: float | None, late: type[Exception]
    ) -> None:
        """Wait for something to happen to the connection. A timer of its own costs less than a scope."""
        timer = self._loop.call_later(timeout, _fail, future, late) if timeout is not None else None
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()

    async def aclose(self) -> None:
        if self.get_extra_info("ssl_object") is None:
            self._transport.close()
        else:
            self._transport.abort()  # a farewell in TLS could take half a minute

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        secured = _Stream()
        try:
            transport = await self._loop.start_tls(
                self._transport,
                secured,
                ssl_context,
                server_hostname=server_hostname,
                ssl_handshake_timeout=timeout,
            )
        except (TimeoutError, ConnectionAbortedError) as error:
            raise httpcore2.ConnectTimeout(str(error)) from error
        except OSError as error:
            self._transport.abort()
            raise httpcore2.ConnectError(str(error)) from error
        assert transport is not None
        secured.connection_made(transport)
        return secured

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of idle connections: there it means the other end has closed
            return bool(self._arrived) or self._ended
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(names.get(info, info))


def _wake(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)


def _fail(future: "asyncio.Future[None]", late: type[Exception]) -> None:
    if not future.done():
        future.set_exception(late())
