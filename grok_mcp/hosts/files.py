"""Files of other programs: read, written whole or not at all, with one backup.

A symbolic link stays one: its target is written. What another program writes between our reading and our
writing is not overwritten.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from grok_mcp import bounds
from grok_mcp.foreign import read_regular
from grok_mcp.hosts.host import HostError

_BACKUP_SUFFIX = ".grok-mcp.bak"
_WRITABLE = 0o222
_PRIVATE_MODE = 0o600
_DEFAULT_MODE = 0o666  # less the user's umask


class ChangedMeanwhileError(HostError):
    """Another program has written the file since we read it; a second try can help."""


class UnreadableFileError(HostError):
    """A file that can't be read, whatever may be in it; `reason` says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} can't be read: {reason}")
        self.reason = reason


def backup_of(path: Path) -> Path:
    """Where the backup of a file is: beside the path that the user knows."""
    return path.with_name(path.name + _BACKUP_SUFFIX)


def read_file(path: Path) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        return read_regular(path, bounds.HOST_FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableFileError(path, error.strerror or str(error)) from None


def write_file(path: Path, data: bytes, *, before: bytes | None, private: bool = False) -> None:
    """Replace what the file holds by the data; `private` is for new files with a secret in them."""
    with _host_errors(path, "written"):
        target = Path(os.path.realpath(path))
        if before is not None and not (target.stat().st_mode & _WRITABLE and os.access(target, os.W_OK)):
            raise HostError(f"{path} is read-only; make it writable, or change what generates it")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write_new(temporary, data, _PRIVATE_MODE if private or before is not None else _DEFAULT_MODE)
            if before is not None:
                _copy_mode_and_owner(target, temporary)
            _check_unchanged(path, before)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def write_backup(path: Path, data: bytes) -> Path:
    """Write what the file holds into its one backup, with the mode of the file."""
    backup = backup_of(path)
    with _host_errors(backup, "written"):
        temporary = backup.with_name(f".{backup.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write_new(temporary, data, _PRIVATE_MODE)
            _copy_mode_and_owner(Path(os.path.realpath(path)), temporary)
            os.replace(temporary, backup)
        finally:
            temporary.unlink(missing_ok=True)
    return backup


def remove_file(path: Path, *, before: bytes) -> None:
    """Remove a file that still holds what we read."""
    with _host_errors(path, "removed"):
        _check_unchanged(path, before)
        Path(os.path.realpath(path)).unlink()


def remove_backup(path: Path) -> None:
    """Remove a file's backup."""
    with suppress(OSError):
        backup_of(path).unlink()


def _write_new(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _copy_mode_and_owner(old: Path, new: Path) -> None:
    """Give a new file the mode and the owner of an old one."""
    shutil.copymode(old, new)
    if hasattr(os, "chown"):
        status = old.stat()
        with suppress(OSError):  # only root may give files away
            os.chown(new, status.st_uid, status.st_gid)


def _check_unchanged(path: Path, before: bytes | None) -> None:
    if read_file(path) != before:
        raise ChangedMeanwhileError(f"{path} was changed by another program at the same time; run this again")


@contextmanager
def _host_errors(path: Path, action: str) -> Iterator[None]:
    """Turn an error of the operating system into a sentence."""
    try:
        yield
    except OSError as error:
        raise HostError(f"{path} can't be {action}: {error.strerror or error}") from None
