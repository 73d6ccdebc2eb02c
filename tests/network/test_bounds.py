"""What an input may cost: processor time, memory, and the time of others. `hostile.py` has the inputs.

`pytest -rP tests/network/test_bounds.py` prints the figures of each. On a busy machine the same work takes
up to twice the processor time: the assertions allow for that.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from tests.network.hostile import ANSWERS, ARGUMENTS, JPEG, MB, SCHEMAS, Cost, Input, images, replies
from tests.network.server import (
    BOTH_FORMS,
    INITIALIZE,
    INITIALIZED,
    KEY,
    SERVE,
    Served,
    environment,
    modern,
    rpc,
    serving,
)
from tests.support.endpoint import Endpoint, Reply, Request, chat
from tests.support.figures import Figures
from tests.support.pace import slowness

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ALLOWED = 2
PING_S = 0.25
PING_EVERY_S = 0.05
AT_ONCE = {"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""Memory that is free goes back to the system at once, so that it does not hide what the next input takes."""


@dataclass
class Place:
    """A server, and a folder that it may read images from."""

    server: Served
    folder: Path


@dataclass
class Pings:
    """Another caller, who pings all the while.

    What counts is the processor time that the server takes until a ping is answered: other programs
    change only the time on the wall.
    """

    server: Served
    used_s: list[float] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        ready, over = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1) as threads:
            pinging = threads.submit(self._ping, ready, over)
            try:
                assert ready.wait(60)
                yield
            finally:
                over.set()
                pinging.result()

    def _ping(self, ready: threading.Event, over: threading.Event) -> None:
        figures = Figures(self.server.process.pid)
        with httpx2.Client(base_url=self.server.url, timeout=60, headers={"Accept": BOTH_FORMS}) as http:
            session = {"Mcp-Session-Id": http.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]}
            while not over.is_set():
                began, used = time.monotonic(), figures.own_seconds()
                answer = http.post("/mcp", json=rpc(2, "ping"), headers=session)
                self.waited_s.append(time.monotonic() - began)
                self.used_s.append(figures.own_seconds() - used)
                assert answer.status_code == 200
                ready.set()
                over.wait(PING_EVERY_S)
            http.delete("/mcp", headers=session)


def uncounted() -> dict[str, str]:
    """Variables that keep a tool which measures coverage out of a process: it takes most of the time."""
    return {name: "" for name in os.environ if name.startswith("COVERAGE")}


@contextmanager
def endpoint(choose: Callable[[Request], Reply]) -> Iterator[Endpoint]:
    """An endpoint on a thread of its own."""
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(Endpoint(choose=choose)) as endpoint:
            yield endpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    (folder / "large.jpg").write_bytes(JPEG + bytes(15 * MB))
    return folder


@pytest.fixture(scope="module")
def place(folder: Path) -> Iterator[Place]:
    inputs = (*SCHEMAS, *ARGUMENTS, *ANSWERS, *images(folder))
    with endpoint(replies(inputs)) as upstream:
        variables = {"GROK_MCP_IMAGE_ROOTS": str(folder), **AT_ONCE, **uncounted()}
        with serving(upstream.url, command=SERVE, **variables) as server:
            for one in (ANSWERS[0], ARGUMENTS[0], SCHEMAS[4]):  # so that all is loaded
                call(server, one)
            yield Place(server, folder)


def call(server: Served, one: Input) -> str:
    sent = modern(1, "tools/call", **one.call())
    return httpx2.post(f"{server.url}/mcp", timeout=120, **sent).text


def hold(name: str, used_s: float, megabytes: float, cost: Cost) -> None:
    assert used_s <= ALLOWED * cost.seconds, name
    assert megabytes <= ALLOWED * cost.megabytes, name


@pytest.mark.parametrize(
    "one", [*SCHEMAS, *ARGUMENTS, *ANSWERS, *images(Path())], ids=lambda one: str(one.name)
)
def test_an_input_costs_little_and_nobody_waits_for_it(one: Input, place: Place) -> None:
    one = next((made for made in images(place.folder) if made.name == one.name), one)
    figures, pings = Figures(place.server.process.pid), Pings(place.server)
    with pings.going_on():
        figures.forget_peak()
        used, before = figures.seconds(), figures.megabytes()
        text = call(place.server, one)
        used_s, megabytes = figures.seconds() - used, figures.megabytes("VmHWM") - before
    ping_s = max(pings.used_s)
    print(  # noqa: T201  # the table
        f"{one.name:<45} {used_s:6.3f} s {megabytes:5.0f} MB, ping {ping_s * 1e3:4.0f} ms of it,"
        f" {max(pings.waited_s) * 1e3:4.0f} ms on the wall: {one.reason}"
    )
    assert one.says in text, text[:2_000]
    hold(one.name, used_s, megabytes, one.cost)
    assert ping_s <= ALLOWED * max(PING_S, one.cost.seconds)
    assert place.server.process.poll() is None


@dataclass(frozen=True)
class Line:
    """A line to a server on stdio, and what it answers."""

    name: str
    sent: Callable[[], bytes]
    says: str
    cost: Cost = field(default_factory=Cost)


