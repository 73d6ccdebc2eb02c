"""Conversations of a person at a shell, in a file: each call there is a process of its own.

One SQLite file in the state folder, for this user alone, which processes share; `GROK_MCP_KEEP=off` has none.
A row holds one answer and all that led to it. A file that can't be used costs nobody an answer, only its
continuation.
"""

import logging
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import anyio

from grok_mcp.errors import ConfigurationError, ConversationNotFoundError
from grok_mcp.state import make_private, one_moment, state_folder, transaction
from grok_mcp.stores.conversations import Conversation, new_conversation, new_handle
from grok_mcp.stores.documents import UNREADABLE, pack_conversation, unpack_conversation

FILE = "conversations.sqlite3"
MAX_CONVERSATIONS = 50
MAX_ANSWERS = 500
"""In all of them: each can be continued from."""
MAX_BYTES = 64 * 1024 * 1024
LIFETIME_S = 7 * 86_400.0
BUSY_S = 5.0
"""How long a transaction waits for those of other processes."""

_MARK = 0x67_72_6B_63
"""SQLite's `application_id` of such a file."""
_VERSION = 1
_PAGE_BYTES = 4096
_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    id TEXT PRIMARY KEY, root TEXT NOT NULL, at REAL NOT NULL, size INTEGER NOT NULL, document BLOB NOT NULL
)
"""

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Limits(NamedTuple):
    """How much is kept, and for how long; of what is more, the oldest goes."""

    conversations: int = MAX_CONVERSATIONS
    answers: int = MAX_ANSWERS
    bytes: int = MAX_BYTES
    lifetime_s: float = LIFETIME_S


class _UnusableError(Exception):
    """The file is to be left alone; the message is the reason, as the end of a sentence."""


class ShellConversations:
    """The store behind `--continue` and `--conversation`; callers make no difference here."""

    number: ClassVar[None] = None

    def __init__(self, folder: Path | None, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()

    async def open(self, handle: str | None, caller: str) -> Conversation:
        """The conversation behind a handle, a new one for none.

        Raises ConversationNotFoundError, and ConfigurationError where the file can't be read.
        """
        if handle is None:
            return new_conversation()
        name = handle.strip()
        row = await self._read(lambda db: self._row(db, "document", "id = ?", name))
        try:
            return unpack_conversation(row[0]) if row else self._refuse(name)
        except UNREADABLE:
            return self._refuse(name)

    async def last(self) -> str | None:
        """The handle of the newest answer, None where there is none; raises ConfigurationError."""
        row = await self._read(lambda db: self._row(db, "id", "TRUE ORDER BY at DESC, rowid DESC LIMIT 1"))
        return row and str(row[0])

    async def keep(self, conversation: Conversation, caller: str) -> str | None:
        """Store a conversation; returns its handle, None where the file does not take it."""
        handle = new_handle()
        try:
            document = pack_conversation(conversation)
            if len(document) > self._limits.bytes:
                return None
            row = (handle, conversation.root, time.time(), len(document), document)
            await anyio.to_thread.run_sync(self._write, row)
        except (sqlite3.Error, OSError, RuntimeError, _UnusableError, RecursionError) as error:
            logger.info("the conversation was not kept: %s", error)
            return None
        return handle

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _refuse(self, name: str) -> Conversation:
        days = self._limits.lifetime_s / 86_400
        raise ConversationNotFoundError(
            f"There is no conversation {name[:64]!r} here, or no longer: the last "
            f"{self._limits.conversations} are kept, for {days:g} days.",
            "Leave --conversation out, and repeat what matters of the earlier turns.",
        )

    def _row(self, db: sqlite3.Connection, what: str, where: str, *values: str) -> "tuple[bytes] | None":
        now = time.time()
        sql = f"SELECT {what} FROM answers WHERE at > ? AND at <= ? AND {where}"
        row: tuple[bytes] | None = db.execute(
            sql, (now - self._limits.lifetime_s, now + 60, *values)
        ).fetchone()
        return row

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        def read() -> T | None:
            path = state_folder(self._folder) / FILE
            if not path.exists():
                return None
            with closing(_connect(path)) as db:
                return work(db)

        try:
            return await anyio.to_thread.run_sync(read)
        except (sqlite3.Error, OSError, RuntimeError, _UnusableError) as error:
            raise ConfigurationError(
                f"The file of kept conversations can't be read: {error}.", self._way_out()
            ) from None

    def _way_out(self) -> str:
        try:
            return f"If that goes on, delete {state_folder(self._folder) / FILE}: what it holds is lost then."
        except (OSError, RuntimeError):  # there is no such folder
            return "Name a folder that can be written in GROK_MCP_STATE_DIR."

    def _write(self, row: tuple[str, str, float, int, bytes]) -> None:
        path = state_folder(self._folder) / FILE
        make_private(path)
        with closing(_connect(path)) as db:
            db.execute(f"PRAGMA max_page_count = {2 * self._limits.bytes // _PAGE_BYTES + 64}")
            with transaction(db):
                self._make_room(db, row)
                db.execute("INSERT INTO answers (id, root, at, size, document) VALUES (?, ?, ?, ?, ?)", row)
            db.execute("PRAGMA incremental_vacuum").fetchall()

    def _make_room(self, db: sqlite3.Connection, row: tuple[str, str, float, int, bytes]) -> None:
        """Drop what is too old, then the oldest of what is too much beside a new row."""
        _, root, now, size, _ = row
        lifetime_s = self._limits.lifetime_s
        db.execute("DELETE FROM answers WHERE at <= ? OR at > ?", (now - lifetime_s, now + lifetime_s))
        roots, answers = {root}, 1
        rows = db.execute("SELECT id, root, size FROM answers ORDER BY at DESC, rowid DESC").fetchall()
        limits = self._limits
        for name, other, length in rows:
            is_one_more = other not in roots and len(roots) == limits.conversations
            if is_one_more or answers == limits.answers or size + length > limits.bytes:
                db.execute("DELETE FROM answers WHERE id = ?", (name,))
            else:
                roots.add(other)
                answers, size = answers + 1, size + length


def _connect(path: Path) -> sqlite3.Connection:
    """The open file, made ready where it is new. Raises sqlite3.Error, OSError, _UnusableError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _UnusableError("it is not a regular file")
    if sys.platform != "win32" and status.st_uid != os.geteuid():
        raise _UnusableError("it belongs to another user")
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        with one_moment(db):  # another process may make the file just now
            mark, version = (
                db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
        if (mark, version) not in ((0, 0), (_MARK, _VERSION)):
            raise _UnusableError("another program wrote it, or a newer version of this one")
        db.execute("PRAGMA secure_delete = ON")  # nothing of an answer is left in the file
        db.execute("PRAGMA synchronous = OFF")  # nothing waits for the disk
        if not version:
            db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            with transaction(db):
                db.execute(_TABLE)
                db.execute(f"PRAGMA application_id = {_MARK}")
                db.execute(f"PRAGMA user_version = {_VERSION}")
        if sys.platform != "win32" and status.st_mode & 0o077:
            path.chmod(0o600)
    except BaseException:
        db.close()
        raise
    return db
