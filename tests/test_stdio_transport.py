"""The stdio transport, over pipes to a real process that runs `stdio_echo.py`."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from grok_mcp.serving.stdio.pipes import LineReader, LineWriter

ECHO = Path(__file__).parent / "support" / "stdio_echo.py"
BOUND_S = 60
SHORT_GRACE_S = 0.2
LONG_GRACE_S = 300.0  # longer than any test waits
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def request(method: str, params: dict[str, Any], request_id: int | str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


class Peer:
    """The client's side, by hand: it reads stdout only when told, and every wait is bounded."""

    def __init__(self, process: subprocess.Popen[bytes], stderr: Path) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self.stdin, self.stdout = process.stdin, process.stdout
        self._stderr = stderr
        self._unread = b""
        os.set_blocking(self.stdin.fileno(), False)

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            assert select.select([], [self.stdin], [], BOUND_S)[1], "stdin is not read"
            rest = rest[os.write(self.stdin.fileno(), rest[:65536]) :]

    def send(self, message: object) -> None:
        self.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")

    def request(self, method: str, params: dict[str, Any], request_id: int | str) -> None:
        self.send(request(method, params, request_id))

    def call(self, request_id: int | str, **arguments: Any) -> None:
        params = {"name": "echo", "arguments": arguments, "_meta": {"progressToken": request_id}}
        self.request("tools/call", params, request_id)

    def receive(self) -> Any:
        return json.loads(self.receive_line())

    def receive_line(self) -> bytes:
        chunks = [self._unread]
        while b"\n" not in chunks[-1]:
            assert select.select([self.stdout], [], [], BOUND_S)[0], "nothing came"
            chunks.append(os.read(self.stdout.fileno(), 65536))
            assert chunks[-1], "stdout ended"
        line, _, self._unread = b"".join(chunks).partition(b"\n")
        return line

    def receive_text(self, request_id: int | str) -> str:
        """The answer's text; progress notes before it are passed over."""
        while (message := self.receive()).get("method"):
            pass
        assert message["id"] == request_id
        return text_of(message)

    def wait_until_it_runs(self, request_id: int | str) -> None:
        """A call that was sent with one note is in flight as soon as that note is here."""
        assert self.receive()["params"]["progressToken"] == request_id

    def wait_for_stderr(self, text: str) -> None:
        deadline = time.monotonic() + BOUND_S
        while text not in self.stderr:
            assert time.monotonic() < deadline, f"{text!r} was not printed"
            time.sleep(0.01)

    def end(self) -> None:
        """The process must end by itself, quietly and with status 0."""
        assert self.process.wait(BOUND_S) == 0
        assert "Traceback" not in self.stderr

    def end_with_nothing_more(self) -> None:
        self.end()
        assert self._unread + self.stdout.read() == b""


def text_of(message: Any) -> str:
    text = message["result"]["content"][0]["text"]
    assert isinstance(text, str)
    return text


def spawn(grace_s: float, *more: float) -> tuple[subprocess.Popen[bytes], Path]:
    file, name = tempfile.mkstemp()
    command = [sys.executable, str(ECHO), *map(str, (grace_s, *more))]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=file, bufsize=0)
    os.close(file)
    return process, Path(name)


WARM: dict[float, tuple[subprocess.Popen[bytes], Path]] = {}


def discard(process: subprocess.Popen[bytes], stderr: Path) -> None:
    with process:
        process.kill()
    stderr.unlink()


@pytest.fixture(scope="module", autouse=True)
def warm_processes() -> Iterator[None]:
    """Half of the time here goes into imports: the next process does its own meanwhile."""
    WARM.update({grace_s: spawn(grace_s) for grace_s in (LONG_GRACE_S, SHORT_GRACE_S)})
    yield
    for process, stderr in WARM.values():
        discard(process, stderr)


@contextmanager
def started(grace_s: float = LONG_GRACE_S, *more: float) -> Iterator[Peer]:
    if more:
        process, stderr = spawn(grace_s, *more)
    else:
        process, stderr = WARM[grace_s]
        WARM[grace_s] = spawn(grace_s)
    peer = Peer(process, stderr)
    try:
        peer.request("initialize", INITIALIZE, "init")
        peer.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield peer
    finally:
        discard(process, stderr)


