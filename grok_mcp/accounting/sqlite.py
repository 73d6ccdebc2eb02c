"""The ledger on disk: one SQLite file, one row for each tool call, written by many processes at once.

`books.py` uses it on the ledger's thread; the command `usage` reads it. A row holds counts and names, never a
word of prompt or answer. A call has a row in `in_flight` from before its request goes out until its row in
`calls` takes that one's place, in one transaction. A process that is killed leaves its rows there: they are
the calls of unknown end.

What is committed is in the system's hands: it survives the process, however that ends. It may not survive a
power failure, for which each commit would have to wait for the disk.
"""

import os
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, NamedTuple, TypeVar

from grok_mcp.accounting.reading import Reading
from grok_mcp.accounting.records import (
    COLUMNS,
    LEAST_ESTIMATE,
    RESERVED_S,
    SANDBOX,
    Begun,
    Caps,
    Entry,
    LedgerError,
    Standing,
)
from grok_mcp.accounting.sqlite_reading import SqliteReading
from grok_mcp.state import make_private, transaction

VERSION = 3
BUSY_S = 5.0
"""How long a write waits for those of other processes."""

_NEWEST = 500  # calls that an estimate looks at
_CALLS = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL, gateway TEXT NOT NULL,
    model_asked TEXT NOT NULL, model TEXT NOT NULL, input_tokens INTEGER, cached_tokens INTEGER,
    output_tokens INTEGER, reasoning_tokens INTEGER, text_tokens INTEGER, total_tokens INTEGER,
    image_tokens INTEGER, sources_used INTEGER, web_searches INTEGER, x_searches INTEGER,
    cost_ticks INTEGER, cost_source TEXT, duration_s REAL NOT NULL, finish_reason TEXT, error TEXT
);
CREATE INDEX calls_at ON calls (at);
CREATE INDEX calls_caller ON calls (caller, at)
"""
_IN_FLIGHT = """
CREATE TABLE in_flight (
    id TEXT PRIMARY KEY, at REAL NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL, gateway TEXT NOT NULL,
    model_asked TEXT NOT NULL, ticks INTEGER, sent INTEGER NOT NULL, owner TEXT NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID
"""
_ADDED = {
    "x_posts_fetched": "INTEGER",
    "x_users_fetched": "INTEGER",
    "code_runs": "INTEGER",
    "documents_searched": "INTEGER",
    "service_tier": "TEXT",
}
"""Columns of `calls` since version 3."""
_LATER = {"sent": "INTEGER", "caller_group": "TEXT"}
"""Columns that a file of this version may lack: programs that do not know them write beside them."""
_STEPS = (
    _CALLS,
    _IN_FLIGHT,
    ";".join(f"ALTER TABLE calls ADD COLUMN {name} {kind}" for name, kind in _ADDED.items()),
)
"""What brings a file from one version to the next. The first version had a table `reservations` besides,
which is left alone: a server of that version may still be at work, as one of the second may.
"""
_GROUPS = """
CREATE TABLE IF NOT EXISTS groups_in_flight (id TEXT PRIMARY KEY, caller_group TEXT NOT NULL) WITHOUT ROWID
"""
"""The groups of calls in flight, beside their table, whose columns programs of earlier versions count on."""
_GROUPS_INDEX = """
CREATE INDEX IF NOT EXISTS calls_group ON calls (caller_group, at) WHERE caller_group IS NOT NULL
"""
_MAGIC = b"SQLite format 3\0"
_BESIDE = ("-wal", "-shm")
_BEGUN = 10  # columns of in_flight
_KNOWN = 8  # of them, those that a `Begun` fills
_CHUNK = 30  # rows of one statement: few enough values for any SQLite, see `_insert`

T = TypeVar("T")
Rows = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]
"""The rows of `calls` and of `in_flight`."""


class ReplacedError(LedgerError):
    """The file that is open is not the one that was opened, or was changed by others than its writers."""


def is_damage(error: Exception) -> bool:
    """Whether an error shows that the file is no ledger, or no longer one."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, ReplacedError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Store:
    """An open ledger, in a file or, for None, in memory. Raises sqlite3.Error, OSError, LedgerError."""

    def __init__(self, path: Path | None, owner: str) -> None:
        if path is not None:
            make_private(path)
        self.path = path
        self._owner = owner
        self._db = sqlite3.connect(
            path or ":memory:", timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._eye: _Eye | None = None
        self._mark = 0
        try:
            _patiently(self._prepare)
            if path is not None:
                self._eye = _Eye(path)
                self._head = self._eye.head()
                self._file, self._log = str(path), f"{path}-wal"
                self._seen = _look(self._file), _look(self._log)
        except BaseException:
            self.close()
            raise

    @property
    def reading(self) -> SqliteReading:
        """What can be read of it now."""
        return SqliteReading(self._db)

    def is_intact(self) -> bool:
        """Whether the files are still those that were opened, and not cut or overwritten.

        SQLite alone would not notice at once: it may go on with what it has in memory, or in its log. None of
        the files shrinks while it is in use. Another ledger, copied over this one, has another mark, and an
        older copy of this one a lower count of changes.
        """
        if self.path is None or self._eye is None:
            return True
        main, log = self._seen
        now, log_now = _look(self._file), _look(self._log)
        if _is_cut(main, now) or _is_cut(log, log_now):
            return False
        if now != main:
            head = self._eye.head()
            if not head.follows(self._head, self._mark):
                return False
            self._head = head
        self._seen = now, log_now
        return True

    def is_in_place(self) -> bool:
        """Whether the file, in whatever state, is the one that was opened, and not another of its name."""
        return _is_same(self._seen[0], _look(self._file))

    def take_log_along(self) -> None:
        """Where another file has this one's name, take the log away from it: SQLite would write it there.

        Raises OSError.
        """
        if not self.is_in_place() and _is_same(self._seen[1], _look(self._log)):
            rename_log(Path(self._file), new_name(Path(self._file)))

    def close(self) -> None:
        """Close the file; the last process to do so removes the files that belong to it.

        A file that has another name by now is closed as it is.
        """
        self._db.close()
        if self._eye:
            self._eye.close()
            self._eye = None

    def write(self, begun: Sequence[Begun], ended: Sequence[tuple[Entry, str]]) -> None:
        """Add calls that begin, and those that have ended in the place of their beginnings; all or none."""
        if not ended and len(begun) <= _CHUNK and not any(call.group for call in begun):
            return self._begin(begun, time.time())  # alone, a statement is a transaction
        with transaction(self._db) as db:
            self._begin(begun, time.time())
            for chunk in _chunks(ended):
                self._insert("INSERT INTO calls", COLUMNS, [entry.values() for entry, _ in chunk])
                ids = [call_id for _, call_id in chunk]
                db.execute(f"DELETE FROM in_flight WHERE id IN ({_marks(len(ids))})", ids)
                if any(entry.group for entry, _ in chunk):
                    db.execute(_GROUPS)
                    db.execute(f"DELETE FROM groups_in_flight WHERE id IN ({_marks(len(ids))})", ids)

    def write_at_once(self, begun: Sequence[Begun], ended: Sequence[tuple[Entry, str]]) -> None:
        """The same, where nobody else writes just now; raises sqlite3.OperationalError where one does."""
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            self.write(begun, ended)
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000:.0f}")

    def tidy(self) -> None:
        """Bring what was committed from the log into the file; waits for the disk, but for no reader.

        Whatever was committed, the file's count of changes is a higher one then.
        """
        with suppress(sqlite3.OperationalError):  # another process writes, and the next time is early enough
            self._db.execute(f"PRAGMA application_id = {_mark(self._db)}")
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _begin(self, begun: Sequence[Begun], now: float) -> None:
        for chunk in _chunks(begun):
            rows = [(*call[:_KNOWN], self._owner, now + RESERVED_S) for call in chunk]
            self._insert("INSERT OR REPLACE INTO in_flight", (), rows)
            if groups := [(call.id, call.group) for call in chunk if call.group]:
                self._db.execute(_GROUPS)
                self._insert("INSERT OR REPLACE INTO groups_in_flight", (), groups)

    def _insert(self, into: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        """Add rows with one statement: for each, another thread may take over for some milliseconds."""
        statement = _statement(into, columns, len(rows[0]), len(rows))
        self._db.execute(statement, [value for row in rows for value in row])

    def take_over(self, other: "Store | None", begun: Sequence[Begun]) -> None:
        """Add the calls that another ledger holds; of this owner, these are in flight and no others."""
        names = ", ".join(COLUMNS)
        rows = other._db.execute(f"SELECT {names} FROM calls").fetchall() if other else []
        with transaction(self._db) as db:
            db.executemany(f"INSERT INTO calls ({names}) VALUES ({_marks(len(COLUMNS))})", rows)
            db.execute("DELETE FROM in_flight WHERE owner = ?", (self._owner,))
            self._begin(begun, time.time())
            if not _mark(db):  # here and not before, as what is no good ledger is left alone
                db.execute(f"PRAGMA application_id = {1 + secrets.randbelow(2**31 - 1)}")
        self._mark = _mark(self._db)
        if self._eye and self._head.mark != self._mark:
            self.tidy()

    def rows(self) -> "Rows":
        """All that it holds."""
        names = ", ".join(COLUMNS)
        return (
            self._db.execute(f"SELECT {names} FROM calls").fetchall(),
            self._db.execute("SELECT * FROM in_flight").fetchall(),
        )

    def spent(self, caller: str, since: float, *, sandbox: bool) -> int:
        """What a caller's calls from then on have cost, in ticks."""
        row = self._db.execute(
            "SELECT SUM(cost_ticks) FROM calls WHERE caller = ? AND at >= ? AND (gateway = ?) = ?",
            (caller, since, SANDBOX, sandbox),
        )
        return int(row.fetchone()[0] or 0)

    def group_spent(self, group: str, since: float, *, sandbox: bool) -> int:
        """The same of all calls of a group."""
        self._db.execute(_GROUPS_INDEX)
        row = self._db.execute(
            "SELECT SUM(cost_ticks) FROM calls WHERE caller_group = ? AND at >= ? AND (gateway = ?) = ?",
            (group, since, SANDBOX, sandbox),
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

    def reserve(
        self,
        wanted: Begun,
        caps: Caps,
        since: float,
        at_least: int,
        now: float,
        group_at_least: int = 0,
    ) -> Standing:
        """Let a call begin, and reserve what it may cost, unless a cap is spent or reserved already.

        What is spent is counted from `since` on, with what calls of unknown end may have cost, and is not
        less than `at_least`, that of the group not less than `group_at_least`.
        """
        with transaction(self._db) as db:
            db.execute("DELETE FROM in_flight WHERE expires_at <= ? AND NOT sent", (now,))
            self._estimate_all(wanted.caller)
            spent = max(self.spent(wanted.caller, since, sandbox=wanted.sandbox), at_least)
            standing = self._standing(wanted, "caller = ?", wanted.caller, caps.caller, spent, since, now)
            if standing.admitted and wanted.group and caps.group is not None:
                of_group = self._group_standing(wanted, caps.group, since, group_at_least, now)
                if not of_group.admitted:
                    return of_group._replace(of_group=True)
                standing = standing._replace(group_spent=of_group.spent)
            if standing.admitted:
                self._begin([wanted], now)
            return standing

    def _group_standing(self, wanted: Begun, cap: int, since: float, at_least: int, now: float) -> Standing:
        self._db.execute(_GROUPS)
        self._db.execute("DELETE FROM groups_in_flight WHERE id NOT IN (SELECT id FROM in_flight)")
        members = "id IN (SELECT id FROM groups_in_flight WHERE caller_group = ?)"
        unknown = f"SELECT DISTINCT caller FROM in_flight WHERE ticks IS NULL AND {members}"
        for (caller,) in self._db.execute(unknown, (wanted.group,)).fetchall():
            self._estimate_all(caller)
        spent = max(self.group_spent(wanted.group, since, sandbox=wanted.sandbox), at_least)
        return self._standing(wanted, members, wanted.group, cap, spent, since, now)

    def _standing(
        self, wanted: Begun, whose: str, name: str, cap: int | None, spent: int, since: float, now: float
    ) -> Standing:
        """Where the day of those stands who meet the condition `whose` with this name."""
        row = self._db.execute(
            "SELECT COUNT(*) FILTER (WHERE alive), COALESCE(SUM(ticks) FILTER (WHERE alive), 0), "
            "COALESCE(SUM(ticks) FILTER (WHERE NOT alive AND at >= ?), 0) FROM "
            "(SELECT *, expires_at > ? AS alive FROM in_flight "
            f"WHERE {whose} AND (gateway = ?) = ? AND id <> ?)",
            (since, now, name, SANDBOX, wanted.sandbox, wanted.id),
        )
        calls, in_flight, unknown = row.fetchone()
        admitted = cap is None or spent + unknown + in_flight < cap
        return Standing(admitted, spent, in_flight, calls, unknown)

    def _estimate_all(self, caller: str) -> None:
        """Estimate the calls in flight, or of unknown end, of servers that have no budget."""
        kinds = self._db.execute(
            "SELECT DISTINCT tool, model_asked, gateway FROM in_flight WHERE caller = ? AND ticks IS NULL",
            (caller,),
        )
        for tool, model, gateway in kinds.fetchall():
            self._db.execute(
                "UPDATE in_flight SET ticks = ? WHERE ticks IS NULL AND "
                "(caller, tool, model_asked, gateway) = (?, ?, ?, ?)",
                (
                    self.estimate(caller, tool, model, sandbox=gateway == SANDBOX),
                    *(caller, tool, model, gateway),
                ),
            )

    def renew(self, begun: Sequence[Begun], now: float) -> None:
        """Report that these calls are still in flight; those that have gone come back."""
        with transaction(self._db):
            self._begin(begun, now)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA synchronous = NORMAL")
        if _version(self._db) < VERSION:
            self._db.execute("PRAGMA journal_mode = WAL")  # stays with the file; readers and a writer at once
            with transaction(self._db) as db:
                for step in _STEPS[_version(db) :]:  # none where another process was first
                    for statement in step.split(";"):
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
        if _lacking(self._db):
            with transaction(self._db) as db:
                for name in _lacking(db):  # none where another process was first
                    db.execute(f"ALTER TABLE calls ADD COLUMN {name} {_LATER[name]}")
        self._db.execute("PRAGMA temp_store = MEMORY")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")  # `tidy` does that, as it waits for the disk


def open_to_read(path: Path, beside: Rows | None = None) -> sqlite3.Connection | None:
    """A connection that only reads, while others write; None for a ledger that nobody has begun.

    Its tables hold the rows `beside` the file's too. Raises sqlite3.Error, LedgerError.
    """
    if not path.exists():
        return None
    for mode in ("rw", "ro"):  # the first tidies up behind itself
        with suppress(sqlite3.OperationalError):
            return _reader(path, mode, beside)
    return _reader(path, "ro&immutable=1", beside)  # where nobody may write next to the file


def read_file(path: Path, work: Callable[[Reading], T], beside: Rows | None = None) -> T | None:
    """What `work` finds in the file and `beside` it, at one moment; None for one that nobody has begun.

    Raises OSError, LedgerError.
    """
    try:
        db = open_to_read(path, beside)
        if db is None:
            return None
        with closing(db):
            db.execute("BEGIN")
            return work(SqliteReading(db))
    except sqlite3.Error as error:
        raise LedgerError(str(error)) from error


def _reader(path: Path, mode: str, beside: Rows | None) -> sqlite3.Connection | None:
    if not path.is_file():  # SQLite would wait for a pipe
        raise sqlite3.DatabaseError("it is not a regular file")
    address = f"{path.absolute().as_uri()}?mode={mode}"
    db = sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)
    try:
        version = _version(db)
        if version:
            _show(db, version, beside)
            db.execute("PRAGMA query_only = 1")
            return db
    except BaseException:
        db.close()
        raise
    db.close()  # somebody is about to begin it
    return None


def _show(db: sqlite3.Connection, version: int, beside: Rows | None) -> None:
    """Give the reader the tables of today: what an older file lacks, and the rows beside it."""
    if beside is not None:
        db.execute("PRAGMA temp_store = MEMORY")  # the disk may be full
    if version < 2:
        db.execute(_IN_FLIGHT.replace("CREATE TABLE", "CREATE TEMP TABLE"))
    lacking = _lacking(db) if version >= 3 else [*_ADDED, *_LATER]
    here = ", ".join(f"NULL AS {name}" if name in lacking else name for name in COLUMNS)
    if beside is None:
        if lacking:
            db.execute(f"CREATE TEMP VIEW calls AS SELECT id, {here} FROM main.calls")
        return
    calls, in_flight = beside
    names = ", ".join(COLUMNS)
    db.execute(f"CREATE TEMP TABLE calls_beside AS SELECT {here} FROM main.calls LIMIT 0")
    db.executemany(f"INSERT INTO calls_beside VALUES ({_marks(len(COLUMNS))})", calls)
    db.execute(
        f"CREATE TEMP VIEW calls AS SELECT {here} FROM main.calls UNION ALL SELECT {names} FROM calls_beside"
    )
    if version >= 2:  # those in memory are newer
        db.execute("CREATE TEMP TABLE in_flight AS SELECT * FROM main.in_flight")
    owners = {row[-2] for row in in_flight}
    db.executemany("DELETE FROM temp.in_flight WHERE owner = ?", [(owner,) for owner in owners])
    db.executemany(f"INSERT INTO temp.in_flight VALUES ({_marks(_BEGUN)})", in_flight)


def _lacking(db: sqlite3.Connection) -> list[str]:
    """The later columns that the table has not; none for one that is not ours, which is left as it is."""
    known = {row[1] for row in db.execute("PRAGMA table_info(calls)")}
    return [name for name in _LATER if name not in known and known.issuperset(_ADDED)]


def _version(db: sqlite3.Connection) -> int:
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LedgerError("a newer version of this program wrote it; update this one")
    return version


def _mark(db: sqlite3.Connection) -> int:
    """A number that tells this ledger from all others; 0 where none was made yet."""
    return int(db.execute("PRAGMA application_id").fetchone()[0])


class _Head(NamedTuple):
    """What the beginning of a file says of it: magic, page size and format; changes so far; the mark."""

    form: bytes
    changes: int
    mark: int

    def follows(self, earlier: "_Head", mark: int) -> bool:
        """Whether this is the head of the same file, later. A mark comes into the file behind the log."""
        return (
            self.form == earlier.form
            and self.changes >= earlier.changes
            and self.mark in (mark, earlier.mark)
        )


_Looks = tuple[tuple[int, int], int, int]
"""What shows whether a file is still the same: device and inode, size, time of the last change."""


def _look(path: str) -> _Looks | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns


def _is_same(before: _Looks | None, now: _Looks | None) -> bool:
    return before is not None and now is not None and now[0] == before[0]


def _is_cut(before: _Looks | None, now: _Looks | None) -> bool:
    return before is not None and (now is None or not _is_same(before, now) or now[1] < before[1])


class _Eye:
    """Reads the beginning of a ledger's file beside SQLite.

    Where a process closes a file, it loses its locks on it, those of SQLite too (POSIX). So all ledgers of
    this process that have a file open share one eye on it, which the last of them closes.
    """

    _open: ClassVar[dict[tuple[int, int], list[int]]] = {}  # descriptor and how many look through it
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, path: Path) -> None:
        with self._lock:
            status = path.stat()
            self._file = (status.st_dev, status.st_ino)
            if self._file not in self._open:
                self._open[self._file] = [os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0)), 0]
            self._open[self._file][1] += 1

    def head(self) -> _Head:
        """What the first bytes say."""
        with self._lock:
            descriptor = self._open[self._file][0]
            os.lseek(descriptor, 0, os.SEEK_SET)
            head = os.read(descriptor, 100)
        return _Head(head[:20], *(int.from_bytes(head[at : at + 4], "big") for at in (24, 68)))

    def close(self) -> None:
        with self._lock:
            shared = self._open[self._file]
            shared[1] -= 1
            if not shared[1]:
                del self._open[self._file]
                os.close(shared[0])