def asked(**arguments: Any) -> bytes:
    return json.dumps(rpc(7, "tools/call", name="ask_grok", arguments=arguments)).encode()


LINES = (
    Line(
        "a prompt of 40 MB",
        lambda: asked(prompt="word " * (8 * MB)),
        "longer than 8,000,000",
        Cost(0.3, 130),
    ),
    Line(
        "a data URI of 40 MB",
        lambda: asked(prompt="Hi", images=["data:image/png;base64," + "A" * 40 * MB]),
        "larger than 20 MiB",
        Cost(0.3, 130),
    ),
    Line(
        "a message of 60 MB",
        lambda: asked(prompt="word " * (12 * MB)),
        "48 MiB",
        Cost(0.2, 60),
    ),
    Line(
        "a line of 200 MB",
        lambda: b'{"jsonrpc":"2.0","id":7,"a":"' + b"x" * (200 * MB),
        "48 MiB",
        Cost(1, 80),
    ),
    Line("a batch of 100,000", lambda: b"[" + b'{"id":1},' * 100_000 + b"1]", "values"),
    Line(
        "ten million lists",
        lambda: b'{"jsonrpc":"2.0","id":7,"a":[' + b"[]," * 10_000_000 + b"1]}",
        "values",
        Cost(0.3, 80),
    ),
    Line("a million levels", lambda: b'{"jsonrpc":"2.0","id":7,"a":' + b"[" * 1_000_000, "values"),
    Line(
        "100,000 levels",
        lambda: b'{"jsonrpc":"2.0","id":7,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deep",
    ),
    Line("a method of 10 MB", lambda: json.dumps(rpc(7, "m" * 10 * MB)).encode(), "", Cost(0.3, 80)),
    Line(
        "an id of 10 MB",
        lambda: json.dumps({"jsonrpc": "2.0", "id": "i" * 10 * MB, "method": "ping"}).encode(),
        "",
        Cost(0.3, 100),
    ),
)


@contextmanager
def on_stdio(url: str) -> Iterator["subprocess.Popen[bytes]"]:
    variables = environment(XAI_BASE_URL=url, XAI_API_KEY=KEY, **AT_ONCE, **uncounted())
    process = subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)
    with process:
        try:
            said(process, json.dumps(INITIALIZE).encode())
            tell(process, json.dumps(INITIALIZED).encode())
            yield process
        finally:
            process.kill()


def tell(process: "subprocess.Popen[bytes]", line: bytes) -> None:
    assert process.stdin
    process.stdin.write(line + b"\n")
    process.stdin.flush()


def said(process: "subprocess.Popen[bytes]", line: bytes) -> str:
    """The answer to a line."""
    tell(process, line)
    assert process.stdout
    while b'"method"' in (answer := process.stdout.readline())[:200] and b'"id"' not in answer[:60]:
        pass
    return answer.decode()


def test_a_line_of_any_size_on_stdio_costs_little() -> None:
    with endpoint(lambda request: chat("Fine.")) as upstream, on_stdio(upstream.url) as process:
        said(process, asked(prompt="Hi"))
        figures = Figures(process.pid)
        for line in LINES:
            sent = line.sent()
            figures.forget_peak()
            used, before = figures.seconds(), figures.megabytes()
            answer = said(process, sent)
            used_s, megabytes = figures.seconds() - used, figures.megabytes("VmHWM") - before
            print(f"{line.name:<45} {used_s:6.3f} s {megabytes:5.0f} MB")  # noqa: T201  # the table
            assert line.says in answer, answer[:2_000]
            hold(line.name, used_s, megabytes, line.cost)
            assert json.loads(said(process, json.dumps(rpc(8, "ping")).encode())) == {
                "jsonrpc": "2.0",
                "id": 8,
                "result": {},
            }


HEAVY = (
    "patterns that repeat repetitions",
    "a pattern with look-ahead that backtracks",
    "many branches for many values",
    "16 MB of keep-alives amid an answer",
    "one event of 100 MB",
    "100,000 searches",
    "halves of surrogate pairs",
    "20 MB of lists as text",
)


@pytest.mark.parametrize("after_s", [0.05, 0.5])
def test_a_server_amid_such_inputs_ends_when_it_is_told_to(after_s: float) -> None:
    """The moment is that at which it has used so much processor time for them."""
    inputs: Mapping[str, Input] = {one.name: one for one in (*SCHEMAS, *ARGUMENTS, *ANSWERS)}
    with endpoint(replies(inputs.values())) as upstream:
        with serving(upstream.url, command=SERVE, GROK_MCP_GRACE="0.5", **uncounted()) as server:
            figures, over = Figures(server.process.pid), time.monotonic() + 60
            with ThreadPoolExecutor(len(HEAVY)) as threads:
                used = figures.own_seconds()
                for name in HEAVY:
                    threads.submit(quietly, server, inputs[name])
                while figures.own_seconds() - used < after_s and time.monotonic() < over:
                    time.sleep(0.005)
                server.process.terminate()
                assert server.process.wait(10 * slowness()) == 0


def quietly(server: Served, one: Input) -> None:
    with suppress(httpx2.HTTPError):  # it is ended meanwhile
        call(server, one)
