"""An endpoint below HTTP: it sends exactly these bytes, whatever they are, and shows those that came."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import anyio

from tests.support.endpoint import chat

STREAM = b"".join(chat("Hi.").pieces)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def sized(body: bytes = STREAM, head: bytes = HEAD) -> bytes:
    """A whole response that says its length."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Sent:
    """What is sent for one request, in pieces, and what becomes of the connection behind it."""

    pieces: tuple[bytes, ...]
    then: Literal["keep", "close", "reset", "hang"] = "keep"
    reads_body: bool = True
    together: bool = True


class Wire:
    """Listens on loopback while the `async with` block runs; answers in order, the last one again."""

    def __init__(self, *sent: Sent, host: str = "127.0.0.1") -> None:
        self._sent = sent
        self._host = host
        self.requests: list[bytes] = []
        """Each as it came, head and body."""
        self.connections = 0
        self.open = 0
        self._over = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._server = await asyncio.start_server(self._serve, self._host, 0, family=family)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._over.set()
        for writer in self._writers:
            writer.transport.abort()
        with anyio.move_on_after(2):
            while self.open:
                await anyio.sleep(0.005)

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/v1"

    async def tell(self, data: bytes) -> None:
        """Send bytes that nobody has asked for, over all connections."""
        for writer in self._writers:
            writer.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        self.open -= 1
        self._writers.remove(writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        sent = self._sent[min(len(self.requests), len(self._sent) - 1)]
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length:" in line),
            0,
        )
        self.requests.append(head + (await reader.readexactly(length) if sent.reads_body else b""))
        for piece in sent.pieces:
            writer.write(piece)
            if not sent.together:
                await writer.drain()
                await asyncio.sleep(0.001)
        if sent.then == "hang":
            await reader.read() if sent.reads_body else await self._over.wait()
        elif sent.then == "reset":
            await asyncio.sleep(0.02)  # what was sent has to arrive before
            lingering = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
            writer.transport.abort()
        return sent.then == "keep"
