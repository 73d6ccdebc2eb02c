"""Reads one reply while it comes: server-sent events, or the JSON body that came in their place.

`upstream.py` opens and closes it. Bytes in, decoded JSON objects out; what they mean is not known here.
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import httpx2
from anyio import move_on_after
from pydantic_core import from_json

from grok_mcp import errors
from grok_mcp.endpoint.error_bodies import read_error_body
from grok_mcp.errors import UpstreamError
from grok_mcp.foreign import MAX_VALUES, has_too_many_values
from grok_mcp.redaction import quote

MAX_BYTES = 16 * 1024 * 1024
"""Of one event and what stands before it, or of a body: the longest answers have a tenth of that."""
MAX_LINES = 50_000
"""Of data in one event: nearly all have one, and each takes a microsecond."""
MAX_IDLE_EVENTS = 10_000
"""With data that is no piece of an answer: one a second for a quarter of an hour is a tenth of that."""
_BARE_WORD = re.compile(rb"\s*\[?[A-Za-z][\w .-]{0,30}\]?\s*")
"""What some endpoints send as data to keep a stream alive: no piece of an answer."""


class EventSplitter:
    """Cuts bytes into server-sent events, whatever the chunks; hands out the `data` of each."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of a line whose end has not come
        self._data: list[bytes] = []  # data lines of an event whose end has not come
        self._size = 0  # bytes since the last event
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that end in this chunk."""
        if self._after_cr or b"\r" in chunk:
            chunk = self._plain(chunk)
        self._size += len(chunk)
        if self._has_no_data(chunk):
            chunk = chunk[: chunk.find(b"\n") + 1] + chunk[chunk.rfind(b"\n") + 1 :]
        *ends, rest = chunk.split(b"\n")
        events = []
        for line in ends:
            if self._line:
                line = b"".join([*self._line, line])
                self._line.clear()
            if line[:5] == b"data:" or line == b"data":
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        if rest:
            self._line.append(rest)
        if events:
            self._size = len(rest)
        self._check_size()
        return events

    def _check_size(self) -> None:
        """Raise for an event beyond all bounds."""
        if self._size > MAX_BYTES:
            raise _too_large("an event")
        if len(self._data) > MAX_LINES:
            raise UpstreamError(
                f"The endpoint sent an event of more than {MAX_LINES:,} lines.", "Ask for less."
            )

    def _has_no_data(self, chunk: bytes) -> bool:
        """Whether all whole lines of the chunk can be skipped: comments to keep the stream alive, for one."""
        begun = self._line[0] if self._line else b""
        return not self._data and begun[:1] != b"d" and b"data" not in chunk

    def _plain(self, chunk: bytes) -> bytes:
        """The chunk with line feeds only."""
        if self._after_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        self._after_cr = chunk[-1:] == b"\r"
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


DRAIN_S = 0.25
BOM = b"\xef\xbb\xbf"
FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""What a stream of server-sent events begins with."""


