"""The server on the network, as a process or on a thread of this one, and raw requests to it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple

import uvicorn
from starlette.types import ASGIApp

from grok_mcp.pipeline.grok import Grok
from grok_mcp.server.server import build_server
from grok_mcp.serving.http.app import build_app
from grok_mcp.serving.http.protocol import GuardedProtocol
from grok_mcp.settings import Settings

KEY = "xai-test-key-1234567890"
UVICORN = (sys.executable, "-m", "uvicorn", "--factory", "grok_mcp.http:create_app", "--port", "0")
SERVE = (sys.executable, "-m", "grok_mcp", "serve")
WAIT_S = 90.0
BOTH_FORMS = "application/json, text/event-stream"


@dataclass
class Served:
    """A server process and what it has written to stderr."""

    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)
    url: str = ""
    _more: threading.Condition = field(default_factory=threading.Condition)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def read(self) -> None:
        """Collect stderr, on a thread of its own."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        self.process.wait()
        with self._more:
            self._more.notify_all()

    def line_with(self, *texts: str) -> str:
        """The first line on stderr with all of these, once it is there."""

        def found() -> list[str]:
            return [line for line in self.lines if all(text in line for text in texts)]

        with self._more:
            self._more.wait_for(lambda: found() or self.process.poll() is not None, WAIT_S)
            lines = found()
        assert lines, f"no line with {texts} in {self.lines}"
        return lines[0]

    def status(self) -> int:
        """The exit status, once the process has ended."""
        return self.process.wait(WAIT_S)


@contextmanager
def serving(
    upstream: str | None, *flags: str, command: tuple[str, ...] = SERVE, **variables: str
) -> Iterator[Served]:
    """A server process on this endpoint, on a free port; told to end with the block."""
    own = {"XAI_API_KEY": KEY, "GROK_MCP_TRANSPORT": "http", "GROK_MCP_PORT": "0"}
    if upstream:
        own["XAI_BASE_URL"] = upstream
    process = subprocess.Popen(
        [*command, *flags], stderr=subprocess.PIPE, text=True, env=environment(**own | variables)
    )
    served = Served(process)
    reader = threading.Thread(target=served.read)
    reader.start()
    try:
        said = re.search(r"http://[\w.]+:\d+", served.line_with("http://"))
        assert said is not None
        served.url = said[0]
        yield served
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(WAIT_S)
        process.kill()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()


def refused(*flags: str, **variables: str) -> tuple[int, list[str]]:
    """The exit status and stderr of a server that does not start."""
    done = subprocess.run(
        [*SERVE, *flags],
        capture_output=True,
        text=True,
        env=environment(XAI_API_KEY=KEY, **variables),
        timeout=WAIT_S,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def environment(**variables: str) -> dict[str, str]:
    """The variables of a process, without the settings of whoever runs the tests, but with their ledger."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == "GROK_MCP_STATE_DIR"
        or (not name.startswith(("GROK_MCP_", "XAI_")) and not name.lower().endswith("_proxy"))
    } | variables


@contextmanager
def in_process(
    wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    prepare: Callable[[Grok], None] = lambda grok: None,
    **settings: Any,
) -> Iterator[str]:
    """The application by these settings on a thread of this process; its address."""
    told = Settings(**{"XAI_API_KEY": KEY, **settings})
    grok = Grok(told)
    prepare(grok)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(
        wrap(build_app(build_server(grok), grok, told)),
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        server_header=False,
        proxy_headers=False,  # so that it is ours to read them
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def rpc(number: int, method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


INITIALIZE = rpc(
    1,
    "initialize",
    protocolVersion="2025-11-25",
    capabilities={},
    clientInfo={"name": "raw", "version": "1"},
)
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def modern(number: int, method: str, token: int | None = None, **params: Any) -> dict[str, Any]:
    """A request of 2026-07-28, as the keywords `headers` and `json` of an HTTP client."""
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    named = {"Mcp-Name": params["name"]} if "name" in params else {}
    return {
        "headers": {
            "Accept": BOTH_FORMS,
            "MCP-Protocol-Version": version,
            "Mcp-Method": method,
            **named,
        },
        "json": rpc(number, method, **params, _meta=meta | ({"progressToken": token} if token else {})),
    }


class SlowHeaders:
    """A connection that sends a byte of its headers now and then, beside whatever else goes on."""

    def __init__(self, port: int) -> None:
        self.lasted_s: float | None = None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._drip, args=(port,))
        self._thread.start()

    def wait(self) -> None:
        """Until the server has closed the connection."""
        self._thread.join(60)

    def give_up(self) -> None:
        self._enough.set()
        self._thread.join()

    def _drip(self, port: int) -> None:
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), 0.5) as connection, suppress(ConnectionError):
            connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            open_still = True
            while open_still and not self._enough.is_set():
                connection.sendall(b"x")
                with suppress(TimeoutError):
                    open_still = connection.recv(1) != b""
        self.lasted_s = time.monotonic() - started


class Answer(NamedTuple):
    """A response as it came over the wire, names of headers in small letters.

    Status 0: the connection was closed without one.
    """

    status: int
    headers: Mapping[str, str]
    body: str


def exchange(url: str, sent: bytes, timeout_s: float = 10) -> Answer:
    """What the server says to these bytes."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout_s) as connection:
        with suppress(ConnectionError):  # it may refuse before it has read all
            connection.sendall(sent)
        response = HTTPResponse(connection, method=sent.partition(b" ")[0].decode("latin-1"))
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, headers, response.read().decode())
        except (HTTPException, ConnectionError):
            return Answer(0, {}, "")
        finally:
            response.close()


def wire(
    headers: Mapping[str, str | None] | None = None,
    *,
    method: str = "POST",
    path: str = "/mcp",
    version: str = "HTTP/1.1",
    body: bytes | None = None,
    extra: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The bytes of a good request for the list of tools, with other headers (None leaves one out) or body."""
    good = modern(1, "tools/list")
    sent = json.dumps(good["json"]).encode() if body is None else body
    told: dict[str, str | None] = {
        "Host": "localhost",
        **good["headers"],
        "Content-Type": "application/json",
        "Content-Length": str(len(sent)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [f"{name}: {value}" for name, value in [*told.items(), *extra] if value is not None]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode() + sent


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
