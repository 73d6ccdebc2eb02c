"""The ledger in Postgres: one database for the servers of many machines, with a row for each tool call.

`postgres_books.py` uses it on the ledger's thread; `postgres_reading.py` reads it. Rows mean what they mean
in SQLite (`sqlite.py`). Every statement may be run twice, as when the reply to it was lost: a call has one
row of its id, and what it has cost is added to what its day has cost with that row.
"""

import logging
import re
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import Connection, IsolationLevel, OperationalError
from psycopg.rows import TupleRow

from grok_mcp.accounting.places import place_of
from grok_mcp.accounting.postgres_reading import PostgresReading
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
from grok_mcp.redaction import join_surrogates, quote

VERSION = 1
CONNECT_S = 3
"""For each address that the URL leads to."""
STATEMENT_S = 3.0
LOCK_S = 2.0
ANSWER_S = 4.0
"""How long a piece of work may take with a server that says nothing, not even that this took too long."""
READ_S = 60.0
KEPT_DAYS = 3
"""Days whose sums are kept: calls that began yesterday may end today."""

MOST = 9 * 10**18
"""Ticks of one day that are told apart, as a BIGINT holds no more: beyond all budgets."""
_CHUNK = 1_000
"""Rows of one statement."""
_NEWEST = 500  # calls that an estimate looks at
_STEPS = (
    """
    CREATE TABLE grok_mcp.calls (
        number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call_id TEXT UNIQUE,
        at DOUBLE PRECISION NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL, gateway TEXT NOT NULL,
        model_asked TEXT NOT NULL, model TEXT NOT NULL, input_tokens BIGINT, cached_tokens BIGINT,
        output_tokens BIGINT, reasoning_tokens BIGINT, text_tokens BIGINT, total_tokens BIGINT,
        image_tokens BIGINT, sources_used BIGINT, web_searches BIGINT, x_searches BIGINT,
        x_posts_fetched BIGINT, x_users_fetched BIGINT, code_runs BIGINT, documents_searched BIGINT,
        cost_ticks BIGINT, cost_source TEXT, duration_s DOUBLE PRECISION NOT NULL, finish_reason TEXT,
        error TEXT, service_tier TEXT, sent BOOLEAN, caller_group TEXT
    );
    CREATE INDEX calls_at ON grok_mcp.calls (at);
    CREATE INDEX calls_caller ON grok_mcp.calls (caller, at);
    CREATE STATISTICS grok_mcp.calls_hours ON (floor(at / 3600)::int) FROM grok_mcp.calls;
    CREATE STATISTICS grok_mcp.calls_days ON (floor(at / 86400)::int) FROM grok_mcp.calls;
    CREATE TABLE grok_mcp.in_flight (
        id TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL,
        gateway TEXT NOT NULL, model_asked TEXT NOT NULL, ticks BIGINT, sent BOOLEAN NOT NULL,
        caller_group TEXT, owner TEXT NOT NULL, expires_at DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX in_flight_caller ON grok_mcp.in_flight (caller, at);
    CREATE INDEX in_flight_group ON grok_mcp.in_flight (caller_group, at);
    CREATE TABLE grok_mcp.spent (
        day INTEGER NOT NULL, sandbox BOOLEAN NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        ticks BIGINT NOT NULL, PRIMARY KEY (day, sandbox, kind, name)
    ) WITH (fillfactor = 70)
    """,
)
"""What brings a database from one version to the next. Times are seconds of the epoch, as in SQLite."""
_KINDS = {
    **dict.fromkeys(COLUMNS, "bigint"),
    **dict.fromkeys(("at", "duration_s"), "float8"),
    **dict.fromkeys(("tool", "caller", "gateway", "model_asked", "model", "cost_source"), "text"),
    **dict.fromkeys(("finish_reason", "error", "service_tier", "caller_group"), "text"),
    "sent": "boolean",
}
_NOW = "extract(epoch FROM clock_timestamp())::float8"
_END = f"""
WITH added AS (
    INSERT INTO grok_mcp.calls (call_id, {", ".join(COLUMNS)})
    SELECT * FROM unnest(%s::text[], {", ".join(f"%s::{_KINDS[name]}[]" for name in COLUMNS)})
    ON CONFLICT (call_id) DO NOTHING
    RETURNING at, caller, caller_group, gateway, cost_ticks
), ended AS (
    DELETE FROM grok_mcp.in_flight WHERE id = ANY (%s::text[])
)
INSERT INTO grok_mcp.spent AS known
SELECT floor(at / 86400)::int, gateway = '{SANDBOX}', kind, name, LEAST(sum(cost_ticks), {MOST})
FROM added CROSS JOIN LATERAL (VALUES ('caller', caller), ('group', caller_group)) AS whose (kind, name)
WHERE cost_ticks > 0 AND name IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
ON CONFLICT (day, sandbox, kind, name) DO UPDATE
SET ticks = LEAST(known.ticks::numeric + EXCLUDED.ticks, {MOST})
"""
"""Sorted, so that two servers never wait for each other's rows."""
_BEGUN = ("id", "at", "tool", "caller", "gateway", "model_asked", "ticks", "sent", "caller_group")
_BEGIN = f"""
INSERT INTO grok_mcp.in_flight AS known ({", ".join(_BEGUN)}, owner, expires_at)
SELECT *, %s::text, {_NOW} + {RESERVED_S}
FROM unnest(%s::text[], %s::float8[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
            %s::boolean[], %s::text[])
ON CONFLICT (id) DO UPDATE SET ticks = COALESCE(EXCLUDED.ticks, known.ticks), sent = EXCLUDED.sent,
    model_asked = EXCLUDED.model_asked, owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at
"""
_ESTIMATE = f"""
SELECT GREATEST(COALESCE(trunc(avg(cost_ticks) FILTER (WHERE model_asked = {{model}})),
                         trunc(avg(cost_ticks)), 0), {LEAST_ESTIMATE})::bigint
FROM (SELECT * FROM grok_mcp.calls WHERE caller = {{caller}} ORDER BY at DESC LIMIT {_NEWEST}) AS newest
WHERE tool = {{tool}} AND (gateway = '{SANDBOX}') = {{sandbox}} AND cost_ticks > 0
"""
_ESTIMATE_ALL = f"""
UPDATE grok_mcp.in_flight AS begun SET ticks = (
    {
    _ESTIMATE.format(
        model="begun.model_asked",
        caller="begun.caller",
        tool="begun.tool",
        sandbox=f"(begun.gateway = '{SANDBOX}')",
    )
}
) WHERE ticks IS NULL AND (caller = %(caller)s OR caller_group = %(group)s)
"""
_SUMS = """
SELECT count(*) FILTER (WHERE alive) AS calls, COALESCE(sum(ticks) FILTER (WHERE alive), 0) AS in_flight,
    COALESCE(sum(ticks) FILTER (WHERE NOT alive), 0) AS unknown FROM begun WHERE {whose}
"""
_SPENT = """
COALESCE((SELECT ticks FROM grok_mcp.spent
          WHERE day = %(day)s AND sandbox = %(sandbox)s AND kind = '{kind}' AND name = %({kind})s), 0)
"""
_RESERVE = f"""
WITH begun AS (
    SELECT caller, caller_group, ticks, expires_at > {_NOW} AS alive FROM grok_mcp.in_flight
    WHERE (caller = %(caller)s OR caller_group = %(group)s) AND (gateway = '{SANDBOX}') = %(sandbox)s
        AND id <> %(id)s AND (expires_at > {_NOW} OR sent AND at >= %(since)s)
), own AS (
    SELECT GREATEST({_SPENT.format(kind="caller")}, %(at_least)s::bigint) AS spent, sums.*
    FROM ({_SUMS.format(whose="caller = %(caller)s")}) AS sums
), shared AS (
    SELECT {_SPENT.format(kind="group")} AS spent, sums.*
    FROM ({_SUMS.format(whose="caller_group = %(group)s")}) AS sums
), standing AS (
    SELECT COALESCE(own.spent + own.unknown + own.in_flight < %(cap)s::bigint, TRUE) AS caller_fits,
        COALESCE(shared.spent + shared.unknown + shared.in_flight < %(group_cap)s::bigint, TRUE)
        AS group_fits,
        own.spent, own.in_flight, own.calls, own.unknown, shared.spent AS group_spent,
        shared.in_flight AS group_in_flight, shared.calls AS group_calls, shared.unknown AS group_unknown, ({
    _ESTIMATE.format(model="%(model)s", caller="%(caller)s", tool="%(tool)s", sandbox="%(sandbox)s")
}) AS estimate
    FROM own, shared
), reserved AS (
    INSERT INTO grok_mcp.in_flight AS known ({", ".join(_BEGUN)}, owner, expires_at)
    SELECT %(id)s, %(at)s, %(tool)s, %(caller)s, %(gateway)s, %(model)s, estimate, %(sent)s, %(group)s,
        %(owner)s, {_NOW} + {RESERVED_S}
    FROM standing WHERE caller_fits AND group_fits
    ON CONFLICT (id) DO UPDATE SET ticks = EXCLUDED.ticks, expires_at = EXCLUDED.expires_at
)
SELECT * FROM standing
"""
_TIDY = f"""
DELETE FROM grok_mcp.in_flight WHERE id IN (
    SELECT id FROM grok_mcp.in_flight WHERE NOT sent AND expires_at <= {_NOW} FOR UPDATE SKIP LOCKED)
"""
_SETTINGS = {
    "statement_timeout": f"{STATEMENT_S * 1000:.0f}",
    "lock_timeout": f"{LOCK_S * 1000:.0f}",
    "idle_in_transaction_session_timeout": "10000",
    "default_transaction_isolation": "read committed",
    "search_path": "pg_catalog",
}
_REASONS: Mapping[str, str] = {
    "28": "it refuses the user or the password",
    "3D": "there is no such database",
    "3F": "its tables are gone",
    "42P01": "its tables are gone",
    "42501": "this user may not do that: see docs/deploy.md for what it has to be granted",
    "53100": "its disk is full",
    "53300": "it has too many connections",
    "53": "it is out of resources",
    "25006": "it takes no writes: it is a standby, or read-only",
    "55P03": "another transaction holds what is needed",
    "late": "it does not answer",
    "57014": f"it took more than {STATEMENT_S:g} s",
    "57P": "it is starting or stopping",
    "XX": "its data are damaged",
    "58": "its system fails",
}
"""What SQLSTATEs that begin like this mean."""
_AT_THE_DOOR: Mapping[str, str] = {
    "authentication failed": "28",
    "pg_hba.conf": "28",
    'database ".*" does not exist': "3D",
    "too many connections|connection slots": "53300",
    "starting up|shutting down|recovery mode": "57P",
    "timeout expired": "late",
}
"""The same in words of a server that refuses a connection: what libpq hands on then has no SQLSTATE."""

logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # what it warns of is said in words of ours
T = TypeVar("T")


class TookTooLongError(OperationalError):
    """The server said nothing for too long."""


class _Connection(Connection[TupleRow]):
    """One that waits for no reply beyond a point in time; psycopg itself waits for as long as it takes."""

    until = float("inf")

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        try:
            return super().wait(self._bounded(gen), *args, **options)
        except OperationalError:
            if time.monotonic() > self.until:
                raise TookTooLongError("it does not answer") from None
            raise

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """The same steps; whoever waits for the socket takes one every 0.1 s, also without news.

        When the time is over, the socket is shut down: what waits for the server then hears that it is gone.
        """
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if time.monotonic() > self.until:
                    self._shut_down()
                wanted = gen.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result

    def _shut_down(self) -> None:
        with suppress(OSError), socket.fromfd(self.fileno(), socket.AF_INET, socket.SOCK_STREAM) as shared:
            shared.shutdown(socket.SHUT_RDWR)


class PostgresStore:
    """An open ledger. Raises psycopg.Error, OSError, LedgerError."""

    def __init__(self, url: str, owner: str) -> None:
        self._owner = owner
        self._db = _connect(url, autocommit=True)
        try:
            self._bound()
            settings = ", ".join("set_config(%s, %s, false)" for _ in _SETTINGS)
            self._db.execute(f"SELECT {settings}", [word for pair in _SETTINGS.items() for word in pair])
            if _version(self._db) < VERSION:
                self._extend()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with suppress(psycopg.Error, OSError):
            self._db.close()

    def ping(self) -> None:
        """Have it answer."""
        self._bound()
        self._db.execute("SELECT")

    def write(self, begun: Sequence[Begun], ended: Sequence[tuple[Entry, str]]) -> None:
        """Add calls that begin, and those that have ended in the place of their beginnings.

        The rows of each kind are one statement, and both go out together.
        """
        self._bound()
        with self._db.pipeline():
            self._begin(begun)
            if ended:
                ids = [call_id or None for _, call_id in ended]
                columns = zip(*(entry.values() for entry, _ in ended), strict=True)
                values = [_cast(name, column) for name, column in zip(COLUMNS, columns, strict=True)]
                self._db.execute(_END, [ids, *values, ids])

    def renew(self, begun: Sequence[Begun]) -> None:
        """Report that these calls are still in flight, and drop what others had reserved and left unused."""
        for start in range(0, max(len(begun), 1), _CHUNK):
            self._bound()
            self._begin(begun[start : start + _CHUNK])
        self._db.execute(_TIDY)

    def forget_days(self, before: int) -> None:
        """Drop the sums of earlier days, counted from the epoch; calls stay."""
        self._bound()
        self._db.execute("DELETE FROM grok_mcp.spent WHERE day < %s", [before])

    def reserve(self, wanted: Begun, caps: Caps, since: float, at_least: int) -> tuple[Standing, int]:
        """Let a call begin unless a cap is spent or reserved already, as `Store.reserve` in SQLite; also what
        it may cost.

        Only one server at a time does that for a caller, or a group.
        """
        values = {
            "id": wanted.id,
            "at": wanted.at,
            "tool": wanted.tool,
            "gateway": wanted.gateway,
            "caller": _text(wanted.caller),
            "model": _text(wanted.model_asked),
            "sent": wanted.sent,
            "group": _text(wanted.group) or None,
            "owner": self._owner,
            "sandbox": wanted.sandbox,
            "since": since,
            "day": int(since // 86_400),
            "at_least": min(at_least, MOST),
            "cap": caps.caller,
            "group_cap": caps.group if wanted.group else None,
        }
        self._bound()
        with self._db.pipeline(), self._db.transaction():
            for number in _locks(wanted):
                self._db.execute("SELECT pg_advisory_xact_lock(%s)", [number])
            self._db.execute(_ESTIMATE_ALL, values)
            cursor = self._db.execute(_RESERVE, values)
        row = cursor.fetchone()
        assert row is not None  # as an aggregate always has one
        caller_fits, group_fits, *sums, estimate = row
        is_of_group = caller_fits and not group_fits
        spent, in_flight, calls, unknown = map(int, sums[4:] if is_of_group else sums[:4])
        standing = Standing(
            caller_fits and group_fits,
            *(spent, in_flight, calls, unknown),
            of_group=is_of_group,
            group_spent=0 if is_of_group else int(sums[4]),
        )
        return standing, estimate

    def _begin(self, begun: Iterable[Begun]) -> None:
        rows = {call.id: call for call in begun}  # of one id, one row
        if rows:
            columns = zip(*((*call[:8], call.group or None) for call in rows.values()), strict=True)
            kinds = {"id": "text", "ticks": "bigint"}
            values = [_cast(name, column, kinds) for name, column in zip(_BEGUN, columns, strict=True)]
            self._db.execute(_BEGIN, [self._owner, *values])

    def _bound(self) -> None:
        self._db.until = time.monotonic() + ANSWER_S

    def _extend(self) -> None:
        """Make the tables of today; of servers that start at once, one does it and the others wait."""
        with self._db.transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(%s)", [_lock("schema")])
            version = _version(self._db)
            if version == VERSION:
                return
            if not self._db.execute("SELECT FROM pg_namespace WHERE nspname = 'grok_mcp'").rowcount:
                self._db.execute("CREATE SCHEMA grok_mcp")  # else somebody has made it for this user
            if version == 0:
                self._db.execute("CREATE TABLE grok_mcp.version (version INTEGER NOT NULL)")
                self._db.execute("INSERT INTO grok_mcp.version VALUES (0)")
            for step in _STEPS[version:]:
                self._db.execute(step)
            self._db.execute("UPDATE grok_mcp.version SET version = %s", [VERSION])


def read_postgres(url: str, work: Callable[[Reading], T]) -> T | None:
    """What `work` finds at one moment; None for a ledger that nobody has begun. Raises LedgerError."""
    try:
        with closing(_connect(url)) as db:
            db.until = time.monotonic() + READ_S
            db.isolation_level, db.read_only = IsolationLevel.REPEATABLE_READ, True
            db.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('work_mem', '64MB', true), "
                "set_config('jit', 'off', true), set_config('search_path', 'pg_catalog', true)",
                [f"{READ_S * 1000:.0f}"],
            )
            version = _version(db)
            if not version:
                return None
            if version < VERSION:
                raise LedgerError("an earlier version of this program wrote it; start a server of this one")
            return work(PostgresReading(db))
    except (psycopg.Error, OSError) as error:
        raise LedgerError(f"{place_of(url)}: {reason_of(error, url)}") from None


