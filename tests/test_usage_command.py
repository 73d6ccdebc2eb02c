"""`grok-mcp-server usage` as a shell sees it: sums of a ledger as a table with bars, as JSON and as CSV."""

import csv
import io
import json
import os
import random
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dirty_equals import IsPartialDict

from grok_mcp.accounting.records import Begun, Entry, midnight
from grok_mcp.accounting.sqlite import VERSION, Store
from grok_mcp.cli.main import cli
from grok_mcp.state import new_owner, transaction
from grok_mcp.usage import Usage
from tests.support.cli import BOUND_S, environment, run, unmeasured
from tests.support.ledger import file, fill, forget, garbage, query

NOW = time.time()
DAY_S = 86_400.0
REPORTED = Usage(
    *(100, 60, 30, 10, 20, 130, None, 3, 2, 1, 8, None, 2, 1),
    cost_usd=Decimal("0.0123456789"),
    cost_source="reported",
    service_tier="priority",
    duration_s=1.5,
)
ESTIMATED = Usage(50, 0, 20, 0, 20, 70, cost_usd=Decimal("0.002"), cost_source="estimated")
TODAY = f"{datetime.fromtimestamp(NOW, UTC):%Y-%m-%d}"


def entry(ago_s: float = 0, usage: Usage | None = REPORTED, **other: Any) -> Entry:
    named = {"tool": "ask_grok", "caller": "local", "gateway": "xai", "model_asked": "grok-4.7", **other}
    return Entry(at=NOW - ago_s, usage=usage, **{"duration_s": 1.5, **named})


EXAMPLE = [
    entry(40 * DAY_S, model="grok-4.3"),
    entry(3 * DAY_S, ESTIMATED, tool="grok_search", caller="alice"),
    entry(0, None, error="rate_limited"),
    entry(0, None, error="cancelled", unpriced=True),
    entry(0, model="grok-4.7"),
]


def invoked(*flags: str, **variables: str) -> Result:
    """The command in this process: what it prints and its status, sooner than by a process of its own."""
    return CliRunner().invoke(cli, ["usage", *flags], env=variables)


def shown(*flags: str, **variables: str) -> Any:
    done = invoked("--json", *flags, **variables)
    assert (done.stderr, done.exit_code) == ("", 0)
    return json.loads(done.stdout, parse_float=Decimal)


def test_an_empty_ledger_is_a_friendly_sentence_and_zeros_for_programs() -> None:
    done = run("usage")
    assert (done.stdout.replace("\n", ""), done.returncode) == (
        f"No calls yet: the first begins {file()}.",
        0,
    )
    assert shown() == IsPartialDict(calls=0, input_tokens=0, cost_usd=0, rows=[])
    head = "day,calls,failed_calls,calls_not_sent,input_tokens,cached_tokens,output_tokens,"
    assert invoked("--csv").stdout.startswith(head)
    assert not file().parent.exists(), "who reads makes nothing"


def test_the_totals_have_the_names_of_an_answer_s_usage() -> None:
    fill(EXAMPLE)
    expected = {
        "since": None,
        "by": "day",
        "sandbox": False,
        "calls": 5,
        "failed_calls": 2,
        "calls_not_sent": 0,
        "input_tokens": 250,
        "cached_tokens": 120,
        "output_tokens": 80,
        "reasoning_tokens": 20,
        "text_tokens": 60,
        "total_tokens": 330,
        "image_tokens": 0,
        "sources_used": 6,
        "web_searches": 4,
        "x_searches": 2,
        "x_posts_fetched": 16,
        "x_users_fetched": 0,
        "code_runs": 4,
        "documents_searched": 2,
        "cost_usd": Decimal("0.0266913578"),
        "estimated_cost_usd": Decimal("0.002"),
        "calls_with_estimated_cost": 1,
        "calls_without_cost": 1,
        "calls_with_unknown_end": 0,
        "calls_with_priority": 2,
        "duration_s": Decimal("7.5"),
        "cost_per_call_usd": Decimal("0.0088971193"),
        "median_s": Decimal("1.5"),
        "p90_s": Decimal("1.5"),
    }
    told = shown()
    assert {name: told[name] for name in told if name != "rows"} == expected
    assert [(row["key"], row["calls"]) for row in told["rows"]][-1] == (TODAY, 3)
    assert sum(row["cost_usd"] for row in told["rows"]) == expected["cost_usd"]


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("model", {"grok-4.3": 1, "grok-4.7": 4}),
        ("tool", {"ask_grok": 4, "grok_search": 1}),
        ("caller", {"alice": 1, "local": 4}),
    ],
)
def test_a_row_is_what_by_says(by: str, keys: dict[str, int]) -> None:
    fill(EXAMPLE)
    assert {row["key"]: row["calls"] for row in shown("--by", by)["rows"]} == keys


