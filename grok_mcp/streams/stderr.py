"""The one way to stderr: lines wait in a bounded queue for a thread that writes them, and can be lost.

Nobody waits for a reader that does not come: a host that never reads what its server logs still gets its
answers. What finds no room, or can't be written, is counted, and told as soon as a line passes again.
"""

import atexit
import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, cast

from grok_mcp.streams.escaping import escaped

STDERR = 2
MAX_WAITING = 1024 * 1024
"""Bytes: some thousand lines, or a few long tracebacks."""
MAX_LINE = 64 * 1024
FLUSH_S = 1.0
"""For how long a command waits for its own words; a server waits only at its end."""


class _Queue:
    """Pieces for stderr in their order. The thread starts with the first; only it blocks in the system."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._writing = False
        self._dropped = 0
        self._stalled = False  # a flush has given up, and nothing has passed since
        self._thread: threading.Thread | None = None
        self.patient = True  # whether a flush waits
        self.tell_dropped: Callable[[int], str] = "grok-mcp-server: WARNING {} lines were dropped here".format

    def put(self, data: bytes) -> None:
        """Queue a piece; drop and count it where there is no room."""
        with self._changed:
            if self._size + len(data) > MAX_WAITING or not self.start():
                self._dropped += 1
                return
            self._waiting.append(data)
            self._size += len(data)
            self._changed.notify_all()

    def start(self) -> bool:
        """Have a thread that writes, also after a fork, which takes none along; False where none can be."""
        if self._thread is None or not self._thread.is_alive():
            try:
                thread = threading.Thread(target=self._run, name="stderr", daemon=True)
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter is ending
                return False
            self._thread = thread
        return True

    def flush(self, wait_s: float) -> None:
        """Wait until all is written; not for longer than that, and not again while nothing moves."""
        with self._changed:
            if wait_s > 0 and not self._stalled and not self._changed.wait_for(self._idle, wait_s):
                self._stalled = True

    def _idle(self) -> bool:
        return not self._waiting and not self._writing

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting.popleft()
                self._size -= len(data)
                self._writing = True
                lost = self._dropped
            told = f"{self.tell_dropped(lost)}\n".encode("utf-8", "backslashreplace") if lost else b""
            written = _write(told) and (not told or self._forget(lost)) and _write(data)
            with self._changed:
                self._writing = False
                self._stalled = self._stalled and not written
                self._dropped += not written
                self._changed.notify_all()

    def _forget(self, told: int) -> bool:
        with self._changed:
            self._dropped -= told
        return True


def _write(data: bytes) -> bool:
    """Whether all of it went out."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(STDERR, rest) :]
    except OSError:
        return False
    return True


_queue = _Queue()


def write_line(line: str) -> None:
    """Write one line to stderr, soon; never waits and never fails. What is in it, the caller escapes."""
    data = line.encode("utf-8", "backslashreplace")
    if len(data) > MAX_LINE:
        data = data[:MAX_LINE] + " … (cut)".encode()
    _queue.put(data + b"\n")


def say(message: str) -> None:
    """Write a line of this program to stderr."""
    write_line(f"grok-mcp-server: {escaped(message)}")


def flush_stderr(wait_s: float = FLUSH_S) -> None:
    """Wait a moment for what is to be written to stderr."""
    _queue.flush(wait_s)


def tell_dropped(form: Callable[[int], str]) -> None:
    """Take this form for the line that says how many lines were lost."""
    _queue.tell_dropped = form
    _queue.start()


class _Stderr(io.RawIOBase):
    """Puts what libraries print into the queue; `flush` waits for it a moment, for people at a terminal."""

    name = "<stderr>"
    mode = "wb"

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # any buffer
        _queue.put(bytes(data))
        return len(data)

    def fileno(self) -> int:
        return STDERR

    def isatty(self) -> bool:
        return os.isatty(STDERR)


class _StderrText(io.TextIOWrapper):
    def flush(self) -> None:
        """Hand all over; a command waits a moment for it to be written, so that lines stay in order."""
        super().flush()
        if _queue.patient:
            flush_stderr()


def guard_stderr() -> None:
    """Let all that this process prints to stderr go the same way; a failure there is nobody's error."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    # The raw stream takes the place of a buffered one, as with python -u: nothing is kept back.
    raw = cast(BinaryIO, _Stderr())
    sys.stderr = _StderrText(raw, encoding, "backslashreplace", write_through=True)
    atexit.register(flush_stderr)
    _queue.start()  # now: what first writes may be the handler of a signal, which may not start a thread


def hurry_stderr() -> None:
    """From now on nothing waits for stderr but the end of the process: for a server."""
    _queue.patient = False
