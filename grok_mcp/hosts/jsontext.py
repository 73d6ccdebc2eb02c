"""A text in JSON and the positions of what is in it, for `jsonedit.py`.

The standard library's parser reads it. Of JSON with comments, comments and trailing commas are blanked first,
so that every position stays the same. Why this way: docs/decisions/0015-host-files-as-text.md.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NoReturn

from grok_mcp.hosts.host import HostError

DEFAULT_UNIT = "  "
SPACE = " \t\r\n"

_STRING = r'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(rf"{_STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|,(?=[{SPACE}]*[}}\]])", re.DOTALL)
_SPACES = re.compile(rf"[{SPACE}]*")
_INDENT = re.compile(r"[ \t]*")


@dataclass(frozen=True)
class Item:
    """A member of an object or an element of an array, by its positions."""

    key: str | None
    start: int
    value: int
    end: int
    comma: int | None
    """Where the comma behind it stands."""


@dataclass(frozen=True)
class Container:
    """An object or an array: where it opens and closes, and what is in it."""

    opens: int
    closes: int
    items: tuple[Item, ...]


class JsonText:
    """A text in JSON, read; a `HostError` says what is wrong with it and where."""

    def __init__(self, text: str, *, comments: bool) -> None:
        self.text = text
        self._code = _blank(_COMMENT, text) if comments else text
        self.plain = _blank(_COMMA, self._code, self._is_trailing) if comments else text
        """Of the same length, in strict JSON; line breaks in it are between values."""
        self.is_blank = not text.strip(SPACE)
        self.data: dict[str, Any] = {} if self.is_blank else self._parse()

    def _parse(self) -> dict[str, Any]:
        try:
            data = _DECODER.decode(self.plain)
        except json.JSONDecodeError as error:
            raise HostError(f"{error.msg[0].lower()}{error.msg[1:]} {self.place(error.pos)}") from None
        except _DuplicateKeyError as error:
            raise HostError(f"the key {error.key!r} is there twice {self._second_place()}") from None
        except RecursionError:
            raise HostError("it is nested too deeply to be read") from None
        except ValueError as error:
            raise HostError(f"it holds a number that can't be read: {error}") from None
        if not isinstance(data, dict):
            raise HostError(f"its root is no object {self.place(self.skip(0))}")
        return data

    def place(self, position: int) -> str:
        """Line and column, for a message."""
        before = self.text[:position]
        return f"(line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))})"

    def _second_place(self) -> str:
        """Where an object has a key for the second time. The syntax is known to be right."""
        queue = [self.skip(0)]
        for opens in queue:
            seen = set()
            for item in self.container(opens).items:
                if item.key is not None and item.key in seen:
                    return self.place(item.start)
                seen.add(item.key)
                if self.plain[item.value] in "{[":
                    queue.append(item.value)
        raise AssertionError("the parser has found one")

    def _is_trailing(self, at: int) -> bool:
        """Whether a comma before a closing bracket has a value before it, as a trailing one must."""
        at -= 1
        while at >= 0 and self._code[at] in SPACE:
            at -= 1
        return at >= 0 and self._code[at] not in "{[,:"

    @cached_property
    def newline(self) -> str:
        """How the lines of the text end."""
        return "\r\n" if 2 * self.text.count("\r\n") > self.text.count("\n") else "\n"

    @cached_property
    def root(self) -> Container:
        """The outermost object."""
        return self.container(self.skip(0))

    @cached_property
    def unit(self) -> str:
        """One step of indentation."""
        items = self.root.items
        return (self.own_line(items[0].start) or DEFAULT_UNIT) if items else DEFAULT_UNIT

    @cached_property
    def is_flat(self) -> bool:
        """Whether the whole document is written in one line."""
        return bool(self.root.items) and "\n" not in self.plain[self.root.opens : self.root.closes]

    @cached_property
    def separators(self) -> tuple[str, str]:
        """A comma and a colon as they are written within a line."""
        items = self.root.items
        return (",", ":") if items and self.plain[items[0].value - 1] == ":" else (", ", ": ")

    def container(self, opens: int) -> Container:
        """The object or array that opens at that position."""
        items = []
        at = self.skip(opens + 1)
        while self.plain[at] not in "}]":
            start, key = at, None
            if self.plain[opens] == "{":
                key, at = _LENIENT.raw_decode(self.plain, at)
                at = self.skip(self.skip(at) + 1)
            _, end = _LENIENT.raw_decode(self.plain, at)
            behind = self.skip(end)
            comma = self._code.find(",", end, behind + 1)
            items.append(Item(key, start, at, end, comma if comma >= 0 else None))
            at = self.skip(behind + 1) if self.plain[behind] == "," else behind
        return Container(opens, at, tuple(items))

    def find(self, path: Sequence[str]) -> tuple[Container, Sequence[str]]:
        """The innermost container on the path, and the rest of the path, which is missing in it."""
        container = self.root
        for depth, key in enumerate(path):
            item = next((one for one in container.items if one.key == key), None)
            if item is None:
                return container, path[depth:]
            container = self.container(item.value)
        return container, ()

    def value(self, item: Item) -> Any:
        """An item's value."""
        return _LENIENT.raw_decode(self.plain, item.value)[0]

    def skip(self, at: int) -> int:
        """The next position without white space or comments."""
        found = _SPACES.match(self.plain, at)
        assert found is not None
        return found.end()

    def line_start(self, at: int) -> int:
        """Where the line of a position begins."""
        return self.text.rfind("\n", 0, at) + 1

    def indent_of_line(self, at: int) -> str:
        """The white space at the beginning of a position's line."""
        found = _INDENT.match(self.text, self.line_start(at))
        assert found is not None
        return found.group()

    def own_line(self, at: int) -> str | None:
        """The white space before a position, where nothing else stands before it in its line."""
        start = self.line_start(at)
        before = self.text[start:at]
        return before if start > 0 and not before.strip(" \t") else None


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _DuplicateKeyError(key)
        made[key] = value
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant)
_LENIENT = json.JSONDecoder(parse_float=Decimal)


def _blank(pattern: re.Pattern[str], text: str, right: Callable[[int], bool] = lambda _: True) -> str:
    """The text with spaces in place of what the pattern finds outside strings."""
    return pattern.sub(
        lambda found: found[0] if found[0][0] == '"' or not right(found.start()) else " " * len(found[0]),
        text,
    )
