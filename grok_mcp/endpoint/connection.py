"""One connection to the endpoint: sends a request, and reads its response with a parser in C while it comes.

An asyncio protocol, so that a piece passes from the socket to its reader in one step; `network.py` keeps
the connections. What goes wrong here is raised as the HTTP library's own exception. See
docs/decisions/0021-a-parser-in-c.md.
"""

import asyncio
from collections.abc import Mapping
from typing import cast

import httptools
import httpx2

from grok_mcp import bounds

READ_AHEAD = 256 * 1024
"""Bytes of an answer that wait to be read before the endpoint is held up."""

SENT_TOGETHER = 64 * 1024
"""A body of so many bytes goes out in one piece with its headers; a larger one is not copied for that."""

Timeouts = Mapping[str, float | None]
"""Seconds by the names that the HTTP library has for them: `connect`, `read`, `write`."""

_LENIENT = dict.fromkeys(
    (
        "lenient_headers",
        "lenient_chunked_length",
        "lenient_transfer_encoding",
        "lenient_version",
        "lenient_optional_lf_after_cr",
        "lenient_optional_cr_before_lf",
        "lenient_optional_crlf_after_chunk",
        "lenient_spaces_after_chunk_size",
    ),
    True,
)
"""What the parser forgives. Nobody shares a connection: a doubtful byte can reach no neighbour."""


class _Surplus(Exception):
    """Something comes behind the end of a response."""


class Incoming:
    """One response while it comes: head, pieces of the body, and whether that is all."""

    def __init__(self) -> None:
        self.status = 0
        """The status once the head is complete, until then 0."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.complete = False
        self.reusable = False
        """Whether another request may follow over the same connection."""
        self.on_body = self.pieces.append
        self._framing = 0  # bytes since the last piece
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**_LENIENT)

    def feed(self, data: bytes) -> None:
        """Read what has come. Raises RemoteProtocolError where it is no HTTP."""
        before = len(self.pieces)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise httpx2.RemoteProtocolError("it changed to another protocol") from None
        except httptools.HttpParserError as error:
            if not self.complete:
                raise httpx2.RemoteProtocolError(f"it is not HTTP: {error}") from None
            self.reusable = False
        self._framing = 0 if len(self.pieces) > before else self._framing + len(data)
        if self._framing > bounds.HEAD_BYTES:
            raise httpx2.RemoteProtocolError(f"more than {bounds.HEAD_BYTES >> 10} KiB of headers")

    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the regular end of this body."""
        return bool(self.status) and not any(map(_gives_length, self.headers))

    def on_message_begin(self) -> None:
        """Called by the parser, as all that follow."""
        if self.complete:
            raise _Surplus

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is of no use to anybody."""
        if not self.status:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the status, unless it only says that another one comes."""
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status

    def on_message_complete(self) -> None:
        """End the response, or what came before it."""
        if self.status:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()
        else:
            self.headers.clear()

    def release(self) -> None:
        """Let go of the parser, which refers back to this object."""
        del self._parser


class Connection(asyncio.Protocol):
    """A connection that carries one exchange after another; one of `connections` while it is open."""

    def __init__(self, connections: set["Connection"]) -> None:
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._incoming: Incoming | None = None
        self._failure: httpx2.TransportError | None = None
        self._unread = 0
        self._ended = False
        self._writable = True
        self._waiter: asyncio.Future[None] | None = None

    # -------------------------------------------------------------------------------- what the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop, as all that follow."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Hand what has come to the parser; between two exchanges nothing may come."""
        if self._incoming is None:
            self.close()
            return
        try:
            self._incoming.feed(data)
        except httpx2.TransportError as error:
            self._fail(error)
            self.close()
            return
        self._unread += len(data)
        if self._unread > READ_AHEAD:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Note the end, which may be that of the body as well."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note why it is gone."""
        self._end(exc)
        self._writable = True
        self._connections.discard(self)

    def pause_writing(self) -> None:
        """Wait before more is written."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on writing."""
        self._writable = True
        self._wake()

    def _end(self, error: Exception | None) -> None:
        self._ended = True
        if error is not None:
            lost = httpx2.ReadError if self._writable else httpx2.WriteError
            self._fail(lost(str(error)))
        elif self._incoming and self._incoming.ends_with_connection() and not self._failure:
            self._incoming.complete = True
            self._wake()
        else:
            begun = self._incoming and self._incoming.status
            self._fail(httpx2.RemoteProtocolError("the body breaks off" if begun else "no response had come"))

    def _fail(self, error: httpx2.TransportError) -> None:
        """Note what goes wrong first: the rest follows from it. A response that is complete stays so."""
        if self._failure is None and not (self._incoming and self._incoming.complete):
            self._failure = error
        self._wake()

    # -------------------------------------------------------------------------------- what its user wants

    @property
    def is_open(self) -> bool:
        """Whether another exchange can begin, as far as is known here."""
        return not self._ended and not self._transport.is_closing()

    async def send(self, head: bytes, body: bytes, timeouts: Timeouts) -> Incoming:
        """Send a request and wait for the head of the response."""
        incoming = self._incoming = Incoming()
        if len(body) <= SENT_TOGETHER:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        while not (self._writable or incoming.status or self._failure):
            await self._wait(timeouts.get("write"), httpx2.WriteTimeout)
        while not (incoming.status or self._failure):
            await self._wait(timeouts.get("read"), httpx2.ReadTimeout)
        if not incoming.status and self._failure:
            raise self._failure
        return incoming

    async def read(self, incoming: Incoming, timeout: float | None) -> bytes:
        """What has come of the body since the last time; nothing at its end."""
        while not incoming.pieces:
            if incoming.complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._wait(timeout, httpx2.ReadTimeout)
        data = incoming.pieces[0] if len(incoming.pieces) == 1 else b"".join(incoming.pieces)
        incoming.pieces.clear()
        self._have_read()
        return data

    def _have_read(self) -> None:
        if self._unread > READ_AHEAD and self.is_open:
            self._transport.resume_reading()
        self._unread = 0

    def finish(self) -> bool:
        """End the exchange; closes the connection unless another can follow, and says whether it can."""
        incoming, self._incoming = self._incoming, None
        if incoming is None:
            return False
        incoming.release()
        written = self._transport.get_write_buffer_size() == 0
        if incoming.reusable and written and self._failure is None and self.is_open:
            self._have_read()
            return True
        self.close()
        return False

    def close(self) -> None:
        """Close it at once: neither what is unsent nor a farewell in TLS is waited for."""
        self._fail(httpx2.RemoteProtocolError(""))
        self._transport.abort()

    async def _wait(self, timeout: float | None, late: type[httpx2.TimeoutException]) -> None:
        """Wait for something to happen to the connection. A timer of its own costs less than a scope."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout, _time_out, waiter, late) if timeout is not None else None
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _gives_length(header: tuple[bytes, bytes]) -> bool:
    """Whether it says where a body ends."""
    name, value = header[0].lower(), header[1].lower()
    return name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value)


def _time_out(waiter: "asyncio.Future[None]", late: type[httpx2.TimeoutException]) -> None:
    if not waiter.done():
        waiter.set_exception(late(""))
