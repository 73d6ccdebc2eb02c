"""How the demo looks on a terminal: what happens now is redrawn in place, what is over stays."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.highlighter import JSONHighlighter
from rich.json import JSON
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

from grok_mcp.demo.plain import (
    HOST_CONFIG,
    MARKER,
    MODES,
    REAL_KEY,
    SANDBOX_ONLY,
    WHAT,
    WIDTH,
    fit,
    source_lines,
    usage_line,
)

INDENT = 2
FRAMES_PER_SECOND = 12
SPINNER_ROOM = 4
CALLING = "calling"

_COUNTED = re.compile(r", [\d,]+ (?:s$|characters: .*)")
"""The part of a status note that changes within one phase."""


class LiveView:
    """The same on a terminal, where what happens now is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._mode = ""
        self._text = ""
        self._phases: list[str] = []
        self._spinner = Spinner("dots", style="cyan")
        self._live: Live | None = None
        self._last: RenderableType | None = None

    def intro(self, url: str) -> None:
        """Say what this is and where the sandbox listens."""
        self._print(Text("\ngrok-mcp demo", style="bold"))
        self._print(Text(WHAT, style="dim"))
        self._print(Text.assemble(("\n✓ ", "green"), "sandbox endpoint at ", (url, "cyan")))

    def starting(self, mode: str) -> None:
        """A server process is about to start."""
        self._mode, self._text, self._phases = mode, "", ["starting grok-mcp"]
        self._print(Text())
        self._begin()

    def started(self, version: str, protocol: str, mode: str, tools: Sequence[str]) -> None:
        """The server has answered and listed its tools."""
        known = Text.assemble(
            ("✓ ", "green"),
            f"grok-mcp {version}    MCP {protocol} over stdio\n",
            ("  " + " · ".join(tools), "cyan"),
            (f"\n  GROK_MCP_PROGRESS={mode}: {MODES[mode]}", "dim"),
        )
        self._end(known)

    def call(self, tool: str, shows: str, question: str) -> None:
        """A call begins."""
        self._text, self._phases = "", [CALLING if self._mode == "status" else "waiting for the first words"]
        self._print(Text.assemble("\n", (tool, "bold cyan"), (f"  {shows}", "dim")))
        self._print(Text(f"› {question}\n", style="bold"))
        self._begin()

    async def note(self, progress: float, total: float | None, message: str | None) -> None:
        """Take over the new text, or the phase; the next frame shows it."""
        if message and self._mode == "deltas":
            self._text += message
        elif message:
            self._enter(message)

    def _enter(self, message: str) -> None:
        """Replace the last phase by a note of the same phase; else it is over and keeps its line."""
        if message.startswith(_phase(self._phases[-1])) or self._phases == [CALLING]:
            self._phases[-1] = message
        else:
            self._phases.append(message)

    def answer(self, answer: Mapping[str, Any]) -> None:
        """Put the whole answer where the live part was."""
        parts: list[RenderableType] = []
        if self._mode == "status":
            parts += [*map(_done, self._phases), Text()]
        parts.append(JSON.from_data(answer["data"]) if "data" in answer else _marked(answer["text"]))
        if answer.get("citations"):
            parts.append(Text("\nSources:", style="bold"))
        for cited in answer.get("citations", ()):
            for number, line in enumerate(source_lines(cited)):
                parts.append(Text(line, style="dim" if number else ""))
        parts.append(Text(f"\n{usage_line(answer)}", style="green"))
        self._end(_indented(*parts))

    def outro(self) -> None:
        """Say whose answers these were and how to get real ones."""
        self._print(Text.assemble("\n", (SANDBOX_ONLY, "yellow"), f"\n{REAL_KEY}\n"))
        self._print(JSONHighlighter()(Text(f"{HOST_CONFIG}\n")))

    def close(self) -> None:
        """Stop drawing and show the cursor again."""
        if self._live:
            self._live.transient = self._last is None
            self._live.stop()
        self._live = self._last = None

    def _begin(self) -> None:
        self._live = Live(
            get_renderable=self._frame,
            console=self._console,
            refresh_per_second=FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _end(self, last: RenderableType) -> None:
        """Let `last` stand where the live part was."""
        self._last = last
        self.close()

    def _frame(self) -> RenderableType:
        if self._last is not None:
            return Constrain(self._last, WIDTH)
        if self._text:
            return _indented(Text.assemble(_marked(self._text), ("▌", "cyan")))
        room = min(WIDTH, self._console.width) - INDENT - SPINNER_ROOM
        self._spinner.update(text=fit(self._phases[-1], room))
        return _indented(*map(_done, self._phases[:-1]), self._spinner)

    def _print(self, what: RenderableType) -> None:
        self._console.print(Constrain(what, WIDTH))


def _indented(*parts: RenderableType) -> RenderableType:
    return Constrain(Padding(Group(*parts), (0, 0, 0, INDENT)), WIDTH)


def _done(phase: str) -> RenderableType:
    """A phase that is over; cut, never wrapped, so that nothing below it jumps."""
    return Text.assemble(("✓ ", "green"), (_phase(phase), "dim"), no_wrap=True, overflow="ellipsis")


def _phase(message: str) -> str:
    """What stays the same in the notes of one phase."""
    return _COUNTED.sub("", message)


def _marked(text: str) -> Text:
    """The text with its citations as numbers that are links."""
    shown, end = Text(), 0
    for marker in MARKER.finditer(text):
        shown.append(text[end : marker.start()])
        shown.append(f"[{marker[1]}]", style=f"cyan link {marker[2]}")
        end = marker.end()
    return shown.append(text[end:])