@contextmanager
def connected(grace_s: float = LONG_GRACE_S, *more: float) -> Iterator[Peer]:
    with started(grace_s, *more) as peer:
        assert peer.receive()["id"] == "init"
        yield peer


@pytest.fixture(scope="module")
def shared() -> Iterator[Peer]:
    """One process for all that must not end it."""
    with connected() as peer:
        yield peer
        peer.stdin.close()
        peer.end_with_nothing_more()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_an_sdk_client_of_either_era_calls_a_tool_and_sees_its_progress(
    mode: Literal["legacy", "auto"],
) -> None:
    notes: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        notes.append(progress)

    parameters = StdioServerParameters(command=sys.executable, args=[str(ECHO)])
    with anyio.fail_after(BOUND_S):
        async with Client(stdio_client(parameters), mode=mode) as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["echo"]
            arguments = {"text": "hällo", "notes": 3, "sleep": 0.05}
            result = await client.call_tool("echo", arguments, progress_callback=on_progress)
    assert result.content[0].model_dump()["text"] == "hällo"
    assert notes == [0, 1, 2]


def test_what_a_library_prints_goes_to_stderr_and_the_wire_stays_clean(
    shared: Peer,
) -> None:
    shared.call(1, text="clean", garbage=True)
    assert shared.receive_text(1) == "clean"

    shared.wait_for_stderr("garbage by print\ngarbage by os.write\n")


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        pytest.param(b"nonsense", -32700, None, id="no JSON"),
        pytest.param(b'{"jsonrpc":"2.0","id":3,"method":"pi', -32700, None, id="cut"),
        pytest.param(b"[]", -32600, None, id="empty batch"),
        pytest.param(b"3", -32600, None, id="scalar"),
        pytest.param(b"null", -32600, None, id="null"),
        pytest.param(b'{"id":4,"method":"ping"}', -32600, 4, id="no version"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":"a","method":"ping","params":[]}', -32600, "a", id="list params"
        ),
        pytest.param(b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600, None, id="float id"),
        pytest.param(b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600, None, id="null id"),
        pytest.param(b'\xef\xbb\xbf{"jsonrpc":"2.0","id":5,"method":"ping"}', -32600, 5, id="BOM first"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":6,"method":"ping","params":{"a":%s}}' % (b"[" * 500 + b"]" * 500),
            -32600,
            6,
            id="deep",
        ),
        pytest.param(
            b'{"jsonrpc":"2.0","id":"b","method":"ping","params":{"a":%s}}' % (b"[" * 50_000 + b"]" * 50_000),
            -32600,
            "b",
            id="very deep, id first",
        ),
        pytest.param(b"[" * 50_000, -32600, None, id="very deep, no id"),
        pytest.param(
            b'{"method":"ping","params":{"id":1,"a":%s},"jsonrpc":"2.0","id":7}'
            % (b"[" * 50_000 + b"]" * 50_000),
            -32600,
            7,
            id="very deep, id last",
        ),
    ],
)
def test_a_line_that_is_no_message_is_answered_and_the_server_lives_on(
    shared: Peer, line: bytes, code: int, request_id: int | str | None
) -> None:
    shared.send(line)
    answer = shared.receive()
    assert (answer["error"]["code"], answer["id"]) == (code, request_id)
    shared.request("ping", {}, "after")
    assert shared.receive()["id"] == "after"


def test_blank_lines_are_ignored_and_carriage_returns_accepted(shared: Peer) -> None:
    shared.send(b'\n   \n\r\n{"jsonrpc":"2.0","id":1,"method":"ping"}\r')
    assert shared.receive() == {"jsonrpc": "2.0", "id": 1, "result": {}}


