"""The demo as a user runs it: a real process, on a pipe and on a pseudo terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grok_mcp.demo.view import WIDTH
from grok_mcp.rendering import fit

BOUND_S = 150
READABLE_PACE = "0.01"
SECRET = "xai-a-key-of-the-user"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def environment(**more: str) -> dict[str, str]:
    """The environment of a shell that knows nothing of the tests' own terminal."""
    forced = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    kept = {name: value for name, value in os.environ.items() if name not in forced}
    return {**kept, "PYTHONUTF8": "1", **more}


def start(*arguments: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "grok_mcp", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(**more),
    )


def children(process: "subprocess.Popen[str]") -> list[int]:
    """The processes that it started; none are found where there is no /proc."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in listed.read_text().split()] if listed.exists() else []


@pytest.fixture(scope="module")
def piped() -> tuple[int, str, str]:
    """One run on a pipe, where the user's own settings are wrong and hold a key."""
    process = start(
        "--pace",
        "0",
        XAI_API_KEY=SECRET,
        XAI_BASE_URL="https://api.x.ai/v1",
        GROK_MCP_TIMEOUT="nonsense",
        grok_mcp_gateway="nonsense",
        HTTP_PROXY="http://127.0.0.1:9",
    )
    out, err = process.communicate(timeout=BOUND_S)
    return process.returncode, out, err


def test_the_demo_ends_well_and_says_nothing_on_stderr(piped: tuple[int, str, str]) -> None:
    status, _, err = piped
    assert (status, err) == (0, "")


def test_the_demo_shows_the_answers_of_all_three_tools_in_order(piped: tuple[int, str, str]) -> None:
    out = piped[1]
    shown = [
        "ask_grok: ",
        "Sandbox answer: you asked “Why stream?",
        "ask_grok: the same conversation",
        "(8 cached)",
        "grok_search: ",
        "The city council approved",
        "Sources:",
        " 1. https://city.example/council/minutes-1112",
        "grok_structured: ",
        '"status": "approved"',
        "came from the sandbox",
    ]
    places = [out.replace("\n", " ").find(one) for one in shown]
    assert -1 not in places
    assert places == sorted(places)


def test_every_answer_has_its_usage_line(piped: tuple[int, str, str]) -> None:
    lines = re.findall(r"^usage: .*$", piped[1], re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        assert re.search(r"[\d,]+ in .*out .*tokens · 0\.\d{6} USD · \d+\.\d s", line)


def test_citations_in_the_text_are_numbers_of_the_list(piped: tuple[int, str, str]) -> None:
    text, _, sources = piped[1].partition("Sources:")
    listed = set(re.findall(r"^ ?(\d+)\. https://", sources, re.MULTILINE))
    assert set(re.findall(r"\[(\d)\]", text)) <= listed
    assert listed


def test_the_json_is_whole(piped: tuple[int, str, str]) -> None:
    shown = piped[1].partition("grok_structured: ")[2]
    block = re.search(r"^\{$.*?^\}$", shown, re.MULTILINE | re.DOTALL)
    assert block
    data = json.loads(block[0])
    assert sorted(data) == ["approved_on", "city", "line", "status", "stops"]


def test_a_pipe_gets_plain_lines_that_fit(piped: tuple[int, str, str]) -> None:
    assert CONTROL.search(piped[1]) is None
    assert all(len(line) <= WIDTH for line in piped[1].splitlines() if " -m grok_mcp " not in line)


def test_the_users_key_is_never_shown(piped: tuple[int, str, str]) -> None:
    assert SECRET not in piped[1] + piped[2]


def test_the_demo_ends_with_what_to_type_next(piped: tuple[int, str, str]) -> None:
    *_, export, install, ask = piped[1].splitlines()
    program = f"{sys.executable} -m grok_mcp"
    assert export == "  export XAI_API_KEY=your-key"
    assert install.startswith(f"  {program} install ")
    assert ask.startswith(f'  {program} ask "')
    assert "mcpServers" not in piped[1]


def test_the_banner_is_there_before_what_takes_long_is_loaded() -> None:
    code = (
        "import sys\n"
        "class Heavy:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('mcp.client', 'starlette', 'uvicorn'):\n"
        "            sys.stdout.flush()\n"
        "            raise SystemExit(f'loads {name}')\n"
        "sys.meta_path.insert(0, Heavy())\n"
        "sys.argv = ['grok-mcp-server', 'demo']\n"
        "from grok_mcp.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=BOUND_S, env=environment()
    )
    assert done.stdout.startswith("The tools through a real MCP session")
    assert re.fullmatch(r"loads (mcp\.client|starlette|uvicorn)\n", done.stderr)


def test_the_text_comes_line_by_line_while_it_is_written() -> None:
    """A reader has whole lines of the first answer long before the demo is over."""
    process = start("--pace", READABLE_PACE)
    try:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("Sandbox answer"):
                break
        assert process.poll() is None
        servers = children(process)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert process.wait(BOUND_S) == 130
        assert not any(Path(f"/proc/{server}").exists() for server in servers), "a server is left behind"
        assert "grok_search: " not in process.stdout.read()
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the server process in /proc")
def test_a_server_that_dies_is_told_in_one_sentence() -> None:
    process = start("--pace", READABLE_PACE)
    try:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("> "):
                break
        (server,) = children(process)
        os.kill(server, signal.SIGKILL)
        _, err = process.communicate(timeout=BOUND_S)
        assert process.returncode == 1
        assert re.fullmatch(r"grok-mcp-server: the demo failed: .+\n", err)
    finally:
        process.kill()
        process.communicate()


def test_a_reader_that_leaves_ends_the_demo_with_one_line() -> None:
    process = start("--pace", "0")
    with process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(BOUND_S) == 1
        assert process.stderr.read() == "grok-mcp-server: whoever read stdout has left\n"


def read_terminal(terminal: int) -> Iterator[str]:
    deadline = time.monotonic() + BOUND_S
    while time.monotonic() < deadline:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            return
        if not chunk:
            return
        yield chunk.decode("utf-8", "replace")
    pytest.fail("the demo did not end")


def test_a_terminal_shows_phases_text_and_answers_live() -> None:
    pty = pytest.importorskip("pty")
    fcntl = pytest.importorskip("fcntl")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, b"\x18\x00\x50\x00\x00\x00\x00\x00")  # 24 rows of 80
    process = subprocess.Popen(
        [sys.executable, "-m", "grok_mcp", "demo", "--pace", "0.01"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm-256color"),
    )
    os.close(theirs)
    try:
        pieces = list(read_terminal(ours))
        assert process.wait(BOUND_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    screen = "".join(pieces)
    at_once = [piece for piece in pieces if "Sandbox answer" in piece and "the same each time" in piece]
    assert not at_once, "the text is not shown while it streams"
    assert "✓ " in screen, "a phase that is over leaves no line"
    assert "waiting for the first words" in screen
    assert any(phase in screen for phase in ("thinking", "searching", "reading", "writing")), "no phase"
    assert "\x1b[?25l" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l"), "the cursor stays hidden"
    assert screen.count("USD") >= 4
    assert "grok-mcp-server" in screen
    assert "Traceback" not in screen


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("thinking, 3 s", "thinking, 3 s"),
        ("searching the web: “" + "long " * 9, "searching the web: “long long…"),
        ("writing, 1,240 characters: …one two three", "writing, 1,240 characters: …ee"),
    ],
)
def test_a_note_that_is_too_long_keeps_what_is_new(note: str, shown: str) -> None:
    assert fit(note, 30) == shown
