"""Reads a ledger in Postgres; `postgres.py` opens it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from grok_mcp.accounting.reading import NO_GROUP, OK, UNKNOWN_END, Key, Which
from grok_mcp.accounting.records import SANDBOX
from grok_mcp.usage import COUNTS

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_KEYS: dict[Key | None, str] = {
    None: "''",
    "hour": "floor(at / 3600)::int",
    "day": "floor(at / 86400)::int",
    "month": "floor(at / 86400)::int",  # days, which are added up
    "model": "COALESCE(NULLIF(model, ''), model_asked)",
    "tool": "tool",
    "gateway": "gateway",
    "caller": "caller",
    "group": f"COALESCE(caller_group, '{NO_GROUP}')",
    "error": f"COALESCE(error, '{OK}')",
}
_SUMS = ", ".join(
    (
        "count(*)",
        "count(error) FILTER (WHERE sent IS NOT FALSE)",
        "count(error) FILTER (WHERE sent IS FALSE)",
        "count(*) FILTER (WHERE cost_source = 'estimated')",
        "count(*) FILTER (WHERE cost_source = 'unknown')",
        "count(cost_ticks)",
        "sum(cost_ticks)",
        "sum(cost_ticks) FILTER (WHERE cost_source = 'estimated')",
        "sum(duration_s)",
        "count(*) FILTER (WHERE service_tier = 'priority')",
        *(f"sum({name})" for name in COUNTS),
    )
)
_HUNDREDTHS = "((round(duration_s * 1000)::bigint + 5) / 10)"
"""Rounded as SQLite does; a numeric would take several times as long."""


class PostgresReading:
    """A `Reading` of an open transaction. Raises psycopg.Error."""

    def __init__(self, db: "Connection[TupleRow]") -> None:
        self._db = db

    def sums(self, by: Key | None, which: Which) -> Iterator[tuple[Any, ...]]:
        """As `Reading.sums`."""
        for key, *sums in self._rows(f"{_KEYS[by]}, {_SUMS} FROM grok_mcp.calls", which, "GROUP BY 1"):
            # a sum of whole numbers is a Decimal
            yield key, *(total if total is None or isinstance(total, float) else int(total) for total in sums)

    def durations(self, by: Key | None, which: Which) -> Iterator[tuple[Any, Mapping[float, int]]]:
        """All of a key in one array: counted here, which is sooner done than to group by them there."""
        what = f"{_KEYS[by]}, array_agg({_HUNDREDTHS}) FROM grok_mcp.calls"
        for key, hundredths in self._rows(what, which, "AND error IS NULL GROUP BY 1"):
            yield key, {number / 100: count for number, count in Counter[int](hundredths).items()}

    def begun(self, by: Key | None, which: Which) -> Iterator[tuple[Any, str, bool, int]]:
        """As `Reading.begun`; the database's clock says what was long ago."""
        what = (
            f"{_KEYS[by]}, owner, expires_at <= extract(epoch FROM clock_timestamp()), count(*) FROM "
            f"(SELECT *, '' AS model, '{UNKNOWN_END}' AS error FROM grok_mcp.in_flight WHERE sent) AS begun"
        )
        yield from self._rows(what, which, "GROUP BY 1, 2, 3")

    def newest(self, count: int, which: Which) -> list[tuple[Any, ...]]:
        """As `Reading.newest`."""
        what = (
            f"at, tool, {_KEYS['model']}, gateway, caller, "
            f"COALESCE(error, NULLIF(finish_reason, 'stop'), '{OK}'), sent, input_tokens, output_tokens, "
            "cost_ticks, duration_s FROM grok_mcp.calls"
        )
        return list(self._rows(what, which, "ORDER BY at DESC, number DESC LIMIT %(count)s", count=count))

    def speeds(self, count: int, which: Which) -> Iterator[tuple[str, float, int | None]]:
        """As `Reading.speeds`."""
        yield from self._rows(
            "model, duration_s, output_tokens FROM grok_mcp.calls",
            which,
            "AND error IS NULL AND finish_reason <> 'interrupted' AND model <> '' AND duration_s > 0 "
            "ORDER BY at DESC LIMIT %(count)s",
            count=count,
        )

    def count(self, since: float) -> int:
        """As `Reading.count`."""
        row = self._db.execute("SELECT count(*) FROM grok_mcp.calls WHERE at >= %s", [since]).fetchone()
        return int(row[0]) if row else 0

    def has_real(self) -> bool:
        """As `Reading.has_real`."""
        row = self._db.execute(
            "SELECT EXISTS (SELECT FROM grok_mcp.calls WHERE gateway <> %(sandbox)s) OR "
            "EXISTS (SELECT FROM grok_mcp.in_flight WHERE gateway <> %(sandbox)s)",
            {"sandbox": SANDBOX},
        ).fetchone()
        return bool(row and row[0])

    def _rows(self, what: str, which: Which, rest: str, **values: object) -> "Iterator[tuple[Any, ...]]":
        wanted = f"at >= %(since)s AND gateway {'=' if which.sandbox else '<>'} %(sandbox)s"
        if which.caller is not None:
            wanted += " AND caller = %(caller)s"
        values |= {"since": which.since, "sandbox": SANDBOX, "caller": which.caller}
        yield from self._db.execute(f"SELECT {what} WHERE {wanted} {rest}", values, binary=True)
