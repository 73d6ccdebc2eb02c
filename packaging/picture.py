"""Draws `docs/demo.svg`, the picture in the README: what `grok-mcp demo` shows on a terminal.

`make picture` runs it after a change of the demo, which gets a pseudo-terminal of its own (not on Windows).
"""

import os
import pty
import re
import subprocess
import sys
from io import StringIO
from itertools import groupby

import pyte
from project import ROOT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

WIDTH, HEIGHT = 84, 90
LEFT_OUT = ("ask_grok  the same conversation goes on", "All of this came from the sandbox")
"""A scene that looks like the one before it, and the end, which the README says as well."""
PAPER = TerminalTheme(
    (250, 250, 247),
    (40, 42, 46),
    [
        *((40, 42, 46), (178, 50, 40), (60, 120, 50), (150, 100, 0)),
        *((40, 90, 170), (130, 60, 150), (0, 120, 130), (110, 114, 120)),
    ],
)
COLOURS = {"brown": "yellow", "default": None}


def screen_of_the_demo() -> pyte.Screen:
    """The terminal as it looks when the demo has ended."""
    screen = pyte.Screen(WIDTH, HEIGHT)
    screen.set_mode(pyte.modes.LNM)
    terminal = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(WIDTH), "LINES": str(HEIGHT)}
    command = [sys.executable, "-m", "grok_mcp", "demo", "--pace", "0.002"]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as demo:
        os.close(theirs)
        while True:
            try:
                shown = os.read(ours, 65536)
            except OSError:  # how Linux tells that the other end is closed
                shown = b""
            if not shown:
                break
            terminal.feed(shown)
    os.close(ours)
    if demo.returncode:
        sys.exit("\n".join(line.rstrip() for line in screen.display))
    return screen


def lines_of(screen: pyte.Screen) -> list[Text]:
    """The lines with their styles, without the empty ones at the end."""
    lines = []
    for row in range(screen.lines):
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        line = Text()
        for (colour, bold, italic), run in groupby(cells, lambda cell: (cell.fg, cell.bold, cell.italics)):
            style = Style(color=COLOURS.get(colour, colour), bold=bold, italic=italic)
            line.append("".join(cell.data for cell in run), style)
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def shown(lines: list[Text]) -> list[Text]:
    """The lines that go into the picture."""
    scene, end = (
        next(number for number, line in enumerate(lines) if line.plain.startswith(start))
        for start in LEFT_OUT
    )
    after = next(number for number, line in enumerate(lines) if number > scene and "MCP 20" in line.plain)
    return [*lines[1:scene], *lines[after:end]]


def main() -> None:
    """Draw the picture."""
    console = Console(width=WIDTH, record=True, file=StringIO(), force_terminal=True)
    for line in shown(lines_of(screen_of_the_demo())):
        console.print(line, no_wrap=True)
    drawn = console.export_svg(title="grok-mcp demo", theme=PAPER)
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)  # no font is fetched from elsewhere
    drawn = drawn.replace(
        "Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
    ).replace("\u00a0", "&#160;")
    (ROOT / "docs" / "demo.svg").write_text(drawn, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
