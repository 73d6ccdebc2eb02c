"""Cuts streamed Markdown into blocks that are finished, so that a terminal shows each once, and for good.

A block ends with a blank line, a heading or a fence; an item of a list where the next line is no part of it.
What is so long that nobody wants to wait for its end is cut at a line.
"""

import re
from typing import NamedTuple

MAX_CHARACTERS = 32_000
"""Of a block that is held back until it ends."""

_FENCE = re.compile(r"\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?(`{3,}(?![^\n]{0,200}`)|~{3,})")
_ITEM = re.compile(r"(?P<mark>[-*+]|\d{1,9}[.)])\s+\S")
_INTERRUPTS = re.compile(r"(?:[-*+]|1[.)])\s+\S")
"""What begins a list also right below a line of text (CommonMark 0.31, 5.2)."""
_HEADING = re.compile(r"#{1,6}(?:\s|$)")


class Block(NamedTuple):
    """A finished piece of Markdown, without the line break at its end."""

    text: str
    goes_on: bool = False
    """Whether it continues the list or the code of the block before, without a blank line between them."""


class Blocks:
    """The blocks of one text while it comes."""

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lines: list[str] = []
        self._length = 0
        self._begun = ""
        self._fence = self._opening = ""
        self._list = self._list_before = ""  # what its items begin with
        self._is_over = self._is_cut = False

    def feed(self, piece: str) -> list[Block]:
        """The blocks that end with this piece."""
        *lines, self._begun = (self._begun + piece).split("\n")
        blocks = [block for line in lines for block in self._add(line)]
        if self._is_over and not self._fence and self._begun.strip() and self._begun[0] not in " \t":
            blocks += self._flush()  # a list, of which a line without indent is no part
        if len(self._begun) > MAX_CHARACTERS:
            line, self._begun = self._begun, ""
            blocks += [*self._add(line), *self._cut()]
        return blocks

    def end(self) -> list[Block]:
        """What is left at the end of the text; afterwards another text may begin."""
        blocks = [*(self._add(self._begun) if self._begun else ()), *self._flush()]
        self._begin_anew()
        return blocks

    def _add(self, line: str) -> list[Block]:
        blocks = []
        if self._fence:
            closing = line.strip()
            if closing.startswith(self._fence) and not closing.strip(self._fence[0]):
                self._fence, self._is_over = "", not self._list
        elif not line.strip():
            if not self._lines:
                return []
            self._is_over = True
        else:
            if self._begins_block(line):
                blocks = self._flush()
            self._begin(line)
        self._lines.append(line)
        self._length += len(line) + 1
        if self._is_over and not self._fence and not self._list:
            return blocks + self._flush()
        return blocks + self._cut() if self._length > MAX_CHARACTERS else blocks

    def _begins_block(self, line: str) -> bool:
        if not self._lines:
            return False
        if _ITEM.match(line) and (self._list or self._is_over or _INTERRUPTS.match(line)):
            return True
        return self._is_over and not (self._list and line[0] in " \t")

    def _begin(self, line: str) -> None:
        """Note what a line opens."""
        if not self._lines:
            item = _ITEM.match(line)
            self._list = item["mark"].lstrip("0123456789") if item else ""
        self._is_over = _HEADING.match(line) is not None
        if opened := _FENCE.match(line):
            self._fence, self._opening = opened[1], line

    def _flush(self) -> list[Block]:
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        goes_on = self._is_cut or bool(self._list and self._list == self._list_before)
        blocks = [Block("\n".join(self._lines), goes_on)] if self._lines else []
        self._list_before = self._list
        self._lines, self._length, self._is_over, self._is_cut = [], 0, False, False
        return blocks

    def _cut(self) -> list[Block]:
        """End a block that is too long here; code goes on as code."""
        fence, opening = self._fence, self._opening
        if fence:
            self._lines.append(fence)
        blocks = self._flush()
        if fence:
            self._lines, self._list, self._is_cut = [opening], "", True
        return blocks
