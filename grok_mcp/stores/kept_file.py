"""The file of kept answers: one SQLite file in the state folder, which all servers of a user on stdio share.

`kept_answers.py` uses it, on a thread of its own. A row holds how a call ended, or how far it has come, and
which process runs it. SQLite's rollback journal serves better here than its log: there is one file, also
behind a process that was killed, and SQLite refuses to write to one that was deleted. No commit waits for
the disk: what is committed survives the process, and a power failure may cost the answers of an hour.
"""

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from grok_mcp.messages import Outcome, Running
from grok_mcp.state import is_gone, is_visible, make_private, one_moment, transaction
from grok_mcp.stores.answers import Name
from grok_mcp.stores.documents import UNREADABLE, Row, unpack_outcome

VERSION = 1
BUSY_S = 1.0
"""How long a transaction waits for those of other processes."""
SILENT_S = 10.0
"""After so long without a word a process is taken to be gone; `runs.HEARTBEAT_S` is how often it writes."""
VISIBLE_SILENT_S = 60.0
"""The same for one that is seen to live: it may have been suspended, or unable to write for a while."""

_MARK = 0x67_72_6B_61
"""SQLite's `application_id` of such a file."""
_MAGIC = b"SQLite format 3\0"
_PAGE_BYTES = 4096
_TABLE = """
CREATE TABLE answers (
    caller TEXT NOT NULL, id TEXT NOT NULL, at REAL NOT NULL, running INTEGER NOT NULL, owner TEXT NOT NULL,
    size INTEGER NOT NULL, cancel INTEGER NOT NULL DEFAULT 0, request TEXT, document BLOB NOT NULL,
    UNIQUE (caller, id)
);
CREATE INDEX answers_at ON answers (at, running, size);
CREATE INDEX answers_cancel ON answers (owner) WHERE cancel
"""
_PUT = """
INSERT INTO answers (caller, id, at, running, owner, size, document) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (caller, id) DO UPDATE SET at = excluded.at, running = excluded.running, owner = excluded.owner,
size = excluded.size, document = excluded.document
"""


class NotOursError(Exception):
    """The file is to be left alone; the message is the reason, as the end of a sentence."""


class Found(NamedTuple):
    """What is written under a name since when, and what is known of the process that wrote it."""

    at: float
    outcome: Outcome
    is_gone: bool
    """Whether the call runs no more, although nobody has written its end."""
    silent_s: float
    """For how long nothing was heard of a call that runs, where that is too long; else 0."""