@pytest.mark.parametrize(
    ("since", "calls"),
    [
        ("today", 3),
        ("24h", 3),
        ("4d", 4),
        ("6W", 5),
        (f"{datetime.fromtimestamp(NOW - 4 * DAY_S, UTC):%Y-%m-%d}", 4),
        (f"{datetime.fromtimestamp(NOW - 40 * DAY_S - 60, UTC).isoformat()}", 5),
        ("2038-01-01", 0),
    ],
    ids=["today", "hours", "days", "weeks", "a date", "a moment", "to come"],
)
def test_since_takes_dates_and_times_back(since: str, calls: int) -> None:
    fill(EXAMPLE)
    told = shown("--since", since)
    assert (told["calls"], sum(row["calls"] for row in told["rows"])) == (calls, calls)
    assert datetime.fromisoformat(told["since"]) <= datetime(2038, 1, 1, tzinfo=UTC)


def test_no_calls_in_the_time_is_a_sentence_too() -> None:
    fill(EXAMPLE)
    assert invoked("--since", "2038-01-01").stdout == "No calls since 2038-01-01 00:00 UTC.\n"


@pytest.mark.parametrize("since", ["yesterday", "7 days", "2026-13-01", "-3d", ""])
def test_a_time_that_nobody_understands_is_a_usage_error(since: str) -> None:
    done = invoked("--since", since)
    assert done.exit_code == 2
    assert "is not a date like 2026-11-01, nor today, nor a time span like 7d or 24h" in " ".join(
        done.stderr.split()
    )


def test_csv_has_a_line_for_each_row_with_exact_amounts() -> None:
    fill([*EXAMPLE, entry(usage=Usage(cost_usd=Decimal("0.0000000001")), caller="=cmd()")])
    lines = list(csv.DictReader(io.StringIO(invoked("--csv", "--by", "caller").stdout)))
    assert [line["caller"] for line in lines] == ["'=cmd()", "alice", "local"]
    assert [line["cost_usd"] for line in lines] == ["0.0000000001", "0.002", "0.0246913578"]
    assert lines[1]["input_tokens"] == "50"


def test_json_and_csv_exclude_each_other() -> None:
    done = invoked("--json", "--csv")
    assert (done.exit_code, done.stdout) == (2, "")


def test_the_table_has_a_bar_for_each_row_and_says_what_is_estimated_and_unknown() -> None:
    fill([*EXAMPLE, entry(gateway="sandbox")])
    done = run("usage", "--by", "tool", NO_COLOR="1", PYTHONUTF8="1", COLUMNS="120")
    assert (done.stderr, done.returncode) == ("", 0)
    assert "\x1b" not in done.stdout
    bars = {line.split()[0]: line.count("█") for line in done.stdout.splitlines() if "█" in line}
    assert bars == {"ask_grok": 20, "grok_search": 2}
    assert re.search(
        r"^ ?ask_grok +4 +200 +60 +0\.024691 +0\.012346 +1\.5 s +1\.5 s +█", done.stdout, re.MULTILINE
    )
    assert re.search(r"^ ?in all +5 +250 +80 +0\.026691", done.stdout, re.MULTILINE)
    told = " ".join(done.stdout.split())
    for sentence in (
        "Of the input 120 tokens were cached, of the output 20 were reasoning.",
        "Tools at the endpoint: 4 searches of the web, 2 searches of X, 2 searches of files, "
        "16 posts of X read, 4 runs of code.",
        "Sources of the answers, each once for an answer: 6.",
        "Calls that were served with priority: 2.",
        "Calls that failed or were cancelled: 2.",
        "Of the cost 0.002000 USD are estimated from public prices",
        "Calls whose cost is unknown, and not in the sum: 1.",
        "Calls of the sandbox, which are not counted: 1; --sandbox shows them.",
    ):
        assert sentence in told


def test_bars_show_calls_where_nothing_has_a_cost_and_fit_any_encoding() -> None:
    fill([entry(usage=None, tool="a"), entry(usage=None, tool="a"), entry(usage=None, tool="b")])
    done = run("usage", "--by", "tool", PYTHONUTF8="0", PYTHONIOENCODING="ascii", COLUMNS="120")
    lines = [line.strip("|") for line in done.stdout.splitlines()]
    bars = {line.split()[0]: line.count("#") for line in lines if "#" in line}
    assert bars == {"a": 20, "b": 10}
    assert done.stdout.isascii()


