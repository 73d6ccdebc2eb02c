"""What every measurement needs: the endpoint, the raw client, our server, and how to ask each of them."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.child import Child, McpChild

PATHS = {"chat_completions": "/v1/chat/completions", "responses": "/v1/responses"}
PROMPT = "Which of the two is the better one, and why?"


class Stage:
    """A running endpoint and raw client, both shared by all measurements of a run."""

    def __init__(self, endpoint: Child, raw: Child, state: str) -> None:
        self.base = f"http://127.0.0.1:{int(endpoint.line())}"
        self.settings = {
            "XAI_BASE_URL": f"{self.base}/v1",
            "XAI_API_KEY": "x",
            "GROK_MCP_STATE_DIR": state,  # no call here belongs into anybody's ledger
        }
        self._raw = raw

    def raw(
        self, model: str, *, count: int = 1, dialect: str = "chat_completions", together: bool = False
    ) -> dict[str, Any]:
        """Let the raw client make the request of `ask`, and tell what that took."""
        order = {
            "url": self.base + PATHS[dialect],
            "body": body(model, dialect),
            "count": count,
            "together": together,
        }
        self._raw.send(json.dumps(order).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._raw.line())
        return answer

    @contextmanager
    def ours(self, **environ: str) -> Iterator[McpChild]:
        """Our server before this endpoint, warm: one call has been answered."""
        # A whole answer is what is measured.
        settings = {**self.settings, "GROK_MCP_MAX_RESULT_CHARS": "0", **environ}
        with McpChild(["-m", "grok_mcp"], settings) as server:
            server.open()
            server.request(*ask("grok-bench"))
            yield server

    @contextmanager
    def relay(self) -> Iterator[McpChild]:
        """The bare SDK server whose tool makes the raw request, warm."""
        with McpChild(["-m", "benchmarks.relay_server", self.base]) as server:
            server.open()
            server.request(*echo())
            yield server


@contextmanager
def stage() -> Iterator[Stage]:
    """Everything started, and ended again."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state,
        Child(["-m", "benchmarks.endpoint"]) as endpoint,
        Child(["-m", "benchmarks.raw_client"]) as raw,
    ):
        yield Stage(endpoint, raw, state)


@contextmanager
def bare() -> Iterator[McpChild]:
    """The bare SDK server, warm."""
    with McpChild(["-m", "benchmarks.bare_server"]) as server:
        server.open()
        server.request(*echo())
        yield server


def ask(model: str, *, token: str | None = None) -> tuple[str, Mapping[str, Any]]:
    """A call of `ask_grok`; with a progress token the server sends notes."""
    params: dict[str, Any] = {"name": "ask_grok", "arguments": {"prompt": PROMPT, "model": model}}
    if token:
        params["_meta"] = {"progressToken": token}
    return "tools/call", params


def echo() -> tuple[str, Mapping[str, Any]]:
    """A call of the bare server's tool."""
    return "tools/call", {"name": "echo", "arguments": {"prompt": PROMPT}}


def body(model: str, dialect: str) -> dict[str, Any]:
    """The request that our server makes of such a call."""
    if dialect == "responses":
        return {
            "model": model,
            "input": [{"role": "user", "content": PROMPT}],
            "stream": True,
            "store": False,
        }
    return {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
