"""Sends a reply piece by piece, and stops at once when the client is gone."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from itertools import islice

from starlette.types import Receive, Scope, Send

from grok_mcp.sandbox.errors import JSON
from grok_mcp.sandbox.faults import Fault, changed

KEEPALIVE = b": keepalive\n\n"
KEEPALIVE_EVERY = 64
RESET = "sandbox.reset"
"""The extension of an ASGI scope that resets its connection; `server.py` offers it."""


class PacedResponse:
    """An ASGI response whose pieces go out one by one and may end as a fault script says."""

    def __init__(
        self, pieces: Iterable[bytes], fault: Fault, media_type: str, *, pace: float = 0, status: int = 200
    ) -> None:
        self._pieces = pieces
        self._fault = fault
        self._pace = pace if fault.pace is None else fault.pace
        self._status = status
        headers = {"content-type": media_type or None} | fault.headers
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items() if value]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await self._answer(send, gone)
            if self._fault.ending == "reset" and RESET in scope.get("extensions", {}):
                scope["extensions"][RESET]()
        finally:
            gone.cancel()

    async def _answer(self, send: Send, gone: asyncio.Future[None]) -> None:
        await _pause(self._fault.delay, gone)
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        for piece in self._pieces:
            if gone.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await _pause(self._pace, gone)
        if self._fault.ending == "stall":
            await gone
        if self._fault.ending not in ("cut", "reset"):
            await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pause(seconds: float, gone: asyncio.Future[None]) -> None:
    if seconds:
        await asyncio.wait({gone}, timeout=seconds)
    else:
        await asyncio.sleep(0)


def stream_pieces(events: Iterable[JSON], fault: Fault) -> Iterable[bytes]:
    """A stream of server-sent events, each one a piece; the events of responses are numbered."""
    return changed(fault.pieces, _frames(changed(fault.events, events), fault.ends_after))


def _frames(events: Iterable[JSON], limit: int | None) -> Iterator[bytes]:
    for number, event in enumerate(islice(events, limit)):
        if number % KEEPALIVE_EVERY == KEEPALIVE_EVERY - 1:
            yield KEEPALIVE
        data = {"sequence_number": number} | event if "type" in event else event
        yield f"data: {_dump(data)}\n\n".encode()
    if limit is None:
        yield b"data: [DONE]\n\n"


def body_pieces(body: JSON, fault: Fault) -> Iterable[bytes]:
    """The two halves of a body, if the fault lets them through."""
    text = json.dumps(changed(fault.bodies, body), ensure_ascii=False)
    middle = len(text) // 2
    halves = [half.encode() for half in (text[:middle], text[middle:])]
    return changed(fault.pieces, halves[: fault.ends_after])


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