def test_a_notification_with_an_id_among_its_params_is_still_one(shared: Peer) -> None:
    shared.send(b'{"jsonrpc":"2.0","method":"notifications/odd","params":{"id":1}}')
    shared.request("ping", {}, 2)
    assert shared.receive()["id"] == 2


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        pytest.param(rb"cut \ud83d here", "cut \ufffd here", id="lone surrogate"),
        pytest.param(rb"\ude00\ud83d", "\ufffd\ufffd", id="halves in the wrong order"),
        pytest.param(rb"\ud83d\ude00 \ud83d", "\U0001f600 \ufffd", id="pair beside a half"),
        pytest.param(b"bad \xff byte", "bad \ufffd byte", id="invalid UTF-8"),
        pytest.param("a\u2028b\u2029c\u0085d".encode(), "a\u2028b\u2029c\u0085d", id="U+2028"),
        pytest.param(rb"nul \u0000 and \n", "nul \x00 and \n", id="escapes"),
    ],
)
def test_damaged_and_unusual_text_is_served(shared: Peer, sent: bytes, echoed: str) -> None:
    shared.send(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        b'"params":{"name":"echo","arguments":{"text":"%s"}}}' % sent
    )
    assert shared.receive_text(1) == echoed


@pytest.mark.parametrize("times", [1, 100_000], ids=["short", "long"])
@pytest.mark.parametrize(
    "end", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e", "\r", "\n"], ids=ascii
)
def test_a_line_is_one_line_to_every_client(end: str, times: int, shared: Peer) -> None:
    shared.call(1, text=f"a{end}b", times=times)
    line = shared.receive_line().decode()
    assert len(line.splitlines()) == 1
    assert text_of(json.loads(line)) == f"a{end}b" * times


def test_of_a_batch_each_id_is_refused(shared: Peer) -> None:
    shared.send(
        [request("ping", {}, 3), {"jsonrpc": "2.0", "method": "notifications/odd"}, request("x", {}, "b")]
    )
    assert [(error["id"], error["error"]["code"]) for error in shared.receive()] == [
        (3, -32600),
        ("b", -32600),
    ]


def test_surrogates_in_notes_and_results_are_written_as_replacement_characters(
    shared: Peer,
) -> None:
    shared.call(1, text="half ", surrogate=True, notes=1)
    assert shared.receive()["params"]["message"] == "half \ufffd"
    assert shared.receive_text(1) == "half \ufffd"


def test_ten_megabytes_pass_in_and_out(shared: Peer) -> None:
    text = "0123456789" * 1_000_000
    shared.call(1, text=text)
    assert shared.receive_text(1) == text


def test_a_line_over_the_limit_gets_one_error_and_is_not_kept_in_memory() -> None:
    with connected() as peer:
        peer.write(b'{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":"')
        for _ in range(100):
            peer.write(b"x" * 1024 * 1024)
        peer.send(b'"}}')
        answer = peer.receive()
        assert (answer["error"]["code"], answer["id"]) == (-32600, 8)
        peer.call(9, text="next")
        assert peer.receive_text(9) == "next"
        if sys.platform == "linux":
            status = Path(f"/proc/{peer.process.pid}/status").read_text()
            peak_kib = next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row)
            assert peak_kib < 240 * 1024
        peer.stdin.close()
        peer.end_with_nothing_more()


def test_a_cancelled_call_is_not_answered_and_does_not_hold_up_the_end(
    shared: Peer,
) -> None:
    shared.call(1, text="late", sleep=60, notes=1)
    shared.wait_until_it_runs(1)
    shared.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    shared.call(2, text="next")
    assert shared.receive_text(2) == "next"


def test_a_client_that_does_not_read_holds_up_its_senders_but_not_the_loop(
    shared: Peer,
) -> None:
    shared.call(1, text="x", times=3_000_000)
    shared.call(2, text="done", notes=3_000, note_size=1_000, log="all notes are sent")
    shared.call(3, text="quick", sleep=0.5, log="the loop runs")
    shared.wait_for_stderr("the loop runs")
    assert "all notes are sent" not in shared.stderr
    texts: dict[int, str] = {}
    notes: list[int] = []
    while len(texts) < 3:
        message = shared.receive()
        if message.get("method"):
            notes.append(message["params"]["progress"])
        else:
            texts[message["id"]] = text_of(message)
    assert texts == {1: "x" * 3_000_000, 2: "done", 3: "quick"}
    assert notes == list(range(3_000))


