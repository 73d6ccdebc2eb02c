"""Our own of uvicorn's HTTP/1.1: a time limit for headers, and one packet for what is written at once."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from grok_mcp import bounds

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