def test_a_terminal_gets_colour_unless_it_asks_for_none() -> None:
    pty = pytest.importorskip("pty")
    fill(EXAMPLE)

    def on_terminal(**variables: str) -> str:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "grok_mcp", "usage"]
        subprocess.run(
            command,
            stdout=theirs,
            timeout=BOUND_S,
            check=True,
            env=environment(TERM="xterm", PYTHONUTF8="1", **variables),
        )
        os.close(theirs)
        with closing(os.fdopen(ours, "rb")) as terminal:
            return terminal.read1(100_000).decode()

    assert "\x1b[36m█" in on_terminal()
    assert "\x1b[36m" not in on_terminal(NO_COLOR="1")


def test_play_money_is_never_added_to_real_money() -> None:
    fill([entry(gateway="sandbox"), entry(gateway="sandbox")])
    alone = shown()
    assert alone == IsPartialDict(sandbox=True, calls=2)
    assert "The sandbox answered these calls: its prices are made up, nothing was charged." in " ".join(
        invoked().stdout.split()
    )
    fill([entry(usage=ESTIMATED)])
    assert shown() == IsPartialDict(sandbox=False, calls=1, cost_usd=Decimal("0.002"))
    assert shown("--sandbox") == IsPartialDict(sandbox=True, calls=2)
    assert shown(GROK_MCP_GATEWAY="sandbox") == IsPartialDict(sandbox=True, calls=2)


def test_a_ledger_is_read_while_another_process_writes() -> None:
    fill(EXAMPLE)
    writer = Store(file(), "a writer")
    with transaction(writer._db):
        assert shown()["calls"] == 5
    writer.close()


@pytest.mark.parametrize("spoilt", ["garbage", "newer"])
def test_a_ledger_that_can_t_be_read_is_one_line_and_status_1(spoilt: str) -> None:
    if spoilt == "garbage":
        garbage(file())
    else:
        fill(EXAMPLE)
        query(f"PRAGMA user_version = {VERSION + 1}")
    done = invoked()
    assert (done.stdout, done.exit_code) == ("", 1)
    reason = "file is not a database" if spoilt == "garbage" else "a newer version of this program wrote it.*"
    assert re.fullmatch(f"grok-mcp-server: the ledger can't be read: {reason}\n", done.stderr)


TIMED = [
    entry(usage=None, duration_s=0.01, error="configuration", sent=False),
    *(entry(3_600.0 * hours, duration_s=seconds) for hours, seconds in [(0, 1.0), (1, 2.0), (2, 3.0)]),
    entry(tool="grok_search", gateway="openrouter", duration_s=9.5, finish_reason="length"),
    entry(usage=None, duration_s=0.25, error="budget", sent=False),
    entry(usage=None, duration_s=30, error="timeout", sent=True),
]


def test_what_never_left_this_machine_is_counted_apart_and_slows_nothing_down() -> None:
    fill(TIMED)
    told = shown("--by", "tool")
    assert told == IsPartialDict(calls=7, calls_not_sent=2, failed_calls=1, median_s=Decimal("2.0"))
    by_tool = {row["key"]: (row["median_s"], row["p90_s"], row["cost_per_call_usd"]) for row in told["rows"]}
    assert by_tool == {
        "ask_grok": (Decimal("2.0"), Decimal("3.0"), Decimal("0.0123456789")),
        "grok_search": (Decimal("9.5"), Decimal("9.5"), Decimal("0.0123456789")),
    }
    table = " ".join(invoked("--by", "tool").stdout.split())
    assert "Calls that never left this machine: 2. Calls that failed or were cancelled: 1." in table


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("error", {"budget": 1, "configuration": 1, "ok": 4, "timeout": 1, "unknown end": 1}),
        ("gateway", {"openrouter": 1, "xai": 7}),
    ],
)
def test_a_row_may_be_an_error_or_a_gateway(by: str, keys: dict[str, int]) -> None:
    fill(TIMED)
    forget([lost()])
    assert {row["key"]: row["calls"] for row in shown("--by", by)["rows"]} == keys


