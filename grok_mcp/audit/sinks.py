"""Where lines of the audit stream go: a file, a standard stream, a collector of OpenTelemetry.

All are used by one thread, which may wait. Each raises OSError for what can't be written.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from grok_mcp.audit.lines import line_of
from grok_mcp.reports import CallReport

ROOM_BYTES = 64 * 1024
"""Space that a disk must have before a call begins that may not go without its line."""


class Sink(Protocol):
    """One place for lines."""

    name: str
    """For people."""

    def write(self, report: CallReport) -> None:
        """Write one line; raises OSError."""
        ...

    def check(self) -> None:
        """Raise OSError where a line would not be written."""
        ...

    def close(self) -> None:
        """Write what is still to be written."""
        ...


class Stream:
    """A standard stream. A line is shorter than what a pipe takes at once: no other is mixed into it."""

    def __init__(self, descriptor: int) -> None:
        self.name = {1: "stdout", 2: "stderr"}[descriptor]
        self._descriptor = descriptor
        self._torn = False

    def write(self, report: CallReport) -> None:
        """Write one line at once."""
        self._torn = _write(self._descriptor, line_of(report), self._torn)
        if self._torn:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def check(self) -> None:
        """Nothing to know in advance."""

    def close(self) -> None:
        """It is not ours to close."""


class File:
    """A file that many processes append to. It is opened again where somebody has moved or deleted it."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._descriptor: int | None = None
        self._torn = False

    def write(self, report: CallReport) -> None:
        """Append one line at once."""
        self._torn = _write(self._opened(), line_of(report), self._torn)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def check(self) -> None:
        """Raise OSError where the file can't be opened, or its disk is full."""
        descriptor = self._opened()
        if hasattr(os, "fstatvfs"):
            place = os.fstatvfs(descriptor)
            if place.f_bavail * place.f_frsize < ROOM_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        """The descriptor of the file that the path leads to now."""
        if self._descriptor is not None and not self._is_there(self._descriptor):
            self.close()
        if self._descriptor is None:
            self._descriptor, self._torn = self._open(), False
        return self._descriptor

    def _is_there(self, descriptor: int) -> bool:
        with suppress(OSError):
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        return False

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        for name in (
            "O_CLOEXEC",
            "O_NONBLOCK",
            "O_NOCTTY",
            "O_BINARY",
        ):  # what is no file shall not hold us up
            flags |= getattr(os, name, 0)
        descriptor = os.open(self._path, flags, 0o600)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a regular file")
        return descriptor


def _write(descriptor: int, line: bytes, torn: bool) -> bool:
    """Write a line in one piece, on a line of its own; whether only a part of it was taken."""
    whole = b"\n" + line if torn else line
    return os.write(descriptor, whole) < len(whole)
