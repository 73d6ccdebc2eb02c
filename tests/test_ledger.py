"""The ledger: one row for each call, whoever writes beside it and however the call ends."""

import json
import logging
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from dirty_equals import IsFloat, IsPartialDict
from mcp.shared.exceptions import MCPError

from grok_mcp.accounting import books, ledger as writing, read_totals
from grok_mcp.accounting.disks import is_local
from grok_mcp.accounting.ledger import Ledger
from grok_mcp.accounting.records import Begun, Entry
from grok_mcp.accounting.sqlite import VERSION, Store, read_file
from grok_mcp.sandbox import SandboxServer
from grok_mcp.usage import COUNTS, TICKS_PER_USD, Usage
from tests.support.cli import run, unmeasured
from tests.support.endpoint import Endpoint, Reply, Request, body, chat, events
from tests.support.host import host_on
from tests.support.ledger import CENT, file, fill, garbage, held, in_flight, priced, query, rows
from tests.support.pace import until, within
from tests.support.stdio import INITIALIZE, INITIALIZED, ask, mcp_client, program, request, session

pytestmark = pytest.mark.anyio

SERVERS = 4
PROCESSES = 8
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_a_call_is_one_row_with_every_count_and_no_word_of_it() -> None:
    details = {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    async with Endpoint(priced(1_234_567, "A hedgehog.", **details)) as endpoint, host_on(endpoint) as host:
        before = time.time()
        await host.ask("Name an animal.", model="grok-4", instructions="Be brief.")
    (row,) = rows()
    assert row == {
        "id": 1,
        "at": IsFloat(ge=before, le=time.time()),
        "tool": "ask_grok",
        "caller": "local",
        "gateway": "generic",
        "model_asked": "grok-4",
        "model": "grok-4.7",
        "input_tokens": 10,
        "cached_tokens": 4,
        "output_tokens": 5,
        "reasoning_tokens": 2,
        "text_tokens": 3,
        "total_tokens": 15,
        "cost_ticks": 1_234_567,
        "cost_source": "reported",
        "duration_s": IsFloat(gt=0, lt=20),
        "finish_reason": "stop",
        "sent": 1,
    }
    content = file().read_bytes()
    assert not [word for word in (b"hedgehog", b"animal", b"brief") if word in content]


@pytest.mark.parametrize("budget", [None, 100.0])
@pytest.mark.parametrize(
    ("tool", "arguments", "requests"),
    [
        ("ask_grok", {"prompt": "Hi"}, 1),
        ("grok_search", {"query": "Hi"}, 1),
        ("grok_structured", {"prompt": "One.", "schema": {"type": "object", "required": ["n"]}}, 2),
    ],
)
async def test_a_call_is_in_the_ledger_before_its_request_goes_out_and_its_end_before_its_answer(
    tool: str, arguments: dict[str, Any], requests: int, budget: float | None
) -> None:
    seen = []

    def choose(request: Request) -> Reply:
        begun = query("SELECT tool, caller, gateway, model_asked FROM in_flight WHERE sent")
        seen.append((begun, rows()))
        return priced(CENT, "{}")

    async with Endpoint(choose=choose) as endpoint, host_on(endpoint, budget_usd_per_day=budget) as host:
        await host.call(tool, model="grok-4", **arguments)
        ended, left = rows(), query("SELECT * FROM in_flight")
    call = {"tool": tool, "caller": "local", "gateway": "generic", "model_asked": "grok-4"}
    assert seen == [([call], [])] * requests
    assert ended == [IsPartialDict(call)] and left == []


@pytest.mark.parametrize(
    ("arguments", "settings", "code"),
    [
        ({"prompt": ""}, {}, "invalid_argument"),
        ({"prompt": "Hi", "temperature": 3}, {}, "invalid_argument"),
        ({"prompt": "Hi", "images": ["/nowhere.png"]}, {}, "invalid_argument"),
        ({"prompt": "Hi", "conversation_id": "nobody's"}, {}, "conversation_not_found"),
        ({"prompt": "Hi"}, {"budget_usd_per_day": 1e-9}, "budget"),
    ],
)
async def test_a_call_that_sends_nothing_begins_nothing(
    arguments: dict[str, Any], settings: dict[str, Any], code: str
) -> None:
    fill([Entry(time.time(), "ask_grok", "local", "generic", usage=Usage(cost_usd=Decimal(1)))])
    query("CREATE TABLE seen (id)")
    query("CREATE TRIGGER see AFTER INSERT ON in_flight WHEN NEW.sent BEGIN INSERT INTO seen VALUES (1); END")
    async with Endpoint(priced(CENT)) as endpoint, host_on(endpoint, **settings) as host:
        assert (await host.call("ask_grok", **arguments)).error["code"] == code
    assert rows()[1:] == [IsPartialDict(error=code)]
    assert query("SELECT * FROM seen") == query("SELECT * FROM in_flight") == [] == endpoint.requests


async def test_calls_that_wait_for_another_writer_share_a_transaction() -> None:
    ledger = Ledger(file().parent)
    calls = [Begun(f"{number}", 1.0, "ask_grok", "local", "xai") for number in range(1000)]
    await ledger.begin(calls[0])
    with closing(sqlite3.connect(file(), isolation_level=None)) as other:
        for work in (
            [partial(ledger.begin, call) for call in calls],
            [partial(ledger.end, Entry(1.0, "ask_grok", "local", "xai"), call.id) for call in calls],
        ):
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as group:
                for step in work:
                    group.start_soon(step)
                await anyio.sleep(0.1)
                other.execute("COMMIT")
    assert (len(rows()), query("SELECT * FROM in_flight")) == (1000, [])
    pages = log(file()).stat().st_size / 4096
    await ledger.aclose()
    assert pages < 1000, "as many transactions would have written that many pages"


async def test_a_thousand_calls_one_after_the_other_leave_a_short_log() -> None:
    ledger = Ledger(file().parent)
    for number in range(1000):
        await ledger.begin(Begun(f"{number}", 1.0, "ask_grok", "local", "xai"))
        await ledger.end(Entry(1.0, "ask_grok", "local", "xai"), f"{number}")
    assert (len(rows()), query("SELECT * FROM in_flight")) == (1000, [])
    pages = log(file()).stat().st_size / 4096
    await ledger.aclose()
    assert pages < 3000, "the log is brought into the file from time to time"


async def test_both_turns_of_a_correction_are_one_row() -> None:
    replies = [priced(100, '{"n": "one"}'), priced(23, '{"n": 1}')]
    async with Endpoint(*replies) as endpoint, host_on(endpoint) as host:
        result = await host.call("grok_structured", prompt="One.", schema=SCHEMA)
    assert [(row["tool"], row["cost_ticks"], row["input_tokens"]) for row in rows()] == [
        ("grok_structured", 123, 20)
    ]
    assert result.structured["usage"]["cost_usd"] == 123 / TICKS_PER_USD


async def test_a_call_that_fails_is_a_row_with_its_code_and_what_it_spent() -> None:
    refused = body({"error": {"message": "Incorrect API key"}}, status=401)
    async with Endpoint(refused, priced(700, '{"n": "one"}')) as endpoint, host_on(endpoint) as host:
        await host.ask()
        await host.ask(prompt="")
        await host.call("grok_structured", prompt="One.", schema=SCHEMA)
    assert rows() == [
        IsPartialDict(error="authentication", model_asked="grok-4.7"),
        IsPartialDict(error="invalid_argument"),
        IsPartialDict(error="schema_mismatch", cost_ticks=1_400, output_tokens=10, cost_source="reported"),
    ]
    assert not any({"cost_ticks", "cost_source", "total_tokens"} & row.keys() for row in rows()[:2])


async def test_the_usage_of_an_attempt_that_failed_is_in_the_row_of_the_one_that_went_well() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost_in_usd_ticks": 50}
    failed = events({"choices": [], "usage": usage}, {"error": {"message": "overloaded", "code": 503}})
    async with Endpoint(failed, priced(7)) as endpoint, host_on(endpoint) as host:
        answer = (await host.ask()).answer
    (row,) = rows()
    assert row == IsPartialDict(cost_ticks=57, input_tokens=20, finish_reason="stop")
    assert answer["usage"]["input_tokens"] == 20


SEEN = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost_in_usd_ticks": 30}
WRITING = {"model": "grok-4.7", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}


@pytest.mark.parametrize(
    ("hanging", "seen"),
    [
        (events({**WRITING, "usage": SEEN}, done=False, end="hang"), {"cost_ticks": 100 + 30}),
        (events(WRITING, done=False, end="hang"), {"cost_ticks": 100, "cost_source": "reported"}),
    ],
    ids=["counted", "not counted"],
)
async def test_a_cancelled_call_is_a_row_with_the_usage_that_was_seen(
    hanging: Reply, seen: dict[str, Any]
) -> None:
    async with Endpoint(priced(100, '{"n": "one"}'), hanging) as endpoint:
        async with host_on(endpoint, legacy=True) as host:
            async with anyio.create_task_group() as group:
                group.start_soon(partial(host.call, "grok_structured", prompt="One.", schema=SCHEMA))
                with within(10):
                    while len(endpoint.requests) < 2:
                        await anyio.sleep(0.01)
                    await anyio.sleep(0.1)  # for what it writes to come
                group.cancel_scope.cancel()
            with within(10):
                await endpoint.closed.wait()
    assert rows() == [IsPartialDict(error="cancelled", model="grok-4.7", **seen)]


async def test_a_call_that_was_cancelled_before_anything_was_counted_has_an_unknown_cost() -> None:
    async with Endpoint(events(WRITING, done=False, end="hang")) as endpoint:
        async with host_on(endpoint, legacy=True) as host:
            with anyio.move_on_after(0.5):
                await host.ask()
            with within(10):
                await endpoint.closed.wait()
    (row,) = rows()
    assert row == IsPartialDict(error="cancelled", cost_source="unknown") and "cost_ticks" not in row


async def test_the_ledger_is_for_this_user_alone() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint) as host:
        await host.ask()
        await until(lambda: file().exists() and len(rows()) == 1)
        beside = [file(), *file().parent.iterdir()]
        assert len(beside) > 2, "the write-ahead log is there too"
        assert {stat.S_IMODE(one.stat().st_mode) for one in beside} == {0o600}
        assert stat.S_IMODE(file().parent.stat().st_mode) == 0o700


