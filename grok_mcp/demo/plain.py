"""What the demo says, and how it looks in plain lines; `demo_live` is the same for terminals."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import click

from grok_mcp.rendering import usage_facts
from grok_mcp.usage import Usage

WIDTH = 80

WHAT = (
    "The three tools through a real MCP session, answered by the built-in sandbox: "
    "no key is needed, nothing leaves this machine."
)
MODES = {
    "deltas": "every piece of the text is a progress note",
    "status": "one line that each note replaces, as hosts show it",
}
SANDBOX_ONLY = "All of this came from the sandbox: no model wrote it, nothing was looked up."
REAL_KEY = "For real answers get a key at https://console.x.ai and tell your host:"
HOST_CONFIG = """\
{
  "mcpServers": {
    "grok": {
      "command": "uvx",
      "args": ["grok-mcp-server"],
      "env": { "XAI_API_KEY": "your-key-here" }
    }
  }
}"""

MARKER = re.compile(r"\[\[(\d+)\]\]\((\S*?)\)")
"""A citation in the text: its number and address."""


class View(Protocol):
    """Shows the demo as it goes on, each step when it happens."""

    def intro(self, url: str) -> None:
        """Say what this is and where the sandbox listens."""

    def starting(self, mode: str) -> None:
        """A server process is about to start."""

    def started(self, version: str, protocol: str, mode: str, tools: Sequence[str]) -> None:
        """The server has answered and listed its tools."""

    def call(self, tool: str, shows: str, question: str) -> None:
        """A call begins."""

    async def note(self, progress: float, total: float | None, message: str | None) -> None:
        """A progress note of the call has come."""

    def answer(self, answer: Mapping[str, Any]) -> None:
        """The call has its answer."""

    def outro(self) -> None:
        """Say whose answers these were and how to get real ones."""

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""


class PlainView:
    """Lines as they come, for pipes and files."""

    def __init__(self) -> None:
        self._mode = ""
        self._text = ""
        self._shown = 0

    def intro(self, url: str) -> None:
        """Say what this is and where the sandbox listens."""
        _echo(WHAT)
        click.echo(f"\nsandbox endpoint at {url}")

    def starting(self, mode: str) -> None:
        """A server process is about to start."""
        self._mode = mode

    def started(self, version: str, protocol: str, mode: str, tools: Sequence[str]) -> None:
        """The server has answered and listed its tools."""
        click.echo(f"\ngrok-mcp {version}, MCP {protocol} over stdio")
        click.echo(f"tools: {', '.join(tools)}")
        click.echo(f"GROK_MCP_PROGRESS={mode}: {MODES[mode]}")

    def call(self, tool: str, shows: str, question: str) -> None:
        """A call begins."""
        self._text, self._shown = "", 0
        click.echo(f"\n{tool}: {shows}\n> {question}\n")

    async def note(self, progress: float, total: float | None, message: str | None) -> None:
        """Show each full line of the text, or the status line."""
        if not message:
            return
        if self._mode == "status":
            click.echo(f"{progress:4.1f} s  {fit(message, WIDTH - 8)}")
        else:
            self._text += message
            self._write(complete=False)

    def _write(self, *, complete: bool) -> None:
        """Show the lines that are full; the last one too where the text is `complete`."""
        lines = wrap(MARKER.sub(r"[\1]", self._text))
        for line in lines[self._shown : None if complete else -1]:
            click.echo(line)
            self._shown += 1

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Show what has not been shown yet: the text, or the JSON, the sources and the usage."""
        if "data" in answer:
            click.echo("\n" + json.dumps(answer["data"], ensure_ascii=False, indent=2))
        else:
            if self._mode == "status":
                click.echo()
            self._text = answer["text"]
            self._write(complete=True)
        if answer.get("citations"):
            click.echo("\nSources:")
        for cited in answer.get("citations", ()):
            click.echo("\n".join(source_lines(cited)))
        click.echo(f"\nusage: {usage_line(answer)}")

    def outro(self) -> None:
        """Say whose answers these were and how to get real ones."""
        click.echo()
        _echo(SANDBOX_ONLY)
        _echo(REAL_KEY)
        click.echo("\n" + HOST_CONFIG)

    def close(self) -> None:
        """Nothing is left to do."""


def wrap(text: str) -> list[str]:
    """The lines of a text, at most `WIDTH` wide where its words allow it."""
    lines = []
    for line in text.split("\n"):
        lines += textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return lines


def _echo(text: str) -> None:
    click.echo("\n".join(wrap(text)))


def source_lines(cited: Mapping[str, Any]) -> list[str]:
    """A source with its number; its address has a line of its own where the title says something else."""
    head, url = f"{cited['index']:2}. ", cited["url"]
    if url.endswith(cited["title"]):
        return [head + url]
    return [head + cited["title"], " " * len(head) + url]


def fit(note: str, width: int) -> str:
    """A status note on one line; of a text that is being written, its end is what is new."""
    head, mark, tail = note.partition("characters: …")
    room = width - len(head) - len(mark)
    if mark and room > 0:
        return f"{head}{mark}{tail[-room:]}"
    return note if len(note) <= width else f"{note[: width - 1]}…"


def usage_line(answer: Mapping[str, Any]) -> str:
    """Tokens, cost and seconds of an answer."""
    usage = dict(answer.get("usage", {}))
    if "cost_usd" in usage:
        usage["cost_usd"] = Decimal(str(usage["cost_usd"]))
    return " · ".join(usage_facts(Usage(**usage)))
