"""A call from a shell on a terminal: what is laid out and when, and the command without words."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest

from tests.support.cli import environment
from tests.support.endpoint import Endpoint, body, chat
from tests.support.pace import within
from tests.support.shell import BOUND_S, KEY, grok, on_terminal, posix

pytestmark = [pytest.mark.anyio, posix]

ANSWER = (
    "# Head\n\nSome **bold** words and a [page](https://a.example/p), in a paragraph longer than a line.\n\n",
    "- one\n- two\n\n```python\nx = 1\n```\n",
)


def screen(shown: str) -> str:
    """What is left on the screen: without what was erased of each line, and without colours."""
    kept = re.sub(r"[^\n]*(?:\n\x1b\[\?25h\r\x1b\[1A)?\x1b\[2K", "", shown)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", kept).replace("\r", "")


@pytest.mark.parametrize("columns", ["40", "80"])
async def test_an_answer_is_laid_out_and_wrapped_between_words(columns: str) -> None:
    async with Endpoint(chat(*ANSWER)) as endpoint:
        status, shown = await on_terminal(endpoint, "ask", "x", variables={"COLUMNS": columns})
    text = screen(shown)
    assert status == 0
    assert text.startswith("Head\n\nSome bold words and a page")
    assert "\n • one\n • two\n\n```python\nx = 1\n```\n" in text
    assert "(https://a.example/p)," in text
    assert max(map(len, text.splitlines())) <= int(columns)
    assert "\x1b[1mbold\x1b[0m" in shown


@pytest.mark.parametrize(
    ("flags", "variables"),
    [(["--plain"], {}), ([], {"TERM": "dumb"}), ([], {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})],
    ids=["plain", "dumb", "ascii"],
)
async def test_a_text_is_as_grok_wrote_it_where_that_is_asked_for_or_all_that_a_terminal_can(
    flags: list[str], variables: dict[str, str]
) -> None:
    async with Endpoint(chat(*ANSWER)) as endpoint:
        status, shown = await on_terminal(endpoint, "ask", "x", *flags, variables=variables)
    assert status == 0
    assert "".join(ANSWER) in screen(shown)
    if "TERM" in variables:
        assert "\x1b" not in shown.partition("grok-4.7")[0]


async def test_no_colour_is_shown_where_somebody_wants_none() -> None:
    async with Endpoint(chat(*ANSWER)) as endpoint:
        _, shown = await on_terminal(endpoint, "ask", "x", variables={"NO_COLOR": "1"})
    assert not re.findall(r"\x1b\[(?:\d+;)*(?:3[0-7]|4[0-7]|38|48|9[0-7])(?:;\d+)*m", shown)
    assert "Head" in shown


async def test_a_finished_block_is_shown_while_the_next_one_comes() -> None:
    reply = chat("First block.\n\nSecond", " block.")
    reply.hold = 1

    def watch(shown: bytes) -> None:
        if b"\x1b[2KFirst block." in shown:
            anyio.from_thread.run_sync(reply.release.set)

    async with Endpoint(reply) as endpoint:
        with within(60):
            _, shown = await on_terminal(endpoint, "ask", "x", watch=watch)
    assert screen(shown).startswith("First block.\n\nSecond block.\n")
    assert screen(shown).count("First block.") == screen(shown).count("Second block.") == 1


async def test_what_came_before_a_break_is_shown_whole() -> None:
    async with Endpoint(chat("First.\n\nHalf a", finish=None, done=False)) as endpoint:
        status, shown = await on_terminal(endpoint, "ask", "x")
    assert status == 1
    assert screen(shown).startswith("First.\n\nHalf a\n")
    assert "Note: The answer is incomplete" in " ".join(screen(shown).split())


async def test_an_error_on_a_terminal_is_one_object_with_json() -> None:
    async with Endpoint(body("no", 503)) as endpoint:
        status, shown = await on_terminal(
            endpoint, "ask", "x", "--json", variables={"GROK_MCP_MAX_RETRIES": "0"}
        )
    assert status == 1
    assert screen(shown).count("overloaded") == 1 and '"code": "overloaded"' in screen(shown)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal: ours, and that of a process."""
    import pty

    ours, theirs = pty.openpty()
    yield ours, theirs
    for end in (ours, theirs):
        os.close(end)


PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}\n'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "the end"])
def test_the_command_alone_says_what_it_is_and_serves_until_ctrl_c(
    terminal: tuple[int, int], number: signal.Signals
) -> None:
    ours, theirs = terminal
    command = [sys.executable, "-m", "grok_mcp"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stderr
        line = process.stderr.readline().decode()
        assert line.startswith("grok-mcp-server: this is an MCP server, which a host starts. Type ")
        for words in ('ask "…"', "install", "--help", "Ctrl-C"):
            assert words in line
        os.write(ours, PING)
        answered = b""
        while b'"result":{}' not in answered:
            answered += os.read(ours, 65_536)
        process.send_signal(number)
        assert process.wait(BOUND_S) == 0
        assert process.stderr.read() == b""


def test_a_host_is_told_nothing(terminal: tuple[int, int]) -> None:
    """Neither is a program that reads from a terminal, nor one that writes to it."""
    ours, theirs = terminal
    pipe, command = subprocess.PIPE, [sys.executable, "-m", "grok_mcp"]
    with subprocess.Popen(command, stdin=theirs, stdout=pipe, stderr=pipe, env=environment()) as process:
        assert process.stdout and process.stderr
        os.write(ours, PING)
        assert b'"result":{}' in process.stdout.readline()
        process.terminate()
        assert process.stderr.read() == b""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=pipe, env=environment())
    assert done.stderr == b""


async def test_a_missing_key_is_told_in_words_of_a_shell() -> None:
    async with Endpoint() as endpoint:
        done = await grok(endpoint, "ask", "x", XAI_API_KEY="")
    assert (done.status, done.stdout, endpoint.requests) == (1, "", [])
    assert "Type: export XAI_API_KEY=" in done.stderr and "GROK_MCP_GATEWAY=sandbox" in done.stderr
    assert done.stderr.endswith(" [configuration]\n")
    assert "host" not in done.stderr and KEY not in done.stderr


async def test_what_is_too_long_to_be_laid_out_is_shown_as_it_was_written() -> None:
    paragraphs = [f"**Paragraph {number}** {'word ' * 50}" for number in range(2_400)]
    async with Endpoint(chat("\n\n".join(paragraphs))) as endpoint:
        status, shown = await on_terminal(endpoint, "ask", "x")
    text = screen(shown)
    assert status == 0
    assert re.match(r"(?:⠋ .*\n)?Paragraph 0 word", text)  # a slow machine has time for a status line
    assert "\n**Paragraph 2399** word" in text
    assert [int(number) for number in re.findall(r"Paragraph (\d+)", text)] == list(range(2_400))