def version_of(url: str) -> int:
    """The version of the tables, 0 where there are none yet. Raises LedgerError."""
    try:
        with closing(_connect(url)) as db:
            db.until = time.monotonic() + ANSWER_S
            return _version(db)
    except (psycopg.Error, OSError) as error:
        raise LedgerError(reason_of(error, url)) from None


def reason_of(error: Exception, url: str) -> str:
    """Why the database can't be used, as the end of a sentence, without a secret."""
    text = str(error) or type(error).__name__
    state = getattr(error, "sqlstate", None) or ""
    if not state:
        state = next((code for words, code in _AT_THE_DOOR.items() if re.search(words, text)), "")
    for length in (5, 4, 3, 2):
        if reason := _REASONS.get(state[:length]):
            return reason
    parts = urlsplit(url)
    for name in filter(None, (parts.username, parts.password)):
        text = text.replace(name, "***").replace(unquote(name), "***")
    return quote(text.rpartition("failed: ")[2]) + (f" ({state})" if state else "")


def is_contended(error: Exception) -> bool:
    """Whether others held what was needed: the database is there all the same."""
    return getattr(error, "sqlstate", None) == "55P03"


def may_pass(error: Exception) -> bool:
    """Whether the same may go well on a new connection, because the one in use was cut or gave way."""
    state = getattr(error, "sqlstate", None) or ""
    return not isinstance(error, TookTooLongError) and state not in ("57014", "55P03")


