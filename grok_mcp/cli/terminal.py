"""What a call from a shell shows: the answer and its sources on stdout, everything about it on stderr.

On a terminal the text is streamed, after one line that says what Grok is doing. Into a pipe goes the same
text, byte for byte as Grok wrote it.
"""

import io
import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import click

from grok_mcp import events
from grok_mcp.errors import GrokError
from grok_mcp.events import Observer
from grok_mcp.messages import CITATION_MARKER, Answer
from grok_mcp.pipeline import Grok
from grok_mcp.redaction import INVISIBLE
from grok_mcp.rendering import (
    DeltaProgress,
    Progress,
    StatusProgress,
    alternatives,
    facts,
    supplements,
    usage_facts,
)

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner

INCOMPLETE = 1
FRAMES_PER_SECOND = 12

_BEGUN_MARKER = re.compile(r"\[(?:\[(?:\d+(?:\](?:\](?:\([^\s)]{0,2000})?)?)?)?)?\Z")


class ShellView:
    """Shows one call. `data_only` prints the data of the answer alone, `as_json` the whole answer."""

    def __init__(self, *, data_only: bool, as_json: bool) -> None:
        self._data_only = data_only
        self._as_json = as_json
        self._on_terminal = sys.stdout.isatty()
        self._text = TerminalText() if self._on_terminal else None
        self._status = StatusLine() if self._on_terminal and sys.stderr.isatty() else None
        self._broken: OSError | None = None
        self._last = "\n"
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a pipe on Windows may have no letters for it all

    async def watch(self, make: Callable[[Observer], Awaitable[Answer]], grok: Grok) -> Answer:
        """Make the call and show what happens meanwhile. Raises what it raises, and what stdout does."""
        pumps = self._pumps(grok)
        outcome: Answer | Exception | None = None

        def observe(event: events.Event, added: str) -> None:
            if added and not (self._data_only or self._as_json):
                self._end_status()
            for pump in pumps:
                pump(event, added)

        async with anyio.create_task_group() as group:
            self._stop = group.cancel_scope.cancel
            for pump in pumps:
                group.start_soon(pump.pump)
            try:
                outcome = await make(observe)
                for pump in pumps:
                    await pump.finish(outcome.text)
            except Exception as error:  # raised below, where no group is put around it
                outcome = error
            group.cancel_scope.cancel()
        if self._broken is not None:
            raise self._broken
        if not isinstance(outcome, Answer):
            assert outcome is not None
            raise outcome
        return outcome

    def _pumps(self, grok: Grok) -> list[Progress]:
        pumps: list[Progress] = []
        if not (self._data_only or self._as_json):
            pumps.append(DeltaProgress(self._stream))
        if self._status:
            self._status.show(f"asking {grok.gateway.title}")
            pumps.append(StatusProgress(self._note, grok.gateway.title))
        return pumps

    async def _note(self, seconds: float, message: str) -> None:
        if self._status:
            self._status.show(message)

    async def _stream(self, seconds: float, message: str) -> None:
        """Write a piece of the text; a reader that has had enough ends the call."""
        if not message:
            return
        self._end_status()
        try:
            await anyio.to_thread.run_sync(
                partial(self._write, self._text.feed(message) if self._text else message)
            )
        except OSError as error:
            self._broken = error
            self._stop()

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._last = text[-1]

    def _end_status(self) -> None:
        if self._status:
            self._status.close()
            self._status = None

    def conclude(self, answer: Answer) -> int:
        """Print what has not been streamed; returns the exit status."""
        self._end_status()
        if self._as_json:
            self._print_json(answer.to_dict())
        elif self._data_only:
            self._print_json(answer.data and answer.data.value)
            self._tell(answer)
        else:
            self._finish_text(answer)
            self._tell(answer)
        return INCOMPLETE if answer.finish_reason == "interrupted" else 0

    def _finish_text(self, answer: Answer) -> None:
        self._write(self._text.end() if self._text else "")
        if self._last != "\n":
            self._write("\n")
        for section in (*alternatives(answer), *supplements(answer)):
            self._write(f"\n{self._shown(section)}\n")

    def _tell(self, answer: Answer) -> None:
        """Notes and the line of facts; and the sources, where stdout holds data alone."""
        if self._on_terminal:
            _say("")
        if self._data_only:
            for section in (*alternatives(answer), *supplements(answer)):
                _say(self._shown(section))
        for warning in answer.warnings:
            _say(self._shown(f"Note: {warning}"))
        _say(self._shown(facts(answer)), dim=True)

    def _print_json(self, value: Any) -> None:
        if not self._on_terminal:
            self._write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
            return
        from rich.console import Console

        Console().print_json(data=value, ensure_ascii=False)

    def fail(self, error: GrokError) -> None:
        """Say what failed, what to do, and what it cost."""
        self._end_status()
        if self._last != "\n":
            self._write("\n")
        _say(self._shown(error.text))
        if error.usage:
            _say(" · ".join(usage_facts(error.usage)), dim=True)

    def _shown(self, text: str) -> str:
        return clean(text) if sys.stderr.isatty() or self._on_terminal else text

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""
        self._end_status()
        if self._on_terminal and self._last != "\n":
            self._write("\n")


def _say(text: str, *, dim: bool = False) -> None:
    click.secho(text, err=True, dim=dim or None)


def clean(text: str) -> str:
    """The text without what moves a cursor or hides: what a model writes must not steer a terminal."""
    return INVISIBLE.sub("", text).replace("\r", "")


@dataclass
class TerminalText:
    """Streamed text as a terminal shows it: cleaned, and with citations as numbers, not addresses."""

    _held: str = field(default="", init=False)

    def feed(self, piece: str) -> str:
        """What can be shown once this piece is there; the beginning of a citation is held back."""
        text = CITATION_MARKER.sub(r"[\1]", self._held + clean(piece))
        begun = _BEGUN_MARKER.search(text)
        shown, self._held = (text[: begun.start()], begun[0]) if begun else (text, "")
        return shown

    def end(self) -> str:
        """What was held back to the end."""
        held, self._held = self._held, ""
        return held


class StatusLine:
    """One line on stderr that says what happens, and leaves nothing behind."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._spinner: Spinner

    def show(self, message: str) -> None:
        """Replace what the line says."""
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner
        from rich.text import Text

        text = Text(message, no_wrap=True, overflow="ellipsis")
        if self._live is None:
            self._spinner = Spinner("dots", text, style="cyan")
            self._live = Live(
                self._spinner,
                console=Console(stderr=True),
                refresh_per_second=FRAMES_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
        else:
            self._spinner.update(text=text)

    def close(self) -> None:
        """Take the line away."""
        if self._live:
            self._live.stop()
            self._live = None
