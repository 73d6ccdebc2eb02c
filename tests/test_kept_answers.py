"""Answers on stdio that outlive their server: kept in the state folder, and collected from the next one."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.events import ignore
from grok_mcp.messages import Answer, Running
from grok_mcp.pipeline.runs import HEARTBEAT_S
from grok_mcp.stores.answers import LocalAnswers, new_answer_id
from grok_mcp.stores.kept_answers import FILE, KeptAnswers
from tests.support.answers import SCHEMA, slow
from tests.support.cli import unmeasured
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.ledger import query, rows
from tests.support.modern import OnPipes
from tests.support.pace import until, within
from tests.support.stdio import COMMAND, INITIALIZE, INITIALIZED, ask

pytestmark = pytest.mark.anyio

SOON = {"GROK_MCP_WAIT": "0.3"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "cost_in_usd_ticks": 90}


def place() -> Path:
    """The file of this test."""
    return Path(os.environ["GROK_MCP_STATE_DIR"]) / FILE


def kept(sql: str = "SELECT * FROM answers") -> list[dict[str, Any]]:
    with closing(sqlite3.connect(place(), timeout=10)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]


class Server(OnPipes):
    """A server process on pipes, which the test ends as it likes."""

    def __init__(self, process: anyio.abc.Process) -> None:
        super().__init__(process)
        self.process = process

    async def read(self) -> None:
        with suppress(anyio.ClosedResourceError):  # by the test
            await super().read()

    async def ask(self, tool: str = "ask_grok", **arguments: Any) -> str:
        """The `answer_id` of a call that is handed over."""
        result = await self.call(tool, extensions=(), **({"prompt": "Which colour?"} | arguments))
        found: str = result["_meta"]["grok-mcp/answer"]["answer_id"]
        return found

    async def collect(self, answer_id: str) -> tuple[str, dict[str, Any]]:
        """The text of an answer, and what is said of it for programs."""
        result = await self.call("grok_result", extensions=(), answer_id=answer_id)
        kind = "grok-mcp/error" if result.get("isError") else "grok-mcp/answer"
        return result["content"][0]["text"], result["_meta"][kind]

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def end(self) -> None:
        """End its input, and wait until it has gone by itself."""
        assert self.process.stdin is not None
        await self.process.stdin.aclose()
        with within(30):
            assert await self.process.wait() == 0

    async def stderr(self) -> str:
        assert self.process.stderr is not None
        return b"".join([chunk async for chunk in self.process.stderr]).decode()


@asynccontextmanager
async def server(endpoint: Endpoint, **variables: str) -> AsyncIterator[Server]:
    environment = {**unmeasured(), "XAI_BASE_URL": endpoint.url, "XAI_API_KEY": "x", **SOON, **variables}
    async with await anyio.open_process(COMMAND, env=environment, stderr=subprocess.PIPE) as process:
        client = Server(process)
        async with anyio.create_task_group() as group:
            group.start_soon(client.read)
            try:
                with within(60):
                    yield client
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                group.cancel_scope.cancel()


# ------------------------------------------------------------------------------------ ends of a server


async def test_what_had_come_when_a_server_was_killed_is_collected_from_the_next_one() -> None:
    async with Endpoint(slow("It is ", "blue.", usage=USAGE)) as endpoint:
        async with server(endpoint) as old:
            answer_id = await old.ask()
            await old.kill()
        async with server(endpoint) as new:
            text, answer = await new.collect(answer_id)
            again, _ = await new.collect(answer_id)
            task = await new.request("tasks/get", taskId=answer_id)
            await new.request("tasks/cancel", taskId=answer_id)
            await new.end()
    assert text.startswith(
        "It is \n\nNote: The answer is incomplete: [interrupted] The process of this server"
    )
    assert answer == IsPartialDict(finish_reason="interrupted", model="grok-4.7")
    assert again == text
    assert task == IsPartialDict(status="completed", taskId=answer_id)
    assert task["result"]["content"][0]["text"].startswith("It is \n\n")
    assert len(endpoint.requests) == 1
    assert rows() == [], "its end is unknown"
    (begun,) = query("SELECT * FROM in_flight")
    assert begun == IsPartialDict(tool="ask_grok", sent=1)


async def test_json_of_a_server_that_was_killed_is_an_error_that_says_so() -> None:
    async with Endpoint(slow('{"a"', ": 1}")) as endpoint:
        async with server(endpoint) as old:
            answer_id = await old.ask("grok_structured", schema=SCHEMA)
            await old.kill()
        async with server(endpoint) as new:
            _, error = await new.collect(answer_id)
    assert error == IsPartialDict(code="interrupted", retryable=True)


async def test_a_handed_over_call_ends_within_the_grace_and_is_collected_whole_from_the_next_server() -> None:
    reply = slow("It is ", "blue.", usage=USAGE)
    async with Endpoint(reply) as endpoint:
        async with server(endpoint) as old:
            answer_id = await old.ask()
            async with anyio.create_task_group() as group:
                group.start_soon(old.end)
                await anyio.sleep(0.3)
                assert old.process.returncode is None
                reply.release.set()
        async with server(endpoint) as new:
            text, answer = await new.collect(answer_id)
            task = await new.request("tasks/get", taskId=answer_id)
    assert text.startswith("It is blue.\n\n")
    assert answer == IsPartialDict(finish_reason="stop", usage=IsPartialDict(input_tokens=7))
    assert task["status"] == "completed"
    assert len(endpoint.requests) == 1
    (row,) = rows()
    assert row == IsPartialDict(tool="ask_grok", cost_ticks=90, finish_reason="stop")
    assert query("SELECT * FROM in_flight") == []


async def _end(old: Server) -> None:
    await old.end()


async def _terminate(old: Server) -> None:
    old.process.terminate()
    await old.process.wait()


@pytest.mark.parametrize("end", [_end, _terminate], ids=["end of input", "SIGTERM"])
async def test_what_has_not_ended_when_the_grace_is_over_is_kept_as_it_is_by_then(
    end: Callable[[Server], Awaitable[None]],
) -> None:
    async with Endpoint(slow("It is ", "blue.", usage=USAGE)) as endpoint:
        async with server(endpoint, GROK_MCP_GRACE="0.5") as old:
            answer_id = await old.ask()
            with within(10):
                await end(old)
        await endpoint.closed.wait()
        async with server(endpoint) as new:
            text, answer = await new.collect(answer_id)
    assert text.startswith("It is \n\nNote: The answer is incomplete: [interrupted] This server was stopped")
    assert answer["finish_reason"] == "interrupted"
    (row,) = rows()
    assert row == IsPartialDict(tool="ask_grok", finish_reason="interrupted")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no second signal")
async def test_a_signal_while_a_server_is_closing_ends_what_was_handed_over_at_once() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint:
        async with server(endpoint, GROK_MCP_GRACE="300") as old:
            answer_id = await old.ask()
            old.process.terminate()
            await anyio.sleep(0.3)
            assert old.process.returncode is None
            old.process.terminate()
            with within(10):
                await old.process.wait()
        async with server(endpoint) as new:
            text, _ = await new.collect(answer_id)
    assert text.startswith("It is \n\n")


@asynccontextmanager
async def left_alone(endpoint: Endpoint, wait: str) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """A server in the midst of a call whose host is suddenly gone: all pipes are closed."""
    variables = {"XAI_BASE_URL": endpoint.url, "XAI_API_KEY": "x", "GROK_MCP_GRACE": "300", **SOON}
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**unmeasured(), **variables, "GROK_MCP_WAIT": wait},
    )
    assert process.stdin and process.stdout
    try:
        process.stdin.write(
            b"".join(json.dumps(line).encode() + b"\n" for line in (INITIALIZE, INITIALIZED, ask(2)))
        )
        process.stdin.flush()
        await until(lambda: bool(endpoint.requests))
        if wait == "0.3":
            await until(place().exists)
        process.stdin.close()
        process.stdout.close()
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_call_that_only_its_request_waits_for_ends_at_once_where_the_host_is_gone() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint:
        async with left_alone(endpoint, wait="60") as process:
            await until(lambda: process.poll() is not None)
        await endpoint.closed.wait()
    assert not place().exists()


async def test_what_was_handed_over_goes_on_where_the_host_is_gone() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply) as endpoint:
        async with left_alone(endpoint, wait="0.3") as process:
            await anyio.sleep(0.3)
            assert process.poll() is None
            reply.release.set()
            await until(lambda: process.poll() is not None)
        (row,) = kept()
        async with server(endpoint) as new:
            text, _ = await new.collect(row["id"])
    assert text.startswith("It is blue.\n\n")


async def test_the_same_call_after_a_restart_gets_what_is_paid_for_and_a_new_one_is_sent() -> None:
    reply = slow("It is ", "blue.")
    async with Endpoint(reply, chat("It is green.")) as endpoint:
        async with server(endpoint) as old:
            await old.ask()
            async with anyio.create_task_group() as group:
                group.start_soon(old.end)
                reply.release.set()
        async with server(endpoint, GROK_MCP_WAIT="20") as new:
            first = await new.call("ask_grok", extensions=(), prompt="Which colour?")
            assert len(endpoint.requests) == 1
            second = await new.call("ask_grok", extensions=(), prompt="Which colour?")
            await new.kill()
        async with server(endpoint, GROK_MCP_WAIT="20") as newer:
            third = await newer.call("ask_grok", extensions=(), prompt="Which colour?")
    texts = [result["content"][0]["text"] for result in (first, second, third)]
    assert texts[0].startswith("It is blue.\n\n") and "it is billed once" in texts[0]
    assert texts[1].startswith("It is green.\n\n") and texts[2].startswith("It is green.\n\n")
    assert len(endpoint.requests) == 3


async def test_an_error_and_a_cancelled_call_are_kept_as_what_they_are() -> None:
    refused = Reply(body({"error": {"message": "No capacity"}}).pieces, status=400, hold=0)
    async with Endpoint(refused, slow("It is ", "blue.")) as endpoint:
        async with server(endpoint) as old:
            failed = await old.ask()
            refused.release.set()
            assert (await old.collect(failed))[1]["code"] == "invalid_argument"
            cancelled = await old.ask(prompt="Another one?")
            await old.request("tasks/cancel", taskId=cancelled)
            await endpoint.closed.wait()
            await old.ended(cancelled)
            await old.end()
        async with server(endpoint) as new:
            _, error = await new.collect(failed)
            task = await new.request("tasks/get", taskId=cancelled)
    assert error == IsPartialDict(code="invalid_argument", status=400, retryable=False)
    assert task["status"] == "cancelled"


async def test_the_rest_of_a_long_answer_comes_from_the_next_server() -> None:
    text = "Some words. " * 500
    async with Endpoint(chat(text)) as endpoint:
        async with server(endpoint, GROK_MCP_WAIT="30", GROK_MCP_MAX_RESULT_CHARS="1000") as old:
            answer_id = await old.ask()
            await old.kill()
        async with server(endpoint) as new:
            whole, _ = await new.collect(answer_id)
    assert " ".join(whole.split()).startswith(text.rstrip())


async def test_with_keep_off_nothing_is_on_disk_and_an_answer_ends_with_its_server() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint:
        async with server(endpoint, GROK_MCP_KEEP="off", GROK_MCP_GRACE="300") as old:
            answer_id = await old.ask()
            with within(10):
                await old.end()
        assert not place().exists()
        async with server(endpoint) as new:
            _, error = await new.collect(answer_id)
    assert error["code"] == "answer_not_found"
    assert not place().exists(), "a look alone makes no file"


# ------------------------------------------------------------------------------------ servers side by side


async def test_two_servers_share_what_runs_and_each_can_end_what_the_other_runs() -> None:
    first, second = slow("It is ", "blue."), slow("It is ", "green.")
    async with Endpoint(first, second) as endpoint:
        async with server(endpoint) as one, server(endpoint, GROK_MCP_WAIT="20") as two:
            answer_id, other = await one.ask(), await one.ask(prompt="Another one?")
            results: list[str] = []

            async def collect() -> None:
                results.append((await two.collect(answer_id))[0])

            async with anyio.create_task_group() as group:
                group.start_soon(collect)
                working = await two.request("tasks/get", taskId=other)
                await two.request("tasks/cancel", taskId=other)
                await endpoint.closed.wait()
                ended = await two.ended(other)
                first.release.set()
    assert working["status"] == "working"
    assert ended["status"] == "cancelled"
    assert results[0].startswith("It is blue.\n\n")
    assert len(endpoint.requests) == 2


async def test_a_new_server_ends_what_an_old_one_still_runs_while_it_closes() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint:
        async with server(endpoint, GROK_MCP_GRACE="300") as old, server(endpoint) as new:
            answer_id = await old.ask()
            async with anyio.create_task_group() as group:
                group.start_soon(old.end)
                await anyio.sleep(0.2)
                assert (await new.collect(answer_id))[1]["finish_reason"] == "running"
                await new.request("tasks/cancel", taskId=answer_id)
            assert (await new.ended(answer_id))["status"] == "cancelled"


async def test_many_servers_that_begin_the_file_at_once_all_keep_their_answers() -> None:
    settings = {"GROK_MCP_WAIT": "30", "GROK_MCP_MAX_RESULT_CHARS": "1000"}
    async with Endpoint(chat("Some words. " * 200)) as endpoint:
        ids: list[str] = []

        async def one() -> None:
            async with server(endpoint, **settings) as old:
                ids.append(await old.ask())
                await until(lambda: len(kept()) == 4)
                await old.kill()

        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(one)
        async with server(endpoint) as new:
            texts = [(await new.collect(answer_id))[0] for answer_id in ids]
    assert len(texts) == 4 and all(text.startswith("Some words. ") for text in texts)


# ------------------------------------------------------------------------------------ the file


async def test_the_file_is_for_its_user_alone_and_nothing_else_is_left_beside_it() -> None:
    async with Endpoint(slow("It is ", "blue.")) as endpoint, server(endpoint) as old:
        await old.ask()
        if sys.platform != "win32":
            assert stat.S_IMODE(place().stat().st_mode) == 0o600
        await old.kill()
    assert [path.name for path in place().parent.iterdir() if path.name.startswith("answers")] == [FILE]
    if sys.platform != "win32":
        place().chmod(0o644)
        async with Endpoint(slow("It is ", "blue.")) as endpoint, server(endpoint) as new:
            await new.ask()
        assert stat.S_IMODE(place().stat().st_mode) == 0o600, "also where it was not"


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database" * 500)


def _of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE answers (id)")


def _of_a_newer_version(path: Path) -> None:
    _own(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def _own(path: Path) -> None:
    async def begin() -> None:
        store = KeptAnswers(path.parent)
        await store.put("ans_before", "local", Answer("Before. " * 5_000))
        await store.aclose()

    anyio.run(begin)


def _damaged(path: Path) -> None:
    _own(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


def _read_only(path: Path) -> None:
    _own(path)
    path.chmod(0o400)
    path.parent.chmod(0o500)


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


LEFT_ALONE = {
    "something else": _garbage,
    "of another program": _of_another_program,
    "of a newer version": _of_a_newer_version,
    "a folder": _folder,
    "a pipe": _pipe,
    "read-only": _read_only,
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither pipes nor such modes")
@pytest.mark.parametrize("kind", LEFT_ALONE)
async def test_a_file_that_cannot_be_used_is_left_alone_and_costs_the_living_server_nothing(
    kind: str,
) -> None:
    if kind == "read-only" and os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    place().parent.mkdir(mode=0o700)
    await anyio.to_thread.run_sync(LEFT_ALONE[kind], place())
    before = place().read_bytes() if place().is_file() else None
    reply = slow("It is ", "blue.")
    try:
        async with (
            Endpoint(reply, slow("It is ", "green.")) as endpoint,
            server(endpoint, GROK_MCP_GRACE="300") as old,
        ):
            answer_id, _ = await old.ask(), await old.ask(prompt="Another one?")
            reply.release.set()
            text, _ = await old.collect(answer_id)
            task = await old.ended(answer_id)
            await old.collect("ans_unknown")
            with within(10):
                await old.end()  # what nobody can collect gets no grace
            stderr = await old.stderr()
        assert before == (place().read_bytes() if place().is_file() else None)
    finally:
        place().parent.chmod(0o700)
    assert text.startswith("It is blue.\n\n")
    assert task["status"] == "completed"
    assert stderr.count("answers can't be kept in answers.sqlite3") == 1
    assert "GROK_MCP_KEEP=off" in stderr and "Traceback" not in stderr


async def test_a_damaged_file_of_ours_is_begun_anew_with_one_warning() -> None:
    place().parent.mkdir(mode=0o700)
    await anyio.to_thread.run_sync(_damaged, place())
    async with Endpoint(slow("It is ", "blue.")) as endpoint:
        async with server(endpoint) as old:
            answer_id = await old.ask()
            await old.kill()
            stderr = await old.stderr()
        async with server(endpoint) as new:
            text, _ = await new.collect(answer_id)
    assert text.startswith("It is \n\n")
    assert stderr.count("was damaged: it is begun anew") == stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no open file")
async def test_a_file_that_is_deleted_while_in_use_is_begun_anew() -> None:
    async with Endpoint(slow("It is ", "blue."), slow("It is ", "green.")) as endpoint:
        async with server(endpoint) as old:
            first = await old.ask()
            place().unlink()
            second = await old.ask(prompt="Another one?")
            with within(3 * HEARTBEAT_S):
                while len(kept()) < 2:
                    await anyio.sleep(0.05)
            await old.kill()
    assert {row["id"] for row in kept()} == {first, second}


# ------------------------------------------------------------------------------------ bounds


@asynccontextmanager
async def store(**options: Any) -> AsyncIterator[KeptAnswers]:
    one = KeptAnswers(place().parent, **options)
    try:
        yield one
    finally:
        await one.aclose()


async def test_the_file_is_bounded_in_number_and_bytes_and_loses_the_oldest_that_has_ended() -> None:
    async with store(maximum=10) as one:
        await one.put("runs", "local", Running("runs", "It is "))
        for number in range(30):
            assert await one.put(f"ans_{number}", "local", Answer("x"))
    assert [row["id"] for row in kept()] == ["runs", *(f"ans_{number}" for number in range(21, 30))]
    async with store(max_bytes=300_000) as one:
        for number in range(40):
            await one.put(f"large_{number}", "local", Answer(os.urandom(20_000).hex()))
        await one.put("too large", "local", Answer(os.urandom(500_000).hex()))
        assert await one.get("large_39", "local", 0, ignore)
    ids = {row["id"] for row in kept()}
    assert "large_39" in ids and "large_0" not in ids and "too large" not in ids
    assert place().stat().st_size < 600_000


async def test_answers_expire_and_the_file_goes_with_the_last_of_them() -> None:
    async with store(lifetime_s=0.3) as one, store(lifetime_s=0.3) as two:
        await one.put("ans_1", "local", Answer("A secret."))
        assert await two.get("ans_1", "local", 0, ignore) == Answer("A secret.")
        assert await two.get("ans_1", "somebody else", 0, ignore) is None
        await anyio.sleep(0.4)
        assert await two.get("ans_1", "local", 0, ignore) is None
        await one.put("ans_2", "local", Answer("Another one."))
        assert b"A secret." not in place().read_bytes(), "nor is a trace of it left"
        await anyio.sleep(0.4)
        two.tidy()
        await until(lambda: not place().exists())
        assert await one.put("ans_3", "local", Answer("A new one."))
        assert (await two.look("ans_3", "local")) is not None


async def test_a_full_disk_costs_the_living_process_nothing(tmp_path: Path) -> None:
    script = f"""
