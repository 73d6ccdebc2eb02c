"""What the demo prints: each text as Grok writes it, and the phase of a search in one line."""

import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from grok_mcp.invocation import command
from grok_mcp.rendering import StatusLine, TerminalText, fit, usage_facts
from grok_mcp.usage import Usage

WIDTH = 80

WHAT = (
    "The tools through a real MCP session, answered by the built-in sandbox: "
    "no key is needed, nothing leaves this machine."
)
MODES = {
    "deltas": "every piece of the text is a progress note",
    "status": "one line that each note replaces, as hosts show it",
}
SANDBOX_ONLY = "All of this came from the sandbox: no model wrote it, and nothing was searched."
REAL_KEY = "For real answers get a key at https://console.x.ai. Then type:"

_COUNTED = re.compile(r", [\d,]+ (?:s$|characters: .*)")
"""The part of a status note that changes within a phase."""


class View:
    """Prints each step when it happens.

    A terminal shows the present phase in one line, and leaves a line for each that is over; a pipe gets each
    note as a line.
    """

    def __init__(self) -> None:
        console = Console(highlight=False, markup=False)
        live = sys.stdout.isatty() and console.is_terminal and not console.is_dumb_terminal
        live = live and console.encoding.startswith("utf")
        self._console = console if live else Console(highlight=False, markup=False, force_terminal=False)
        self._status = StatusLine(console) if live else None
        self._width = min(WIDTH, console.width) if live else WIDTH
        self._mode = ""
        self._begin("")

    def _begin(self, waiting: str) -> None:
        self._foreign = TerminalText()
        self._text = self._phase = ""
        self._printed = 0
        if self._status and waiting:
            self._status.show(waiting)

    def banner(self) -> None:
        """Print what this is, at once."""
        self._print(self._wrap(WHAT), style="dim")
        self._begin("starting the sandbox")
        sys.stdout.flush()

    def listening(self, url: str) -> None:
        """Print where the sandbox listens."""
        self._print(f"\nsandbox endpoint at {url}")

    def starting(self, mode: str) -> None:
        """A server process is about to start."""
        self._mode = mode
        self._begin("starting grok-mcp-server")

    def started(self, version: str, protocol: str, tools: Sequence[str]) -> None:
        """The server has answered and listed its tools."""
        self._print(f"\ngrok-mcp-server {version}, MCP {protocol} over stdio")
        self._print(f"tools: {', '.join(tools)}", style="cyan")
        self._print(f"GROK_MCP_PROGRESS={self._mode}: {MODES[self._mode]}", style="dim")

    def call(self, tool: str, shows: str, question: str) -> None:
        """A call begins."""
        self._print(Text.assemble("\n", (tool, "bold cyan"), f": {shows}"))
        self._print(f"> {question}\n", style="bold")
        self._begin("calling" if self._mode == "status" else "waiting for the first words")

    async def note(self, progress: float, total: float | None, message: str | None) -> None:
        """Print a piece of the text, or the phase that a search is in."""
        if not message:
            return
        if self._mode == "deltas":
            self._write(self._text + self._foreign.feed(message), whole=False)
        elif self._status:
            self._enter(_COUNTED.sub("", message))
            self._status.show(fit(message, self._width - 2))
        else:
            self._print(f"{progress:4.1f} s  {fit(message, WIDTH - 8)}")

    def _enter(self, phase: str) -> None:
        """Leave a line for the phase before, if it is over."""
        if self._status and self._phase and not phase.startswith(self._phase):
            self._print(Text.assemble(("✓ ", "green"), (fit(self._phase, self._width - 2), "dim")))
        self._phase = phase

    def _write(self, text: str, *, whole: bool) -> None:
        """Print the words of the text that are new; the last one only if the text is `whole`."""
        self._text = text
        lines = self._wrap(text)
        if not whole:
            lines = lines[: max(lines.rfind(" "), lines.rfind("\n"), self._printed)]
        if len(lines) > self._printed:
            self._print(lines[self._printed :], end="")
            self._printed = len(lines)

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Print what has not been printed yet: the text, or the JSON, the sources and the usage."""
        if self._mode == "status":
            self._enter("")
            self._print("")
        if "data" in answer:
            self._console.print_json(data=answer["data"])
        else:
            foreign = TerminalText()
            self._write(foreign.feed(answer["text"]) + foreign.end(), whole=True)
            self._print("")
        if answer.get("citations"):
            self._print("\nSources:", style="bold")
        for cited in answer.get("citations", ()):
            head, url = f"{cited['index']:2}. ", cited["url"]
            if url.endswith(cited["title"]):
                self._print(head + url)
            else:
                self._print(f"{head}{cited['title']}\n{' ' * len(head)}{url}")
        usage = dict(answer.get("usage", {}))
        if "cost_usd" in usage:
            usage["cost_usd"] = Decimal(str(usage["cost_usd"]))
        self._print(f"\nusage: {' · '.join(usage_facts(Usage(**usage)))}", style="green")

    def outro(self) -> None:
        """Print where the answers came from, and what to type for real ones."""
        self._print("\n" + self._wrap(SANDBOX_ONLY), style="yellow")
        self._print(self._wrap(REAL_KEY) + "\n")
        for line in (
            "export XAI_API_KEY=your-key",
            f"{command('install')}   # into the host that you use",
            f'{command("ask")} "…"   # or an answer here',
        ):
            self._print(f"  {line}")

    def close(self) -> None:
        """Remove the status line; may be called twice."""
        if self._status:
            self._status.close()

    def _print(self, text: str | Text, *, style: str | None = None, end: str = "\n") -> None:
        self.close()
        self._console.print(text, style=style, end=end, soft_wrap=True)

    def _wrap(self, text: str) -> str:
        """The text in lines that fit, where its words allow it."""
        lines = []
        for line in text.split("\n"):
            lines += textwrap.wrap(line, self._width, break_long_words=False, break_on_hyphens=False) or [""]
        return "\n".join(lines)