# --- several processes


def several_asks(count: int) -> list[Any]:
    return [INITIALIZE, INITIALIZED, *(ask(number) for number in range(2, 2 + count))]


def usages(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    results = [answer["result"] for answer in answers if "_meta" in answer.get("result", {})]
    return [result["_meta"]["grok-mcp/answer"]["usage"] for result in results if not result.get("isError")]


def test_the_command_tells_the_sum_of_what_the_calls_of_several_processes_told_to_the_last_tick() -> None:
    def serve(url: str) -> list[dict[str, Any]]:
        answers, stderr, status = session(*several_asks(5), XAI_BASE_URL=url, XAI_API_KEY="x")
        assert (stderr, status) == ("", 0)
        return usages(answers)

    with SandboxServer(pace=0) as sandbox, ThreadPoolExecutor(SERVERS) as pool:
        told = [usage for usages in pool.map(serve, [sandbox.url] * SERVERS) for usage in usages]
    done = run("usage", "--json", "--by", "tool")
    assert (done.stderr, done.returncode) == ("", 0)
    shown = json.loads(done.stdout, parse_float=Decimal)
    assert shown["calls"] == len(told) == 5 * SERVERS
    assert shown["cost_usd"] == sum(Decimal(str(usage["cost_usd"])) for usage in told) > 0
    for name in COUNTS:
        assert shown[name] == sum(usage.get(name, 0) for usage in told), name
    assert shown["duration_s"] == pytest.approx(Decimal(str(sum(usage["duration_s"] for usage in told))))
    assert [{"key": "ask_grok"} | shown["rows"][0]] == shown["rows"]
    assert {name: shown["rows"][0][name] for name in (*COUNTS, "cost_usd")} == {
        name: shown[name] for name in (*COUNTS, "cost_usd")
    }


WRITER = """
import asyncio, sys, time
from pathlib import Path
from grok_mcp.accounting.records import Begun, Entry
from grok_mcp.accounting.ledger import Ledger

async def write():
    ledger = Ledger(Path(sys.argv[1]))
    for number in range(100):
        ledger.record(Entry(time.time(), "ask_grok", sys.argv[2], "xai", f"call {number}"))
        await asyncio.sleep(0.002 * (number % 3))
    await ledger.aclose()

asyncio.run(write())
"""


def test_eight_processes_that_write_all_the_time_lose_no_row() -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file().parent), f"writer {number}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    assert [writer.communicate(timeout=90)[1] for writer in writers] == [""] * PROCESSES
    told = query("SELECT caller, COUNT(DISTINCT model_asked) AS calls FROM calls GROUP BY 1 ORDER BY 1")
    assert told == [{"caller": f"writer {number}", "calls": 100} for number in range(PROCESSES)]
    assert len(rows()) == 100 * PROCESSES


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_row_is_on_disk_while_the_server_lives_and_when_it_is_ended(number: signal.Signals) -> None:
    async with Endpoint(priced(5)) as endpoint:
        with program(XAI_BASE_URL=endpoint.url, XAI_API_KEY="x") as process:
            assert process.stdin and process.stdout
            for line in several_asks(1):
                process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
            while b'"id":2' not in await anyio.to_thread.run_sync(process.stdout.readline):
                pass
            if number == signal.SIGKILL:  # SIGTERM may come as soon as the answer is there
                await until(lambda: file().exists() and len(rows()) == 1)
            process.send_signal(number)
            await anyio.to_thread.run_sync(process.wait, 60)
    assert rows() == [IsPartialDict(cost_ticks=5)]