def _connect(url: str, *, autocommit: bool = False) -> _Connection:
    return _Connection.connect(
        url.strip(),
        autocommit=autocommit,
        connect_timeout=CONNECT_S,
        client_encoding="utf8",
        fallback_application_name="grok-mcp-server",
        keepalives_idle=30,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )


def _version(db: _Connection) -> int:
    """That of the tables; raises LedgerError for a newer one."""
    # A catalogue that is read, as names that are looked up may come from before the wait for a lock.
    made = "SELECT FROM pg_catalog.pg_tables WHERE (schemaname, tablename) = ('grok_mcp', 'version')"
    if not db.execute(made).rowcount:
        return 0
    row = db.execute("SELECT max(version) FROM grok_mcp.version").fetchone()
    version = int(row[0] or 0) if row else 0
    if version > VERSION:
        raise LedgerError("a newer version of this program wrote it; update this one")
    return version


def _cast(name: str, column: Iterable[Any], kinds: Mapping[str, str] = _KINDS) -> list[Any]:
    """The values of a column as its type has them."""
    kind = kinds.get(name) or _KINDS[name]
    cast = _CASTS[kind]
    return [None if value is None else cast(value) for value in column]


def _text(value: str) -> str:
    """Text as Postgres takes it."""
    return join_surrogates(value).replace("\0", "\ufffd")


_CASTS: Mapping[str, Callable[[Any], Any]] = {"text": _text, "float8": float, "bigint": int, "boolean": bool}


def _locks(wanted: Begun) -> list[int]:
    """The numbers of the locks on a caller and on its group, in the order in which all servers take them."""
    lock = partial(_lock, str(wanted.sandbox))
    numbers = {lock("caller", wanted.caller)} | ({lock("group", wanted.group)} if wanted.group else set())
    return sorted(numbers)


def _lock(*names: str) -> int:
    """The number of a lock; of the whole database, so that others may use locks beside it."""
    digest = sha256("\0".join(("grok-mcp", *names)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
