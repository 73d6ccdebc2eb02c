"""Files of other programs: read, written whole or not at all, with one backup.

A symbolic link stays one: what it leads to is written. Whoever changes a file between our reading and our
writing is not overwritten.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grok_mcp.hosts.host import HostError

BACKUP_SUFFIX = ".grok-mcp.bak"
PRIVATE = 0o600
_WRITABLE = 0o222
USUAL = 0o666
"""Less whatever the user's umask takes away."""


class ChangedMeanwhileError(HostError):
    """Somebody else has written the file since we read it; doing it all again can help."""


def backup_of(path: Path) -> Path:
    """Where the backup of a file is kept: beside the path by which the user knows it."""
    return path.with_name(path.name + BACKUP_SUFFIX)


def read_file(path: Path) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"{path} can't be read: {error.strerror or error}") from None


def write_file(path: Path, data: bytes, *, before: bytes | None, private: bool = False) -> None:
    """Put the data in place of what the file held; `private` is for new files with a secret in them."""
    with _told(path, "written"):
        target = Path(os.path.realpath(path))
        if before is not None and not (target.stat().st_mode & _WRITABLE and os.access(target, os.W_OK)):
            raise HostError(f"{path} is read-only; make it writable, or change it where it is made")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write_new(temporary, data, PRIVATE if private or before is not None else USUAL)
            if before is not None:
                _as_it_was(target, temporary)
            _check(path, before)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def write_backup(path: Path, data: bytes) -> Path:
    """Keep the data, which the file holds, in its one backup, as readable to others as the file is."""
    backup = backup_of(path)
    with _told(backup, "written"):
        temporary = backup.with_name(f".{backup.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write_new(temporary, data, PRIVATE)
            _as_it_was(Path(os.path.realpath(path)), temporary)
            os.replace(temporary, backup)
        finally:
            temporary.unlink(missing_ok=True)
    return backup


def remove_file(path: Path, *, before: bytes) -> None:
    """Remove a file that still holds what we read."""
    with _told(path, "removed"):
        _check(path, before)
        Path(os.path.realpath(path)).unlink()


def remove_backup(path: Path) -> None:
    """Remove a file's backup, which is needed no longer."""
    with suppress(OSError):
        backup_of(path).unlink()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _as_it_was(old: Path, new: Path) -> None:
    """Give a new file mode and owner of an old one."""
    shutil.copymode(old, new)
    if hasattr(os, "chown"):
        found = old.stat()
        with suppress(OSError):  # only root may give files away
            os.chown(new, found.st_uid, found.st_gid)


def _check(path: Path, before: bytes | None) -> None:
    if read_file(path) != before:
        raise ChangedMeanwhileError(f"{path} was changed by another program meanwhile; run this again")


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Say in a sentence what the operating system has against it."""
    try:
        yield
    except OSError as error:
        raise HostError(f"{path} can't be {what}: {error.strerror or error}") from None
