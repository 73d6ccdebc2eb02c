"""Standard streams in any state: closed, full, broken, never read."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from grok_mcp.logs import FIELDS, JsonLine, TextLine
from tests.support.cli import environment
from tests.support.stdio import COMMAND, INITIALIZE, INITIALIZED, request

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="states of descriptors as POSIX has them")

PING = json.dumps(request(1, "ping")).encode() + b"\n"
BAD = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[1]}}\n'
"""A line that the server warns of in its log."""

full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")


def shell(
    redirection: str, *arguments: str, stdin: bytes = b"", **variables: str
) -> tuple[int, bytes, bytes]:
    """The program started by a shell with that redirection; status, stdout, stderr."""
    done = subprocess.run(
        ["bash", "-c", f'exec "$0" "$@" {redirection}', *COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=environment(GROK_MCP_GATEWAY="sandbox", **variables),
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def ended_after(seconds: float, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Whatever happens, the process is gone at the end, and after that time."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


@contextmanager
def unread_pipe(*, filled: bool) -> Iterator[tuple[int, int]]:
    """A pipe that nobody reads, full already where that is wanted."""
    reading, writing = os.pipe()
    try:
        if filled:
            os.set_blocking(writing, False)
            while True:
                try:
                    os.write(writing, b"x" * 4096)
                except BlockingIOError:
                    break
            os.set_blocking(writing, True)
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("telling", [False, True], ids=["nothing to tell", "a warning to tell"])
@pytest.mark.parametrize("state", ["2>&-", pytest.param("2>/dev/full", marks=full), "2>/dev/null"])
def test_a_server_serves_whatever_its_stderr_is(state: str, telling: bool) -> None:
    variables = {"GROK_MCP_NO_SUCH": "1"} if telling else {}
    status, out, _ = shell(state, stdin=PING, **variables)
    assert (status, json.loads(out)["result"]) == (0, {})


@pytest.mark.parametrize("state", ["broken", "full"])
def test_a_server_serves_where_stderr_is_a_pipe_that_takes_nothing(state: str) -> None:
    with unread_pipe(filled=state == "full") as (reading, writing):
        if state == "broken":
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, reading)
            os.close(nothing)
        done = subprocess.run(
            COMMAND,
            input=PING + BAD * 3,
            stdout=subprocess.PIPE,
            stderr=writing,
            env=environment(GROK_MCP_GATEWAY="sandbox", GROK_MCP_NO_SUCH="1"),
            timeout=90,
            check=False,
        )
    assert (done.returncode, json.loads(done.stdout)["result"]) == (0, {})


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_host_that_never_reads_the_log_gets_its_answers_and_later_the_number_of_lost_lines(
    form: str,
) -> None:
    """Some 3 MB of warnings, to which a pipe of 64 KB and a queue of 1 MB are small."""
    rounds, each = 40, 500
    process = subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(GROK_MCP_GATEWAY="sandbox", GROK_MCP_LOG_FORMAT=form),
    )
    assert process.stdin and process.stdout and process.stderr
    with ended_after(90, process):
        for message in (INITIALIZE, INITIALIZED):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        for _ in range(rounds):
            process.stdin.write(BAD * each + PING)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["result"] == {}
        said = [process.stderr.readline().decode()]
        while "lines were dropped" not in said[-1]:
            if len(said) % 1000 == 0:  # something new passes, and the number before it
                process.stdin.write(BAD)
                process.stdin.flush()
            said.append(process.stderr.readline().decode())
    if form == "json":
        assert json.loads(said[-1])["level"] == "warning"
    assert all(line.startswith("grok-mcp-server: WARNING" if form == "text" else "{") for line in said)


COMMANDS = [
    ["ask", "hi"],
    ["usage"],
    ["models"],
    ["doctor", "--offline"],
    ["install", "cursor", "--print"],
    ["token", "somebody"],
    ["--version"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (">&-", "stdout is closed"),
        pytest.param(">/dev/full", "stdout can't be written: No space left on device", marks=full),
        ("", "whoever read stdout has left"),
    ],
    ids=["closed", "full", "broken"],
)
def test_a_command_that_can_print_nothing_ends_with_one_line_and_status_1(
    arguments: list[str], state: str, reason: str, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        ["bash", "-c", f'exec "$0" "$@" {state}', *COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment(GROK_MCP_GATEWAY="sandbox", HOME=str(tmp_path)),
        timeout=90,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr.decode()) == (1, f"grok-mcp-server: {reason}\n")


@pytest.mark.parametrize("state", ["2>&-", pytest.param("2>/dev/full", marks=full)])
@pytest.mark.parametrize("arguments", [["ask", "hi"], ["ask", "--image", "/nowhere", "hi"], ["nonsense"]])
def test_a_command_needs_no_stderr(arguments: list[str], state: str) -> None:
    status, out, _ = shell(f"{state} </dev/null", *arguments)
    assert (status, bool(out)) == ((0, True) if arguments == ["ask", "hi"] else (2, False))


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="descriptors are seen in /proc")
def test_no_socket_and_no_file_gets_the_descriptor_of_a_closed_stream() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        ["bash", "-c", 'exec "$0" "$@" <&- >&- 2>&-', *COMMAND, "serve", "--transport", "http"],
        env=environment(GROK_MCP_GATEWAY="sandbox", GROK_MCP_PORT=str(port)),
    )
    with ended_after(90, process):
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
                    assert answer.status == 200
                break
            except URLError:
                assert process.poll() is None
        held = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
        process.terminate()
        status = process.wait()
    assert (held, status) == ([os.devnull] * 3, 0)


STEERING = {
    "escape": "\x1b[31m",
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "backspace": "a\bb",
    "null": "a\0b",
    "delete": "a\x7fb",
    "C1": "a\x9b31m",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "right to left": "a\u202eb",
    "zero width": "a\u200bb",
    "byte order mark": "a\ufeffb",
    "half a pair": "a\ud83db",
    "tag": "a\U000e0041b",
}


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING)
def test_what_steers_a_terminal_is_escaped_in_both_forms_of_the_log(text: str) -> None:
    record = logging.LogRecord("somebody", logging.WARNING, "", 0, "said %s", (text,), None)
    setattr(record, FIELDS, {"tool": text})
    for form in (TextLine(), JsonLine()):
        line = form.format(record)
        assert line.isprintable(), line
    read = json.loads(line)
    assert (read["message"], read["tool"]) == (f"said {text}", text)


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    text = "Grüße, 世界, क्षि, 👩‍💻"
    record = logging.LogRecord("somebody", logging.WARNING, "", 0, text, (), None)
    assert text in TextLine().format(record)
    assert text in JsonLine().format(record)


def test_a_name_in_the_environment_can_not_steer_the_terminal() -> None:
    status, _, err = shell("", stdin=PING, **{"GROK_MCP_\x1b[31m\n": "1"})
    assert (status, err.count(b"\n")) == (0, 1)
    assert b"GROK_MCP_\\u001b[31m\\n is not a setting" in err
