"""Sends a reply piece by piece, and stops at once when the client is gone."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from typing import Any

from starlette.types import Receive, Scope, Send

from grok_mcp.sandbox.faults import Fault

KEEPALIVE = ": keepalive\n\n"
OPENROUTER = ": OPENROUTER PROCESSING\n\n"
KEEPALIVE_EVERY = 64
BOM = "\ufeff"
RESET = "sandbox.reset"
"""The extension of an ASGI scope that resets its connection; `server.py` offers it."""

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
            if self._fault.reset is not None:
                scope.get("extensions", {}).get(RESET, _nothing)()
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
        if self._fault.cut is None and self._fault.reset is None:
            await send({"type": "http.response.body", "body": b""})


def _nothing() -> None:
    """Another server than ours can't reset; the connection breaks off all the same."""


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
    frames = _frames(events, fault, error)
    if fault.noblank:
        frames = _without_end(frames)
    if fault.bom:
        frames = chain((BOM,), frames)
    end = "\r" if fault.cr else "\r\n" if fault.crlf else ""
    for frame in frames:
        data = (frame.replace("\n", end) if end else frame).encode()
        if fault.split:
            yield from _split(data)
        else:
            yield data


def body_pieces(body: JSON, fault: Fault) -> Iterator[bytes]:
    """The two halves of a body, as far as the fault script lets them through."""
    text = json.dumps(body, ensure_ascii=False)
    middle = len(text) // 2
    halves = (f"{BOM if fault.bom else ''}{text[:middle]}", text[middle:])
    for number, half in enumerate(islice(halves, fault.last_event)):
        yield (GARBAGE + half if fault.garbage == number else half).encode()
    if fault.error is not None:
        yield GARBAGE.encode()


def _frames(events: Iterable[JSON], fault: Fault, error: Callable[[], JSON]) -> Iterator[str]:
    dump = _framing(fault)
    comment, due = (OPENROUTER, 0) if "openrouter" in fault.bends else (KEEPALIVE, KEEPALIVE_EVERY - 1)
    for number, event in enumerate(islice(events, fault.last_event)):
        if fault.keepalive or number % KEEPALIVE_EVERY == due:
            yield comment
        if fault.garbage == number:
            yield f"data: {GARBAGE}\n\n"
        yield dump(event)
    if fault.error is not None and fault.error == fault.last_event:
        yield dump(error())
    elif fault.last_event is not None:
        return
    if not fault.nodone:
        yield "data: [DONE]\n\n"


def _framing(fault: Fault) -> Callable[[JSON], str]:
    """How an event is written."""
    if not (fault.multiline or fault.eventlines):
        return lambda event: f"data: {_dump(event)}\n\n"
    numbers = count()
    dump = _dump_in_lines if fault.multiline else _dump

    def frame(event: JSON) -> str:
        lines = "".join(f"data: {line}\n" for line in dump(event).split("\n"))
        head = f"event: {event.get('type', 'message')}\nid: {next(numbers)}\n" if fault.eventlines else ""
        return f"{head}{lines}\n"

    return frame


def _without_end(frames: Iterable[str]) -> Iterator[str]:
    """The frames with nothing behind the last one's words."""
    held = ""
    for frame in frames:
        yield held
        held = frame
    yield held.rstrip("\n")


def _split(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), SPLIT_BYTES):
        yield data[start : start + SPLIT_BYTES]


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_dump_in_lines = json.JSONEncoder(ensure_ascii=False, indent=1).encode
