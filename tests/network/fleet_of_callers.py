"""A server of one or two processes with callers, limits, metrics and an audit stream.

Its endpoint answers by the model that it is asked for.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult

from grok_mcp.serving.http.token_lines import new_token
from tests.network.scrape import TOKEN, Series
from tests.network.server import Served, serving
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.ledger import CENT, priced

COUNTED = {
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


@dataclass
class Fleet:
    """A server of one or two processes, its endpoint, and its callers."""

    server: Served
    portal: BlockingPortal
    tokens: dict[str, str]
    held: list[Reply]
    workers: int
    audit: Path
    last: Series = field(default_factory=dict)
    """What was scraped last, when nothing was under way."""

    async def call(
        self, caller: str = "ann", tool: str = "ask_grok", **arguments: Any
    ) -> CallToolResult | MCPError:
        """What a call through a real client comes to."""
        headers = {"Authorization": f"Bearer {self.tokens[caller]}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
            async with Client(streamable_http_client(f"{self.server.url}/mcp", http_client=http)) as client:
                needed = {} if tool == "grok_result" else {"prompt": "Hi"}
                try:
                    result = await client.call_tool(tool, needed | arguments)
                except MCPError as error:
                    return error
        assert isinstance(result, CallToolResult)
        return result

    async def give_up(self, **arguments: Any) -> None:
        """Make a call that is held, and give it up once it has come to the endpoint."""
        assert not self.held
        async with anyio.create_task_group() as group:
            group.start_soon(partial(self.call, model="held", **arguments))
            while not self.held:
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        self.held.clear()

    def lines(self) -> list[dict[str, Any]]:
        """The lines of the audit stream."""
        return [json.loads(line) for line in self.audit.read_text().splitlines()]

    def release(self) -> None:
        for reply in self.held:
            self.portal.call(reply.release.set)
        self.held.clear()


class Upstream:
    """Answers by the model that is asked."""

    def __init__(self) -> None:
        self.held: list[Reply] = []
        self.busy = 0

    def choose(self, request: Request) -> Reply:
        if request.body is None:
            return body({"data": []})
        self.busy += request.body["model"] == "busy"
        match request.body["model"]:
            case "refused":
                return body({"error": {"message": "No such key"}}, 401)
            case "busy" if self.busy % 2:
                return body({"error": {"message": "No capacity"}}, 503)
            case "dear":
                return priced(200 * CENT)
            case "cut":
                return Reply(chat("Half", " an answer").pieces[:1], end="cut")
            case "held":
                reply = Reply(priced(CENT).pieces, hold=0)
                self.held.append(reply)
                return reply
        return priced(CENT, **COUNTED)


LIMITS = """
[callers.lea]
requests_per_minute = 1
[callers.max]
models = ["grok-4.3"]
"""
"""Of two callers; the others have none. Each process counts for itself."""


@contextmanager
def fleet(workers: int, folder: Path, **variables: Any) -> Iterator[Fleet]:
    tokens = {name: new_token(name) for name in ("ann", "bob", "kim", "lea", "max")}
    file = folder / "tokens"
    file.write_text("".join(f"{line}\n" for _, line in tokens.values()))
    limits = folder / "limits.toml"
    limits.write_text(LIMITS)
    upstream = Upstream()
    with start_blocking_portal() as portal:
        endpoint = Endpoint(choose=upstream.choose)
        with (
            portal.wrap_async_context_manager(endpoint),
            serving(
                endpoint.url,
                "--workers",
                str(workers),
                GROK_MCP_METRICS="on",
                GROK_MCP_METRICS_TOKEN=TOKEN,
                GROK_MCP_METRICS_CALLERS="on",
                GROK_MCP_TOKEN_FILE=str(file),
                GROK_MCP_STATE_DIR=str(folder),
                GROK_MCP_BUDGET_USD_PER_DAY="1",
                GROK_MCP_CALL_LIMIT_USD="0.9",
                GROK_MCP_LIMITS_FILE=str(limits),
                GROK_MCP_MAX_CONCURRENCY="1",
                GROK_MCP_MAX_RETRIES="1",
                GROK_MCP_WAIT="0.5",
                GROK_MCP_AUDIT=str(folder / "audit"),
                **variables,
            ) as server,
        ):
            named = {name: token for name, (token, _) in tokens.items()}
            yield Fleet(server, portal, named, upstream.held, workers, folder / "audit")
