"""What a call takes from stdin: all of it where it is asked for, and what was piped to this command alone.

`-`, or no words at all, asks for it. Beside words, stdin may be somebody else's: in a loop over lines the
shell reads it too, and what a call swallowed would be lost to the loop. So a file is never read without `-`,
and a pipe where no shell above this process has it as its own stdin, which Linux shows.
"""

import os
import select
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError

DASH = "-"
SILENT_S = 10.0
"""How long a pipe beside words may say nothing: it belongs to a program that has forgotten it."""
_SHELLS = frozenset(("ash", "bash", "busybox", "dash", "fish", "ksh", "mksh", "nu", "sh", "tcsh", "zsh"))
_ANCESTORS = 16
_CHUNK = 64 * 1024
_MAX_BYTES = 4 * bounds.TEXT_CHARACTERS


class Piped(NamedTuple):
    """What came on stdin, and why nothing was read of it where something may be there."""

    text: str = ""
    left: str = ""


def read_piped(words: Sequence[str]) -> Piped:
    """What stdin brings to a call with these words; raises InvalidArgumentError for what is not text."""
    if DASH in words:
        return Piped(_all())
    kind = _kind()
    if kind is None:
        return Piped()
    if not words:
        return Piped(_all())
    descriptor = sys.stdin.fileno()
    if kind == "file":
        rest = os.fstat(descriptor).st_size > (_position(descriptor) or 0)
        return Piped(left="it is a file, which a loop may read too" if rest else "")
    if _is_a_shells(descriptor):
        return Piped(left="the shell reads it too" if _has_more(descriptor, 0) else "")
    if not _has_more(descriptor, SILENT_S):
        return Piped(left=f"nothing came within {SILENT_S:g} s")
    return Piped(_all())


def _kind() -> str | None:
    """Whether stdin is a pipe or a file; None for a terminal, nothing, or what a service manager leaves."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        return None
    return "pipe" if stat.S_ISFIFO(mode) else "file" if stat.S_ISREG(mode) else None


def _position(descriptor: int) -> int | None:
    try:
        return os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError:
        return None


def _has_more(descriptor: int, within_s: float) -> bool:
    """Whether a pipe holds something, or has ended, in so many seconds."""
    if not hasattr(select, "poll"):  # Windows, whose loops hand on no stdin
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def _is_a_shells(descriptor: int) -> bool:
    """Whether a shell above this process has the same pipe as its stdin, as in a loop or a script."""
    own = os.fstat(descriptor)
    process = os.getppid()
    for _ in range(_ANCESTORS):
        folder = Path("/proc") / str(process)
        try:
            theirs = os.stat(folder / "fd" / "0")
            name, _, rest = (folder / "stat").read_text("utf-8", "replace").rpartition(")")
        except OSError:
            return False
        if (theirs.st_dev, theirs.st_ino) != (own.st_dev, own.st_ino):
            return False
        if name.partition("(")[2] in _SHELLS:
            return True
        process = int(rest.split()[1])
    return False


def _all() -> str:
    """All of stdin as text."""
    if sys.stdin is None:
        return ""
    pieces, size = [], 0
    while piece := sys.stdin.buffer.read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > _MAX_BYTES:
            raise InvalidArgumentError(
                f"stdin: more than {_MAX_BYTES:,} bytes, which no model reads.", "Send less of it."
            )
    try:
        return b"".join(pieces).decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidArgumentError(
            "stdin: not UTF-8 text.", "Convert it, or pass an image with --image."
        ) from None