@pytest.mark.parametrize(("by", "form"), [("month", "%Y-%m"), ("hour", "%Y-%m-%d %H:00")])
def test_a_row_may_be_a_month_or_an_hour_of_utc(by: str, form: str) -> None:
    ago_s = [0, 0, 3_600, 31 * DAY_S, 32 * DAY_S]
    fill([entry(passed) for passed in ago_s])
    keys: dict[str, int] = {}
    for passed in ago_s:
        key = f"{datetime.fromtimestamp(NOW - passed, UTC):{form}}"
        keys[key] = keys.get(key, 0) + 1
    assert {row["key"]: row["calls"] for row in shown("--by", by)["rows"]} == keys


def test_the_last_calls_are_listed_the_newest_below() -> None:
    fill([entry(60, tool="old"), *reversed(TIMED[-3:]), entry(gateway="sandbox")])
    told = shown("--last", "3")
    assert [(one["tool"], one["outcome"], one["sent"], one["duration_s"]) for one in told["calls"]] == [
        ("ask_grok", "timeout", True, 30),
        ("ask_grok", "budget", False, Decimal("0.25")),
        ("grok_search", "length", None, Decimal("9.5")),
    ]
    assert told["calls"][2] == IsPartialDict(
        model="grok-4.7", gateway="openrouter", input_tokens=100, cost_usd=Decimal("0.0123456789")
    )
    lines = list(csv.DictReader(io.StringIO(invoked("--last", "3", "--csv").stdout)))
    assert [(line["outcome"], line["sent"], line["cost_usd"]) for line in lines] == [
        ("timeout", "true", ""),
        ("budget", "false", ""),
        ("length", "", "0.0123456789"),
    ]
    table = run("usage", "--last", "3", COLUMNS="120").stdout
    assert re.search(r"ask_grok +grok-4.7 +budget \(not sent\) +0\.2 *\n", table)
    assert re.search(r"grok_search +grok-4.7 +length +100 +30 +0\.012346 +9\.5", table)


def test_a_list_of_calls_has_no_keys() -> None:
    done = invoked("--last", "3", "--by", "tool")
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize(
    ("flags", "number", "bars_from"),
    [([], "0.049383", 60), (["--by", "tool"], "0.012346", 120), (["--last", "9"], "0.012346", 999)],
    ids=["days", "tools", "calls"],
)
def test_bars_give_way_before_numbers_do(columns: int, flags: list[str], number: str, bars_from: int) -> None:
    fill([one._replace(at=NOW) for one in TIMED])
    done = run("usage", *flags, COLUMNS=str(columns), PYTHONUTF8="1")
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert number in done.stdout and "…" not in done.stdout
    assert ("█" in done.stdout) == (columns >= bars_from)


def lost(ago_s: float = 0, **other: Any) -> Begun:
    begun = Begun(secrets.token_hex(4), NOW - ago_s, "ask_grok", "local", "xai", "grok-4.7", sent=True)
    return begun._replace(**other)


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("day", {TODAY: (5, 2)}),
        ("model", {"grok-4.3": (1, 0), "grok-4.7": (6, 2), "grok-5": (1, 1)}),
        ("tool", {"ask_grok": (6, 2), "grok_search": (2, 1)}),
        ("caller", {"alice": (2, 1), "local": (6, 2)}),
    ],
)
def test_calls_with_an_unknown_end_are_in_the_sums_of_what_they_belong_to(
    by: str, keys: dict[str, tuple[int, int]]
) -> None:
    fill(EXAMPLE)
    forget([lost(), lost(), lost(3 * DAY_S, tool="grok_search", caller="alice", model_asked="grok-5")])
    forget([lost(gateway="sandbox"), lost(sent=False)])
    told = shown("--by", by)
    found = {row["key"]: (row["calls"], row["calls_with_unknown_end"]) for row in told["rows"]}
    assert found == found | keys
    assert told == IsPartialDict(
        calls=8,
        failed_calls=2,
        calls_without_cost=4,
        calls_with_unknown_end=3,
        cost_usd=Decimal("0.0266913578"),
    )
    assert shown("--since", "24h") == IsPartialDict(calls=5, calls_with_unknown_end=2)
    assert shown("--sandbox") == IsPartialDict(calls=1, calls_with_unknown_end=1)
    assert "Calls with an unknown end: 3." in " ".join(invoked().stdout.split())


