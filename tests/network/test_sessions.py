"""Sessions of clients from before 2026-07-28 and streams of SSE: bounded for each caller, and they expire."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from grok_mcp.sandbox import SandboxServer
from grok_mcp.serving.http.sessions import CALLERS, Session, Sessions
from grok_mcp.serving.http.token_lines import new_token
from tests.network.server import BOTH_FORMS, INITIALIZE, in_process, rpc, serving

SHARE = 3


class Caller:
    """A client with a token that opens sessions."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Accept": BOTH_FORMS, **({"Authorization": f"Bearer {token}"} if token else {})}
        self.http = httpx2.Client(base_url=url, headers=headers, timeout=20)

    def opened(self) -> str:
        return str(self.http.post("/mcp", json=INITIALIZE).headers["mcp-session-id"])

    def status(self, session: str) -> int:
        return self.http.post("/mcp", json=rpc(2, "ping"), headers={"Mcp-Session-Id": session}).status_code

    @contextmanager
    def stream(self, path: str = "/sse", **headers: str) -> Iterator[Iterator[str]]:
        """Attached, and its first line is here."""
        with self.http.stream("GET", path, headers={"Accept": "text/event-stream", **headers}) as events:
            assert events.status_code == 200
            lines = events.iter_lines()
            if path == "/sse":
                assert next(lines) == "event: endpoint"
            yield lines


@pytest.fixture
def callers(tmp_path: Path) -> Iterator[tuple[Caller, Caller]]:
    made = [new_token(name) for name in ("alice", "bob")]
    file = tmp_path / "tokens"
    file.write_text("\n".join(line for _, line in made))
    with in_process(token_file=file, sessions_per_caller=SHARE) as url:
        alice, bob = (Caller(url, token) for token, _ in made)
        with alice.http, bob.http:
            yield alice, bob


def test_a_caller_with_too_many_sessions_loses_the_one_that_was_left_alone(
    callers: tuple[Caller, Caller],
) -> None:
    alice, bob = callers
    of_bob = bob.opened()
    mine = [alice.opened() for _ in range(SHARE)]
    assert alice.status(mine[0]) == 200, "used again, so that another one is the oldest"
    mine.append(alice.opened())
    assert [alice.status(session) for session in mine] == [200, 404, 200, 200]
    assert bob.status(of_bob) == 200
    assert alice.status(of_bob) == 404, "it is not hers"


def test_a_session_with_an_open_stream_is_in_use(callers: tuple[Caller, Caller]) -> None:
    alice, _ = callers
    first = alice.opened()
    with alice.stream("/mcp", **{"Mcp-Session-Id": first}):
        others = [alice.opened() for _ in range(SHARE)]
        assert [alice.status(session) for session in (first, *others)] == [200, 404, 200, 200]


def test_streams_of_sse_count_as_well(callers: tuple[Caller, Caller]) -> None:
    alice, bob = callers
    with ExitStack() as stack:
        of_bob = stack.enter_context(bob.stream())
        streams = [stack.enter_context(alice.stream()) for _ in range(SHARE)]
        session = alice.opened()
        assert not [line for line in streams[0] if line.startswith("event")], "it has ended"
        assert alice.status(session) == 200
        path = next(of_bob).removeprefix("data: ")
        assert bob.http.post(path, json=rpc(1, "ping")).status_code == 202
        assert '"result":{}' in next(line for line in of_bob if "jsonrpc" in line)


def test_a_session_that_was_just_opened_is_kept_where_all_others_are_in_use(
    callers: tuple[Caller, Caller],
) -> None:
    alice, _ = callers
    with ExitStack() as stack:
        mine = [alice.opened() for _ in range(SHARE)]
        for session in mine:
            stack.enter_context(alice.stream("/mcp", **{"Mcp-Session-Id": session}))
        mine.append(alice.opened())
        assert [alice.status(session) for session in mine] == [404, 200, 200, 200]


def test_an_attached_stream_of_sse_does_not_expire() -> None:
    with in_process(session_idle=0.2) as url:
        client = Caller(url)
        with client.http, client.stream() as lines:
            path = next(lines).removeprefix("data: ")
            expired = client.opened()
            while client.http.delete("/mcp", headers={"Mcp-Session-Id": expired}).status_code == 200:
                expired = client.opened()
                time.sleep(0.4)
            client.opened()
            assert client.http.post(path, json=rpc(1, "ping")).status_code == 202


def test_a_session_that_its_client_ends_makes_room(callers: tuple[Caller, Caller]) -> None:
    alice, _ = callers
    mine = [alice.opened() for _ in range(SHARE)]
    assert alice.http.delete("/mcp", headers={"Mcp-Session-Id": mine[1]}).status_code == 200
    mine.append(alice.opened())
    assert [alice.status(session) for session in mine] == [200, 404, 200, 200]


def test_a_session_that_nobody_uses_expires() -> None:
    with in_process(session_idle=0.3) as url:
        client = Caller(url)
        with client.http:
            session, other = client.opened(), client.opened()
            with client.stream("/mcp", **{"Mcp-Session-Id": other}):
                deadline = time.monotonic() + 20
                while client.status(session) == 200:  # which keeps it, so that it is left alone for longer
                    assert time.monotonic() < deadline
                    time.sleep(0.6)
                assert client.status(other) == 200, "somebody listens to it"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("opened", "ended"),
    [
        ("aaaa", "a"),
        ("abab", ""),
        ("aaabbb", ""),
        ("bbbbaa", "b"),
        ("".join(chr(97 + number) * SHARE for number in range(CALLERS)) + "z", "a"),
        ("z" + "".join(chr(97 + number) * SHARE for number in range(CALLERS)), "a"),
    ],
    ids=["one", "two", "two full", "the heavy one", "many, then one", "one, then many"],
)
async def test_the_heaviest_caller_loses_the_oldest(opened: str, ended: str) -> None:
    lost: list[str] = []
    sessions = Sessions(SHARE, idle_s=1000)
    for number, caller in enumerate(opened):

        async def end(name: str = f"{caller}{number}") -> None:
            lost.append(name)

        await sessions.add(f"{number}", Session(caller, end))
    assert "".join(name[0] for name in lost) == ended
    assert all(name == f"{name[0]}{opened.index(name[0])}" for name in lost), "the oldest of that caller"


@pytest.mark.parametrize("flags", [("--transport", "http"), ("--transport", "sse")], ids=" ".join)
def test_attached_streams_are_no_error_at_the_end(flags: tuple[str, ...]) -> None:
    with SandboxServer(pace=0) as sandbox, serving(sandbox.url, *flags) as server:
        client = Caller(server.url)
        with client.http, ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(client.stream())
            if "http" in flags:
                session = client.opened()
                stack.enter_context(client.stream("/mcp", **{"Mcp-Session-Id": session}))
            server.process.terminate()
            assert server.status() == 0
    assert len(server.lines) == 1, server.lines