class KeptFile:
    """An open file of kept answers. Raises sqlite3.Error, OSError, NotOursError, also from its methods."""

    def __init__(self, path: Path, owner: str, maximum: int, max_bytes: int, lifetime_s: float) -> None:
        self._path = path
        self._owner = owner
        self._maximum = maximum
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s
        make_private(path)
        status = path.stat()
        _check(status)
        self._identity = status.st_dev, status.st_ino
        self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            if sys.platform != "win32" and status.st_mode & 0o077:
                path.chmod(0o600)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        db = self._db
        try:
            with one_moment(db):  # another process may make the file just now
                mark, version, tables = self._kind()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
                raise NotOursError("another program wrote it") from None
            raise
        if mark != _MARK and (mark, version, tables) != (0, 0, 0):
            raise NotOursError("another program wrote it")
        if version > VERSION:
            raise NotOursError("a newer version of this program wrote it; update this one")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA secure_delete = ON")  # nothing of an answer is left in the file
        db.execute("PRAGMA temp_store = MEMORY")
        if not version:
            db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            with transaction(self._db):
                if not self._kind()[1]:  # no other process was first
                    for statement in _TABLE.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA application_id = {_MARK}")
                    db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute(f"PRAGMA max_page_count = {2 * self._max_bytes // _PAGE_BYTES + 64}")

    def _kind(self) -> tuple[int, int, int]:
        """Who wrote the file, in which version, and how many tables and the like it has."""
        return (
            self._number("PRAGMA application_id"),
            self._number("PRAGMA user_version"),
            self._number("SELECT COUNT(*) FROM sqlite_master"),
        )

    def _number(self, sql: str) -> int:
        return int(self._db.execute(sql).fetchone()[0])

    def is_in_place(self) -> bool:
        """Whether the file is still the one that was opened."""
        try:
            status = self._path.stat()
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def write(self, rows: Iterable[Row]) -> bool:
        """Store outcomes of this process, and drop what is too old or too much; True."""
        with transaction(self._db) as db:
            for row in rows:
                size = len(row.document)
                if size <= self._max_bytes:
                    db.execute(_PUT, (*row.name, row.at, row.runs, self._owner, size, row.document))
            dropped = self._make_room()
        if dropped:
            self._shrink()
        return True

    def look(self, name: Name) -> Found | None:
        """What is stored under a name, None where nothing is, or nothing that can be read."""
        row = self._row(name)
        if row and row[1] and is_gone(row[2]):
            row = self._row(name)  # its last word may have come in between
        if row is None:
            return None
        at, runs, owner, document = row
        try:
            outcome = unpack_outcome(document)
        except UNREADABLE:
            return None
        if not runs or not isinstance(outcome, Running):
            return Found(at, outcome, False, 0)
        silent_s = max(time.time() - at, 0)
        is_silent = silent_s >= (VISIBLE_SILENT_S if is_visible(owner) else SILENT_S)
        return Found(at, outcome, is_gone(owner), silent_s if is_silent else 0)

    def _row(self, name: Name) -> tuple[float, int, str, bytes] | None:
        found = self._db.execute(
            "SELECT at, running, owner, document FROM answers WHERE (caller, id) = (?, ?) AND at > ?",
            (*name, time.time() - self._lifetime_s),
        )
        row: tuple[float, int, str, bytes] | None = found.fetchone()
        return row

    def request_cancel(self, name: Name) -> None:
        """Leave word for the process that runs a call."""
        self._db.execute("UPDATE answers SET cancel = 1 WHERE (caller, id) = (?, ?) AND running", name)

    def cancel_requests(self) -> list[Name]:
        """The calls of this process that somebody has left word to end."""
        sql = "SELECT caller, id FROM answers WHERE owner = ? AND cancel AND running"
        return self._db.execute(sql, (self._owner,)).fetchall()

    def offer(self, name: Name, request: str | None) -> None:
        """Note what a call was asked; None where it answers the same request no more."""
        self._db.execute("UPDATE answers SET request = ? WHERE (caller, id) = (?, ?)", (request, *name))

    def offers(self) -> list[tuple[str, str, str]]:
        """Caller, request and id of the calls of processes that are gone, the oldest first."""
        sql = "SELECT caller, request, id, owner FROM answers WHERE request IS NOT NULL ORDER BY at"
        rows = self._db.execute(sql).fetchall()
        gone = {owner: is_gone(owner) for owner in {row[3] for row in rows}}
        return [(caller, request, answer_id) for caller, request, answer_id, owner in rows if gone[owner]]

    def is_offered(self, name: Name, request: str) -> bool:
        """Whether a call still answers this request: nobody has got its answer."""
        sql = "SELECT 1 FROM answers WHERE (caller, id, request) = (?, ?, ?)"
        return self._db.execute(sql, (*name, request)).fetchone() is not None

    def tidy(self) -> bool:
        """Drop what has expired, and the file where nothing else is in it; whether it is gone.

        Nothing happens while other processes keep it busy.
        """
        try:
            with transaction(self._db):
                self._make_room()
            self._shrink()
            self._db.execute("BEGIN EXCLUSIVE")  # it writes nothing, and so has no journal
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise
        try:
            is_empty = not self._number("SELECT COUNT(*) FROM answers")
            if is_empty:
                with suppress(PermissionError):  # on Windows, another process has it open
                    self._path.unlink()
        finally:
            self._db.execute("ROLLBACK")
        return is_empty

    def _make_room(self) -> bool:
        """Drop what has expired, then the oldest of what nobody writes any more; whether anything went."""
        now = time.time()
        old, ahead = now - self._lifetime_s, now + self._lifetime_s  # the latter where the clock was wrong
        db = self._db
        dropped = db.execute("DELETE FROM answers WHERE at <= ? OR at > ?", (old, ahead)).rowcount
        count, size = db.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM answers").fetchone()
        if count > self._maximum or size > self._max_bytes:
            sql = "SELECT rowid, size FROM answers WHERE NOT running OR at <= ? ORDER BY at, rowid"
            for row, one in db.execute(sql, (now - VISIBLE_SILENT_S,)).fetchall():
                if count <= self._maximum and size <= self._max_bytes:
                    break
                db.execute("DELETE FROM answers WHERE rowid = ?", (row,))
                count, size, dropped = count - 1, size - one, dropped + 1
        return dropped > 0

    def _shrink(self) -> None:
        """Give back to the system what is free in the file."""
        self._db.execute("PRAGMA incremental_vacuum").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _check(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotOursError("it is not a regular file")
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        raise NotOursError("it belongs to another user")


def may_go_well(error: Exception) -> bool:
    """Whether the same may work once the file is opened anew."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF
    return code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOTADB)


def is_busy(error: Exception) -> bool:
    """Whether other processes keep the file busy, so that it may be there and say nothing."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def remove_damaged(path: Path, error: Exception) -> bool:
    """Delete a file of ours, which nothing has open here, where the error says that it is damaged."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code != sqlite3.SQLITE_CORRUPT:
        return False
    with path.open("rb") as file:
        head = file.read(72)
    if not head.startswith(_MAGIC) or int.from_bytes(head[68:], "big") != _MARK:
        return False
    for name in (path.with_name(f"{path.name}-journal"), path):
        name.unlink(missing_ok=True)
    return True