@pytest.mark.parametrize(
    ("change", "is_gone"),
    [
        (lambda owner: owner, False),
        (lambda owner: [owner[0], str(2**22 + 1), *owner[2:]], True),
        (lambda owner: [*owner[:2], "1", owner[3]], True),
        (lambda owner: ["another-machine/1", str(2**22 + 1), *owner[2:]], False),
        (lambda owner: ["-", owner[1], "-", owner[3]], False),
        (lambda owner: ["of", "no", "known", "form"], False),
        (lambda owner: [], False),
    ],
    ids=[
        "alive",
        "gone",
        "its number given anew",
        "elsewhere",
        "not of Linux",
        "unreadable",
        "empty",
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only time tells")
def test_a_call_of_a_process_that_may_live_is_in_flight_until_it_is_not_renewed(
    change: Callable[[list[str]], list[str]], is_gone: bool
) -> None:
    owner = " ".join(change(new_owner().split()))
    store = Store(file(), owner)
    store.write([lost()], [])
    store.close()
    assert shown()["calls_with_unknown_end"] == is_gone
    query("UPDATE in_flight SET expires_at = ?", NOW - 1)
    assert shown()["calls_with_unknown_end"] == 1


@pytest.mark.parametrize("callers", [1, 3, 20])
@pytest.mark.parametrize("by", ["day", "model", "tool", "caller"])
@pytest.mark.parametrize("since", [None, "5d"])
def test_the_sums_of_thousands_of_calls_in_any_order_are_those_of_each(
    by: str, callers: int, since: str | None
) -> None:
    chance = random.Random(callers)
    made = [
        entry(
            chance.choice([0.1, 0.5, 3, 4, 8.5, 9]) * DAY_S,
            chance.choice([REPORTED, ESTIMATED, None]),
            caller=f"caller {chance.randrange(callers)}",
            tool=chance.choice(["ask_grok", "grok_search"]),
            gateway=chance.choice(["xai", "sandbox"]),
            model=chance.choice(["", "grok-4.3", "grok-5"]),
            error=chance.choice([None, "timeout"]),
        )
        for _ in range(9_000)
    ]
    fill(made)
    expected: dict[str, list[Any]] = {}
    kept = [one for one in made if one.gateway != "sandbox" and (since is None or one.at >= NOW - 5 * DAY_S)]
    for one in kept:
        named = {"model": one.model or one.model_asked, "tool": one.tool, "caller": one.caller}
        key = named.get(by) or f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d}"
        used = one.usage or Usage()
        sums = expected.setdefault(key, [0] * 5)
        for place, number in enumerate(
            (1, one.error is not None, used.cost_source == "estimated", used.cost_usd, used.web_searches)
        ):
            sums[place] += number or 0
    names = "calls", "failed_calls", "calls_with_estimated_cost", "cost_usd", "web_searches"
    told = shown("--by", by, *(["--since", since] if since else []))
    assert {row["key"]: [row[name] for name in names] for row in told["rows"]} == expected
    elsewhere = invoked("--by", by, *(["--since", since] if since else [])).stdout
    played = sum(one.gateway == "sandbox" and (since is None or one.at >= NOW - 5 * DAY_S) for one in made)
    assert f"Calls of the sandbox, which are not counted: {played:,};" in " ".join(elsewhere.split())


ROWS = int(os.environ.get("GROK_TEST_ROWS", "200000"))
"""GROK_TEST_ROWS=1000000 makes a ledger of a million rows."""


@pytest.mark.skipif(sys.platform != "linux", reason="measures as Linux does")
@pytest.mark.parametrize("by", ["day", "model", "tool", "caller"])
def test_many_rows_are_summed_in_little_memory_and_time(by: str) -> None:
    fill([entry()])
    with closing(sqlite3.connect(file(), isolation_level=None)) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(calls)") if row[1] not in ("id", "at")]
        db.execute(
            f"INSERT INTO calls (at, {', '.join(names)}) WITH RECURSIVE n(i) AS "
            f"(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT at - n.i * 30, {', '.join(names)} "
            "FROM n, calls WHERE id = 1",
            (ROWS - 1,),
        )
    code = (
        "import re, resource, sys; from grok_mcp.__main__ import main\n"
        f"sys.argv = ['grok-mcp', 'usage', '--json', '--by', '{by}']\n"
        "try: main()\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    peak = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]\n"
        "    print(used.ru_utime + used.ru_stime, int(peak) / 1024, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=unmeasured(), capture_output=True, text=True, check=True
    )
    seconds, megabytes = map(float, done.stderr.split())
    told = json.loads(done.stdout)
    assert (told["calls"], told["input_tokens"]) == (ROWS, 100 * ROWS)
    assert seconds < 2 and megabytes < 50


def test_midnight_is_that_of_utc() -> None:
    assert midnight(1_700_000_000.5) == datetime(2023, 11, 14, tzinfo=UTC).timestamp()
