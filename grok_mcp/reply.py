"""Reads one reply while it comes: server-sent events, or the JSON body that came in their place.

`upstream.py` opens and closes it. Bytes in, decoded JSON objects out; what they mean is not known here.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

import httpx2
from anyio import move_on_after

from grok_mcp import errors
from grok_mcp.error_bodies import read_error_body
from grok_mcp.redaction import quote

MAX_EVENT_BYTES = 64 * 1024 * 1024
DRAIN_S = 0.25


class Reply:
    """An answer that is being read; iterate `payloads()` once for the decoded JSON objects.

    `done` turns true with `[DONE]` or a whole body, `unreadable` counts stream events that were no JSON.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.done = False
        self.unreadable = 0
        self._response = response
        self._chunks = response.aiter_bytes()

    async def payloads(self) -> AsyncGenerator[Mapping[str, Any]]:
        """The payloads of a stream, or the one of a JSON body that came in its place."""
        first = b""
        async for chunk in self._chunks:
            first += chunk
            if first.strip():
                break
        if _is_json(first, self._response.headers.get("content-type", "")):
            yield self._decoded_body(b"".join([first, *[chunk async for chunk in self._chunks]]))
            return
        async with aclosing(_events(first, self._chunks, self._response.request)) as events:
            async for data in events:
                payload = self._decoded_event(data)
                if payload is not None:
                    yield payload
                elif self.done:
                    return

    async def drain(self) -> None:
        """Read what is left behind a complete answer, briefly, so that its connection can be used again."""
        with move_on_after(DRAIN_S), suppress(httpx2.HTTPError):
            async for _ in self._chunks:
                pass

    def _decoded_event(self, data: str) -> Mapping[str, Any] | None:
        if data == "[DONE]":
            self.done = True
            return None
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict):
            self.unreadable += bool(data.strip())
            return None
        return payload

    def _decoded_body(self, body: bytes) -> Mapping[str, Any]:
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            payload = None
        if not isinstance(payload, dict):
            raise errors.UpstreamError(
                f"The endpoint answered neither a stream nor JSON: “{quote(read_error_body(body).message)}”.",
                "Check the base URL; a retry is unlikely to help.",
            )
        self.done = True
        wrapped = payload.get("data")
        return wrapped if isinstance(wrapped, dict) and "choices" in wrapped else payload


def _is_json(first: bytes, content_type: str) -> bool:
    """Decide by the first byte; where that says nothing, by the content type."""
    start = first.lstrip(b"\xef\xbb\xbf \t\r\n")[:6]
    if start[:1] in (b"{", b"["):
        return True
    if start.startswith((b"data", b"event", b":", b"id", b"retry")):
        return False
    return "event-stream" not in content_type


async def _events(first: bytes, chunks: AsyncIterator[bytes], request: httpx2.Request) -> AsyncGenerator[str]:
    """The data of each server-sent event, also of a last one without a blank line behind it."""

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk
        yield b"\n\n"

    headers = {"content-type": "text/event-stream; charset=utf-8"}
    response = httpx2.Response(200, headers=headers, content=body(), request=request)
    source = httpx2.EventSource(response, max_event_size=MAX_EVENT_BYTES)
    async for event in source:
        yield event.data