# --- ledgers of earlier versions


FIRST_COUNTS = (
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "text_tokens", "total_tokens"),
    *("image_tokens", "sources_used", "web_searches", "x_searches"),
)


def earlier(path: Path, version: int, calls: int) -> None:
    """A ledger as an earlier version wrote it."""
    path.parent.mkdir()
    counts = ", ".join(f"{name} INTEGER" for name in FIRST_COUNTS)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            f"""
            PRAGMA journal_mode = WAL;
            CREATE TABLE calls (
                id INTEGER PRIMARY KEY, at REAL NOT NULL, tool TEXT NOT NULL, caller TEXT NOT NULL,
                gateway TEXT NOT NULL, model_asked TEXT NOT NULL, model TEXT NOT NULL, {counts},
                cost_ticks INTEGER, cost_source TEXT, duration_s REAL NOT NULL, finish_reason TEXT, error TEXT
            );
            CREATE INDEX calls_at ON calls (at);
            CREATE INDEX calls_caller ON calls (caller, at);
            CREATE TABLE reservations (
                id TEXT PRIMARY KEY, caller TEXT NOT NULL, sandbox INTEGER NOT NULL, ticks INTEGER NOT NULL,
                expires_at REAL NOT NULL
            );
            PRAGMA user_version = {version};
            """
        )
        if version >= 2:
            db.execute(
                "CREATE TABLE in_flight (id TEXT PRIMARY KEY, at REAL NOT NULL, tool TEXT NOT NULL, "
                "caller TEXT NOT NULL, gateway TEXT NOT NULL, model_asked TEXT NOT NULL, ticks INTEGER, "
                "sent INTEGER NOT NULL, owner TEXT NOT NULL, expires_at REAL NOT NULL) WITHOUT ROWID"
            )
        if version == 3:  # before it knew which calls had been sent
            for name in ("x_posts_fetched", "x_users_fetched", "code_runs", "documents_searched"):
                db.execute(f"ALTER TABLE calls ADD COLUMN {name} INTEGER")
            db.execute("ALTER TABLE calls ADD COLUMN service_tier TEXT")
        row = (time.time(), "ask_grok", "local", "generic", "grok-4", "grok-4.7", CENT, "reported", 1.5)
        names = "at, tool, caller, gateway, model_asked, model, cost_ticks, cost_source, duration_s"
        db.executemany(f"INSERT INTO calls ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [row] * calls)
        db.commit()


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("budget", [None, 1.0])
async def test_a_ledger_of_an_earlier_version_is_read_and_written_on(
    version: int, budget: float | None
) -> None:
    earlier(file(), version, 3)
    old = closing(sqlite3.connect(file(), isolation_level=None))
    before = await anyio.to_thread.run_sync(run, "usage", "--json")
    with old as db:  # of a server of that version, which is still at work
        async with Endpoint(priced(2)) as endpoint, host_on(endpoint, budget_usd_per_day=budget) as host:
            await host.ask()
            db.execute("INSERT INTO reservations VALUES ('one', 'local', 0, 5, 0)")
            db.execute("DELETE FROM reservations")
            (content,) = (await host.client.read_resource("grok://usage")).contents
    assert [row["cost_ticks"] for row in rows()] == [CENT, CENT, CENT, 2]
    assert query("PRAGMA user_version") == [{"user_version": VERSION}]
    assert json.loads(before.stdout) == IsPartialDict(
        calls=3, cost_usd=0.03, calls_with_unknown_end=0, code_runs=0, calls_with_priority=0
    )
    assert json.loads(content.text)["all_time"]["calls"] == 4  # type: ignore[union-attr]  # a text


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_ledger_of_an_earlier_version_is_read_with_rows_beside_it(version: int) -> None:
    earlier(file(), version, 3)
    usage = Usage(1, 0, 1, code_runs=2, service_tier="priority")
    beside = [Entry(time.time(), "ask_grok", "local", "generic", usage=usage).values()]
    (sums,) = read_file(file(), lambda db: read_totals(db, caller="local"), (beside, [])) or []
    assert (sums.calls, sums.counts["code_runs"], sums.priority_calls) == (4, 2, 1)


# --- a ledger that can't be used


def newer(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")


def damaged(path: Path) -> None:
    """A ledger that was good, and whose pages are not what its head says."""
    garbage(path)
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE calls (x)")
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.executemany("INSERT INTO calls VALUES (?)", [("x" * 500,)] * 100)
        db.commit()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


def no_folder(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")


@pytest.mark.parametrize("spoil", [garbage, newer, damaged, no_folder])
async def test_a_ledger_that_can_t_be_used_is_one_warning_and_usage_is_kept_in_memory(
    spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(file())
    before = file().read_bytes() if file().is_file() else b""
    async with Endpoint(priced(CENT)) as endpoint, host_on(endpoint) as host:
        for _ in range(3):
            assert (await host.ask()).answer["usage"]["cost_usd"] == 0.01
        (content,) = (await host.client.read_resource("grok://usage")).contents
        await host.ask()
    told = json.loads(content.text)  # type: ignore[union-attr]  # a text
    assert (told["all_time"]["calls"], told["today"]["cost_usd"]) == (3, 0.03)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1 and "usage is counted in memory only" in warnings[0]
    assert "GROK_MCP_STATE_DIR" in warnings[0]
    assert (file().read_bytes() if file().is_file() else b"") == before, "what is there is left alone"


# Even root meets the mode of a file without CAP_DAC_OVERRIDE, taken from what a new program may have.
WITHOUT_THE_RIGHT = "import ctypes; ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)"
WITHOUT_ROOM = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
WITHOUT_SQLITE = "import sys; sys.modules['sqlite3'] = None"


async def hampered(by: str, *lines: Any, **variables: str) -> tuple[list[dict[str, Any]], list[str]]:
    """A session with a server that this line of code has hampered: its answers and the lines on stderr."""
    code = f"{by}\nfrom grok_mcp.__main__ import main; main()"
    if by == WITHOUT_THE_RIGHT:
        code = f"{by}; import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'grok_mcp'])"
    done = await anyio.run_process(
        [sys.executable, "-c", code],
        input=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        env={**unmeasured(), "XAI_API_KEY": "x", **variables},
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode().splitlines()


def read_only(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)):
        path.touch()
    path.chmod(0o400)
    path.parent.chmod(0o500)


@pytest.mark.skipif(sys.platform != "linux", reason="takes rights away as Linux does")
@pytest.mark.parametrize(
    ("prepare", "by"),
    [(read_only, WITHOUT_THE_RIGHT), (lambda path: None, WITHOUT_ROOM)],
    ids=["read-only", "full disk"],
)
async def test_no_call_of_a_server_fails_where_nothing_can_be_written(
    prepare: Callable[[Path], None], by: str
) -> None:
    prepare(file())
    asked = [*several_asks(4), request(9, "resources/read", uri="grok://usage")]
    async with Endpoint(priced(CENT)) as endpoint:
        answers, (line,) = await hampered(by, *asked, XAI_BASE_URL=endpoint.url)
    assert [usage["cost_usd"] for usage in usages(answers)] == [0.01] * 4
    assert line.startswith("grok-mcp-server: WARNING") and "usage is counted in memory only" in line


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
async def test_usage_on_a_disk_that_becomes_full_is_that_on_disk_and_in_memory_together() -> None:
    fill(Entry(time.time(), "ask_grok", "local", "generic") for _ in range(7))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))"
    asked = [*several_asks(40), request(99, "resources/read", uri="grok://usage")]
    async with Endpoint(priced(CENT)) as endpoint:
        code = f"{limit}\nfrom grok_mcp.__main__ import main; main()"
        async with await anyio.open_process(
            [sys.executable, "-c", code],
            env={**unmeasured(), "XAI_API_KEY": "x", "XAI_BASE_URL": endpoint.url},
        ) as process:
            assert process.stdin and process.stdout and process.stderr
            received = b""
            for line in asked:
                await process.stdin.send(json.dumps(line).encode() + b"\n")
                with within(30):
                    while "id" in line and f'"id":{line["id"]},'.encode() not in received:
                        received += await process.stdout.receive()
            on_disk = len(rows())
            process.kill()
            (warning,) = [line async for line in process.stderr]
    usage = json.loads(json.loads(received.splitlines()[-1])["result"]["contents"][0]["text"])
    assert usage["all_time"]["calls"] == 47 and usage["all_time"]["calls_with_unknown_end"] == 0
    assert 7 < on_disk < 47
    assert b"usage is counted in memory only" in warning


async def test_what_could_not_be_written_is_written_when_it_can(caplog: pytest.LogCaptureFixture) -> None:
    async with Endpoint(priced(CENT)) as endpoint, host_on(endpoint) as host:
        await host.ask()
        await until(lambda: file().exists() and len(rows()) == 1)
        with closing(sqlite3.connect(file(), isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            with within(4):  # a call does not wait for the file
                await host.ask()
            await until(lambda: "locked" in caplog.text)
            await host.ask()
            db.execute("ROLLBACK")
    assert [row["cost_ticks"] for row in rows()] == [CENT] * 3
    assert len(caplog.records) == 1


def log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def take_all(path: Path) -> None:
    for one in path.parent.iterdir():
        one.unlink()


def replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"not a database" * 500)


def write(path: Path, content: bytes) -> None:
    with path.open("r+b") as there:  # in place, and not cut before
        there.write(content)


def beside() -> Path:
    """A folder of this test beside that of its ledger."""
    return file().parent.with_name(f"{file().parent.name} of another")


def other_ledger(path: Path, calls: int = 2_000) -> Path:
    """The file of another server, larger than that of these tests and with a log of its own."""
    path.parent.mkdir(exist_ok=True)
    store = Store(path, "another server")
    store.take_over(None, [])
    store.write([], [(Entry(1.0, "ask_grok", "another", "xai"), "")] * calls)
    store.close()
    return path


def other_database(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE calls (x)")
        db.executemany("INSERT INTO calls VALUES (?)", [("x" * 500,)] * 1_000)
        db.commit()
    return path


def old_ledger(path: Path) -> Path:
    """One without a mark, as this version wrote it before."""
    other_ledger(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 0")
    return path


def copied(make: Callable[[Path], Path]) -> Callable[[Path], object]:
    """Written over the ledger as `cp` does, in the same inode."""
    return lambda path: path.write_bytes(make(beside() / "other.sqlite3").read_bytes())


SPOILT: dict[str, tuple[Callable[[Path], object], bool]] = {
    "all files deleted": (take_all, False),
    "the file deleted": (Path.unlink, False),
    "renamed": (lambda path: path.rename(path.with_name("elsewhere")), False),
    "emptied": (lambda path: os.truncate(path, 0), True),
    "cut to a page": (lambda path: os.truncate(path, 4096), True),
    "cut by a byte": (lambda path: os.truncate(path, path.stat().st_size - 1), True),
    "overwritten by less": (lambda path: path.write_bytes(b"not a database"), True),
    "overwritten by as much": (lambda path: write(path, b"x" * path.stat().st_size), True),
    "overwritten by more": (lambda path: path.write_bytes(b"not a database" * 10_000), True),
    "its beginning overwritten": (lambda path: write(path, bytes(16)), True),
    "something else in its place": (replace, True),
    "another ledger copied over it": (copied(other_ledger), True),
    "an earlier ledger copied over it": (copied(old_ledger), True),
    "another database copied over it": (copied(other_database), True),
    "its folder renamed": (lambda path: path.parent.rename(beside()), False),
    "its folder deleted": (lambda path: shutil.rmtree(path.parent), False),
    "its log deleted": (lambda path: log(path).unlink(), True),
    "its log emptied": (lambda path: os.truncate(log(path), 0), True),
    "its log cut": (lambda path: os.truncate(log(path), 5000), True),
}


@pytest.mark.skipif(sys.platform == "win32", reason="no other program can change a file that is open there")
@pytest.mark.parametrize(("spoil", "left"), SPOILT.values(), ids=SPOILT)
async def test_a_ledger_that_is_spoilt_while_in_use_is_kept_aside_and_begun_anew(
    spoil: Callable[[Path], object], left: bool, caplog: pytest.LogCaptureFixture
) -> None:
    fill(Entry(time.time(), "ask_grok", "local", "generic") for _ in range(200))  # more than a page
    slow = held(3)
    async with Endpoint(priced(1), slow, priced(2)) as endpoint, host_on(endpoint) as host:
        await host.ask()
        async with in_flight(host, slow, endpoint):
            spoil(file())
            spoilt = file().read_bytes() if left else b""
            assert (await host.ask()).answer
            assert len(query("SELECT * FROM in_flight")) == 1, "a call in flight is in the new one"
        assert (await host.ask()).answer
        await until(lambda: query("SELECT * FROM in_flight") == [])
    assert sorted(row["cost_ticks"] for row in rows()) == [2, 2, 3]
    beside = sorted(file().parent.glob(f"{file().name}.*"))
    aside = [one for one in beside if not one.name.endswith(("-wal", "-shm"))]
    assert [one.read_bytes() for one in aside] == ([spoilt] if left else [])
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith(f"the ledger {file()} was cut, overwritten or deleted while in use")
    assert (str(aside[0]) in warning) if left else ("nothing of it is left" in warning)


@pytest.mark.skipif(sys.platform == "win32", reason="no other program can change a file that is open there")
async def test_an_older_copy_over_a_ledger_in_use_is_kept_aside_as_well(
    caplog: pytest.LogCaptureFixture,
) -> None:
    other_ledger(file())
    query("DELETE FROM calls WHERE id > 1000")  # what is written now needs no more room
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint) as host:
        await host.ask()
        copy = file().read_bytes()
        with closing(Store(file(), "another server")) as other:
            other.tidy()
            await host.ask()
            assert file().stat().st_size == len(copy) and file().read_bytes() != copy
        file().write_bytes(copy)
        for _ in range(3):
            assert (await host.ask()).answer
    assert [row["cost_ticks"] for row in rows()] == [1] * 3
    assert copy in [one.read_bytes() for one in file().parent.glob(f"{file().name}.2*")]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith(f"the ledger {file()} was cut, overwritten or deleted while in use")


@pytest.mark.skipif(sys.platform == "win32", reason="no other program can change a file that is open there")
async def test_another_ledger_moved_to_the_place_of_one_in_use_is_used_without_the_log_of_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint) as host:
        await host.ask()
        other_ledger(beside() / "other.sqlite3").replace(file())
        for _ in range(3):
            assert (await host.ask()).answer
        assert query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert [row.get("cost_ticks") for row in rows()] == [None] * 2_000 + [1] * 3
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith(f"the ledger {file()} was cut, overwritten or deleted while in use")


@pytest.mark.skipif(sys.platform == "win32", reason="no other program can change a file that is open there")
@pytest.mark.parametrize("spoil", [take_all, lambda path: path.write_bytes(b"not a database")])
async def test_servers_whose_ledger_is_spoilt_go_on_together_in_a_new_one(
    spoil: Callable[[Path], object],
) -> None:
    async with Endpoint(priced(1)) as endpoint:
        async with mcp_client(endpoint.url) as one, mcp_client(endpoint.url) as two:
            for client in (one, two):
                await client.call_tool("ask_grok", {"prompt": "Hi"})
            spoil(file())
            async with anyio.create_task_group() as group:
                for number, client in enumerate((one, two, one, two)):
                    group.start_soon(client.call_tool, "ask_grok", {"prompt": f"Hi {number}"})
            await until(lambda: len(rows()) == 4)
            for client in (one, two):
                await client.call_tool("ask_grok", {"prompt": "Hi"})
    assert len(rows()) == 6
    assert len([one for one in file().parent.iterdir() if ".sqlite3.2" in one.name]) <= 3


async def test_absurd_counts_are_cut_and_do_no_harm() -> None:
    absurd = {"prompt_tokens": 10**30, "completion_tokens": 5, "total_tokens": 10**30 + 5}
    async with Endpoint(chat("Hi.", usage={**absurd, "cost_in_usd_ticks": 10**30})) as endpoint:
        async with host_on(endpoint) as host:
            await host.ask()
    assert rows() == [IsPartialDict(input_tokens=10**15, cost_ticks=10**15)]


async def test_a_python_without_sqlite_answers_and_says_once_that_nothing_is_counted() -> None:
    async with Endpoint(priced(CENT)) as endpoint:
        base = {"XAI_BASE_URL": endpoint.url}
        answers, stderr = await hampered(WITHOUT_SQLITE, *several_asks(3), **base)
        assert len(usages(answers)) == 3 and len(stderr) == 1
        budget = {"GROK_MCP_BUDGET_USD_PER_DAY": "1"}
        refused, stderr = await hampered(WITHOUT_SQLITE, *several_asks(3), **base, **budget)
    texts = [answer["result"]["content"][0]["text"] for answer in refused if answer["id"] > 1]
    assert all("[configuration]" in text and "no SQLite" in text for text in texts) and len(stderr) == 1
    assert len(endpoint.requests) == 3


# --- a disk that does not come back


@contextmanager
def disk_that_hangs(path: Path) -> Iterator[Callable[[], None]]:
    """Whoever opens the ledger hangs in the system until the block ends, or what it gives is called.

    SQLite looks into a journal before it reads, and to open a pipe waits for somebody who writes.
    """
    fill([])
    journal = path.with_name(f"{path.name}-journal")
    os.mkfifo(journal)

    def come_back() -> None:
        if journal.exists():
            with suppress(OSError):  # nobody waits yet
                os.close(os.open(journal, os.O_WRONLY | os.O_NONBLOCK))
            journal.unlink()

    try:
        yield come_back
    finally:
        come_back()


PIPES = pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes in folders")


@PIPES
async def test_a_disk_that_hangs_holds_up_no_call_and_what_it_missed_is_written_when_it_comes_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "HANGS_S", 0.5)
    monkeypatch.setattr(books, "AGAIN_S", 0)
    async with Endpoint(priced(CENT)) as endpoint, host_on(endpoint) as host:
        with disk_that_hangs(file()) as come_back:
            assert (await host.ask()).answer
            with within(10):  # a second or two each, if they waited
                for _ in range(20):
                    assert (await host.ask()).answer
                with pytest.raises(MCPError, match="its disk does not answer"):
                    await host.client.read_resource("grok://usage")
            come_back()
        assert (await host.ask()).answer
        await until(lambda: len(rows()) == 22)
    assert (len(rows()), query("SELECT * FROM in_flight")) == (22, [])
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "usage is counted in memory only" in warning


@PIPES
async def test_under_a_budget_a_call_is_refused_while_the_disk_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "HANGS_S", 0.5)
    monkeypatch.setattr(books, "AGAIN_S", 0)
    async with Endpoint(priced(CENT)) as endpoint, host_on(endpoint, budget_usd_per_day=1) as host:
        with disk_that_hangs(file()):
            for _ in range(3):
                error = (await host.ask()).error
                assert error["code"] == "overloaded" and "its disk does not answer" in error["message"]
        while (await host.ask()).raw.is_error:
            await anyio.sleep(0.01)
    assert len(endpoint.requests) == 1 and query("SELECT * FROM in_flight") == []


@PIPES
async def test_a_server_whose_disk_hangs_answers_and_ends() -> None:
    async with Endpoint(priced(CENT)) as endpoint:
        with disk_that_hangs(file()):
            asked = several_asks(2)
            answers, stderr, status = await anyio.to_thread.run_sync(
                partial(session, *asked, XAI_BASE_URL=endpoint.url, XAI_API_KEY="x")
            )
    assert len(usages(answers)) == 2 and "Traceback" not in stderr and status == 0


@pytest.mark.parametrize(
    ("kind", "local"),
    [("ext4", True), ("overlay", True), ("nfs4", False), ("cifs", False), ("fuse.sshfs", False), ("", False)],
)
def test_only_a_file_system_that_is_known_to_be_local_is_written_to_by_the_loop(
    kind: str, local: bool, tmp_path: Path
) -> None:
    mounts = tmp_path / "mountinfo"
    root = "22 1 0:21 / / rw shared:1 - xfs /dev/sda rw"
    home = f"23 22 0:22 / {tmp_path / 'a home'!s} rw - {kind} server:/home rw".replace("a home", r"a\040home")
    mounts.write_text(f"{root}\n{home if kind else ''}\n" if kind else "")
    if sys.platform == "linux":
        assert is_local(tmp_path / "a home" / "state" / "ledger.sqlite3", mounts) is local
        assert is_local(tmp_path / "a homeland", mounts) is bool(kind)


async def test_a_ledger_that_nobody_uses_makes_no_file() -> None:
    ledger = Ledger(file().parent)
    await ledger.aclose()
    assert not file().parent.exists()
    ledger.record(Entry(time.time(), "ask_grok", "local", "xai"))
    await ledger.aclose()
    assert len(rows()) == 1
