"""An MCP host: a real client on a server of ours, which uses a scripted endpoint."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from mcp.client import Client
from mcp_types import CallToolResult, ResourceLink, TextContent

from grok_mcp.pipeline.grok import Grok
from grok_mcp.server.server import build_server
from grok_mcp.settings import Settings
from tests.support.endpoint import Endpoint
from tests.support.pace import within

CONTRADICTION = {True: r"will not help|unlikely to help", False: r"\b(?:[Tt]ry|[Aa]sk) again\b"}
"""What no advice may say, by whether a retry can help."""


@dataclass
class Result:
    """A tool result in the parts that tests look at."""

    raw: CallToolResult
    notes: list[tuple[float, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        block, *links = self.raw.content
        assert isinstance(block, TextContent)
        assert all(isinstance(link, ResourceLink) for link in links) and len(links) <= 1
        return block.text

    @property
    def structured(self) -> dict[str, Any]:
        found: dict[str, Any] | None = self.raw.structured_content
        assert found is not None
        return found

    @property
    def answer(self) -> dict[str, Any]:
        assert not self.raw.is_error, self.text
        assert self.raw.meta is not None
        found: dict[str, Any] = self.raw.meta["grok-mcp/answer"]
        return found

    @property
    def error(self) -> dict[str, Any]:
        assert self.raw.is_error, self.text
        assert self.raw.structured_content is None
        assert self.raw.meta is not None
        found: dict[str, Any] = self.raw.meta["grok-mcp/error"]
        assert self.text.startswith(f"[{found['code']}] ")
        assert not re.search(CONTRADICTION[found["retryable"]], self.text), self.text
        return found


class Host:
    """An MCP host with a server of ours; `whole(...)` calls return the published `Answer` as data."""

    def __init__(self, client: Client, grok: Grok) -> None:
        self.client = client
        self.grok = grok
        self._open: set[int] = set()

    async def call(self, tool: str, *, watch: bool = False, **arguments: Any) -> Result:
        notes: list[tuple[float, str]] = []

        async def note(progress: float, total: float | None, message: str | None) -> None:
            assert total is None
            notes.append((progress, message or ""))

        with within(20):
            raw = await self.client.call_tool(tool, arguments, progress_callback=note if watch else None)
        assert isinstance(raw, CallToolResult)
        return Result(raw, notes)

    async def ask(self, prompt: str | None = None, **arguments: Any) -> Result:
        """Ask something; where nothing is said, another question than those that are open."""
        return await self._other("ask_grok", "prompt", prompt, "Hello?", arguments)

    async def search(self, query: str | None = None, **arguments: Any) -> Result:
        """Search for something; where nothing is said, for something else than what is open."""
        return await self._other("grok_search", "query", query, "What is new?", arguments)

    async def _other(
        self, tool: str, name: str, text: str | None, usual: str, arguments: dict[str, Any]
    ) -> Result:
        """The same call as one that is open would be answered by that one."""
        number = next(n for n in count(1) if n not in self._open)
        self._open.add(number)
        goes_on = False
        if text is None:
            text = usual if number == 1 else f"{usual[:-1]}, number {number}?"
        try:
            result = await self.call(tool, **{name: text, **arguments})
            goes_on = "Grok is still writing" in result.text
        finally:
            if not goes_on:
                self._open.discard(number)
        return result


@asynccontextmanager
async def host_on(
    endpoint: Endpoint | str | None,
    *,
    legacy: bool = False,
    extensions: Any = None,
    elicitation: Any = None,
    roots: Any = None,
    **settings: Any,
) -> AsyncIterator[Host]:
    """A host whose server uses this endpoint; `settings` by the names of the settings model."""
    url = endpoint.url if isinstance(endpoint, Endpoint) else endpoint
    grok = Grok(Settings(**{"XAI_BASE_URL": url, "XAI_API_KEY": "xai-test-key-1234567890", **settings}))
    try:
        async with Client(
            build_server(grok),
            mode="legacy" if legacy else "auto",
            extensions=extensions,
            elicitation_callback=elicitation,
            list_roots_callback=roots,
        ) as client:
            yield Host(client, grok)
    finally:
        await grok.aclose()
