"""What a call from a shell prints: the answer and its sources on stdout, everything about it on stderr.

On a terminal the text is streamed, after a line that says what Grok is doing. A pipe gets the same text, byte
for byte as Grok wrote it.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import click
from rich.console import Console

from grok_mcp import events
from grok_mcp.accounting import amount
from grok_mcp.cli.console import note
from grok_mcp.errors import GrokError
from grok_mcp.events import Observer
from grok_mcp.messages import Answer
from grok_mcp.pipeline import Grok
from grok_mcp.rendering import (
    DeltaProgress,
    Progress,
    StatusLine,
    StatusProgress,
    TerminalText,
    alternatives,
    clean,
    facts,
    supplements,
    usage_facts,
)
from grok_mcp.tools import DryRun

_HEADS = ("file", "bytes", "tokens")


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


class ShellView:
    """Shows a call. `data_only` prints the data of the answer alone, `as_json` the whole answer."""

    def __init__(self, *, data_only: bool, as_json: bool) -> None:
        self._data_only = data_only
        self._as_json = as_json
        self._on_terminal = sys.stdout.isatty()
        self._text = TerminalText() if self._on_terminal else None
        watched = self._on_terminal and sys.stderr.isatty()
        self._status = StatusLine(Console(stderr=True)) if watched else None
        self._broken: OSError | None = None
        self._last = "\n"

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

    @property
    def can_ask(self) -> bool:
        """Whether somebody sees a question and can answer it."""
        return sys.stderr.isatty() and sys.stdin is not None and sys.stdin.isatty()

    async def agrees(self, question: str) -> bool:
        """Whether the person at the terminal answers with yes."""
        self._end_status()
        click.echo(f"{self._cleaned(question)} [y/N] ", nl=False, err=True)
        # Not by sys.stdin, whose lock a thread that is left behind would still hold as the program ends.
        line = await anyio.to_thread.run_sync(os.read, sys.stdin.fileno(), 1024, abandon_on_cancel=True)
        return line.strip().lower() in (b"y", b"yes")

    def _pumps(self, grok: Grok) -> list[Progress]:
        pumps: list[Progress] = []
        if not (self._data_only or self._as_json):
            pumps.append(DeltaProgress(self._stream, self._begin_anew))
        if self._status:
            self._status.show(f"asking {grok.gateway.mention}")
            pumps.append(StatusProgress(self._note, grok.gateway.mention))
        return pumps

    async def _note(self, seconds: float, message: str) -> None:
        if self._status:
            self._status.show(message)

    async def _begin_anew(self, seconds: float, message: str) -> None:
        """The text so far has to be read once more: the endpoint had left out a part of it."""
        await self._stream(seconds, "\n\n")
        note("Note: the endpoint had left out a part of the text; it follows whole.")

    async def _stream(self, seconds: float, message: str) -> None:
        """Write a piece of the text; a reader that has left ends the call."""
        if not message:
            return
        self._end_status()
        try:
            await anyio.to_thread.run_sync(self._write, self._text.feed(message) if self._text else message)
        except OSError as error:
            self._broken = error
            self._stop()

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._last = text[-1]

    def _end_line(self) -> None:
        if self._last != "\n":
            self._write("\n")

    def _end_status(self) -> None:
        if self._status:
            self._status.close()
            self._status = None

    def conclude(self, answer: Answer) -> None:
        """Print what has not been streamed."""
        self._end_status()
        if self._as_json:
            self._print_json(answer.to_dict())
            return
        if self._data_only:
            self._print_json(answer.data and answer.data.value)
        else:
            self._finish_text(answer)
        self._print_notes(answer)

    def _finish_text(self, answer: Answer) -> None:
        self._write(self._text.end() if self._text else "")
        self._end_line()
        for section in (*alternatives(answer), *supplements(answer)):
            self._write(f"\n{self._cleaned(section)}\n")

    def _print_notes(self, answer: Answer) -> None:
        """Notes and the line of facts; and the sources, where stdout holds data alone."""
        if self._on_terminal:
            note("")
        if self._data_only:
            for section in (*alternatives(answer), *supplements(answer)):
                note(self._cleaned(section))
        for warning in answer.warnings:
            note(self._cleaned(f"Note: {warning}"))
        note(self._cleaned(facts(answer)), dim=True)

    def _print_json(self, value: Any) -> None:
        if self._on_terminal:
            Console().print_json(data=value, ensure_ascii=False)
        else:
            self._write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")

    def preview(self, run: DryRun) -> None:
        """Print what a call would send and may cost."""
        self._end_status()
        if self._as_json:
            self._print_json(run.to_dict())
            return
        rows = [(file.path, _count(file.bytes), _count(file.tokens)) for file in run.files]
        if rows:
            widths = [max(map(len, column)) for column in zip(_HEADS, *rows, strict=True)]
            for path, size, tokens in (_HEADS, *rows):
                self._write(f"{path:<{widths[0]}}  {size:>{widths[1]}}  {tokens:>{widths[2]}}\n")
            self._write("\n")
        for warning in run.notes:
            self._write(self._cleaned(f"Note: {warning}\n"))
        if run.estimate is None:
            self._write(f"The price of {run.model} is unknown.\n")
        else:
            self._write(f"May cost {amount(run.estimate.usd)} USD ({run.estimate.parts}).\n")
        self._write("Nothing was sent.\n")

    def fail(self, error: GrokError) -> None:
        """Report what failed, what to do, and what it cost."""
        self._end_status()
        self._end_line()
        note(self._cleaned(error.text))
        if error.usage:
            note(" · ".join(usage_facts(error.usage)), dim=True)

    def _cleaned(self, text: str) -> str:
        return clean(text) if sys.stderr.isatty() or self._on_terminal else text

    def close(self) -> None:
        """Leave the terminal as it was; may be called twice."""
        self._end_status()
        if self._on_terminal:
            self._end_line()
