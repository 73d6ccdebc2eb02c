"""Sends a reply piece by piece, and stops at once when the client is gone."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from starlette.types import Receive, Scope, Send

from grok_mcp.sandbox.faults import Fault

KEEPALIVE = ": keepalive\n\n"
KEEPALIVE_EVERY = 64
SPLIT_BYTES = 7
GARBAGE = "<<this is no JSON>>"

JSON = dict[str, Any]


class PacedResponse:
    """An ASGI response whose pieces go out one by one and may end as a fault script says."""

    def __init__(
        self,
        pieces: Iterable[bytes],
        *,
        pace: float,
        fault: Fault,
        media_type: str,
        headers: Iterable[tuple[bytes, bytes]] = (),
        status: int = 200,
    ) -> None:
        self._pieces = pieces
        self._pace = pace
        self._fault = fault
        self._status = status
        self._headers = [*headers]
        if media_type:
            self._headers.append((b"content-type", media_type.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._answer(send, gone)
        finally:
            gone.cancel()

    async def _answer(self, send: Send, gone: asyncio.Future[None]) -> None:
        if self._fault.hang:
            await gone
        await _pause(self._fault.delay, gone)
        start = {"type": "http.response.start", "status": self._status, "headers": self._headers}
        await send(start)
        for piece in self._pieces:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await _pause(self._pace, gone)
        if self._fault.stall is not None:
            await gone
        if self._fault.cut is None:
            await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pause(seconds: float, gone: asyncio.Future[None]) -> None:
    if seconds:
        await asyncio.wait({gone}, timeout=seconds)
    else:
        await asyncio.sleep(0)


def stream_pieces(events: Iterable[JSON], fault: Fault, error: Callable[[], JSON]) -> Iterator[bytes]:
    """The bytes of a stream of events, each event a piece of its own."""
    for frame in _frames(events, fault, error):
        data = (frame.replace("\n", "\r\n") if fault.crlf else frame).encode()
        if fault.split:
            yield from _split(data)
        else:
            yield data


def body_pieces(body: JSON, fault: Fault) -> Iterator[bytes]:
    """The two halves of a body, as far as the fault script lets them through."""
    text = json.dumps(fault.bend(body), ensure_ascii=False)
    middle = len(text) // 2
    for number, half in enumerate(islice((text[:middle], text[middle:]), fault.last_event)):
        yield (GARBAGE + half if fault.garbage == number else half).encode()
    if fault.error is not None:
        yield GARBAGE.encode()


def _frames(events: Iterable[JSON], fault: Fault, error: Callable[[], JSON]) -> Iterator[str]:
    bent = (one for one in map(fault.bend, events) if one is not None)
    for number, event in enumerate(islice(bent, fault.last_event)):
        if fault.keepalive or number % KEEPALIVE_EVERY == KEEPALIVE_EVERY - 1:
            yield KEEPALIVE
        if fault.garbage == number:
            yield f"data: {GARBAGE}\n\n"
        yield f"data: {_dump(event)}\n\n"
    if fault.error is not None and fault.error == fault.last_event:
        yield f"data: {_dump(error())}\n\n"
    elif fault.last_event is not None:
        return
    if not fault.nodone:
        yield "data: [DONE]\n\n"


def _split(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), SPLIT_BYTES):
        yield data[start : start + SPLIT_BYTES]


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
