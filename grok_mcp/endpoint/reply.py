"""Reads one reply while it comes: server-sent events, or the JSON body that came in their place.

`upstream.py` opens and closes it. Bytes in, decoded JSON objects out; what they mean is not known here.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any

import httpx2
from anyio import move_on_after
from pydantic_core import from_json

from grok_mcp import bounds, errors
from grok_mcp.endpoint.error_bodies import read_error_body
from grok_mcp.errors import UpstreamError
from grok_mcp.foreign import has_too_many_values
from grok_mcp.redaction import quote

_BARE_WORD = re.compile(rb'\s*(?:"?\[?[A-Za-z][\w .-]{0,30}\]?"?|\[\s*\]|\d{1,20})\s*')
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
        if self._size > bounds.REPLY_BYTES:
            raise _too_large("an event")
        if len(self._data) > bounds.REPLY_LINES:
            raise UpstreamError(
                f"The endpoint sent an event of more than {bounds.REPLY_LINES:,} lines.", "Ask for less."
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
EVENTS_IN_TURN = 32
"""Events that are read in one turn of the event loop.

A block from the network may hold a thousand, and a note to the host takes several turns.
"""
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
        self._chunks = _decoded(response)

    async def payloads(self) -> AsyncGenerator[Mapping[str, Any]]:
        """The payloads of a stream, or the one of a JSON body that came in its place."""
        first = await self._beginning()
        if not first:
            return
        if _is_json(first, self._response.headers.get("content-type", "")):
            for payload in await self._body(first):
                yield payload
            return
        splitter = EventSplitter()
        async with aclosing(self._from(first)) as pieces:
            async for piece in pieces:
                for number, data in enumerate(splitter.feed(piece), 1):
                    if number % EVENTS_IN_TURN == 0:
                        await asyncio.sleep(0)
                    for payload in self._decoded_event(data):
                        yield payload
                    if self.done:
                        return

    async def _beginning(self) -> bytes:
        """As many bytes as show what it is, without the blanks before; none of an empty reply."""
        first, size = b"", 0
        async for chunk in self._chunks:
            first = (first + chunk).lstrip(_BEFORE)
            size += len(chunk)
            if size > bounds.REPLY_BYTES and not first:
                raise _too_large("blanks")
            if not _undecided(first):
                break
        return first

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
        if _BARE_WORD.fullmatch(data):
            return self._idle()
        payloads, unreadable, done = _run_together(data)
        self.unreadable += unreadable
        self.done = self.done or done
        return payloads or self._idle()

    def _idle(self) -> Sequence[Mapping[str, Any]]:
        """No payload, of an event that holds none."""
        self._idle_events += 1
        if self._idle_events > bounds.REPLY_IDLE_EVENTS:
            raise UpstreamError(
                f"The endpoint sent more than {bounds.REPLY_IDLE_EVENTS:,} events without any content.",
                "A retry is unlikely to help.",
            )
        return ()

    async def _body(self, first: bytes) -> Sequence[Mapping[str, Any]]:
        """The JSON objects that the body holds, nearly always one.

        Of one that breaks off, all that had come: it has been billed.
        """
        pieces, size = [first], len(first)
        try:
            async for chunk in self._chunks:
                pieces.append(chunk)
                size += len(chunk)
                if size > bounds.REPLY_BYTES:
                    raise _too_large("a body")
        except (httpx2.TransportError, httpx2.DecodingError):
            self.is_cut = True
        body = b"".join(pieces)
        _check_values(body)
        payloads = [] if self.is_cut else _objects(_parsed(body))
        if not (payloads or self.is_cut):
            together, unreadable, _ = _run_together(body)
            payloads = [] if unreadable else together
        if not payloads and body[:1] in (b"{", b"["):
            with suppress(ValueError):  # as it does for what is too deep
                payloads = _objects(from_json(body, allow_partial="trailing-strings"))
                self.is_cut = self.is_cut or bool(payloads)
        if not payloads and not self.is_cut:
            raise errors.UpstreamError(
                f"The endpoint answered neither a stream nor JSON: “{quote(read_error_body(body).message)}”.",
                "Check the base URL; a retry is unlikely to help.",
            )
        self.done = not self.is_cut
        return payloads


def _decoded(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The body as it comes; the HTTP library's layers are passed by where there is nothing to decode."""
    if "content-encoding" in response.headers or not isinstance(response.stream, httpx2.AsyncByteStream):
        return response.aiter_bytes()
    return aiter(response.stream)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The answers in a body: itself, what it wraps as `data`, or each of a list."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return value
    if not isinstance(value, dict):
        return []
    wrapped = value.get("data")
    return [wrapped if isinstance(wrapped, dict) and "choices" in wrapped else value]


_BETWEEN = re.compile(r"(?:\s|\\[nr]|data:)*")
"""What stands between events that have run together, a line end that was escaped by mistake among it."""


def _run_together(data: bytes) -> tuple[list[Mapping[str, Any]], int, bool]:
    """The payloads of events that have run together, how many pieces are none, and whether it says DONE."""
    text, place = data.decode("utf-8", "replace"), 0
    payloads: list[Mapping[str, Any]] = []
    unreadable, done, decoder = 0, False, json.JSONDecoder()
    while (place := _end_of(_BETWEEN, text, place)) < len(text):
        if text.startswith("[DONE]", place):
            done, place = True, place + len("[DONE]")
            continue
        try:
            payload, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            payload, place = None, text.find("data:", place + 1)
        if isinstance(payload, dict):
            payloads.append(payload)
        else:
            unreadable += 1
        if place < 0:
            break
    return payloads, unreadable, done


def _end_of(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


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
    return UpstreamError(
        f"The endpoint sent {what} of more than {bounds.REPLY_BYTES >> 20} MiB.", "Ask for less."
    )


def _check_values(data: bytes) -> None:
    """Raise for JSON that would take many times its size."""
    if has_too_many_values(data):
        raise UpstreamError(
            f"The endpoint sent more than {bounds.JSON_VALUES:,} values at once.", "Ask for less."
        )


def _loaded(data: bytes) -> Any:
    """The JSON value; None for none. What the fast parser refuses (lone surrogates) gets another chance."""
    if len(data) > bounds.JSON_VALUES:  # a shorter one can't have too many
        _check_values(data)
    return _parsed(data)


def _parsed(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
