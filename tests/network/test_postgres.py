"""The ledger in a real PostgreSQL: one for all servers, with SQLite's figures, honest when it is away."""

import json
import logging
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import httpx2
import pytest
from click.testing import CliRunner
from dirty_equals import IsPartialDict
from mcp import MCPError

from grok_mcp.accounting import Key, Ledger
from grok_mcp.accounting.postgres import VERSION, PostgresStore
from grok_mcp.accounting.postgres_books import PostgresBooks
from grok_mcp.accounting.records import RESERVED_S, Begun, Caps, Entry, midnight
from grok_mcp.accounting.sqlite import Store
from grok_mcp.cli import cli
from grok_mcp.doctor.installation import check_ledger
from grok_mcp.environment import SettingsError, load_settings
from grok_mcp.usage import Usage
from tests.network.postgres import PASSWORD, USER, PostgresServer, cluster, postgres
from tests.network.server import in_process
from tests.support.cli import unmeasured
from tests.support.endpoint import Endpoint
from tests.support.host import Host, host_on
from tests.support.ledger import CENT, file, held, in_flight, priced
from tests.support.pace import within

__all__ = ["cluster", "postgres"]

pytestmark = pytest.mark.anyio

CAP = 0.01
FOUR = CENT * 4 // 10
KEYS: tuple[Key, ...] = ("hour", "day", "month", "model", "tool", "gateway", "caller", "group", "error")


@contextmanager
def store_on(postgres: PostgresServer, owner: str = "a process before") -> Iterator[PostgresStore]:
    with closing(PostgresStore(postgres.url, owner)) as store:
        yield store


def calls(postgres: PostgresServer) -> list[tuple[Any, ...]]:
    """Caller, error and cost of all calls, in the order in which they were written."""
    return postgres.ask("SELECT caller, error, cost_ticks FROM grok_mcp.calls ORDER BY number")


def begun(name: str, caller: str = "ann", **more: Any) -> Begun:
    return Begun(name, time.time(), "ask_grok", caller, "generic", "grok-4", **more)


def has_calls(postgres: PostgresServer, number: int) -> bool:
    return len(calls(postgres)) >= number


async def until(holds: Callable[[], bool]) -> None:
    with within(15):
        while not await anyio.to_thread.run_sync(holds):
            await anyio.sleep(0.02)


# --- what is read


def some_calls() -> list[Entry]:
    """Calls of three months: of all gateways, models and ends, with and without what is not always known."""
    chance, now, entries = random.Random(17), midnight(time.time()) + 1, []
    for number in range(400):
        error = chance.choice((None, None, None, "timeout", "cancelled", "invalid_argument"))
        cost = chance.choice((None, Decimal("0.0012345678"), Decimal(chance.randrange(10**7)) / 10**9))
        usage = Usage(
            input_tokens=chance.randrange(10_000),
            output_tokens=chance.choice((None, 0, 250)),
            cached_tokens=chance.choice((None, 7)),
            total_tokens=10,
            web_searches=chance.choice((None, 2)),
            cost_usd=cost,
            cost_source=None if cost is None else chance.choice(("reported", "estimated")),
            service_tier=chance.choice((None, "priority")),
        )
        entries.append(
            Entry(
                at=now - number * chance.randrange(1, 20_000),
                tool=chance.choice(("ask_grok", "grok_search")),
                caller=chance.choice(("ann", "bob", "Zoë 🦔")),
                gateway=chance.choice(("xai", "generic", "sandbox")),
                model_asked="grok-4",
                model=chance.choice(("", "grok-4.5", "x-ai/grok-3-mini")),
                usage=None if error == "cancelled" else usage,
                duration_s=chance.choice((0.25, 1.5, 2.0, 12.346, 61.001)),
                finish_reason=None if error else chance.choice(("stop", "length", "interrupted")),
                error=error,
                unpriced=chance.random() < 0.5,
                sent=chance.choice((None, True, False)),
                group=chance.choice(("", "blue", "red")),
            )
        )
    return entries


LOST = [begun(f"lost {number}", sent=True) for number in range(3)]