import anyio, resource, signal
from pathlib import Path
from grok_mcp.events import ignore
from grok_mcp.messages import Answer
from grok_mcp.stores.kept_answers import KeptAnswers
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
async def main():
    one = KeptAnswers(Path({str(tmp_path)!r}))
    assert await one.put("small", "local", Answer("x")) and one.lasts
    assert await one.put("large", "local", Answer({os.urandom(100_000).hex()!r})) and not one.lasts
    assert len((await one.get("large", "local", 0, ignore)).text) == 200_000
    await one.aclose()
    two = KeptAnswers(Path({str(tmp_path)!r}))
    assert await two.get("small", "local", 0, ignore) == Answer("x")
    assert await two.get("large", "local", 0, ignore) is None
    await two.aclose()
anyio.run(main)
"""
    if sys.platform == "win32":
        pytest.skip("Windows has no such limit")
    with within(60):
        done = await anyio.run_process(
            [sys.executable, "-"], input=script.encode(), env=unmeasured(), check=False
        )
    assert (done.returncode, done.stderr.decode().count("can't be kept")) == (0, 1), done.stderr.decode()


async def test_a_locked_file_holds_up_no_put_for_long_nor_the_end() -> None:
    async with store() as one:
        await one.put("ans_1", "local", Answer("One."))
        with closing(sqlite3.connect(place(), isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            with within(8):
                assert await one.put("ans_2", "local", Answer("Two."))
                assert await one.get("ans_2", "local", 0, ignore) == Answer("Two.")
                await one.aclose()
        assert (await LocalAnswers().look("ans_1", "local")) is None
    assert kept()[0]["id"] == "ans_1", "what waited may still come"


async def test_who_is_silent_is_given_up_after_a_last_chance() -> None:
    answer_id = new_answer_id()
    async with store() as one, store() as two:
        await one.put(answer_id, "local", Running(answer_id, "It is "))
        with closing(sqlite3.connect(place())) as db, db:
            db.execute("UPDATE answers SET owner = 'unknown', at = ?", (time.time() - 30,))
        with within(20):
            held = await two.look(answer_id, "local")
            outcome = await two.get(answer_id, "local", 0, ignore)
    assert held and isinstance(held.outcome, Answer) and isinstance(outcome, Answer)
    assert outcome.finish_reason == "interrupted" and "has not been heard of for" in outcome.warnings[0]


def test_a_server_that_hands_nothing_over_makes_no_file() -> None:
    lines = [{"jsonrpc": "2.0", "id": 1, "method": "ping"}]
    sent = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    subprocess.run(COMMAND, input=sent, env=unmeasured(), capture_output=True, timeout=90, check=True)
    assert not place().exists()


# ---------------------------------------------------------------------------- the same call, other servers


OTHERS: dict[str, dict[str, str]] = {
    "another model": {"GROK_MCP_MODEL": "grok-4.6"},
    "another effort": {"GROK_MCP_REASONING_EFFORT": "low"},
    "another dialect": {"GROK_MCP_DIALECT": "chat_completions"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
async def test_a_server_with_other_settings_asks_for_an_answer_of_its_own(other: dict[str, str]) -> None:
    async with Endpoint(slow("It is ", "blue."), chat("Anew.")) as endpoint:
        async with server(endpoint) as old:
            await old.ask()
            await old.kill()
        async with server(endpoint, **other) as new:
            result = await new.call("ask_grok", extensions=(), prompt="Which colour?")
    assert result["content"][0]["text"].startswith("Anew.")


async def test_an_answer_is_not_unknown_while_another_process_keeps_the_file_busy() -> None:
    async with Endpoint(chat("Some words. " * 200)) as endpoint:
        async with server(endpoint, GROK_MCP_WAIT="30", GROK_MCP_MAX_RESULT_CHARS="1000") as old:
            answer_id = await old.ask()
            await until(lambda: len(kept()) == 1)
            await old.kill()
        async with server(endpoint) as new:
            with closing(sqlite3.connect(place(), isolation_level=None)) as db:
                db.execute("BEGIN EXCLUSIVE")
                busy = await new.request("resources/read", uri=f"grok://answers/{answer_id}")
                db.execute("ROLLBACK")
            free = await new.request("resources/read", uri=f"grok://answers/{answer_id}")
    assert busy["code"] == -32603 and "can't be reached" in busy["message"]
    assert free["contents"][0]["text"].startswith("Some words.")


async def test_an_answer_that_a_busy_file_did_not_take_is_written_when_it_is_free() -> None:
    async with Endpoint(chat("Some words. " * 200), chat("More words. " * 200)) as endpoint:
        async with server(endpoint, GROK_MCP_WAIT="30", GROK_MCP_MAX_RESULT_CHARS="1000") as old:
            await old.ask()
            await until(lambda: len(kept()) == 1)
            with closing(sqlite3.connect(place(), isolation_level=None)) as db:
                db.execute("BEGIN EXCLUSIVE")
                second = await old.call("ask_grok", prompt="And more?")
                db.execute("ROLLBACK")
            await until(lambda: len(kept()) == 2)
            await old.kill()
        async with server(endpoint) as new:
            answer_id = second["_meta"]["grok-mcp/answer"]["answer_id"]
            text, _ = await new.collect(answer_id)
    assert text.startswith("More words.")
