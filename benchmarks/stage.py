"""What every measurement needs: the endpoint, the raw clients, all servers, and how to ask each of them."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from benchmarks import peers
from benchmarks.child import PYTHON, Child, McpChild, check
from benchmarks.peers import UnavailableError
from benchmarks.wire import DIALECT, PATHS, PROMPT, Dialect, body

Call = tuple[str, Mapping[str, Any]]

OURS = [PYTHON, "-m", "grok_mcp"]
PIECES_16 = "grok-bench-n16-whole"


class Server(NamedTuple):
    """How a server is started, and the call that makes it answer."""

    command: list[str]
    environ: Mapping[str, str]
    call: Call

    @contextmanager
    def running(self) -> Iterator[McpChild]:
        """It, warm: one call has been answered."""
        with McpChild(self.command, self.environ) as server:
            server.open()
            check(server.request(*self.call))
            yield server


class Servers(NamedTuple):
    """Those that can be measured here, and why the others can't."""

    found: dict[str, Server]
    missing: dict[str, str]


class Stage:
    """A running endpoint and raw clients, shared by all measurements of a run."""

    def __init__(self, endpoint: Child, raw: Child, state: str, stack: ExitStack) -> None:
        self.base = f"http://127.0.0.1:{int(endpoint.line())}"
        self.settings = {
            "XAI_BASE_URL": f"{self.base}/v1",
            "XAI_API_KEY": "x",
            "GROK_MCP_DIALECT": DIALECT,  # the same bytes for everybody
            "GROK_MCP_STATE_DIR": state,  # no call here belongs into anybody's ledger
        }
        self._state, self._stack = state, stack
        self._raw = {"httpx2": raw}
        self._unavailable: dict[str, str | None] = {}

    def raw(
        self,
        model: str,
        *,
        count: int = 1,
        dialect: Dialect = DIALECT,
        together: bool = False,
        client: str = "httpx2",
    ) -> dict[str, Any]:
        """Let a raw client make the request of `ask`, and tell what that took."""
        if client not in self._raw:
            environ = {"PYTHONPATH": str(peers.python_package("aiohttp"))}
            raw = Child([PYTHON, "-m", "benchmarks.raw_aiohttp"], environ)
            self._raw[client] = self._stack.enter_context(raw)
        order = {
            "url": self.base + PATHS[dialect],
            "body": body(model, dialect),
            "count": count,
            "together": together,
        }
        self._raw[client].send(json.dumps(order).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._raw[client].line())
        return answer

    def servers(self, model: str, names: Iterable[str]) -> Servers:
        """The servers of these names before this endpoint; those of others only if they answer."""
        known: Mapping[str, Callable[[str], Server]] = {
            "ours": self._ours,
            "bare SDK": self._bare,
            "SDK relay": self._relay,
            "aiohttp on the SDK": self._aiohttp,
            "Perplexity": self._perplexity,
            "Rust": self._rust,
        }
        found, missing = {}, {}
        for name in names:
            reason = self._reason_against(name, known[name])
            if reason is None:
                found[name] = known[name](model)
            else:
                missing[name] = reason
        return Servers(found, missing)

    def _reason_against(self, name: str, server: Callable[[str], Server]) -> str | None:
        """Why it can't be measured; found out once, by an installation and a call."""
        if name == "ours":
            return None
        if name not in self._unavailable:
            try:
                with server(PIECES_16).running():
                    self._unavailable[name] = None
            except UnavailableError as error:
                self._unavailable[name] = str(error)
            except (EOFError, OSError, RuntimeError) as error:
                self._unavailable[name] = f"does not answer: {str(error)[:120]}"
        return self._unavailable[name]

    @contextmanager
    def ours(self, **environ: str) -> Iterator[McpChild]:
        """Our server before this endpoint, warm."""
        with self._ours("grok-bench", **environ).running() as server:
            yield server

    @contextmanager
    def ours_over_http(self, **environ: str) -> Iterator[int]:
        """Our server on a free port, which it tells on stderr."""
        settings = {**Child.environ(), **self.settings, "GROK_MCP_TRANSPORT": "http", **environ}
        command = [*OURS, "serve", "--port", "0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=settings)
        try:
            assert process.stderr is not None
            port = re.search(rb":(\d+)/", process.stderr.readline())
            assert port is not None
            yield int(port[1])
        finally:
            process.terminate()
            process.communicate()

    def _ours(self, model: str, **environ: str) -> Server:
        # A whole answer is what is measured.
        settings = {**self.settings, "GROK_MCP_MAX_RESULT_CHARS": "0", **environ}
        return Server(OURS, settings, ask(model))

    def _bare(self, model: str) -> Server:
        return Server([PYTHON, "-m", "benchmarks.bare_server"], {}, echo(model))

    def _relay(self, model: str) -> Server:
        return Server([PYTHON, "-m", "benchmarks.relay_server", self.base], {}, echo(model))

    def _aiohttp(self, model: str) -> Server:
        environ = {"PYTHONPATH": str(peers.python_package("aiohttp"))}
        return Server([PYTHON, "-m", "benchmarks.aiohttp_server", self.base], environ, echo(model))

    def _perplexity(self, model: str) -> Server:
        """Its Agent API knows no model: the endpoint finds the name in the question."""
        package = peers.npm_package("@perplexity-ai/mcp-server")
        environ = {"PERPLEXITY_BASE_URL": self.base, "PERPLEXITY_API_KEY": "x", "HOME": self._state}
        messages = [{"role": "user", "content": f"{model} {PROMPT}"}]
        call = {"name": "perplexity_ask", "arguments": {"messages": messages}}
        return Server([peers.node(), str(package / "dist" / "index.js")], environ, ("tools/call", call))

    def _rust(self, model: str) -> Server:
        """The program itself, without the wheel's Python in front; it asks for no stream."""
        package = peers.python_package("grok-search-rs")
        environ = {
            "GROK_SEARCH_URL": f"{self.base}/v1",
            "GROK_SEARCH_API_KEY": "x",
            "GROK_SEARCH_MODEL": model,
            "GROK_SEARCH_PROXY": "off",
            "HOME": self._state,
        }
        # In its short form, as it would fetch the sources otherwise.
        call = {"name": "web_search", "arguments": {"query": PROMPT, "response_format": "concise"}}
        program = package / "grok_search_rs" / "bin" / "grok-search-rs"
        return Server([str(program)], environ, ("tools/call", call))


@contextmanager
def stage() -> Iterator[Stage]:
    """Everything started, and ended again."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state,
        ExitStack() as stack,
        Child([PYTHON, "-m", "benchmarks.endpoint"]) as endpoint,
        Child([PYTHON, "-m", "benchmarks.raw_client"]) as raw,
    ):
        yield Stage(endpoint, raw, state, stack)


def ask(model: str, *, token: str | None = None) -> Call:
    """A call of `ask_grok`; with a progress token the server sends notes."""
    params: dict[str, Any] = {"name": "ask_grok", "arguments": {"prompt": PROMPT, "model": model}}
    if token:
        params["_meta"] = {"progressToken": token}
    return "tools/call", params


def echo(prompt: str) -> Call:
    """A call of the tool that all baselines of ours have."""
    return "tools/call", {"name": "echo", "arguments": {"prompt": prompt}}
