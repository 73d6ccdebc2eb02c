"""Reads a ledger in SQLite; `sqlite.py` opens it."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from sqlite3 import Connection
from typing import Any

from grok_mcp.accounting.reading import NO_GROUP, OK, UNKNOWN_END, Key, Which
from grok_mcp.accounting.records import SANDBOX
from grok_mcp.usage import COUNTS

_DAY_S = 86_400.0
_PIECE = 4_000
"""Rows that are summed at a time: less than a megabyte, which SQLite keeps in memory."""
_LAST_ID = 2**63 - 1
_FEW = 4
"""Keys among them for which each is looked for anew, which is sooner done than to sort the rows by them."""
_KEYS: dict[Key | None, str] = {
    None: "''",
    "hour": "CAST(at / 3600 AS INTEGER)",
    "day": "CAST(at / 86400 AS INTEGER)",
    "month": "CAST(at / 86400 AS INTEGER)",  # days, which are added up
    "model": "COALESCE(NULLIF(model, ''), model_asked)",
    "tool": "tool",
    "gateway": "gateway",
    "caller": "caller",
    "group": f"COALESCE(caller_group, '{NO_GROUP}')",
    "error": f"COALESCE(error, '{OK}')",
}
"""SQLite would take twice as long to name the time of each call as people write it."""
_WITH_KEY: dict[Key, str] = {
    "hour": "+at >= 3600 * :key AND +at < 3600 * (:key + 1)",
    "day": "+at >= 86400 * :key AND +at < 86400 * (:key + 1)",
    "month": "+at >= 86400 * :key AND +at < 86400 * (:key + 1)",
    "model": "(model = :key OR model = '' AND model_asked = :key)",
    "tool": "tool = :key",
    "gateway": "gateway = :key",
    "caller": "+caller = :key",
    "group": f"COALESCE(caller_group, '{NO_GROUP}') = :key",
    "error": f"COALESCE(error, '{OK}') = :key",
}
"""The same as conditions. A plus keeps SQLite from an index: rows are read one after the other."""
_SUMS = ", ".join(
    (
        "COUNT(*)",
        "COUNT(CASE WHEN sent IS NOT 0 THEN error END)",
        "COUNT(CASE WHEN sent IS 0 THEN error END)",
        "COUNT(CASE cost_source WHEN 'estimated' THEN 1 END)",
        "COUNT(CASE cost_source WHEN 'unknown' THEN 1 END)",
        "COUNT(cost_ticks)",
        "SUM(cost_ticks)",
        "SUM(CASE cost_source WHEN 'estimated' THEN cost_ticks END)",
        "SUM(duration_s)",
        "COUNT(CASE service_tier WHEN 'priority' THEN 1 END)",
        *(f"SUM({name})" for name in COUNTS),
    )
)


class SqliteReading:
    """A `Reading` of an open ledger. Raises sqlite3.Error."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def sums(self, by: Key | None, which: Which) -> Iterator[tuple[Any, ...]]:
        """Piece by piece: to group all calls at once takes time and memory."""
        key, (wanted, values) = _KEYS[by], _wanted(which)
        for piece, ends in self._pieces(which):
            among = f"FROM calls WHERE {piece} AND {wanted}"
            here = values | ends
            keys = self._db.execute(f"SELECT DISTINCT {key} {among} LIMIT {_FEW + 1}", here).fetchall()
            if len(keys) > _FEW:
                yield from self._db.execute(f"SELECT {key}, {_SUMS} {among} GROUP BY 1", here)
                continue
            if by and len(keys) > 1:
                among += f" AND {_WITH_KEY[by]}"
            for (name,) in keys:
                yield from self._db.execute(f"SELECT :key, {_SUMS} {among}", here | {"key": name})

    def durations(self, by: Key | None, which: Which) -> Iterator[tuple[Any, Mapping[float, int]]]:
        """As `Reading.durations`."""
        wanted, values = _wanted(which)
        counted = defaultdict[Any, Counter[float]](Counter)
        for piece, ends in self._pieces(which):
            rows = self._db.execute(
                f"SELECT {_KEYS[by]}, ROUND(duration_s, 2), COUNT(*) FROM calls "
                f"WHERE {piece} AND {wanted} AND error IS NULL GROUP BY 1, 2",
                values | ends,
            )
            for key, seconds, count in rows:
                counted[key][seconds] += count
        yield from counted.items()

    def begun(self, by: Key | None, which: Which) -> Iterator[tuple[Any, str, bool, int]]:
        """As `Reading.begun`."""
        wanted, values = _wanted(which)
        rows = self._db.execute(
            f"SELECT {_KEYS[by]}, owner, expires_at, COUNT(*) FROM "
            f"(SELECT *, '' AS model, '{UNKNOWN_END}' AS error, NULL AS caller_group "
            f"FROM in_flight WHERE sent) "
            f"WHERE at >= :since AND {wanted} GROUP BY 1, 2, 3",
            values,
        )
        for name, owner, expires_at, count in rows:
            yield name, owner, expires_at <= time.time(), count

    def newest(self, count: int, which: Which) -> list[tuple[Any, ...]]:
        """As `Reading.newest`."""
        wanted, values = _wanted(which)
        return self._db.execute(
            f"SELECT at, tool, {_KEYS['model']}, gateway, caller, "
            f"COALESCE(error, NULLIF(finish_reason, 'stop'), '{OK}'), sent, input_tokens, output_tokens, "
            f"cost_ticks, duration_s FROM calls WHERE at >= :since AND {wanted} "
            "ORDER BY at DESC, id DESC LIMIT :count",
            values | {"count": count},
        ).fetchall()

    def speeds(self, count: int, which: Which) -> Iterator[tuple[str, float, int | None]]:
        """As `Reading.speeds`."""
        wanted, values = _wanted(which)
        yield from self._db.execute(
            "SELECT model, duration_s, output_tokens FROM calls WHERE at >= :since AND error IS NULL "
            f"AND finish_reason <> 'interrupted' AND {wanted} AND model <> '' AND duration_s > 0 "
            "AND typeof(duration_s) IN ('real', 'integer') AND typeof(output_tokens) IN ('integer', 'null') "
            "ORDER BY at DESC LIMIT :count",
            values | {"count": count},
        )

    def count(self, since: float) -> int:
        """As `Reading.count`."""
        return int(self._db.execute("SELECT COUNT(*) FROM calls WHERE at >= ?", (since,)).fetchone()[0])

    def has_real(self) -> bool:
        """As `Reading.has_real`."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM calls WHERE gateway <> ?) OR "
            "EXISTS (SELECT 1 FROM in_flight WHERE gateway <> ?)",
            (SANDBOX, SANDBOX),
        )
        return bool(row.fetchone()[0])

    def _pieces(self, which: Which) -> Iterator[tuple[str, dict[str, Any]]]:
        """Conditions that each meet some calls, and all of them together each call once.

        A caller's calls are found by their index, those of a day at a time. All calls are read as they lie.
        """
        since = which.since
        if which.caller is not None:
            first = "SELECT at FROM calls WHERE caller = ? AND at >= ? ORDER BY at LIMIT 1"
            while row := self._db.execute(first, (which.caller, since)).fetchone():
                begin, since = max(row[0] // _DAY_S * _DAY_S, since), (row[0] // _DAY_S + 1) * _DAY_S
                yield "at >= :begin AND at < :end", {"begin": begin, "end": since}
            return
        (begin,) = self._db.execute("SELECT MIN(id) - 1 FROM calls WHERE at >= ?", (since,)).fetchone()
        while begin is not None:
            after = "SELECT id FROM calls WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
            end = self._db.execute(after, (begin, _PIECE - 1)).fetchone() or (None,)
            last = _LAST_ID if end[0] is None else end[0]
            yield "id > :begin AND id <= :last AND +at >= :since", {"begin": begin, "last": last}
            (begin,) = end


def _wanted(which: Which) -> tuple[str, dict[str, Any]]:
    """A condition on gateway and caller, and the values that its place in a query may name."""
    condition = f"gateway {'=' if which.sandbox else '<>'} :sandbox"
    if which.caller is not None:
        condition += " AND caller = :caller"
    return condition, {"sandbox": SANDBOX, "caller": which.caller, "since": which.since}
