"""The stdout of commands: where it is closed, full or broken, that is one error, told once."""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from grok_mcp.streams.descriptors import was_closed
from grok_mcp.streams.stderr import say

STDOUT = 1
STATUS = 1

_CLOSED = "stdout is closed"
_LEFT = "whoever read stdout has left"


class StdoutError(OSError):
    """What a command prints can't be written; the message says why."""


class _Stdout(io.RawIOBase):
    """The raw stream below stdout. After a failure it swallows the rest, so that the end is told once."""

    name = "<stdout>"
    mode = "wb"

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._lost = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # any buffer
        rest = memoryview(data)
        try:
            while rest and not self._lost:
                rest = rest[self._raw.write(rest) or 0 :]
        except OSError as error:
            self._lost = True
            raise StdoutError(_reason(error)) from None
        return len(data)


def _reason(error: OSError) -> str:
    if was_closed(STDOUT):
        return _CLOSED
    return (
        _LEFT if isinstance(error, BrokenPipeError) else f"stdout can't be written: {error.strerror or error}"
    )


@contextmanager
def guarded_stdout() -> Iterator[None]:
    """Where stdout fails, end the program with one line and status 1; characters that it can't encode are
    replaced.
    """
    try:
        _guard()
        try:
            yield
        finally:
            sys.stdout.flush()
    except StdoutError as error:
        say(str(error))
        sys.exit(STATUS)


def _guard() -> None:
    old = sys.stdout
    if old is None:  # closed: the descriptor is held, and refuses what is written
        sys.stdout = _text(_buffered(io.FileIO(STDOUT, "w", closefd=False)), "utf-8")
    elif isinstance(old, io.TextIOWrapper):
        old.flush()
        raw = getattr(old.buffer, "raw", old.buffer)
        if not isinstance(raw, io.RawIOBase):
            old.reconfigure(errors="replace")
        elif raw is old.buffer:  # python -u
            unbuffered = cast(BinaryIO, _Stdout(raw))
            sys.stdout = _text(unbuffered, old.encoding, write_through=True)
        else:
            sys.stdout = _text(_buffered(raw), old.encoding, line_buffering=old.line_buffering)


def _buffered(raw: io.RawIOBase) -> BinaryIO:
    return cast(BinaryIO, io.BufferedWriter(cast(io.FileIO, _Stdout(raw))))


def _text(buffer: BinaryIO, encoding: str, **how: bool) -> io.TextIOWrapper:
    newline = None if os.name == "nt" else "\n"
    return io.TextIOWrapper(buffer, encoding, "replace", newline=newline, **how)


def check_stdout() -> None:
    """Raise StdoutError where nothing can be printed: to be known before a call costs money."""
    if was_closed(STDOUT):
        raise StdoutError(_CLOSED)
    if hasattr(select, "poll"):  # pragma: no branch - all but Windows
        poll = select.poll()
        poll.register(STDOUT, 0)
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise StdoutError(_LEFT)
