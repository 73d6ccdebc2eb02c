"""The ledger on disk: one SQLite file, one row for each tool call, written by many processes at once.

`books.py` uses it on the ledger's thread; `grok-mcp usage` reads it. A row holds counts and names, never a
word of prompt or answer. Reservations are what calls in flight may cost; they expire unless they are renewed.
"""

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from grok_mcp.accounting.records import (
    COLUMNS,
    LEAST_ESTIMATE,
    RESERVED_S,
    SANDBOX,
    Entry,
    LedgerError,
    Reservation,
    Standing,
)
from grok_mcp.usage import COUNTS

VERSION = 1
BUSY_S = 5.0
"""How long a write waits for those of other processes."""

_NEWEST = 500  # calls that an estimate looks at
_TABLES = f"""
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL, gateway TEXT NOT NULL,
    model_asked TEXT NOT NULL, model TEXT NOT NULL, {", ".join(f"{name} INTEGER" for name in COUNTS)},
    cost_ticks INTEGER, cost_source TEXT, duration_s REAL NOT NULL, finish_reason TEXT, error TEXT
);
CREATE INDEX calls_at ON calls (at);
CREATE INDEX calls_caller ON calls (caller, at);
CREATE TABLE reservations (
    id TEXT PRIMARY KEY, caller TEXT NOT NULL, sandbox INTEGER NOT NULL, ticks INTEGER NOT NULL,
    expires_at REAL NOT NULL
)
"""
_INSERT = f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

T = TypeVar("T")


class Store:
    """An open ledger, in a file or, for None, in memory. Raises sqlite3.Error, OSError, LedgerError."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            _make_private(path)
        self.path = path
        self._file = _identity(path)
        self._db = sqlite3.connect(path or ":memory:", timeout=BUSY_S, isolation_level=None)
        try:
            _patiently(self._prepare)
        except BaseException:
            self.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading."""
        return self._db

    def is_current(self) -> bool:
        """Whether the file is still the one that was opened; it may have been taken away."""
        return self._file == _identity(self.path)

    def close(self) -> None:
        """Close the file; the last process to do so removes the files that belong to it."""
        self._db.close()

    def write(self, entries: Iterable[Entry], settled: Iterable[str] = ()) -> None:
        """Add calls that have ended, and drop the reservations of these."""
        with self._transaction() as db:
            db.executemany(_INSERT, [entry.values() for entry in entries])
            db.executemany(
                "DELETE FROM reservations WHERE id = ?", [(reservation_id,) for reservation_id in settled]
            )

    def take_over(self, other: "Store") -> None:
        """Add everything that another ledger holds."""
        names = ", ".join(COLUMNS)
        rows = other._db.execute(f"SELECT {names} FROM calls").fetchall()
        reserved = other._db.execute("SELECT * FROM reservations").fetchall()
        with self._transaction() as db:
            db.executemany(_INSERT, rows)
            db.executemany("INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?)", reserved)

    def spent(self, caller: str, since: float, *, sandbox: bool) -> int:
        """What a caller's calls from then on have cost, in ticks."""
        row = self._db.execute(
            "SELECT SUM(cost_ticks) FROM calls WHERE caller = ? AND at >= ? AND (gateway = ?) = ?",
            (caller, since, SANDBOX, sandbox),
        )
        return int(row.fetchone()[0] or 0)

    def estimate(self, caller: str, tool: str, model: str, *, sandbox: bool) -> int:
        """What such a call of this caller cost lately, in ticks: with this model, else with any."""
        row = self._db.execute(
            "SELECT AVG(cost_ticks) FILTER (WHERE model_asked = ?), AVG(cost_ticks) FROM "
            "(SELECT * FROM calls WHERE caller = ? ORDER BY at DESC LIMIT ?) "
            "WHERE tool = ? AND (gateway = ?) = ? AND cost_ticks > 0",
            (model, caller, _NEWEST, tool, SANDBOX, sandbox),
        )
        return max(int(next(filter(None, row.fetchone()), 0)), LEAST_ESTIMATE)

    def reserve(self, wanted: Reservation, cap: int, since: float, at_least: int, now: float) -> Standing:
        """Let a call begin, and reserve what it may cost, unless `cap` ticks are spent or reserved already.

        What is spent is counted from `since` on and is not less than `at_least`.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM reservations WHERE expires_at <= ?", (now,))
            spent = max(self.spent(wanted.caller, since, sandbox=wanted.sandbox), at_least)
            others = "caller = ? AND sandbox = ? AND id <> ?"
            row = db.execute(
                f"SELECT COUNT(*), COALESCE(SUM(ticks), 0) FROM reservations WHERE {others}",
                (wanted.caller, wanted.sandbox, wanted.id),
            )
            calls, in_flight = row.fetchone()
            admitted = spent + in_flight < cap
            if admitted:
                self._renew([wanted], now)
            return Standing(admitted, spent, in_flight, calls)

    def renew(self, reservations: Iterable[Reservation], now: float) -> None:
        """Let reservations live on; those that have expired meanwhile come back."""
        with self._transaction():
            self._renew(reservations, now)

    def _renew(self, reservations: Iterable[Reservation], now: float) -> None:
        rows = [(*reservation, now + RESERVED_S) for reservation in reservations]
        self._db.executemany("INSERT OR REPLACE INTO reservations VALUES (?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing, alone among the writers."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _prepare(self) -> None:
        if _version(self._db) < VERSION:
            self._db.execute("PRAGMA journal_mode = WAL")  # stays with the file; readers and a writer at once
            with self._transaction() as db:
                if _version(db) < VERSION:  # else another process was first
                    for statement in _TABLES.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
        self._db.execute(
            "PRAGMA synchronous = NORMAL"
        )  # in WAL, a lost last row and no damage if the power fails


def open_to_read(path: Path) -> sqlite3.Connection | None:
    """A connection that only reads, while others write; None for a ledger that nobody has begun.

    Raises sqlite3.Error, LedgerError.
    """
    if not path.exists():
        return None
    for mode in ("rw", "ro"):  # the first tidies up behind itself
        with suppress(sqlite3.OperationalError):
            return _reader(path, mode)
    return _reader(path, "ro&immutable=1")  # where nobody may write next to the file


def read_file(path: Path, work: Callable[[sqlite3.Connection], T]) -> T | None:
    """What `work` finds in the file, as it is at one moment; None for a ledger that nobody has begun."""
    db = open_to_read(path)
    if db is None:
        return None
    with closing(db):
        db.execute("BEGIN")
        return work(db)


def _reader(path: Path, mode: str) -> sqlite3.Connection | None:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_S)
    try:
        db.execute("PRAGMA query_only = 1")
        if _version(db) == VERSION:
            return db
    except BaseException:
        db.close()
        raise
    db.close()  # somebody is about to begin it
    return None


def _version(db: sqlite3.Connection) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LedgerError("a newer version of this program wrote it; update this one")
    return version


def _make_private(path: Path) -> None:
    """Make the file, and its folder, for this user alone; SQLite gives its other files the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _identity(path: Path | None) -> tuple[int, int] | None:
    with suppress(OSError):
        status = path.stat() if path else None
        return (status.st_dev, status.st_ino) if status else None
    return None


def _patiently(work: Callable[[], T]) -> T:
    """Do it once others allow it: for the change to WAL, SQLite does not wait by itself."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(random.uniform(0.005, 0.05))
