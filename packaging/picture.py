"""Draws the picture of the README: the four tools at work, on one screen. `make picture` runs it.

A real client calls a real server, which the sandbox answers; only where a text is long is it cut.
"""

import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import anyio
from mcp.client import Client
from mcp_types import CallToolResult, TextContent
from project import ROOT
from rich.console import Console
from rich.text import Text

from grok_mcp.pipeline import Grok
from grok_mcp.sandbox import SandboxServer
from grok_mcp.server import build_server
from grok_mcp.settings import Settings

FILE = ROOT / "docs" / "demo.svg"
WIDTH = 104
ORDERS = "def send(order):\n    for attempt in range(3):\n        post(order)  # no key: sent twice\n"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "approved_on": {"type": "string", "format": "date"}},
    "required": ["city", "approved_on"],
}


CALLS: tuple[tuple[str, dict[str, Any], int], ...] = (
    ("ask_grok", {"prompt": "Can this send an order twice?", "files": ["src/orders.py:1-3"]}, 2),
    ("grok_search", {"query": "What was decided about the tram extension?"}, 8),
    ("grok_structured", {"prompt": "The decision as a record.", "schema": SCHEMA}, 2),
)


def draw(console: Console, tool: str, arguments: Mapping[str, Any], result: Any, lines: int) -> None:
    """One call: what was asked, the beginning of what came, and its last line."""
    asked = "  ".join(
        f"{name}={json.dumps(value)}"
        for name, value in arguments.items()
        if name not in ("schema", "answer_id")
    )
    line = Text.assemble(("● ", "cyan"), (tool, "bold cyan"), "  ", asked)
    line.truncate(WIDTH, overflow="ellipsis")
    console.print(line)
    body, last = _parts(result)
    shown = [part for one in body for part in Text(one).wrap(console, WIDTH - 4)]
    for part in shown[:lines]:
        console.print(Text("  │ ", "dim") + part)
    if len(shown) > lines:
        console.print(Text("  │ …", "dim"))
    console.print(Text(f"  └ {last}", "dim"))
    console.print()


def _parts(result: CallToolResult) -> tuple[list[str], str]:
    """The lines of a result, and the one with model, tokens, cost and seconds."""
    (block, *_) = result.content
    assert isinstance(block, TextContent)
    if result.structured_content:
        whole = result.structured_content
        usage = whole["usage"]
        tokens = f"{usage['input_tokens']} in + {usage['output_tokens']} out tokens"
        return [json.dumps(whole["data"])], f"{whole['model']} · {tokens} · {usage['cost_usd']:.6f} USD"
    text = re.sub(r" · (?:conversation_id \S+|[\d.]+ s)", "", block.text.strip())
    text = re.sub(r"\[\[(\d+)\]\]\([^)]*\)", r"[\1]", text)
    *body, last = [line for line in text.splitlines() if line.strip() and not line.startswith("Note:")]
    return body, last


@asynccontextmanager
async def client_of(url: str, folder: str, **more: Any) -> AsyncIterator[Client]:
    """A client of a server of ours, which the sandbox answers."""
    settings: dict[str, Any] = {
        "XAI_BASE_URL": url,
        "gateway": "sandbox",
        "file_roots": (folder,),
        "state_dir": folder,
    }
    grok = Grok(Settings(**settings, **more))
    try:
        async with Client(build_server(grok)) as client:
            yield client
    finally:
        await grok.aclose()


async def picture() -> str:
    """The picture, as SVG."""
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
    with SandboxServer(pace=0) as sandbox, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "src").mkdir()
        (Path(folder) / "src" / "orders.py").write_text(ORDERS)
        async with client_of(sandbox.url, folder) as client:
            for tool, arguments, lines in CALLS:
                draw(console, tool, arguments, await client.call_tool(tool, arguments), lines)
        async with client_of(sandbox.url, folder, max_result_chars=300) as client:
            long = await client.call_tool("ask_grok", {"prompt": "Why stream? Answer in 120 words."})
            assert isinstance(long, CallToolResult) and long.meta
            rest = {"answer_id": long.meta["grok-mcp/answer"]["answer_id"], "offset": 296}
            draw(console, "grok_result", rest, await client.call_tool("grok_result", rest), 2)
    return console.export_svg(title="grok-mcp-server", unique_id="demo")


if __name__ == "__main__":
    FILE.write_text(anyio.run(picture), encoding="utf-8")
