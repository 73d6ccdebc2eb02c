"""The stdio transport: one client on this process's standard input and output, one JSON a line.

Ours and not the SDK's, see docs/decisions/0002-own-stdio-transport.md. `cli.py` calls
`serve_stdio`; bytes and threads are in `stdio_streams.py`.
"""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.server.lowlevel import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from grok_mcp.calls import Calls
from grok_mcp.stdio_streams import MAX_LINE, LineReader, LineWriter, OverlongLine

_GONE_CHECK_S = 0.1  # how often a closing server looks whether the client is still there
_LAST_ANSWERS_S = 1.0  # for the results of interrupted calls to reach the writer

# The id of a message that can't be parsed as a whole: beside the other short members at its start
# or its end, where every client's serialiser puts it.
_ID = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]*")'
_SHORT = rb'"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"'
_LEADING_ID = re.compile(rb"\s*\{\s*(?:" + _SHORT + rb"\s*,\s*)*" + _ID + rb"\s*[,}]")
_TRAILING_ID = re.compile(rb",\s*" + _ID + rb"\s*(?:,\s*" + _SHORT + rb"\s*)*\}\s*$")


class _Refused(Exception):
    """A line that is no message of the protocol; `answer` tells the client so."""

    def __init__(self, code: int, reason: str, request_id: object = None) -> None:
        usable = isinstance(request_id, str | int) and not isinstance(request_id, bool)
        self.answer = JSONRPCError(
            jsonrpc="2.0",
            id=request_id if usable else None,  # type: ignore[arg-type]  # narrowed by `usable`
            error=ErrorData(code=code, message=reason),
        )


async def serve_stdio(server: Server[Any], calls: Calls, grace_s: float) -> None:
    """Serve until stdin ends, SIGTERM or SIGINT comes, or the client closes stdout.

    Calls in flight then get `grace_s` seconds to end, after that they are interrupted; all answers
    are written before this returns. A signal while it is closing, or a client that is gone,
    interrupts them at once.
    """
    stdin, stdout = _take_standard_streams()
    ended = anyio.Event()
    grace = anyio.CancelScope()

    def hurry() -> None:
        ended.set()
        grace.cancel()

    def on_signal() -> None:
        if ended.is_set():
            hurry()
        calls.closing = True  # stdin is still open: whatever it brings now is too late
        ended.set()

    writer = LineWriter(stdout, on_broken=hurry)
    reader = LineReader(stdin, on_end=ended.set)
    incoming = _Incoming(reader, writer)
    outgoing = _Outgoing(writer, incoming.request_settled)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        _on_signals(on_signal)
        reader.start()
        await ended.wait()
        # The SDK cancels what is in flight as soon as its input ends, so that comes last. Calls
        # are counted here rather than by `drain`, because those that were read just before the
        # end have not reached their tool yet.
        grace.deadline = anyio.current_time() + grace_s
        with grace:
            await _settled_or_gone(incoming, writer)
        await calls.drain(0)
        with anyio.move_on_after(_LAST_ANSWERS_S):
            await incoming.settled()
        reader.close()
    await writer.flush()


async def _settled_or_gone(incoming: "_Incoming", writer: LineWriter) -> None:
    while not writer.gone():
        with anyio.move_on_after(_GONE_CHECK_S):
            await incoming.settled()
            return


class _Incoming:
    """The read stream of `Server.run`: what the client sends, and how much of it is unanswered."""

    def __init__(self, reader: LineReader, writer: LineWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._open = 0
        self._progress = asyncio.Event()
        # The SDK tells of requests that stay unanswered because the client cancelled them.
        self._metadata = ServerMessageMetadata(on_request_unanswered=self._unanswered)

    def request_settled(self) -> None:
        """One request needs nothing more."""
        self._open -= 1
        self._progress.set()

    async def settled(self) -> None:
        """Wait until every request that was received is settled."""
        while self._open > 0 or not self._reader.empty:
            self._progress.clear()
            await self._progress.wait()

    async def _unanswered(self) -> None:
        self.request_settled()

    async def receive(self) -> SessionMessage | Exception:
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            raise anyio.EndOfStream from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        while True:
            self._progress.set()
            line = await self._reader.next_line()
            if line is None:
                raise StopAsyncIteration
            try:
                message = decode(line)
            except _Refused as refusal:
                await self._writer.write(encode(refusal.answer))
                continue
            if not isinstance(message, JSONRPCRequest):
                return SessionMessage(message)
            self._open += 1
            return SessionMessage(message, self._metadata)

    async def aclose(self) -> None:
        self._reader.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.aclose()


class _Outgoing:
    """The write stream of `Server.run`. It stays open: what is queued is flushed at the end."""

    def __init__(self, writer: LineWriter, on_answer: Callable[[], None]) -> None:
        self._writer = writer
        self._on_answer = on_answer

    async def send(self, item: SessionMessage, /) -> None:
        line = encode(item.message)
        if isinstance(item.message, JSONRPCResponse | JSONRPCError):
            self._on_answer()
        await self._writer.write(line)

    async def aclose(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        pass
