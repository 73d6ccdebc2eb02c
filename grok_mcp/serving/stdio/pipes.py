"""Lines of bytes over two file descriptors, read and written without a thread hop for each line.

`session.py` makes protocol messages of them. All state belongs to the event loop; the two threads
only block in the system, and report with `call_soon_threadsafe`.
"""

import asyncio
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

import anyio

from grok_mcp import bounds

_HIGH_WATER = 1024 * 1024  # senders wait while more than this is unwritten
_CHUNK = 64 * 1024  # what a pipe holds
_EXCERPT = 1024  # how much is kept of either end of a line that is too long
_STALLED_S = 2.0  # a client that takes nothing for so long is not waited for at the end
# A write of so little can't block once `poll` has said ready.
_SAFE_WRITE = getattr(select, "PIPE_BUF", 512)


class OverlongLine(bytes):
    """The two ends of a line over `bounds.LINE_BYTES`, whose middle was not kept."""


class LineSplitter:
    """Cuts chunks into lines without their newline, and keeps no more than `limit` of one."""

    def __init__(self, limit: int = bounds.LINE_BYTES) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in this chunk."""
        *ends, rest = chunk.split(b"\n")
        lines = [self._complete(end) for end in ends]
        self._add(rest)
        return lines

    def rest(self) -> bytes:
        """The last line, where the input ended without a newline."""
        return self._complete(b"")

    def _complete(self, end: bytes) -> bytes:
        if not self._parts and len(end) <= self._limit:
            return end
        self._add(end)
        line = b"".join(self._parts)
        if self._size > self._limit:
            line = OverlongLine(line)
        self._parts = []
        self._size = 0
        return line

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if part:
            self._parts.append(part)
        if self._size > self._limit:
            head, tail = b"".join(self._parts[:2]), b"".join(self._parts[-2:])
            self._parts = [head[:_EXCERPT], tail[-_EXCERPT:]]


class LineReader:
    """A thread that blocks in `read`, and the queue of the lines that it brought."""

    def __init__(
        self,
        fd: int,
        on_end: Callable[[], None],
        in_thread: Callable[[], None] = lambda: None,
        received: bytes = b"",
    ) -> None:
        self._fd = fd
        self._received = received  # before there was a thread
        self._on_end = on_end
        self._in_thread = in_thread  # called at the end as well, before a loop that may be busy
        self._loop = asyncio.get_running_loop()
        self._lines: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether every line that arrived has been taken."""
        return not self._lines

    def start(self) -> None:
        """Begin to read. The thread is left behind in `read` when the process ends first."""
        threading.Thread(target=self._read, name="stdin", daemon=True).start()

    async def next_line(self) -> bytes | None:
        """The next line, or None once closed; the end of the input alone does not close."""
        while not self._closed:
            if self._lines:
                return self._lines.popleft()
            self._changed.clear()
            await self._changed.wait()
        return None

    def close(self) -> None:
        """Hand out no more lines."""
        self._closed = True
        self._changed.set()

    def _read(self) -> None:
        splitter = LineSplitter()
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            chunk = self._received or self._read_chunk()
            while chunk:
                if lines := splitter.feed(chunk):
                    self._loop.call_soon_threadsafe(self._deliver, lines)
                chunk = self._read_chunk()
            self._in_thread()
            self._loop.call_soon_threadsafe(self._deliver, [splitter.rest()])
            self._loop.call_soon_threadsafe(self._on_end)

    def _read_chunk(self) -> bytes:
        try:
            return os.read(self._fd, _CHUNK)
        except OSError:  # a terminal that was closed, for one
            return b""

    def _deliver(self, lines: list[bytes]) -> None:
        self._lines.extend(line for line in lines if line and not line.isspace())
        self._changed.set()


class LineWriter:
    """Writes lines in order; what becomes ready in one turn of the loop goes out as one.

    Straight from the loop where that can't block, else by a thread: a client that does not read
    holds up its senders, and nothing else. Without `poll` (Windows) it is always the thread.
    """

    def __init__(self, fd: int, on_broken: Callable[[], None]) -> None:
        self._fd = fd
        self._on_broken = on_broken
        self._loop = asyncio.get_running_loop()
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(fd, select.POLLOUT)
            self._gone = select.POLLERR | select.POLLHUP | select.POLLNVAL
        self._pending: deque[bytes] = deque()
        self._unwritten = 0  # bytes, those with the thread included
        self._sending = False  # a push is scheduled, or the thread is at work
        self._advanced = asyncio.Event()
        self._broken = False
        self._handed: SimpleQueue[memoryview] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._thread_total = 0  # written by the thread; read by the loop to see that bytes move
        self._loop_total = 0

    async def write(self, *pieces: bytes) -> None:
        """Queue one line, in pieces; waits while the client is far behind."""
        if self._broken:
            raise anyio.BrokenResourceError
        self._pending.extend(pieces)
        self._unwritten += sum(map(len, pieces))
        if not self._sending:
            self._sending = True
            self._loop.call_soon(self._push)
        if self._unwritten > _HIGH_WATER:
            await self._until_at_most(_HIGH_WATER)
        else:
            await asyncio.sleep(0)

    async def flush(self) -> None:
        """Wait until all is written, as long as the client takes some of it."""
        while self._unwritten:
            before = self._thread_total
            with anyio.move_on_after(_STALLED_S), suppress(anyio.BrokenResourceError):
                await self._until_at_most(0)
            if self._thread_total == before:
                return

    def total(self) -> int:
        """How many bytes the client has taken; for any thread."""
        return self._thread_total + self._loop_total

    def gone(self) -> bool:
        """Whether the client has closed its end, if that can be seen without writing."""
        if self._poll is None:
            return self._broken
        return self._broken or any(event & self._gone for _, event in self._poll.poll(0))

    async def _until_at_most(self, size: int) -> None:
        while self._unwritten > size:
            await self._advanced.wait()
        if self._broken:
            raise anyio.BrokenResourceError

    def _push(self) -> None:
        self._sending = True
        try:
            while self._pending:
                data = memoryview(self._next())
                size = len(data)
                while data and self._poll is not None and self._poll.poll(0):
                    data = data[os.write(self._fd, data[:_SAFE_WRITE]) :]
                self._loop_total += size - len(data)
                self._advance(size - len(data))
                if data:
                    self._hand_over(data)
                    return
        except OSError:
            self._break()
            return
        self._sending = False

    def _next(self) -> bytes:
        """What is written next: many short lines together, no more than a little of a long one."""
        batch, size = [], 0
        while self._pending and size < _CHUNK:
            batch.append(self._pending.popleft())
            size += len(batch[-1])
        return b"".join(batch)

    def _hand_over(self, data: memoryview) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="stdout", daemon=True)
            self._thread.start()
        self._handed.put(data)

    def _advance(self, size: int) -> None:
        self._unwritten -= size
        self._advanced.set()
        self._advanced = asyncio.Event()

    def _run(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: flush has given up
            while True:
                data = self._handed.get()
                size = len(data)
                try:
                    while data:
                        written = os.write(self._fd, data[:_CHUNK])
                        data = data[written:]
                        self._thread_total += written
                except OSError:
                    self._loop.call_soon_threadsafe(self._break)
                    return
                self._loop.call_soon_threadsafe(self._handed_written, size)

    def _handed_written(self, size: int) -> None:
        self._advance(size)
        self._push()

    def _break(self) -> None:
        self._broken = True
        self._pending.clear()
        self._advance(self._unwritten)
        self._on_broken()