class Reply:
    """An answer that is being read; iterate `payloads()` once for the decoded JSON objects.

    `done` turns true with `[DONE]` or a whole body, `unreadable` counts stream events that were no JSON, and
    `is_cut` says that a JSON body broke off: what there was of it has come as a payload.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.done = False
        self.unreadable = 0
        self.is_cut = False
        self._idle_events = 0
        self._response = response
        self._chunks = response.aiter_bytes()

    async def payloads(self) -> AsyncGenerator[Mapping[str, Any]]:
        """The payloads of a stream, or the one of a JSON body that came in its place."""
        first, size = b"", 0
        async for chunk in self._chunks:
            first = (first + chunk).lstrip(_BEFORE)
            size += len(chunk)
            if size > MAX_BYTES and not first:
                raise _too_large("blanks")
            if not _undecided(first):
                break
        if not first:
            return
        if _is_json(first, self._response.headers.get("content-type", "")):
            yield await self._body(first)
            return
        splitter = EventSplitter()
        async with aclosing(self._from(first)) as pieces:
            async for piece in pieces:
                for data in splitter.feed(piece):
                    for payload in self._decoded_event(data):
                        yield payload
                    if self.done:
                        return

    async def _from(self, first: bytes) -> AsyncGenerator[bytes]:
        """The bytes from the beginning on, and the blank line that ends a last event without one."""
        yield first
        async for chunk in self._chunks:
            yield chunk
        yield b"\n\n"

    async def drain(self) -> None:
        """Read what is left behind a complete answer, briefly, so that its connection can be used again."""
        with move_on_after(DRAIN_S), suppress(httpx2.HTTPError):
            async for _ in self._chunks:
                pass

    def _decoded_event(self, data: bytes) -> Sequence[Mapping[str, Any]]:
        """The payload of one event; of several, where no blank line stands between them."""
        if data == b"[DONE]":
            self.done = True
            return ()
        if not data or data.isspace():
            return self._idle()
        payload = _loaded(data)
        if isinstance(payload, dict):
            return (payload,)
        if b"\n" in data:
            return [payload for line in data.split(b"\n") for payload in self._decoded_event(line)]
        if not _BARE_WORD.fullmatch(data):
            self.unreadable += 1
        return self._idle()

    def _idle(self) -> Sequence[Mapping[str, Any]]:
        """No payload, of an event that holds none."""
        self._idle_events += 1
        if self._idle_events > MAX_IDLE_EVENTS:
            raise UpstreamError(
                f"The endpoint sent more than {MAX_IDLE_EVENTS:,} events without any content.",
                "A retry is unlikely to help.",
            )
        return ()

    async def _body(self, first: bytes) -> Mapping[str, Any]:
        """The JSON object that the body is. Of one that breaks off, all that had come: it has been billed."""
        pieces, size = [first], len(first)
        try:
            async for chunk in self._chunks:
                pieces.append(chunk)
                size += len(chunk)
                if size > MAX_BYTES:
                    raise _too_large("a body")
        except (httpx2.TransportError, httpx2.DecodingError):
            self.is_cut = True
        body = b"".join(pieces)
        _check_values(body)
        payload = None
        if not self.is_cut:
            with suppress(ValueError, RecursionError):
                payload = json.loads(body)
        if payload is None and body[:1] == b"{":
            self.is_cut = True
            with suppress(ValueError):
                payload = from_json(body, allow_partial="trailing-strings")
        if not isinstance(payload, dict):
            raise errors.UpstreamError(
                f"The endpoint answered neither a stream nor JSON: “{quote(read_error_body(body).message)}”.",
                "Check the base URL; a retry is unlikely to help.",
            )
        self.done = not self.is_cut
        wrapped = payload.get("data")
        return wrapped if isinstance(wrapped, dict) and "choices" in wrapped else payload


_BEFORE = BOM + b" \t\r\n"
"""What may stand before an answer."""


def _undecided(first: bytes) -> bool:
    """Whether more bytes are needed to distinguish a stream from JSON."""
    return any(name.startswith(first) for name in FIELDS)


def _is_json(first: bytes, content_type: str) -> bool:
    """Decide by the first bytes; where they say nothing, by the content type."""
    if first[:1] in (b"{", b"["):
        return True
    return not first.startswith(FIELDS) and "event-stream" not in content_type


def _too_large(what: str) -> UpstreamError:
    return UpstreamError(f"The endpoint sent {what} of more than {MAX_BYTES >> 20} MiB.", "Ask for less.")


def _check_values(data: bytes) -> None:
    """Raise for JSON that would take many times its size."""
    if has_too_many_values(data):
        raise UpstreamError(f"The endpoint sent more than {MAX_VALUES:,} values at once.", "Ask for less.")


def _loaded(data: bytes) -> Any:
    """The JSON value; None for none. What the fast parser refuses (lone surrogates) gets another chance."""
    _check_values(data)
    try:
        return from_json(data)
    except ValueError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
