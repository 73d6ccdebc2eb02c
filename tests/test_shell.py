"""`grok-mcp-server ask`, `search` and `structured` as a shell sees them: processes, pipes and a terminal."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process

from grok_mcp.tools import TOOLS
from tests.support.cli import environment, run
from tests.support.endpoint import Endpoint, Reply, body, chat, events
from tests.support.pace import within
from tests.support.shell import KEY, USAGE, grok, on_terminal, posix

pytestmark = pytest.mark.anyio

COMMANDS = {"ask": "ask_grok", "search": "grok_search", "structured": "grok_structured"}


def sent(endpoint: Endpoint) -> str:
    """The user's message in the one request that was made."""
    (request,) = endpoint.requests
    content: str = request.body["messages"][-1]["content"]
    return content


async def test_the_answer_goes_to_stdout_and_what_it_cost_to_stderr() -> None:
    async with Endpoint(chat("Blue, ", "mostly.", usage=USAGE)) as endpoint:
        done = await grok(endpoint, "ask", "What", "colour?")
    assert (done.status, done.stdout) == (0, "Blue, mostly.\n")
    assert re.fullmatch(
        r"grok-4\.7 · 10 in \+ 5 out tokens · 0\.\d+ USD · \d+\.\d s · --conversation conv_\S+\n", done.stderr
    )
    assert sent(endpoint) == "What colour?"


async def test_sources_belong_to_the_answer_and_notes_do_not() -> None:
    reply = chat("Yes[[1]](https://a.example/p).", citations=["https://a.example/p"])
    async with Endpoint(reply) as endpoint:
        done = await grok(
            endpoint,
            "search",
            "News?",
            "--source",
            "web,x",
            "--search",
            GROK_MCP_SEARCH_DIALECT="search_parameters",
        )
        assert done.status == 2, "search is no argument of grok_search"
        done = await grok(
            endpoint, "search", "News?", "--source", "web,news", GROK_MCP_SEARCH_DIALECT="search_parameters"
        )
    assert done.status == 0
    assert done.stdout.startswith("Yes[[1]](https://a.example/p).\n\nSources:\n1. ")
    assert done.stdout.endswith("\n1. https://a.example/p\n")
    parameters = endpoint.requests[-1].body["search_parameters"]
    assert [source["type"] for source in parameters["sources"]] == ["web", "news"]


async def test_a_note_stands_on_stderr() -> None:
    async with Endpoint(chat("I know.")) as endpoint:
        done = await grok(endpoint, "search", "News?")
    assert done.stdout == "I know.\n"
    assert "Note: The endpoint reported no search" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "prompt"),
    [
        (["-"], b"From a pipe.\n", "From a pipe."),
        ([], b"\xef\xbb\xbfWith a mark.\r\n", "With a mark."),
        (["Review", "this."], b"+ new\n- old\n", "Review this.\n\n+ new\n- old"),
        (["Nothing", "below."], b"", "Nothing below."),
    ],
)
async def test_the_prompt_comes_from_arguments_and_stdin(
    arguments: list[str], stdin: bytes, prompt: str
) -> None:
    async with Endpoint(chat("Read.")) as endpoint:
        done = await grok(endpoint, "ask", *arguments, stdin=stdin)
    assert done.status == 0
    assert sent(endpoint) == prompt


