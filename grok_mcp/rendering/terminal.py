"""What streams to a terminal: text that cannot steer it, and one line that says what is going on.

`rich` is loaded by whoever has a terminal, and never by a server: its caller hands over the console.
"""

import re
from typing import TYPE_CHECKING

from grok_mcp.messages import CITATION_MARKER
from grok_mcp.redaction import INVISIBLE

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

_BEGUN_MARKER = re.compile(r"\[(?:\[(?:\d+(?:\](?:\](?:\([^\s)]{0,2000})?)?)?)?)?\Z")


def clean(text: str) -> str:
    """The text without what moves a cursor or hides: what a model writes must not steer a terminal."""
    return INVISIBLE.sub("", text).replace("\r", "")


class TerminalText:
    """Streamed text as a terminal shows it: cleaned, and with citations as numbers, not addresses."""

    def __init__(self) -> None:
        self._withheld = ""

    def feed(self, piece: str) -> str:
        """What is ready to show after this piece; the beginning of a citation is held back."""
        text = CITATION_MARKER.sub(r"[\1]", self._withheld + clean(piece))
        begun = _BEGUN_MARKER.search(text)
        self._withheld = begun[0] if begun else ""
        return text[: begun.start()] if begun else text

    def end(self) -> str:
        """What was held back to the end."""
        withheld, self._withheld = self._withheld, ""
        return withheld


class StatusLine:
    """One line with a spinner that says what is going on, and disappears when it is closed."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._status: Status | None = None

    def show(self, message: str) -> None:
        """Replace the line."""
        text = self._console.render_str(message, emoji=False, markup=False, highlight=False)
        text.no_wrap, text.overflow = True, "ellipsis"
        if self._status is None:
            self._status = self._console.status(text, spinner_style="cyan")
            self._status.start()
        else:
            self._status.update(text)

    def close(self) -> None:
        """Remove the line; may be called twice."""
        if self._status:
            self._status.stop()
            self._status = None


def fit(note: str, width: int) -> str:
    """A status note that fits on a line: of a text in progress, the end is what is new."""
    head, mark, tail = note.partition("characters: …")
    room = width - len(head) - len(mark)
    if mark and room > 0:
        return f"{head}{mark}{tail[-room:]}"
    return note if len(note) <= width else f"{note[: width - 1]}…"