def is_foreign(path: Path) -> bool:
    """Whether a file that this process has not opened is something else than a database."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(_MAGIC)) not in (b"", _MAGIC)  # an empty one is about to be begun
    return False


def set_aside(path: Path) -> Path | None:
    """Give a ledger's files other names, for whoever wants to repair them; the name of the first.

    None where there is no such file. An open ledger is closed after it, and leaves them as they are then.
    Raises OSError.
    """
    aside = new_name(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    with suppress(OSError):
        rename_log(path, aside)
    return aside


def new_name(path: Path) -> Path:
    """A name beside this one that nothing has, with the time of now."""
    name = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    while any(name.with_name(name.name + ending).exists() for ending in ("", *_BESIDE)):
        name = name.with_name(f"{name.name}_")
    return name


def rename_log(path: Path, name: Path) -> None:
    """Give the files that belong to a ledger their names beside another one; raises OSError."""
    for ending in _BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(name.with_name(name.name + ending))


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


@lru_cache(maxsize=2 * _CHUNK)
def _statement(into: str, columns: Sequence[str], width: int, rows: int) -> str:
    names = f"({', '.join(columns)}) " if columns else ""
    return f"{into} {names}VALUES {', '.join([f'({_marks(width)})'] * rows)}"


def _marks(count: int) -> str:
    return ", ".join("?" * count)


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
