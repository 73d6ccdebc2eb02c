"""The stdio transport: one client on this process's standard input and output, one JSON a line.

Ours and not the SDK's, see docs/decisions/0002-own-stdio-transport.md. Bytes and threads are in `pipes.py`.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Self

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage

from grok_mcp.instant import Begun
from grok_mcp.pipeline import InFlight
from grok_mcp.serving.messages import RefusedMessageError
from grok_mcp.serving.stdio.ending import LastResort
from grok_mcp.serving.stdio.messages import decode, encode
from grok_mcp.serving.stdio.pipes import LineReader, LineWriter

_GONE_CHECK_S = 0.1  # how often a closing server looks whether the client is still there
_LAST_ANSWERS_S = 1.0  # for the results of interrupted calls to reach the writer


async def serve_stdio(
    server: Server[Any], in_flight: InFlight, grace_s: float, begun: Begun | None = None
) -> None:
    """Serve until stdin ends, SIGTERM or SIGINT comes, or the client closes stdout.

    Calls in flight then get `grace_s` seconds to end, after that they are interrupted; all answers
    are written before this returns. A signal while it is closing interrupts them at once. So does a
    client that is gone, but for what was handed over and can be collected from another process.
    `begun` is what has passed already: the SDK hears it again, and what it answers to requests that
    have been answered goes nowhere.
    """
    begun = begun or Begun()
    stdin, stdout = _take_standard_streams()
    ended = anyio.Event()
    grace = anyio.CancelScope()

    def hurry() -> None:
        last_resort.begin()
        ended.set()
        grace.cancel()

    def on_signal() -> None:
        if ended.is_set():
            hurry()
        in_flight.closing = True  # stdin is still open: whatever it brings now is too late
        ended.set()

    def on_broken() -> None:
        last_resort.begin()
        ended.set()

    writer = LineWriter(stdout, on_broken)
    last_resort = LastResort(grace_s, writer.total)
    reader = LineReader(stdin, ended.set, in_thread=last_resort.begin, received=begun.received)
    incoming = _Incoming(reader, writer)
    outgoing = _Outgoing(writer, incoming.request_settled, begun.answered)
    if begun.unsent:
        await writer.write(begun.unsent)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        _on_signals(on_signal, last_resort)
        reader.start()
        begun.taken_over()
        if begun.signalled:
            last_resort.begin()
            on_signal()
        await ended.wait()
        in_flight.ending = True
        # The SDK cancels what is in flight as soon as its input ends, so that comes last. Calls
        # are counted here rather than by `drain`, because those that were read just before the
        # end have not reached their tool yet.
        grace.deadline = anyio.current_time() + grace_s
        with grace:
            await _settled_or_gone(incoming, writer)
            if in_flight.is_collectable():
                if writer.gone():
                    reader.close()  # nobody gets the answers of what waits: that ends, the rest goes on
                await in_flight.idle()
        await in_flight.drain(0)
        with anyio.move_on_after(_LAST_ANSWERS_S):
            await incoming.settled()
        reader.close()
    await writer.flush()


def _take_standard_streams() -> tuple[int, int]:
    """Private descriptors of stdin and stdout; whatever else uses 0 and 1 misses the wire."""
    nothing = os.open(os.devnull, os.O_RDWR)  # becomes stderr where that is closed; stays open
    stdin, stdout = os.dup(0), os.dup(1)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    if sys.platform != "win32":  # pragma: no branch
        os.set_blocking(stdin, True)
        os.set_blocking(stdout, True)
    return stdin, stdout


async def _settled_or_gone(incoming: "_Incoming", writer: LineWriter) -> None:
    while not writer.gone():
        with anyio.move_on_after(_GONE_CHECK_S):
            await incoming.settled()
            return


class _Stream:
    """What the SDK needs of a stream in either direction apart from its items."""

    async def aclose(self) -> None:
        """Nothing to release; what was sent is flushed at the end of `serve_stdio`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Incoming(_Stream):
    """The read stream of `Server.run`: what the client sends, and how much of it is unanswered."""

    def __init__(self, reader: LineReader, writer: LineWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._open = 0
        self._progress = asyncio.Event()
        # The SDK reports requests that stay unanswered because the client cancelled them.
        self._metadata = ServerMessageMetadata(on_request_unanswered=self.request_settled)

    async def request_settled(self) -> None:
        """One request needs nothing more."""
        self._open -= 1
        self._progress.set()

    async def settled(self) -> None:
        """Wait until every request that was received is settled."""
        while self._open > 0 or not self._reader.empty:
            self._progress.clear()
            await self._progress.wait()

    async def receive(self) -> SessionMessage | Exception:
        while True:
            self._progress.set()
            line = await self._reader.next_line()
            if line is None:
                raise anyio.EndOfStream
            try:
                message = decode(line)
            except RefusedMessageError as refusal:
                with suppress(anyio.BrokenResourceError):
                    await self._writer.write(refusal.answer, b"\n")
                continue
            if not isinstance(message, types.JSONRPCRequest):
                return SessionMessage(message)
            self._open += 1
            return SessionMessage(message, self._metadata)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._reader.close()


class _Outgoing(_Stream):
    """The write stream of `Server.run`."""

    def __init__(
        self,
        writer: LineWriter,
        on_answer: Callable[[], Awaitable[None]],
        answered: Iterable[types.RequestId],
    ) -> None:
        self._writer = writer
        self._on_answer = on_answer
        self._answered = Counter(answered)

    async def send(self, item: SessionMessage, /) -> None:
        if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
            await self._on_answer()
            if self._answered and self._was_answered(item.message.id):
                return
        await self._writer.write(*encode(item.message))

    def _was_answered(self, request_id: types.RequestId | None) -> bool:
        """Whether the client has this answer already; each counts once."""
        if request_id is None or request_id not in self._answered:
            return False
        self._answered -= Counter([request_id])
        return True


def _on_signals(callback: Callable[[], None], last_resort: LastResort) -> None:
    """Installed until the process ends, so that no signal can cut short the end either.

    The handler is Python's and not the loop's: it also runs where the loop is busy.
    """
    loop = asyncio.get_running_loop()

    def handle(*_: object) -> None:
        last_resort.begin()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(callback)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
