"""A server for a team: callers with tokens and groups, limits in a file, and a real MCP client for each."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from grok_mcp.pipeline.grok import Grok
from grok_mcp.serving.http.token_lines import new_token
from tests.network.server import in_process
from tests.support.host import Result
from tests.support.pace import within


@dataclass
class Team:
    """Who may call the server at `url`, and its file of limits."""

    url: str
    limits: Path
    tokens: Mapping[str, str]
    grok: Grok
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _clients: dict[str, Client] = field(default_factory=dict)

    async def client(self, name: str, **headers: str) -> Client:
        """The client of a caller, by name or by the token itself."""
        known = name + "".join(headers)
        if known not in self._clients:
            token = self.tokens.get(name, name)
            http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}", **headers}, timeout=60)
            await self._open.enter_async_context(http)
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            self._clients[known] = await self._open.enter_async_context(Client(transport, mode="auto"))
        return self._clients[known]

    async def ask(
        self, name: str, prompt: str = "Hello?", tool: str = "ask_grok", **arguments: Any
    ) -> Result:
        """The result of a call by this caller."""
        client = await self.client(name)
        subject = "query" if tool == "grok_search" else "prompt"
        with within(30):
            raw = await client.call_tool(tool, {subject: prompt, **arguments})
        assert isinstance(raw, CallToolResult)
        return Result(raw)

    async def read(self, name: str, uri: str) -> str:
        """The text of a resource, as this caller sees it."""
        (contents,) = (await (await self.client(name)).read_resource(uri)).contents
        return str(getattr(contents, "text", ""))


@asynccontextmanager
async def team(
    upstream: str,
    folder: Path,
    limits: str,
    members: Mapping[str, str],
    **settings: Any,
) -> AsyncIterator[Team]:
    """A server on a thread of this process; `members` are groups by the names of callers, "" for none."""
    made = {name: new_token(name, group) for name, group in members.items()}
    folder.mkdir(exist_ok=True)
    (folder / "tokens").write_text("".join(f"{line}\n" for _, line in made.values()))
    (folder / "limits.toml").write_text(limits)
    groks: list[Grok] = []
    more: dict[str, Any] = {"token_file": folder / "tokens", "limits_file": folder / "limits.toml"}
    with in_process(prepare=groks.append, **{"XAI_BASE_URL": upstream, **more, **settings}) as url:
        tokens = {name: token for name, (token, _) in made.items()}
        found = Team(url, folder / "limits.toml", tokens, groks[0])
        async with found._open:
            yield found
