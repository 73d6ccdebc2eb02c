"""What the tests of ledger, budget and `grok-mcp-server usage` share: priced replies, and the file itself."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio

from grok_mcp.accounting import ledger_path
from grok_mcp.accounting.records import Begun, Entry
from grok_mcp.accounting.sqlite import Store
from grok_mcp.usage import TICKS_PER_USD
from tests.support.endpoint import Endpoint, Reply, chat
from tests.support.host import Host
from tests.support.pace import within

CENT = TICKS_PER_USD // 100


def priced(ticks: int | None, *texts: str, **counts: Any) -> Reply:
    """An answer that costs so many ticks; None leaves the cost unsaid."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **counts}
    return chat(*(texts or ("Hi.",)), usage=usage | ({} if ticks is None else {"cost_in_usd_ticks": ticks}))


def file() -> Path:
    """The ledger of this test."""
    return ledger_path(Path(os.environ["GROK_MCP_STATE_DIR"]))


def query(sql: str, *values: Any) -> list[dict[str, Any]]:
    """What this says, run on the ledger's file beside whoever else uses it."""
    with closing(sqlite3.connect(file(), timeout=10, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql, values)]


def rows() -> list[dict[str, Any]]:
    """All calls in the ledger, without what is not told of them."""
    if not query("SELECT 1 FROM sqlite_master WHERE name = 'calls'"):
        return []  # yet
    told = query("SELECT * FROM calls ORDER BY id")
    return [{name: value for name, value in row.items() if value is not None} for row in told]


def fill(entries: Iterable[Entry]) -> None:
    """Put calls into the ledger that some process made before."""
    store = Store(file(), "a process before")
    store.write([], [(entry, "") for entry in entries])
    store.close()


def forget(calls: Iterable[Begun]) -> None:
    """Put calls into the ledger that some process began before it was killed, more than a minute ago."""
    store = Store(file(), "a process before")
    store.write(list(calls), [])
    store.close()
    query("UPDATE in_flight SET expires_at = 0 WHERE owner = 'a process before'")


def garbage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database" * 500)


def held(ticks: int) -> Reply:
    """An answer whose end waits to be released."""
    return Reply(priced(ticks).pieces, hold=1)


@asynccontextmanager
async def in_flight(host: Host, reply: Reply, endpoint: Endpoint) -> AsyncIterator[None]:
    """A call that is in flight while the block runs, and ends well behind it."""
    before = len(endpoint.requests)
    async with anyio.create_task_group() as group:
        group.start_soon(host.ask)
        with within(10):
            while len(endpoint.requests) == before:
                await anyio.sleep(0.01)
        yield
        reply.release.set()
