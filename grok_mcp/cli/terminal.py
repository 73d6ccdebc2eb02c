"""What a call from a shell prints: the answer and its sources on stdout, everything about it on stderr.

On a terminal a line says what Grok is doing, and above it stand the blocks of the text that are finished,
laid out as Markdown. `--plain`, a dumb terminal and one without Unicode get the text as it comes. A pipe gets
it byte for byte as Grok wrote it.
"""

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import click
from rich.console import Console

from grok_mcp import events
from grok_mcp.accounting import amount
from grok_mcp.cli.blocks import Block, Blocks
from grok_mcp.cli.console import hanging, note
from grok_mcp.cli.layout import layout
from grok_mcp.cli.wording import as_data, in_words, note_in_words
from grok_mcp.errors import GrokError
from grok_mcp.events import Observer
from grok_mcp.messages import CITATION_MARKER, Answer
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
    fit,
    supplements,
    usage_facts,
)
from grok_mcp.tools import DryRun

_LAID_OUT_CHARACTERS = 500_000
"""Of a text; what follows would hold up whoever waits for it."""
_HEADS = ("file", "bytes", "tokens")


def _width() -> int:
    return Console(stderr=True).width


def _cited(text: str) -> str:
    """A whole text as a terminal shows it."""
    shown = TerminalText()
    return shown.feed(text) + shown.end()


class _Page:
    """Markdown on a terminal, each block once it is finished."""

    def __init__(self) -> None:
        self._console = Console()
        self._blocks = Blocks()
        self._is_begun = False
        self._characters = 0

    def feed(self, text: str) -> list[Block]:
        """The blocks that this piece of a text finishes."""
        return self._blocks.feed(text)

    def end(self) -> list[Block]:
        """The blocks that are left at the end of a text."""
        return self._blocks.end()

    def show(self, blocks: Sequence[Block]) -> None:
        """Print blocks, each below a blank line where it does not go on with the one before.

        Those past `_LAID_OUT_CHARACTERS` are printed as they were written.
        """
        for block in blocks:
            if self._is_begun and not block.goes_on:
                self._console.file.write("\n")
            self._is_begun = True
            self._characters += len(block.text)
            if self._characters > _LAID_OUT_CHARACTERS:
                self._console.file.write(f"{block.text}\n")
            else:
                self._console.print(layout(block.text), crop=False, end="")
        self._console.file.flush()

    def finish(self, text: str) -> None:
        """Print the rest of a text, or all of it."""
        self.show([*self.feed(text), *self.end()])

    def add(self, section: str) -> None:
        """Print code as such, and lines of sources with their addresses whole."""
        if section.startswith("```"):
            self.finish(section)
        elif section:
            lines = hanging(section, self._console.width, 3)
            self._console.print("\n" + lines, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


class ShellView:
    """Shows a call. `data_only` prints the data of the answer alone, `as_json` the whole answer; `plain` lays
    nothing out. `schema` is that of the tool's arguments, which errors and notes name as flags.
    """

    def __init__(
        self, schema: Mapping[str, Any], *, data_only: bool, as_json: bool, plain: bool = False
    ) -> None:
        self._schema = schema
        self._data_only = data_only
        self._as_json = as_json
        self._on_terminal = sys.stdout.isatty()
        self._text = TerminalText() if self._on_terminal else None
        able = self._on_terminal and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        self._page = _Page() if able and unicode and not (plain or data_only or as_json) else None
        self._status = StatusLine(Console(stderr=True)) if able and sys.stderr.isatty() else None
        self._is_printing = False
        self._broken: OSError | None = None
        self._last = "\n"

    async def watch(self, make: Callable[[Observer], Awaitable[Answer]], grok: Grok) -> Answer:
        """Make the call and show what happens meanwhile. Raises what it raises, and what stdout does."""
        pumps = self._pumps(grok)
        outcome: Answer | Exception | None = None

        def observe(event: events.Event, added: str) -> None:
            if added and not (self._data_only or self._as_json or self._page):
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
        if self._status and not self._is_printing:
            self._status.show(fit(CITATION_MARKER.sub(r"[\1]", message), _width() - 2))

    async def _begin_anew(self, seconds: float, message: str) -> None:
        """The text so far has to be read once more: the endpoint had left out a part of it."""
        await self._stream(seconds, "\n\n")
        if self._page and self._text:
            self._page.finish(self._text.end())
        note("Note: the endpoint had left out a part of the text; it follows whole.")

    async def _stream(self, seconds: float, message: str) -> None:
        """Write a piece of the text; a reader that has left ends the call."""
        if not message:
            return
        text = self._text.feed(message) if self._text else message
        try:
            if self._page is None:
                self._end_status()
                await anyio.to_thread.run_sync(self._write, text)
            elif blocks := self._page.feed(text):
                if self._status:
                    self._status.close()  # comes again with the next note
                self._is_printing = True
                await anyio.to_thread.run_sync(self._page.show, blocks)
                self._is_printing = False
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
        rest = self._text.end() if self._text else ""
        if self._page:
            self._page.finish(rest)
            for section in alternatives(answer):
                self._page.finish(_cited(section))
            for section in supplements(answer):
                self._page.add(clean(section))
            return
        self._write(rest)
        self._end_line()
        for section in (*alternatives(answer), *supplements(answer)):
            self._write(f"\n{self._cleaned(section)}\n")

    def _print_notes(self, answer: Answer) -> None:
        """Notes and the line of facts; and the sources, where stdout holds data alone."""
        if self._on_terminal:
            note("")
        if self._data_only:
            for section in (*alternatives(answer), *supplements(answer)):
                self._note_down(section)
        for warning in answer.warnings:
            self._note_down(f"Note: {note_in_words(warning, self._schema)}")
        kept = f" · --conversation {answer.conversation_id}" if answer.conversation_id else ""
        self._note_down(facts(replace(answer, conversation_id=None)) + kept, dim=True)

    def hint(self, text: str) -> None:
        """Print what a person should know of this call before its answer."""
        self._note_down(f"Note: {text}", dim=True)

    def _note_down(self, text: str, *, dim: bool = False) -> None:
        """Print to stderr, in lines that fit on a terminal."""
        text = self._cleaned(text)
        note(hanging(text, _width()) if sys.stderr.isatty() else text, dim=dim)

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
        if self._page and self._text:
            self._page.finish(self._text.end())
        self._end_line()
        if self._as_json:
            self._print_json(as_data(error, self._schema))
            if self._on_terminal:
                return
        self._note_down(in_words(error, self._schema))
        if error.usage:
            self._note_down(" · ".join(usage_facts(error.usage)), dim=True)

    def _cleaned(self, text: str) -> str:
        return clean(text) if sys.stderr.isatty() or self._on_terminal else text

    def close(self) -> None:
        """Leave the terminal as it was, with all text that came; may be called twice."""
        self._end_status()
        if self._page and self._text:
            self._page.finish(self._text.end())
        if self._on_terminal:
            self._end_line()
