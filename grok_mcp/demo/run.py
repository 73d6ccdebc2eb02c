"""`grok-mcp demo`: the three tools through a real MCP session over stdio, answered by the sandbox.

The server runs as a process of its own, as a host would run it; nothing of the user's settings reaches it.
"""

import io
import logging
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import CallToolResult, TextContent
from rich.console import Console

from grok_mcp.demo.live import LiveView
from grok_mcp.demo.plain import PlainView, View
from grok_mcp.sandbox import SandboxServer

TIMEOUT_S = 60.0
PACE_S = 0.03
"""Seconds between two pieces of an answer: a reader can follow, and the whole takes a quarter of a minute."""

KEY = "sandbox-demo"
_GRACE_S = "1"

Mode = Literal["deltas", "status"]


class DemoError(Exception):
    """The demo can't go on; the message is a sentence for the user."""


@dataclass(frozen=True)
class Scene:
    """One call of a tool; `continues` takes the conversation up that the scene before it began."""

    tool: str
    shows: str
    question: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    continues: bool = False

    @property
    def subject(self) -> str:
        """The name of the argument that holds the question."""
        return "query" if self.tool == "grok_search" else "prompt"


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

SESSIONS: tuple[tuple[Mode, tuple[Scene, ...]], ...] = (
    (
        "deltas",
        (
            Scene("ask_grok", "the text as it streams", "Why stream? Answer in 60 words."),
            Scene("ask_grok", "the same conversation goes on", "Shorter: 25 words.", continues=True),
        ),
    ),
    (
        "status",
        (
            Scene(
                "grok_search",
                "phases as they change, and citations",
                "What was decided about the tram extension to the harbour?",
            ),
            Scene(
                "grok_structured",
                "JSON that fits a schema",
                "The tram extension as a record.",
                {"schema": _RECORD},
            ),
        ),
    ),
)


def run_demo(pace: float = PACE_S) -> int:
    """Play the demo on stdout; returns the exit status. Nothing that it started is left running."""
    logging.getLogger().addHandler(logging.NullHandler())
    view = _open_view()
    try:
        anyio.run(_demo, view, pace)
    except (Exception, BaseExceptionGroup) as error:
        view.close()
        return _failed(error)
    finally:
        view.close()
    return 0


def _open_view() -> View:
    """The view that suits stdout."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a pipe on Windows may have no letters for it all
    console = Console(highlight=False)
    live = sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal
    if live and console.encoding.startswith("utf"):
        return LiveView(console)
    return PlainView()


def _failed(error: BaseException) -> int:
    """Tell what went wrong in a sentence; what is no fault of the demo goes on to the caller."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, BrokenPipeError | KeyboardInterrupt | SystemExit):
            raise leaf
    known = next((leaf for leaf in leaves if isinstance(leaf, DemoError)), None)
    if known is not None:
        reason = str(known)
    elif any(isinstance(leaf, TimeoutError) for leaf in leaves):
        reason = f"it did not end within {TIMEOUT_S:.0f} s"
    else:
        reason = " ".join(str(leaves[0]).split()) or type(leaves[0]).__name__
    sys.stderr.write(f"grok-mcp: the demo failed: {reason}\n")
    return 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


async def _demo(view: View, pace: float) -> None:
    with anyio.fail_after(TIMEOUT_S), SandboxServer(pace=pace) as sandbox:
        view.intro(sandbox.url)
        for mode, scenes in SESSIONS:
            view.starting(mode)
            async with _session(sandbox.url, mode) as client:
                tools = [tool.name for tool in (await client.list_tools()).tools]
                info = client.server_info
                view.started(info.version if info else "", client.protocol_version, mode, tools)
                await _play(client, scenes, view)
        view.outro()


@asynccontextmanager
async def _session(url: str, mode: Mode) -> AsyncIterator[Client]:
    """An MCP session with a server process; where it ends too soon, its last words are the reason."""
    package = Path(__file__).resolve().parents[1]
    state = tempfile.TemporaryDirectory(prefix="grok-mcp-demo-", ignore_cleanup_errors=True)
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", package.name],
        env={
            **_environment(),
            "XAI_BASE_URL": url,
            "XAI_API_KEY": KEY,
            "GROK_MCP_GATEWAY": "sandbox",
            "GROK_MCP_PROGRESS": mode,
            "GROK_MCP_RESULTS": "structured",
            "GROK_MCP_GRACE": _GRACE_S,
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
            raise DemoError(f"the server did not start: {_last_line(log) or error}") from error


def _environment() -> dict[str, str]:
    """The environment without the user's settings and keys, and without proxies."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("GROK_MCP_", "XAI_")) and not name.upper().endswith("_PROXY")
    }


def _last_line(log: TextIO) -> str:
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    return lines[-1] if lines else ""


async def _play(client: Client, scenes: tuple[Scene, ...], view: View) -> None:
    conversation = None
    for scene in scenes:
        arguments = {scene.subject: scene.question, **scene.arguments}
        if scene.continues:
            arguments["conversation_id"] = conversation
        view.call(scene.tool, scene.shows, scene.question)
        answer = _answer(scene, await client.call_tool(scene.tool, arguments, progress_callback=view.note))
        conversation = answer.get("conversation_id")
        view.answer(answer)


def _answer(scene: Scene, result: CallToolResult) -> dict[str, Any]:
    """The whole answer as data, which the setting `GROK_MCP_RESULTS=structured` brings."""
    if result.is_error or result.structured_content is None:
        texts = [block.text for block in result.content if isinstance(block, TextContent)]
        first = " ".join(texts).strip().partition("\n")[0]
        raise DemoError(f"{scene.tool} answered with an error: {first or 'without a text'}")
    answer: dict[str, Any] = result.structured_content
    return answer