def test_what_is_piped_in_as_a_whole_is_answered_before_the_end() -> None:
    def call(request_id: int, **arguments: Any) -> dict[str, Any]:
        return request("tools/call", {"name": "echo", "arguments": arguments}, request_id)

    messages = [
        request("initialize", INITIALIZE, "init"),
        request("tools/list", {}, 1),
        call(2, text="slow", sleep=0.2),
        call(3, text="big", times=500_000),
        request("ping", {}, 4),
    ]
    done = subprocess.run(
        [sys.executable, str(ECHO)],
        input="\n".join(map(json.dumps, messages)).encode(),  # no newline at the end
        capture_output=True,
        timeout=BOUND_S,
    )
    answers = {answer["id"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert answers.keys() == {"init", 1, 2, 3, 4}
    assert (text_of(answers[2]), text_of(answers[3])) == ("slow", "big" * 500_000)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_client_that_stops_reading_for_ever_does_not_keep_the_process() -> None:
    with connected(SHORT_GRACE_S) as peer:
        peer.call(1, text="x", times=3_000_000)
        peer.call(2, notes=3_000, note_size=1_000)
        peer.stdin.close()
        peer.end()


def test_a_call_that_outlasts_the_grace_is_interrupted_and_answered() -> None:
    with connected(SHORT_GRACE_S) as peer:
        peer.call(1, sleep=60, notes=1)
        peer.wait_until_it_runs(1)
        peer.stdin.close()
        assert peer.receive_text(1) == "interrupted"
        peer.end_with_nothing_more()


def test_a_signal_lets_calls_end_while_stdin_is_open() -> None:
    with connected() as peer:
        peer.call(1, text="finished", sleep=0.3, notes=1)
        peer.wait_until_it_runs(1)
        peer.process.send_signal(signal.SIGTERM)
        assert peer.receive_text(1) == "finished"
        peer.end_with_nothing_more()


def test_a_signal_ends_an_idle_server_at_once() -> None:
    with connected() as peer:
        before = time.monotonic()
        peer.process.send_signal(signal.SIGINT)
        peer.end_with_nothing_more()
        assert time.monotonic() - before < BOUND_S / 2


def test_a_second_signal_interrupts_the_calls() -> None:
    with connected() as peer:
        peer.call(1, sleep=60, notes=1)
        peer.wait_until_it_runs(1)
        peer.process.send_signal(signal.SIGTERM)
        text = "in time"
        while text != "closing":  # until the first signal has arrived
            peer.call(2, text="in time")
            text = peer.receive_text(2)
        peer.process.send_signal(signal.SIGTERM)
        assert peer.receive_text(1) == "interrupted"
        peer.end_with_nothing_more()


HOUR_S = 3600


@pytest.mark.parametrize("end", ["end of input", "gone", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    "doing",
    [{"busy": HOUR_S}, {"thread": True}, {"text": "x", "times": 3_000_000, "thread": True}],
    ids=["busy", "in a thread", "with stdout full"],
)
def test_whatever_it_is_doing_the_process_does_not_outlive_its_host(doing: dict[str, Any], end: str) -> None:
    if sys.platform == "win32" and end.startswith("SIG"):
        pytest.skip("signals as POSIX has them")
    with connected(SHORT_GRACE_S) as peer:
        peer.call(1, notes=1, **doing)
        peer.wait_until_it_runs(1)
        if end == "gone":
            peer.stdout.close()
        if end.startswith("SIG"):
            peer.process.send_signal(signal.Signals[end])
        else:
            peer.stdin.close()
        assert peer.process.wait(BOUND_S) == 1
        assert "grok-mcp-server: ended by force: the orderly end took more than 5.2 s" in peer.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no timer of processor time")
@pytest.mark.parametrize("end", [None, "end of input", "SIGTERM"])
@pytest.mark.parametrize("endless", ["a sum", "a search", "a queue"])
def test_a_call_into_c_that_never_ends_is_the_end_of_the_process(endless: str, end: str | None) -> None:
    with connected(LONG_GRACE_S, 0.5) as peer:  # no end in order comes so soon
        peer.call(1, notes=1, endless=endless)
        peer.wait_until_it_runs(1)
        if end == "SIGTERM":
            peer.process.send_signal(signal.SIGTERM)
        elif end:
            peer.stdin.close()
        assert peer.process.wait(BOUND_S) == -signal.SIGVTALRM


@pytest.mark.skipif(sys.platform == "win32", reason="there is no timer of processor time")
def test_a_call_into_c_that_obeys_signals_ends_with_its_host_and_is_told_by_its_place() -> None:
    with connected(SHORT_GRACE_S, 0.5) as peer:
        peer.call(1, notes=1, endless="a pattern")
        peer.wait_until_it_runs(1)
        peer.stdin.close()
        assert peer.process.wait(BOUND_S) == 1
        assert "the event loop was busy" in peer.stderr and "ended by force" in peer.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no timer of processor time")
def test_a_loop_that_is_busy_with_one_thing_is_told_with_what_it_does_and_not_too_often() -> None:
    with connected(SHORT_GRACE_S) as peer:
        for number in range(3):
            peer.call(number, text="done", busy=0.4)
            assert peer.receive_text(number) == "done"
        peer.stdin.close()
        peer.end_with_nothing_more()
        (told,) = peer.stderr.splitlines()
    assert told.startswith("the event loop was busy for ") and "stdio_echo.py" in told and " echo" in told


def test_a_crowd_of_short_steps_is_no_loop_that_is_busy_with_one_thing() -> None:
    with connected(SHORT_GRACE_S) as peer:
        for number in range(200):
            peer.call(number, text="done", busy=0.002)
        for number in range(200):
            assert peer.receive_text(number) == "done"
        peer.stdin.close()
        peer.end_with_nothing_more()
        assert "busy" not in peer.stderr


def test_a_client_that_is_gone_altogether_is_not_waited_for() -> None:
    with connected() as peer:
        peer.call(1, sleep=60, notes=1)
        peer.wait_until_it_runs(1)
        peer.stdout.close()
        peer.stdin.close()
        peer.end()


def test_a_client_that_goes_while_the_server_waits_for_a_call_ends_the_wait() -> None:
    with connected() as peer:
        peer.call(1, sleep=60, notes=1)
        peer.wait_until_it_runs(1)
        peer.process.send_signal(signal.SIGTERM)
        peer.stdout.close()
        peer.end()


def test_a_client_that_closes_stdout_alone_ends_the_server_with_the_next_line() -> None:
    with connected() as peer:
        peer.call(1, sleep=60, notes=1)
        peer.wait_until_it_runs(1)
        peer.stdout.close()
        peer.send(b"nonsense")
        peer.end()


@pytest.mark.anyio
async def test_without_poll_all_is_written_by_the_thread_and_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on Windows, where there is no `select.poll`."""
    monkeypatch.delattr(select, "poll")
    ours, theirs = os.pipe()
    writer = LineWriter(theirs, on_broken=lambda: None)
    lines = [b"%d " % number + b"x" * 100_000 + b"\n" for number in range(30)]
    received: list[bytes] = []

    async def read() -> None:
        with os.fdopen(ours, "rb") as pipe:
            received.extend(await anyio.to_thread.run_sync(pipe.readlines))

    with anyio.fail_after(BOUND_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            for line in lines:
                await writer.write(line)
            await writer.flush()
            assert not writer.gone()
            os.close(theirs)
    assert received == lines


@pytest.mark.anyio
async def test_without_poll_a_client_that_is_gone_is_noticed_by_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(select, "poll")
    ours, theirs = os.pipe()
    broken = anyio.Event()
    writer = LineWriter(theirs, on_broken=broken.set)
    os.close(ours)
    with anyio.fail_after(BOUND_S):
        with pytest.raises(anyio.BrokenResourceError):
            await writer.write(b"x" * 2_000_000)  # more than a sender may leave behind
        await broken.wait()
        assert writer.gone()
        with pytest.raises(anyio.BrokenResourceError):
            await writer.write(b"again\n")
    os.close(theirs)


@pytest.mark.anyio
async def test_an_input_that_can_not_be_read_counts_as_ended(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    ended = anyio.Event()
    LineReader(directory, on_end=ended.set).start()
    with anyio.fail_after(BOUND_S):
        await ended.wait()
    os.close(directory)