async def test_structured_prints_the_data_alone_and_json_the_whole_answer(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    async with Endpoint(chat('{"n": 4}', usage=USAGE)) as endpoint:
        for given in (str(path), f"@{path}", json.dumps(schema)):
            done = await grok(endpoint, "structured", "Four.", "--schema", given)
            assert (done.status, done.stdout) == (0, '{"n":4}\n')
            assert "10 in + 5 out tokens" in done.stderr
        done = await grok(endpoint, "structured", "Four.", "--schema", str(path), "--json")
    assert (done.status, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert (answer["data"], answer["finish_reason"], answer["usage"]["input_tokens"]) == (
        {"n": 4},
        "stop",
        10,
    )
    assert answer["conversation_id"].startswith("conv_")


def shown_flags(command: str) -> set[str]:
    return set(re.findall(r"^  (?:-h, )?--([a-z-]+)", run(command, "--help").stdout, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_flags_are_the_arguments_of_the_tool(command: str) -> None:
    schema = TOOLS[COMMANDS[command]].input_schema
    (first, *_) = schema["required"]
    expected = {"json", "help", "dry-run", "git-diff", "git-base", "continue", "plain"}
    for name, one in schema["properties"].items():
        if name != first:
            flag = "conversation" if name == "conversation_id" else name.replace("_", "-")
            expected.add(flag.removesuffix("s") if one["type"] == "array" else flag)
    assert shown_flags(command) == expected


async def test_every_kind_of_flag_reaches_the_endpoint(tmp_path: Path) -> None:
    functions = tmp_path / "functions.json"
    functions.write_text(json.dumps([{"name": "first"}, {"name": "second"}]))
    call = {"index": 0, "id": "c1", "function": {"name": "first", "arguments": '{"a": 1}'}}
    reply = events(
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    )
    flags = [
        "--temperature",
        "0.5",
        "--max-output-tokens",
        "99",
        "--options",
        '{"seed": 7}',
        "--model",
        "grok-x",
    ]
    flags += ["--tools", str(functions), "--tool", '{"name": "third"}', "--tool-choice", "auto"]
    async with Endpoint(reply) as endpoint:
        done = await grok(
            endpoint, "ask", "Call.", *flags, "--reasoning-effort", "LOW", "--instructions", "Be brief."
        )
    request = endpoint.requests[0].body
    assert (request["temperature"], request["max_tokens"], request["seed"]) == (0.5, 99, 7)
    assert (request["model"], request["reasoning_effort"], request["tool_choice"]) == (
        "grok-x",
        "low",
        "auto",
    )
    assert [tool["function"]["name"] for tool in request["tools"]] == ["first", "second", "third"]
    assert request["messages"][0]["content"] == "Be brief."
    assert (done.status, '"name": "first"' in done.stdout) == (0, True)


def png() -> bytes:
    """One black pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pieces = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"\0\0")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


async def test_an_image_that_is_named_on_the_command_line_may_lie_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "pixel.png"
    path.write_bytes(png())
    async with Endpoint(chat("Black.")) as endpoint:
        done = await grok(endpoint, "ask", "What?", "--image", str(path), "--image", path.as_uri())
    assert (done.status, done.stdout) == (0, "Black.\n")
    parts = endpoint.requests[0].body["messages"][0]["content"]
    images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(images) == 2
    assert all(image.startswith("data:image/png;base64,") for image in images)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["ask"],
            "The question is empty. Type it behind the command, in quotes, or - to read it from stdin.",
        ),
        (["ask", "x", "--image", "/nowhere.png"], "/nowhere.png can't be read: No such file"),
        (["ask", "x", "--image", __file__], "neither a PNG nor a JPEG"),
        (["ask", "x", "--options", '{"n": 9}'], "--options.n: input should be less than or equal to 8."),
        (["ask", "x", "--options", "{no json"], "--options: is not JSON"),
        (["ask", "x", "--reasoning-effort", "huge"], "'huge' is not one of"),
        (
            ["structured", "x"],
            "--schema is required: JSON, or a file that holds it. Correct it and try again.",
        ),
        (["structured", "x", "--schema", "nowhere.json"], "nowhere.json: can't be read: No such file"),
    ],
)
async def test_a_wrong_argument_is_told_before_anything_is_sent(arguments: list[str], words: str) -> None:
    async with Endpoint(chat("Never.")) as endpoint:
        done = await grok(endpoint, *arguments)
        assert endpoint.requests == []
    assert (done.status, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_text_that_is_no_text_is_refused() -> None:
    async with Endpoint(chat("Never.")) as endpoint:
        done = await grok(endpoint, "ask", "-", stdin=png())
    assert done.status == 2
    assert "stdin: not UTF-8 text." in done.stderr and "[invalid_argument]" in done.stderr


async def test_wrong_settings_are_told_in_one_line() -> None:
    async with Endpoint(chat("Never.")) as endpoint:
        done = await grok(endpoint, "ask", "x", GROK_MCP_TIMEOUT="soon")
    assert done.status == 2
    assert re.fullmatch(r"grok-mcp-server: GROK_MCP_TIMEOUT: .*'soon'.*\n", done.stderr)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (body({"error": {"message": f"Incorrect API key {KEY}"}}, 401), "authentication"),
        (body("no", 503), "overloaded"),
        (events(done=True), "upstream"),
    ],
)
async def test_a_failure_is_its_code_and_status_one(reply: Reply, code: str) -> None:
    async with Endpoint(reply) as endpoint:
        done = await grok(endpoint, "ask", "Hello?")
    assert (done.status, done.stdout) == (1, "")
    assert done.stderr.endswith(f" [{code}]\n")
    assert KEY not in done.stderr
    assert "Traceback" not in done.stderr


async def test_what_was_paid_for_is_shown_also_where_it_does_not_fit_the_schema() -> None:
    async with Endpoint(chat('{"n": "four"}', usage=USAGE)) as endpoint:
        done = await grok(
            endpoint, "structured", "x", "--schema", '{"properties": {"n": {"type": "integer"}}}'
        )
    assert (done.status, done.stdout) == (1, "")
    assert " [schema_mismatch]\n" in done.stderr
    assert '{"n": "four"}' in done.stderr
    assert "20 in + 10 out tokens" in done.stderr


async def test_an_answer_that_breaks_off_is_printed_and_its_status_is_one() -> None:
    async with Endpoint(chat("Half an", finish=None, done=False)) as endpoint:
        done = await grok(endpoint, "ask", "Hello?")
    assert (done.status, done.stdout) == (1, "Half an\n")
    assert "Note: The answer is incomplete" in done.stderr


@asynccontextmanager
async def started(endpoint: Endpoint, *arguments: str, **streams: Any) -> AsyncIterator[Process]:
    """The command while it runs; it is over at the end, whatever it makes of that."""
    process = await anyio.open_process(
        [sys.executable, "-m", "grok_mcp", *arguments],
        env=environment(XAI_BASE_URL=endpoint.url, XAI_API_KEY=KEY),
        **({"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams),
    )
    async with process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


async def test_text_goes_into_a_pipe_as_it_comes() -> None:
    reply = chat("First. ", "Second.")
    reply.hold = 1
    async with Endpoint(reply) as endpoint:
        async with started(endpoint, "ask", "x") as process:
            assert process.stdout
            with within(30):
                assert await process.stdout.receive() == b"First. "
                reply.release.set()
                rest = b"".join([piece async for piece in process.stdout])
                assert (rest, await process.wait()) == (b"Second.\n", 0)


async def test_ctrl_c_closes_the_connection_to_the_endpoint() -> None:
    async with Endpoint(Reply(chat("Begun").pieces[:1], end="hang")) as endpoint:
        async with started(endpoint, "ask", "x") as process:
            assert process.stdout and process.stderr
            with within(30):
                assert await process.stdout.receive() == b"Begun"
                process.send_signal(signal.SIGINT)
                await endpoint.closed.wait()
                assert await process.wait() == 130
                assert b"".join([piece async for piece in process.stderr]) == b""


async def test_a_reader_that_has_had_enough_ends_the_call_with_one_line() -> None:
    async with Endpoint(Reply(chat(*["word\n"] * 3).pieces[:3], end="drip")) as endpoint:
        reading, writing = os.pipe()
        async with started(endpoint, "ask", "x", stdout=writing) as process:
            os.close(writing)
            assert process.stderr
            with within(30):
                assert await anyio.to_thread.run_sync(os.read, reading, 5) == b"word\n"
                os.close(reading)
                await endpoint.closed.wait()
                await process.wait()
                told = b"".join([piece async for piece in process.stderr])
                assert (told, process.returncode) == (b"grok-mcp-server: whoever read stdout has left\n", 1)


@posix
async def test_a_terminal_shows_the_phase_first_then_the_text_and_citations_as_numbers() -> None:
    reply = chat("Yes[[1", "]](https://a.exa", "mple/p) [or] no.", citations=["https://a.example/p"])
    async with Endpoint(reply) as endpoint:
        status, shown = await on_terminal(endpoint, "search", "x")
    assert status == 0
    before, _, after_text = shown.partition("\x1b[2KYes[1] [or] no.\n\nSources:\n")
    assert re.search(r"asking the endpoint|writing, \d+ characters", before)
    assert after_text, "the status line was not taken away before the text"
    assert after_text.index("1. https://a.example/p") < after_text.index("grok-4.7")


@posix
async def test_a_model_can_not_steer_the_terminal() -> None:
    async with Endpoint(chat("safe\x1b[2J\x07", "\rtext\u202e.")) as endpoint:
        _, shown = await on_terminal(endpoint, "ask", "x")
    assert "safe[2Jtext.\n" in shown and "\u202e" not in shown


@posix
async def test_the_same_text_goes_into_a_file_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "answer.md"
    async with Endpoint(chat("raw\x1b[2J (https://a.example/p)")) as endpoint:
        with path.open("wb") as file:
            status, shown = await on_terminal(endpoint, "ask", "x", stdout=file)
    assert (status, path.read_bytes()) == (0, b"raw\x1b[2J (https://a.example/p)\n")
    assert "asking" not in shown
    assert "grok-4.7" in shown


@posix
async def test_data_is_laid_out_for_a_person_on_a_terminal() -> None:
    async with Endpoint(chat('{"n": 4}')) as endpoint:
        _, shown = await on_terminal(endpoint, "structured", "x", "--schema", '{"type": "object"}')
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert '{\n  "n": 4\n}\n' in plain


async def test_a_call_from_a_shell_is_in_the_ledger_and_within_the_budget(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"GROK_MCP_STATE_DIR": str(tmp_path), "GROK_MCP_BUDGET_USD_PER_DAY": "0.001"}
    async with Endpoint(chat("Blue.", usage=USAGE)) as endpoint:
        assert (await grok(endpoint, "ask", "What colour?", **limits)).status == 0
        refused = await grok(endpoint, "ask", "And now?", **limits)
        told = json.loads((await grok(endpoint, "usage", "--by", "tool", "--json", **limits)).stdout)
    assert (refused.status, refused.stderr.split()[-1]) == (1, "[budget]")
    assert len(endpoint.requests) == 1
    assert (told["calls"], told["cost_usd"]) == (2, 0.0012)
    assert [row["key"] for row in told["rows"]] == ["ask_grok"]


@posix
@pytest.mark.parametrize("typed", ["y", "YES", "n", "", "yesterday"])
async def test_a_person_at_a_terminal_is_asked_about_a_call_above_the_limit(typed: str) -> None:
    line = f"{typed}\n".encode()
    async with Endpoint(chat("Yes.")) as endpoint:
        status, shown = await on_terminal(endpoint, "ask", "x", typed=line, limit="0.01")
    assert "may cost 0.0301 USD" in shown and "Send it? [y/N] " in shown
    if typed in ("y", "YES"):
        assert (status, len(endpoint.requests)) == (0, 1) and "Yes.\n" in shown
    else:
        assert (status, endpoint.requests) == (1, [])
        assert "You declined that. Nothing was sent." in " ".join(shown.split())


async def test_a_call_above_the_limit_is_refused_where_nobody_sits_at_a_terminal() -> None:
    async with Endpoint(chat("Yes.")) as endpoint:
        done = await grok(endpoint, "ask", "x", stdin=b"y\n", GROK_MCP_CALL_LIMIT_USD="0.01")
    assert (done.status, done.stdout, endpoint.requests) == (1, "", [])
    assert done.stderr.startswith("This call may cost 0.0301 USD")


async def test_a_limit_that_is_no_amount_stops_a_command_with_status_2() -> None:
    async with Endpoint(chat("Yes.")) as endpoint:
        done = await grok(endpoint, "ask", "x", GROK_MCP_CALL_LIMIT_USD="NaN")
    assert done.status == 2 and "GROK_MCP_CALL_LIMIT_USD" in done.stderr