@pytest.fixture
def both(postgres: PostgresServer) -> str:
    """The same calls in the file of this test and in the database, whose address it is."""
    entries = some_calls()
    on_disk = Store(file(), "a process before")
    on_disk.write(LOST, [(entry, str(number)) for number, entry in enumerate(entries)])
    on_disk._db.execute("UPDATE in_flight SET expires_at = 0")
    on_disk.close()
    with store_on(postgres) as store:
        store.write(LOST, [(entry, str(number)) for number, entry in enumerate(entries)])
    postgres.ask("UPDATE grok_mcp.in_flight SET expires_at = 0")
    return postgres.url


def printed(*flags: str, url: str | None = None) -> str:
    result = CliRunner().invoke(cli, flags, env={"GROK_MCP_LEDGER_URL": url, "COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    return result.output


def test_usage_prints_the_same_of_both_databases_to_the_byte(both: str) -> None:
    asked = [("--by", key, *form) for key in KEYS for form in ((), ("--csv",), ("--json",))]
    asked += [("--since", "40d", *form) for form in ((), ("--json",), ("--sandbox",))]
    asked += [("--last", "150", *form) for form in ((), ("--csv",), ("--json", "--since", "20d"))]
    asked += [("--last", "9", "--sandbox"), ("--sandbox", "--by", "error", "--json")]
    for flags in asked:
        expected = printed("usage", *flags)
        assert printed("usage", *flags, url=both) == expected, flags
        assert len(expected) > 400, flags


async def test_resources_and_models_say_the_same_of_both_databases(both: str) -> None:
    async def read(**settings: Any) -> list[Any]:
        async with Endpoint(priced(1)) as endpoint, host_on(endpoint, **settings) as host:
            host.grok.catalog._list = None  # type: ignore[attr-defined]  # asks nobody
            texts = [
                (await host.client.read_resource(f"grok://{name}")).contents[0]
                for name in ("usage", "models")
            ]
        return [json.loads(content.text) for content in texts]  # type: ignore[union-attr]  # a text

    here, there = await read(), await read(ledger_url=both)
    assert here == there
    assert any("speed" in model for model in there[1]["models"])


def test_a_ledger_that_nobody_has_begun_is_named_by_host_and_database(postgres: PostgresServer) -> None:
    said = printed("usage", url=postgres.url)
    assert said == f"No calls yet: the first begins 127.0.0.1:{postgres.port}/{postgres.database}.\n"
    assert json.loads(printed("usage", "--json", url=postgres.url))["calls"] == 0
    assert postgres.ask("SELECT 1 FROM pg_namespace WHERE nspname = 'grok_mcp'") == [], (
        "reading makes nothing"
    )


def test_usage_says_why_the_database_can_not_be_read_and_shows_no_password(postgres: PostgresServer) -> None:
    wrong = postgres.url.replace(PASSWORD, "wrong-password")
    result = CliRunner().invoke(cli, ["usage"], env={"GROK_MCP_LEDGER_URL": wrong})
    assert result.exit_code == 1 and "refuses the user or the password" in result.output
    assert "wrong-password" not in result.output and str(postgres.port) in result.output


# --- what is written


async def test_calls_are_rows_before_their_requests_and_answers_and_nothing_is_written_to_disk(
    postgres: PostgresServer,
) -> None:
    slow = held(FOUR)
    async with Endpoint(slow, priced(7)) as endpoint:
        async with host_on(endpoint, ledger_url=postgres.url) as host:
            async with in_flight(host, slow, endpoint):
                during = postgres.ask("SELECT tool, caller, sent FROM grok_mcp.in_flight")
            await host.ask()
            assert calls(postgres) == [("local", None, FOUR), ("local", None, 7)]
            (content,) = (await host.client.read_resource("grok://usage")).contents
    assert during == [("ask_grok", "local", True)]
    assert postgres.ask("SELECT * FROM grok_mcp.in_flight") == []
    assert json.loads(content.text)["today"]["calls"] == 2  # type: ignore[union-attr]  # a text
    assert not file().exists()


async def test_many_calls_at_once_are_few_transactions(postgres: PostgresServer) -> None:
    ledger = Ledger(books=PostgresBooks(postgres.url))
    await ledger.begin(begun("first"))
    before = postgres.ask("SELECT pg_current_xact_id()::text::int")[0][0]
    async with anyio.create_task_group() as group:
        for number in range(500):
            entry = Entry(time.time(), "ask_grok", "ann", "generic", group="blue")
            group.start_soon(ledger.end, entry, f"call {number}")
    after = postgres.ask("SELECT pg_current_xact_id()::text::int")[0][0]
    await ledger.aclose()
    assert len(calls(postgres)) == 500
    assert after - before < 50


async def test_text_that_postgres_does_not_take_is_written_all_the_same(postgres: PostgresServer) -> None:
    ledger = Ledger(books=PostgresBooks(postgres.url))
    await ledger.end(Entry(time.time(), "ask_grok", "a\0b\ud800", "generic", group="g\0"), "one")
    await ledger.aclose()
    assert calls(postgres) == [("a\ufffdb\ufffd", None, None)]


def test_what_is_written_twice_counts_once(postgres: PostgresServer) -> None:
    """As after a commit whose reply was lost."""
    ended = [(Entry(time.time(), "ask_grok", "ann", "generic", usage=cost(7), group="blue"), "one")]
    with store_on(postgres) as store:
        for _ in range(2):
            store.write([begun("two", sent=True)], ended)
        standing, _ = store.reserve(begun("three"), Caps(CENT), midnight(time.time()), 0)
    assert calls(postgres) == [("ann", None, 7)]
    assert (standing.spent, standing.calls) == (7, 1)
    assert sorted(postgres.ask("SELECT kind, name, ticks FROM grok_mcp.spent")) == [
        ("caller", "ann", 7),
        ("group", "blue", 7),
    ]


def test_a_day_beyond_all_sums_is_written_and_stays_beyond_its_caps(postgres: PostgresServer) -> None:
    """An endpoint may claim what it likes; rows that are refused would keep all others waiting."""
    call = Entry(
        *(time.time(), "ask_grok", "ann", "generic", "grok-4", "grok-4", cost(10**15), 1.0, "stop"),
        group="blue",
    )
    with store_on(postgres) as store:
        for lot in range(10):
            store.write([], [(call, f"{lot} {number}") for number in range(1_000)])
        standing, _ = store.reserve(begun("next"), Caps(10**15, None), midnight(time.time()), 10**19)
    assert not standing.admitted and standing.spent >= 9 * 10**18
    assert len(calls(postgres)) == 10_000


def test_servers_that_start_at_once_make_the_tables_once(postgres: PostgresServer) -> None:
    def start(number: int) -> None:
        with store_on(postgres, f"server {number}") as store:
            store.ping()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    assert postgres.ask("SELECT version FROM grok_mcp.version") == [(VERSION,)]


def test_a_user_who_may_make_no_schema_uses_one_that_was_made_for_it(postgres: PostgresServer) -> None:
    name = f"member_of_{postgres.database}"
    postgres.ask(f"CREATE ROLE {name} LOGIN PASSWORD 'another-password'")
    postgres.ask(f"CREATE SCHEMA grok_mcp AUTHORIZATION {name}")
    url = f"postgresql://{name}:another-password@127.0.0.1:{postgres.port}/{postgres.database}"
    with closing(PostgresStore(url, "me")) as store:
        store.write([], [(Entry(time.time(), "ask_grok", "ann", "generic"), "one")])
    assert calls(postgres) == [("ann", None, None)]


# --- budgets


def cost(ticks: int) -> Usage:
    return Usage(cost_usd=Decimal(ticks) / 10**10, cost_source="reported")


@asynccontextmanager
async def machines(
    endpoint: Endpoint, postgres: PostgresServer, tmp_path: Path
) -> AsyncIterator[tuple[Host, Host]]:
    """Two servers with one ledger, and a Redis that nobody needs."""
    shared: dict[str, Any] = {"ledger_url": postgres.url, "budget_usd_per_day": CAP}
    async with (
        host_on(endpoint, state_dir=tmp_path / "one", **shared) as one,
        host_on(endpoint, state_dir=tmp_path / "two", **shared) as two,
    ):
        yield one, two


async def test_servers_that_share_a_ledger_share_what_is_spent_and_what_is_in_flight(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    slow = held(1)
    async with Endpoint(priced(FOUR), priced(FOUR), slow, priced(FOUR)) as endpoint:
        async with machines(endpoint, postgres, tmp_path) as (one, two):
            await one.ask()
            await two.ask()
            async with in_flight(one, slow, endpoint):
                refused = await two.ask()
            after = [await host.ask() for host in (two, one)]
    assert refused.error["code"] == "budget"
    assert "0.008000 USD were spent today and 1 call in flight may cost 0.004000 USD" in refused.text
    assert after[0].answer["usage"]["cost_usd"] == 0.004
    assert "0.012000 USD were spent today" in after[1].text


def test_of_many_who_ask_at_once_no_more_begin_than_the_caps_of_caller_and_group_allow(
    postgres: PostgresServer,
) -> None:
    """Each may cost a tenth of a cent: ten fit into the cap of a caller, fifteen into that of the group."""
    today = midnight(time.time())

    def ask(server: int) -> list[str]:
        admitted = []
        with store_on(postgres, f"server {server}") as store:
            for number in range(25):
                wanted = begun(f"{server} {number}", ("ann", "bob", "eve")[number % 3], group="blue")
                standing, _ = store.reserve(wanted, Caps(CENT, CENT * 3 // 2), today, 0)
                admitted += [wanted.caller] if standing.admitted else []
                if standing.admitted and number % 2:  # some of them end, for as much
                    entry = Entry(wanted.at, "ask_grok", wanted.caller, "generic", usage=cost(CENT // 10))
                    store.write([], [(entry._replace(group="blue"), wanted.id)])
        return admitted

    with ThreadPoolExecutor(6) as pool:
        admitted = [caller for found in pool.map(ask, range(6)) for caller in found]
    assert len(admitted) == 15
    with store_on(postgres) as store:
        alone, _ = store.reserve(begun("x", "ann"), Caps(CENT), today, 0)
        assert alone.spent + alone.in_flight == CENT // 10 * admitted.count("ann")
        for number in range(30):
            store.reserve(begun(f"y {number}", "dan"), Caps(CENT), today, 0)
        full, _ = store.reserve(begun("z", "dan"), Caps(CENT), today, 0)
    assert full[:5] == (False, 0, CENT, 10, 0)


def test_a_dead_server_s_calls_count_as_of_unknown_end_until_their_day_is_over(
    postgres: PostgresServer,
) -> None:
    today = midnight(time.time())
    with store_on(postgres, "dead") as dead, store_on(postgres, "alive") as alive:
        dead.write([begun("one", sent=True)], [])  # of a server without a budget: estimated by who has one
        assert dead.reserve(begun("unsent"), Caps(CENT), today, 0)[0].admitted
        tenth = CENT // 10
        assert alive.reserve(begun("two"), Caps(tenth), today, 0)[0][:5] == (False, 0, 2 * tenth, 2, 0)
        now = postgres.ask("SELECT extract(epoch FROM now())::float8")[0][0]
        (expires,) = postgres.ask("SELECT max(expires_at) FROM grok_mcp.in_flight")[0]
        assert now + RESERVED_S - 20 < expires <= now + RESERVED_S
        postgres.ask("UPDATE grok_mcp.in_flight SET expires_at = 0")
        assert alive.reserve(begun("two"), Caps(tenth), today, 0)[0][:5] == (False, 0, 0, 0, tenth)
        assert alive.reserve(begun("two"), Caps(tenth), today + 86_400, 0)[0].admitted
        alive.renew([])
        assert sorted(row[0] for row in postgres.ask("SELECT id FROM grok_mcp.in_flight")) == ["one", "two"]
        dead.write([], [(Entry(time.time(), "ask_grok", "ann", "generic", usage=cost(3)), "one")])
        late, _ = alive.reserve(begun("two"), Caps(tenth), today, 0)
    assert (late.spent, late.unknown) == (3, 0), "its end has come after all"


async def test_a_budget_that_was_spent_is_still_spent_when_old_rows_are_deleted(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with Endpoint(priced(CENT)) as endpoint:
        async with machines(endpoint, postgres, tmp_path) as (one, two):
            await one.ask()
            postgres.ask("DELETE FROM grok_mcp.calls")
            refused = await two.ask()
    assert refused.error["code"] == "budget"


# --- a database that is away

Spoil = Callable[[PostgresServer], None]


def refuse_writes(state: str) -> Spoil:
    """Have each write fail with this SQLSTATE."""

    def spoil(postgres: PostgresServer) -> None:
        postgres.ask(
            "CREATE FUNCTION grok_mcp.refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"
        )
        for table in ("calls", "in_flight"):
            postgres.ask(
                f"CREATE TRIGGER refuse BEFORE INSERT ON grok_mcp.{table} FOR EACH ROW "
                "EXECUTE FUNCTION grok_mcp.refuse()"
            )

    return spoil


def takes_writes(postgres: PostgresServer) -> None:
    postgres.ask("DROP FUNCTION grok_mcp.refuse CASCADE")


def then_cut(statement: str) -> Spoil:
    """Run this, and have all servers connect anew."""

    def spoil(postgres: PostgresServer) -> None:
        postgres.ask(statement.format(database=postgres.database), database="postgres")
        postgres.cut()

    return spoil


def is_newer(postgres: PostgresServer) -> None:
    postgres.ask("UPDATE grok_mcp.version SET version = 99")
    postgres.cut()


def is_ours(postgres: PostgresServer) -> None:
    postgres.ask("UPDATE grok_mcp.version SET version = %s", VERSION)


class Away(NamedTuple):
    """How a database goes away, how it comes back, and what the warning says of it."""

    spoil: Spoil
    mend: Spoil
    reason: str


AWAY: Mapping[str, Away] = {
    "stopped": Away(PostgresServer.stop, PostgresServer.start, "refused"),
    "killed": Away(PostgresServer.kill, PostgresServer.start, "refused"),
    "frozen": Away(PostgresServer.freeze, PostgresServer.thaw, "does not answer"),
    "full": Away(refuse_writes("53100"), takes_writes, "its disk is full"),
    "read-only": Away(
        then_cut("ALTER DATABASE {database} SET default_transaction_read_only = on"),
        then_cut("ALTER DATABASE {database} RESET default_transaction_read_only"),
        "it takes no writes",
    ),
    "out of connections": Away(
        then_cut("ALTER DATABASE {database} WITH CONNECTION LIMIT 0"),
        then_cut("ALTER DATABASE {database} WITH CONNECTION LIMIT -1"),
        "too many connections",
    ),
    "another password": Away(
        then_cut(f"ALTER ROLE {USER} PASSWORD 'another'"),
        then_cut(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'"),
        "refuses the user or the password",
    ),
    "not granted": Away(refuse_writes("42501"), takes_writes, "docs/deploy.md"),
    "of a newer version": Away(is_newer, is_ours, "a newer version of this program wrote it"),
}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a database waits for less time."""
    monkeypatch.setattr("grok_mcp.accounting.postgres_books.AGAIN_S", 0.2)
    monkeypatch.setattr("grok_mcp.accounting.postgres.ANSWER_S", 0.6)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("away", AWAY.values(), ids=AWAY)
async def test_while_postgres_is_away_calls_go_on_but_for_those_under_a_budget_and_nothing_is_lost(
    away: Away, postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Endpoint(priced(1)) as endpoint:
        async with (
            host_on(endpoint, ledger_url=postgres.url) as free,
            host_on(endpoint, ledger_url=postgres.url, budget_usd_per_day=CAP) as capped,
        ):
            for host in (free, capped):
                await host.ask()
            await anyio.to_thread.run_sync(away.spoil, postgres)
            try:
                answered = [await free.ask() for _ in range(3)]
                refused = await capped.ask()
                problem = await capped.grok.budget.problem() if capped.grok.budget else None
            finally:
                await anyio.to_thread.run_sync(away.mend, postgres)
            await until(lambda: len(calls(postgres)) == 6)
            again = await capped.ask()
            assert capped.grok.budget and await capped.grok.budget.problem() is None
    assert [result.answer["usage"]["cost_usd"] for result in (*answered, again)] == [1e-10] * 4
    assert refused.error == IsPartialDict(code="overloaded", retryable=True)
    assert "The budget can't be checked, because the ledger's Postgres can't be used" in refused.text
    assert problem == "the budget can't be counted: the ledger in Postgres can't be used"
    assert len(endpoint.requests) == 6, "nothing was sent for the one that was refused"
    assert [row[1:] for row in calls(postgres)].count((None, 1)) == 6
    assert postgres.ask("SELECT * FROM grok_mcp.in_flight") == []
    assert postgres.ask("SELECT ticks FROM grok_mcp.spent") == [(6,)]
    place = f"the ledger in Postgres (127.0.0.1:{postgres.port}/{postgres.database})"
    said = warnings(caplog)
    gone = [line for line in said if line.startswith(f"{place} can't be used: ")]
    assert len(gone) == 2 and all(away.reason in line for line in gone), said
    assert len([line for line in said if line.startswith(f"{place} is back")]) == 2 and len(said) == 4
    assert PASSWORD not in caplog.text


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: url.replace(PASSWORD, "wrong-password"), "refuses the user or the password"),
        (lambda url: f"{url}_that_is_not_there", "there is no such database"),
        (lambda url: url.replace("127.0.0.1", "postgres.invalid"), "postgres.invalid"),
    ],
    ids=["wrong password", "missing database", "unknown host"],
)
async def test_a_database_that_was_never_there_is_one_warning_and_no_failed_call(
    change: Callable[[str], str], reason: str, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = change(postgres.url)
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, ledger_url=url) as host:
        for _ in range(2):
            assert (await host.ask()).answer
        with pytest.raises(MCPError, match="The ledger can't be read, because its Postgres can't be used"):
            await host.client.read_resource("grok://usage")
        assert (await host.client.read_resource("grok://models")).contents
    (said,) = warnings(caplog)
    assert reason in said
    assert "wrong-password" not in caplog.text and PASSWORD not in caplog.text


@pytest.mark.usefixtures("soon")
async def test_a_server_that_takes_connections_and_says_nothing_is_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grok_mcp.accounting.postgres.CONNECT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://grok:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/db"
        async with Endpoint(priced(1)) as endpoint:
            async with host_on(endpoint, ledger_url=url, budget_usd_per_day=CAP) as host:
                refused = await host.ask()
    assert refused.error["code"] == "overloaded"
    (said,) = warnings(caplog)
    assert "it does not answer" in said


async def test_a_connection_that_was_cut_is_opened_anew_without_a_word(
    postgres: PostgresServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Endpoint(priced(1)) as endpoint:
        async with machines(endpoint, postgres, tmp_path) as hosts:
            for host in (*hosts, *hosts):
                assert (await host.ask()).answer
                await anyio.to_thread.run_sync(postgres.cut)
            (content,) = (await hosts[0].client.read_resource("grok://usage")).contents
    assert json.loads(content.text)["today"]["calls"] == 4  # type: ignore[union-attr]  # a text
    assert warnings(caplog) == []


@pytest.mark.usefixtures("soon")
async def test_a_restart_under_load_loses_no_call_and_counts_none_twice(postgres: PostgresServer) -> None:
    """Under way when the server ends, each row is written, or is not, or is without anybody knowing it."""
    with store_on(postgres):
        ledgers = [Ledger(books=PostgresBooks(postgres.url)) for _ in range(3)]
    written, over = 0, False

    async def work(ledger: Ledger, name: int) -> None:
        nonlocal written
        while not over:
            number = written
            call = begun(f"{name} {number}")
            written += 1
            await ledger.begin(call)
            await ledger.end(Entry(call.at, "ask_grok", "ann", "generic", usage=cost(1)), call.id)
            await anyio.sleep(0.002)

    async with anyio.create_task_group() as group:
        for name in range(30):
            group.start_soon(work, ledgers[name % 3], name)
        for end in (PostgresServer.kill, PostgresServer.stop):
            enough = len(calls(postgres)) + 100
            await until(partial(has_calls, postgres, enough))
            await anyio.to_thread.run_sync(end, postgres)
            await anyio.to_thread.run_sync(postgres.start)
        over = True
    await until(lambda: len(calls(postgres)) == written)
    for ledger in ledgers:
        await ledger.aclose()
    assert postgres.ask("SELECT ticks FROM grok_mcp.spent") == [(written,)]
    assert postgres.ask("SELECT * FROM grok_mcp.in_flight") == []


@pytest.mark.usefixtures("soon")
async def test_rows_in_memory_are_bounded_and_those_without_room_are_told(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("grok_mcp.bounds.LEDGER_ROWS", 50)
    ledger = Ledger(books=PostgresBooks(postgres.url))
    refuse = refuse_writes("53100")
    await ledger.begin(begun("first"))
    refuse(postgres)
    for number in range(60):
        await ledger.end(Entry(time.time(), "ask_grok", f"{number}", "generic"), f"call {number}")
    takes_writes(postgres)
    await until(lambda: len(calls(postgres)) == 50)
    await ledger.aclose()
    assert [row[0] for row in calls(postgres)] == [str(number) for number in range(10, 60)]
    assert "but only the newest 50 of them" in warnings(caplog)[-1]


@pytest.mark.usefixtures("soon")
async def test_a_lock_that_another_holds_keeps_rows_waiting_and_the_database_is_not_away(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import psycopg

    monkeypatch.setitem(_settings(), "lock_timeout", "50")
    ledger = Ledger(books=PostgresBooks(postgres.url))
    await ledger.begin(begun("one"))
    with psycopg.connect(postgres.url) as other:
        other.execute("LOCK TABLE grok_mcp.calls IN EXCLUSIVE MODE")
        await ledger.end(Entry(time.time(), "ask_grok", "ann", "generic"), "one")
        assert calls(postgres) == []
    await until(lambda: len(calls(postgres)) == 1)
    await ledger.aclose()
    assert warnings(caplog) == []


def _settings() -> dict[str, str]:
    from grok_mcp.accounting import postgres as module

    return module._SETTINGS


def test_readyz_is_503_while_a_budget_can_not_be_counted(postgres: PostgresServer) -> None:
    settings: dict[str, Any] = {"transport": "http", "XAI_BASE_URL": "http://127.0.0.1:9/v1"}
    wrong = postgres.url.replace(PASSWORD, "wrong-password")
    for url, cap, status in ((postgres.url, CAP, 200), (wrong, CAP, 503), (wrong, None, 200)):
        with in_process(**settings, ledger_url=url, budget_usd_per_day=cap) as address:
            response = httpx2.get(f"{address}/readyz")
        assert response.status_code == status, response.text
        assert ("the ledger in Postgres can't be used" in response.text) == (status == 503)


# --- set-up


def test_doctor_says_whether_the_database_takes_us_and_shows_no_password(postgres: PostgresServer) -> None:
    place = f"127.0.0.1:{postgres.port}/{postgres.database}"
    (new,) = check_ledger(postgres.url)
    with store_on(postgres):
        (used,) = check_ledger(postgres.url)
    (wrong,) = check_ledger(postgres.url.replace(PASSWORD, "wrong-password"))
    assert (new.ok, new.message) == (True, f"{place} answers; the first call makes its tables")
    assert (used.ok, used.message) == (True, f"{place} answers; version {VERSION} of its tables")
    assert (wrong.ok, wrong.message) == (False, f"{place} can't be used: it refuses the user or the password")
    assert "GROK_MCP_LEDGER_URL" in wrong.fix


def test_a_start_without_the_extra_ends_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_LEDGER_URL", "postgresql://grok:hunter2@127.0.0.1/db")
    monkeypatch.setattr("grok_mcp.environment.find_spec", lambda name: None)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert caught.value.problems == [
        "GROK_MCP_LEDGER_URL: needs an extra: pip install 'grok-mcp-server[postgres]'"
    ]


WITHOUT = """
import sys
from grok_mcp.pipeline import Grok
from grok_mcp.settings import Settings
from grok_mcp.server import build_server
grok = Grok(Settings({url}))
build_server(grok)
print(sorted({{"psycopg", "sqlite3", "redis", "grok_mcp.accounting.postgres", "{books}"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("url", "expected"),
    [("", "[]"), ("ledger_url='postgresql://127.0.0.1/db'", "['grok_mcp.accounting.postgres_books']")],
    ids=["file", "Postgres"],
)
def test_a_server_loads_no_database_before_its_first_call(url: str, expected: str) -> None:
    code = WITHOUT.format(url=url, books="grok_mcp.accounting.postgres_books")
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=unmeasured()
    )
    assert said.stdout.strip() == expected
