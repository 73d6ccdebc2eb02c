"""The store of kept answers by itself: two processes' stores on one file, and files that can't be used."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from grok_mcp import events
from grok_mcp.errors import GrokError, OverloadedError
from grok_mcp.events import ignore
from grok_mcp.messages import Answer, Running
from grok_mcp.stores.answers import new_answer_id
from grok_mcp.stores.kept_answers import FILE, KeptAnswers
from tests.support.pace import until, within

pytestmark = pytest.mark.anyio

ME = "local"


@asynccontextmanager
async def stores(folder: Path, count: int = 2) -> AsyncIterator[list[KeptAnswers]]:
    made = [KeptAnswers(folder) for _ in range(count)]
    try:
        with within(30):
            yield made
    finally:
        for store in made:
            await store.aclose()


def change(folder: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / FILE, timeout=10)) as db, db:
        db.execute(sql, values)


def gone() -> str:
    """The owner that a process had which has ended."""
    code = "from grok_mcp.state import new_owner; print(new_owner())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


async def test_what_one_process_stores_another_one_reads(tmp_path: Path) -> None:
    async with stores(tmp_path) as (one, two):
        name = new_answer_id()
        assert await two.look(name, ME) is None
        assert await one.put(name, ME, Answer("Text.")) and one.lasts
        held = await two.look(name, ME)
        assert held and held.outcome == Answer("Text.")
        assert await two.get(name, ME, None, ignore) == Answer("Text.")
        assert await two.look(name, "somebody else") is None


async def test_stores_that_begin_the_file_at_once_all_use_it(tmp_path: Path) -> None:
    for turn in range(15):  # each begins it anew
        kept: list[bool] = []
        async with stores(tmp_path / str(turn), 16) as made:

            async def put(store: KeptAnswers, kept: list[bool] = kept) -> None:
                await store.put(new_answer_id(), ME, Answer("Text."))
                kept.append(store.lasts)

            async with anyio.create_task_group() as group:
                for store in made:
                    group.start_soon(put, store)
        assert kept == [True] * 16


async def test_who_waits_for_a_call_of_another_process_sees_how_far_it_is_and_gets_its_end(
    tmp_path: Path,
) -> None:
    pieces: list[str] = []

    def observe(event: events.Event, added: str) -> None:
        pieces.append(added)

    async with stores(tmp_path) as (one, two):
        name = new_answer_id()
        await one.put(name, ME, Running(name, "It is "))
        assert isinstance(await two.get(name, ME, 0, ignore), Running)
        held = await two.look(name, ME)
        assert held and isinstance(held.outcome, Running)

        async def end() -> None:
            await until(lambda: pieces == ["It is "])
            await one.put(name, ME, Answer("It is blue."))

        async with anyio.create_task_group() as group:
            group.start_soon(end)
            assert await two.get(name, ME, None, observe) == Answer("It is blue.")


async def test_a_call_whose_process_is_gone_ends_as_what_had_come(tmp_path: Path) -> None:
    async with stores(tmp_path) as (one, two):
        name, silent = new_answer_id(), new_answer_id()
        for each, text in ((name, "It is "), (silent, "")):
            await one.put(each, ME, Running(each, text))
        change(tmp_path, "UPDATE answers SET owner = ?, at = ?", gone(), time.time() - 120)
        ended = await two.get(name, ME, None, ignore)
        assert isinstance(ended, Answer) and (ended.text, ended.finish_reason) == ("It is ", "interrupted")
        held = await two.look(silent, ME)
        assert held and isinstance(held.outcome, GrokError)


async def test_a_wish_to_cancel_reaches_the_process_that_runs_the_call(tmp_path: Path) -> None:
    async with stores(tmp_path) as (one, two):
        name = new_answer_id()
        await one.put(name, ME, Running(name))
        assert not await one.cancel_requests([(ME, name)])
        await two.request_cancel(name, ME)
        assert await one.cancel_requests([(ME, name)]) == {(ME, name)}


async def test_the_same_request_finds_a_call_of_a_process_that_is_gone_until_it_is_withdrawn(
    tmp_path: Path,
) -> None:
    async with stores(tmp_path, 4) as (one, two, three, four):
        name = new_answer_id()
        await one.put(name, ME, Answer("Text."))
        await one.offer("request", ME, name)
        assert await one.offered("request", ME) == name
        assert await two.offered("request", ME) is None, "one lives, and serves it itself"
        change(tmp_path, "UPDATE answers SET owner = ?", gone())
        assert await three.offered("request", ME) == name
        assert await three.offered("another request", ME) is None
        await four.withdraw(name, ME)
        assert await four.offered("request", ME) is None
        assert await three.offered("request", ME) is None, "somebody else has delivered it"


def foreign(path: Path) -> None:
    path.write_bytes(b"this is no database of ours " * 100)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE theirs (a)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 99")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [foreign, of_another_program, newer, folder])
async def test_a_file_that_can_not_be_used_is_left_alone_and_the_process_serves_from_memory(
    spoil: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(tmp_path / FILE)
    before = (tmp_path / FILE).read_bytes() if (tmp_path / FILE).is_file() else b""
    async with stores(tmp_path, 1) as (one,):
        name = new_answer_id()
        assert await one.put(name, ME, Answer("Text.")) and not one.lasts
        assert await one.put(new_answer_id(), ME, Answer("More.")), "and the next one too"
        assert await one.get(name, ME, None, ignore) == Answer("Text.")
        assert await one.look(new_answer_id(), ME) is None
        assert await one.offered("request", ME) is None
    assert len([record for record in caplog.records if "can't be kept" in record.getMessage()]) == 1
    if before:
        assert (tmp_path / FILE).read_bytes() == before


async def test_a_file_that_others_keep_busy_is_asked_again(tmp_path: Path) -> None:
    async with stores(tmp_path) as (one, two):
        name = new_answer_id()
        await one.put(name, ME, Answer("Text."))
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            for ask in (two.look(name, ME), two.get(name, ME, 0, ignore), two.request_cancel(name, ME)):
                with pytest.raises(OverloadedError):
                    await ask
            assert await two.offered("request", ME) is None
            assert not await two.cancel_requests([(ME, name)])
            db.execute("ROLLBACK")
        held = await two.look(name, ME)
        assert held and held.outcome == Answer("Text.")


async def test_what_has_expired_goes_and_the_file_with_the_last_of_it(tmp_path: Path) -> None:
    async with stores(tmp_path, 1) as (one,):
        await one.put(new_answer_id(), ME, Answer("Text."))
        change(tmp_path, "UPDATE answers SET at = at - 4000")
        one.tidy()
        await until(lambda: not (tmp_path / FILE).exists())
        assert await one.put(new_answer_id(), ME, Answer("Anew.")) and (tmp_path / FILE).exists()


async def test_the_file_is_bounded_in_number_and_bytes_and_the_oldest_goes_first(tmp_path: Path) -> None:
    store = KeptAnswers(tmp_path, maximum=3, max_bytes=20_000)
    names = [new_answer_id() for _ in range(5)]
    for name in names:
        await store.put(name, ME, Answer("Text."))
    await store.put(new_answer_id(), ME, Answer(os.urandom(30_000).hex()))
    await store.aclose()
    async with stores(tmp_path, 1) as (later,):
        found = [await later.look(name, ME) is not None for name in names]
    assert found == [False, False, True, True, True]


async def test_a_damaged_file_of_ours_is_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with stores(tmp_path, 1) as (one,):
        for _ in range(20):
            await one.put(new_answer_id(), ME, Answer(os.urandom(3_000).hex()))
    size = (tmp_path / FILE).stat().st_size
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 8192))
    async with stores(tmp_path, 1) as (two,):
        name = new_answer_id()
        assert await two.put(name, ME, Answer("Text.")) and two.lasts
    async with stores(tmp_path, 1) as (three,):
        held = await three.look(name, ME)
        assert held and held.outcome == Answer("Text.")
    assert "was damaged: it is begun anew" in caplog.text


async def test_a_file_that_is_busy_is_tidied_another_time(tmp_path: Path) -> None:
    async with stores(tmp_path, 1) as (one,):
        name = new_answer_id()
        await one.put(name, ME, Answer("Text."))
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            one.tidy()
            held = await one.look(name, ME)
            db.execute("ROLLBACK")
        assert held and one.lasts


async def test_a_row_that_nobody_can_read_is_as_unknown_as_none(tmp_path: Path) -> None:
    async with stores(tmp_path) as (one, two):
        name = new_answer_id()
        await one.put(name, ME, Answer("Text."))
        change(tmp_path, "UPDATE answers SET document = ?", b"no document of ours")
        assert await two.look(name, ME) is None
