"""Our own of uvicorn: a time limit for headers, one packet for what is written at once, a patient end."""

import asyncio
import socket
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from grok_mcp import bounds
from grok_mcp.serving.http.guards import LINGER_S

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


class PatientProtocol(GuardedProtocol):
    """When the server ends, serves a request that was on its way already, and closes the connection then."""

    _is_ending = False

    def data_received(self, data: bytes) -> None:
        """Serve one more request at most."""
        super().data_received(data)
        if self._is_ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection once nothing more can come."""
        if self._is_ending or not (self.cycle is None or self.cycle.response_complete):
            super().shutdown()
        else:
            self._is_ending = True
            self.loop.call_later(LINGER_S, self.shutdown)


class PatientServer(uvicorn.Server):
    """When it ends, takes the connections that the system has taken for it already, which it would reset."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take them, and stop listening in the same turn of the event loop."""
        loop = asyncio.get_running_loop()
        welcomed = [loop.create_task(self._welcome(taken)) for taken in _take_all(sockets or [])]
        await super().shutdown(sockets)
        await asyncio.gather(*welcomed, return_exceptions=True)

    async def _welcome(self, taken: socket.socket) -> None:
        def made() -> asyncio.Protocol:
            make = cast(Any, self.config.http_protocol_class)
            protocol: asyncio.Protocol = make(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return protocol

        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_accepted_socket(made, taken)
        cast(PatientProtocol, protocol).shutdown()


def _take_all(listening: list[socket.socket]) -> list[socket.socket]:
    taken = []
    for one in listening:
        while True:
            try:
                connection, _ = one.accept()
            except OSError:  # none is left
                break
            connection.setblocking(False)
            taken.append(connection)
    return taken
