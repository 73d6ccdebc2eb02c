"""A scripted endpoint: real HTTP on loopback that answers with exactly the bytes a test gives it.

    async with Endpoint(sse("...")) as endpoint: ...

Replies are used in order, the last one again and again; for calls that run side by side, `choose` picks the
reply by the request. `endpoint.requests` keeps what came in.
"""

import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc

DRIP_S = 0.02


@dataclass
class Request:
    """One request as it came over the wire, `at` that time on the event loop's clock."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    at: float


@dataclass
class Reply:
    """What the endpoint sends: pieces one by one, then `end`s the body.

    `end`: `clean`, `cut` (closes in the middle of the chunked body), `reset` (the same by a TCP reset),
    `hang` (sends nothing more), `drip` (sends the last piece every 20 ms for ever) or `silent` (does not even
    send a status line). `hold` makes the reply wait before the piece of that number until `release` is set.
    """

    pieces: tuple[bytes, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/event-stream"
    end: str = "clean"
    hold: int | None = None
    release: anyio.Event = field(default_factory=anyio.Event)


def sse(text: str | bytes, **options: Any) -> Reply:
    """A stream, sent in one piece."""
    return Reply((text.encode() if isinstance(text, str) else text,), **options)


def body(value: Any, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """A whole JSON (or text) body."""
    text = value if isinstance(value, str) else json.dumps(value)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply((text.encode(),), status=status, headers=named, content_type=content_type)


def chat(*texts: str, finish: str | None = "stop", done: bool = True, **extra: Any) -> Reply:
    """A chat completions stream with one delta for each text."""
    chunks: list[dict[str, Any]] = [
        {"model": "grok-4.7", "choices": [{"index": 0, "delta": {"content": text}}]} for text in texts
    ]
    if finish:
        chunks.append({"model": "grok-4.7", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if extra:
        chunks.append({"choices": [], **extra})
    return events(*chunks, done=done)


def events(*payloads: Any, done: bool = True, **options: Any) -> Reply:
    """A stream of these payloads, each in a piece of its own."""
    pieces = [f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads]
    return Reply((*pieces, *([b"data: [DONE]\n\n"] if done else [])), **options)


class Endpoint:
    """Listens on a free loopback port while the `async with` block runs."""

    def __init__(self, *replies: Reply, choose: Callable[[Request], Reply] | None = None) -> None:
        self.replies = list(replies)
        self._choose = choose
        self.requests: list[Request] = []
        self.closed = anyio.Event()
        """Set when a client has closed its connection while a reply hung, dripped or was held."""
        self.connections = 0
        """All that were ever made; `open` are those that have not ended."""
        self.open = 0
        self._served = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> Self:
        self._listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        self._port = self._listener.extra(anyio.abc.SocketAttribute.local_port)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._group.start_soon(self._listener.serve, self.serve_connection)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(None, None, None)
        await self._listener.aclose()

    async def serve_connection(self, stream: anyio.abc.ByteStream) -> None:
        """Answer what comes over one connection."""
        self.connections += 1
        self.open += 1
        try:
            await self._serve_requests(stream)
        finally:
            self.open -= 1

    async def _serve_requests(self, stream: anyio.abc.ByteStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                buffered = b""
                while True:
                    request, buffered = await _read_request(stream, buffered)
                    self.requests.append(request)
                    if not await self._answer(stream, self._reply_to(request)):
                        return

    def _reply_to(self, request: Request) -> Reply:
        if self._choose:
            return self._choose(request)
        self._served += 1
        return self.replies[min(self._served, len(self.replies)) - 1]

    async def _answer(self, stream: anyio.abc.ByteStream, reply: Reply) -> bool:
        """Send one reply; False where the connection is to be closed behind it."""
        if reply.end == "silent":
            await self._until_closed(stream)
            return False
        head = [f"HTTP/1.1 {reply.status} X", "Transfer-Encoding: chunked"]
        if reply.content_type:
            head.append(f"Content-Type: {reply.content_type}")
        head += [f"{name}: {value}" for name, value in reply.headers.items()]
        await stream.send("\r\n".join([*head, "", ""]).encode())
        for number, piece in enumerate(reply.pieces):
            if number == reply.hold:
                await self._while_open(stream, reply.release.wait)
            if piece:
                await _send_chunk(stream, piece)
        await self._end(stream, reply)
        return reply.end == "clean"

    async def _end(self, stream: anyio.abc.ByteStream, reply: Reply) -> None:
        if reply.end == "hang":
            await self._until_closed(stream)
        elif reply.end == "drip":
            await self._while_open(stream, lambda: _drip(stream, reply.pieces[-1]))
        elif reply.end == "reset":
            lingering = struct.pack("ii", 1, 0)  # for no time at all: the close that follows is a reset
            stream.extra(anyio.abc.SocketAttribute.raw_socket).setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, lingering
            )
        elif reply.end == "clean":
            await stream.send(b"0\r\n\r\n")

    async def _while_open(self, stream: anyio.abc.ByteStream, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work until it is done or the client has closed its connection."""
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await self._until_closed(stream)
                group.cancel_scope.cancel()

            group.start_soon(watch)
            await work()
            group.cancel_scope.cancel()

    async def _until_closed(self, stream: anyio.abc.ByteStream) -> None:
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            self.closed.set()


async def _send_chunk(stream: anyio.abc.ByteStream, piece: bytes) -> None:
    await stream.send(b"%x\r\n%s\r\n" % (len(piece), piece))


async def _drip(stream: anyio.abc.ByteStream, piece: bytes) -> None:
    with suppress(anyio.BrokenResourceError):
        while True:
            await anyio.sleep(DRIP_S)
            await _send_chunk(stream, piece)
    await anyio.sleep_forever()  # whoever watches the connection sees it closed too


async def _read_request(stream: anyio.abc.ByteStream, buffered: bytes) -> tuple[Request, bytes]:
    while b"\r\n\r\n" not in buffered:
        buffered += await stream.receive()
    head, _, rest = buffered.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(rest) < length:
        rest += await stream.receive()
    method, path, _ = start.split(" ")
    sent = json.loads(rest[:length]) if length else None
    return Request(method, path, headers, sent, anyio.current_time()), rest[length:]


def without(mapping: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The mapping less some names, for comparing what does not vary."""
    return {name: value for name, value in mapping.items() if name not in set(names)}
