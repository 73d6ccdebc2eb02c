"""`grok-mcp-server demo`: the tools through a real MCP session over stdio, answered by the sandbox.

The server runs as a process of its own, as a host would run it; nothing of the user's settings reaches it.
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import TextContent

from grok_mcp.demo.view import View
from grok_mcp.sandbox import SandboxServer
from grok_mcp.streams import StdoutError, say

TIMEOUT_S = 60.0
KEY = "sandbox-demo"

Mode = Literal["deltas", "status"]


class DemoError(Exception):
    """The demo cannot go on; the message is a sentence for the user."""


class Scene(NamedTuple):
    """One call of a tool; its first argument is the question that the view prints."""

    tool: str
    shows: str
    arguments: Mapping[str, Any]
    continues: bool = False
    """Whether it goes on with the conversation that the scene before it began."""


_RECORD = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "line": {"type": "integer", "minimum": 1, "maximum": 99},
        "status": {"enum": ["approved", "planned", "rejected"]},
        "approved_on": {"type": "string", "format": "date"},
        "stops": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "line", "status", "approved_on", "stops"],
    "additionalProperties": False,
}

SESSIONS: Mapping[Mode, Sequence[Scene]] = {
    "deltas": [
        Scene("ask_grok", "the text as it streams", {"prompt": "Why stream? Answer in 60 words."}),
        Scene("ask_grok", "the same conversation goes on", {"prompt": "Shorter: 25 words."}, continues=True),
    ],
    "status": [
        Scene(
            "grok_search",
            "phases as they change, and citations",
            {"query": "What was decided about the tram extension to the harbour?"},
        ),
        Scene(
            "grok_structured",
            "JSON that fits a schema",
            {"prompt": "The tram extension as a record.", "schema": _RECORD},
        ),
    ],
}


def run_demo(view: View, pace: float) -> int:
    """Play all sessions; returns the exit status."""
    try:
        anyio.run(_demo, view, pace)
    except (Exception, BaseExceptionGroup) as error:
        view.close()
        say(f"the demo failed: {_reason(error)}")
        return 1
    return 0


def _reason(error: BaseException) -> str:
    """Why the demo failed, in a sentence; raises any other error again."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, StdoutError | KeyboardInterrupt | SystemExit):
            raise leaf
    for leaf in leaves:
        if isinstance(leaf, DemoError):
            return str(leaf)
    if any(isinstance(leaf, TimeoutError) for leaf in leaves):
        return f"it did not end within {TIMEOUT_S:.0f} s"
    return " ".join(str(leaves[0]).split()) or type(leaves[0]).__name__


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


async def _demo(view: View, pace: float) -> None:
    with anyio.fail_after(TIMEOUT_S), SandboxServer(pace=pace) as sandbox:
        view.listening(sandbox.url)
        for mode, scenes in SESSIONS.items():
            view.starting(mode)
            async with _session(sandbox.url, mode) as client:
                tools = [tool.name for tool in (await client.list_tools()).tools]
                info = client.server_info
                view.started(info.version if info else "", client.protocol_version, tools)
                await _play(client, scenes, view)
        view.outro()


@asynccontextmanager
async def _session(url: str, mode: Mode) -> AsyncIterator[Client]:
    """An MCP session with a server process; if it fails to start, its last line is the reason."""
    package = Path(__file__).resolve().parents[1]
    environment = {  # no settings or keys of the user, and no proxies
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("GROK_MCP_", "XAI_")) and not name.upper().endswith("_PROXY")
    }
    state = tempfile.TemporaryDirectory(prefix="grok-mcp-demo-", ignore_cleanup_errors=True)
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", package.name],
        env={
            **environment,
            "XAI_BASE_URL": url,
            "XAI_API_KEY": KEY,
            "GROK_MCP_GATEWAY": "sandbox",
            "GROK_MCP_PROGRESS": mode,
            "GROK_MCP_RESULTS": "structured",
            "GROK_MCP_GRACE": "1",
            "GROK_MCP_STATE_DIR": state.name,
        },
        cwd=package.parent,
    )
    with state, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        begun = False
        try:
            async with Client(stdio_client(server, errlog=log), read_timeout_seconds=TIMEOUT_S) as client:
                begun = True
                yield client
        except Exception as error:
            if begun:
                raise
            log.seek(0)
            lines = [line.strip() for line in log if line.strip()]
            raise DemoError(f"the server did not start: {lines[-1] if lines else error}") from error


async def _play(client: Client, scenes: Sequence[Scene], view: View) -> None:
    conversation = None
    for scene in scenes:
        arguments = dict(scene.arguments)
        if scene.continues:
            arguments["conversation_id"] = conversation
        view.call(scene.tool, scene.shows, next(iter(arguments.values())))
        result = await client.call_tool(scene.tool, arguments, progress_callback=view.note)
        answer: dict[str, Any] | None = result.structured_content
        if result.is_error or answer is None:
            texts = [block.text for block in result.content if isinstance(block, TextContent)]
            first = " ".join(texts).strip().partition("\n")[0]
            raise DemoError(f"{scene.tool} answered with an error: {first or 'without a text'}")
        conversation = answer.get("conversation_id")
        view.answer(answer)
