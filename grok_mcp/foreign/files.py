"""Reads files that others write: of any kind, size and encoding."""

import codecs
import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple


class FileStamp(NamedTuple):
    """What tells one state of a file from another, also where a link leads to another file now."""

    modified_ns: int
    changed_ns: int
    size: int
    inode: int
    device: int


def stamp_of(path: Path) -> FileStamp | None:
    """The state of a file, None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileStamp(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; raises OSError, whose `strerror` says why not.

    A pipe could keep its reader for ever, a device could do anything, and neither has an end.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        # It may have become something else since: opening a pipe must not wait either.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            data = file.read(limit + 1)
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a null character") from None
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 10} KiB")
    return data


def encoding_of(data: bytes) -> str:
    """The encoding of a text file: UTF-8, or UTF-16 where a mark at its beginning says so.

    Raises ValueError, which says why it is neither.
    """
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf_16 else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if utf_16 else "UTF-8"
        raise ValueError(f"it is not text in {name} (byte {error.start + 1}): save it as UTF-8") from None
    if "\0" in text:
        raise ValueError("it is not text: it holds null characters")
    return encoding


def read_text(path: Path, limit: int) -> str:
    """The text of such a file; raises OSError or ValueError, whose words say why not."""
    data = read_regular(path, limit)
    return data.decode(encoding_of(data))
