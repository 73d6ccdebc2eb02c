"""A text in JSON, also with comments: read, and changed in one place; the rest stays, to the byte.

The standard library's parser reads it. Of JSON with comments, comments and trailing commas are blanked first,
so that every position stays the same. Why this way: docs/decisions/0013-host-files-as-text.md.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NoReturn

from grok_mcp.hosts.host import HostError
from grok_mcp.redaction import quote

DEFAULT_UNIT = "  "
SPACE = " \t\r\n"

# Possessive, and also up to the end of the text: nothing is tried twice, nor kept to be tried again, whatever
# somebody has left unclosed. A string of 5 MB took 690 MB otherwise.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_COMMENT = re.compile(rf"{_STRING}|//[^\r\n]*+|/\*.*?(?:\*/|\Z)", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|,(?=[{SPACE}]*+[}}\]])", re.DOTALL)
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
    """A parsed text in JSON; a `HostError` says what is wrong with it and where."""

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
            raise HostError(
                f"the key {quote(error.key)!r} appears twice {self._second_place()}".rstrip()
            ) from None
        except RecursionError:
            raise HostError("it is nested too deeply to be read") from None
        except (ValueError, ArithmeticError) as error:
            raise HostError(f"it holds a number that can't be read: {quote(str(error))}") from None
        if not isinstance(data, dict):
            raise HostError(f"its root is not an object {self.place(self.skip(0))}")
        return data

    def place(self, position: int) -> str:
        """Line and column of a position, for a message."""
        before = self.text[:position]
        return f"(line {before.count(chr(10)) + 1}, column {position - before.rfind(chr(10))})"

    def _second_place(self) -> str:
        """Where an object has a key for the second time; the syntax is known to be valid.

        Each level reads all below it again: the search ends after as much work as eight levels can be.
        """
        queue, left = [self.skip(0)], 8 * len(self.plain)
        for opens in queue:
            seen = set()
            container = self.container(opens)
            left -= container.closes - opens
            if left < 0:
                return ""
            for item in container.items:
                if item.key is not None and item.key in seen:
                    return self.place(item.start)
                seen.add(item.key)
                if self.plain[item.value] in "{[":
                    queue.append(item.value)
        raise AssertionError("the parser has met such a key")

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
        """The comma and the colon as the text writes them within a line."""
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
        """The innermost container on the path, and the rest of the path, which does not exist."""
        container = self.root
        for depth, key in enumerate(path):
            item = next((member for member in container.items if member.key == key), None)
            if item is None:
                return container, path[depth:]
            container = self.container(item.value)
        return container, ()

    def value(self, item: Item) -> Any:
        """An item's value."""
        return _LENIENT.raw_decode(self.plain, item.value)[0]

    def skip(self, at: int) -> int:
        """The next position without white space or comments."""
        match = _SPACES.match(self.plain, at)
        assert match is not None
        return match.end()

    def line_start(self, at: int) -> int:
        """Where the line of a position begins."""
        return self.text.rfind("\n", 0, at) + 1

    def indent_of_line(self, at: int) -> str:
        """The white space at the beginning of a position's line."""
        match = _INDENT.match(self.text, self.line_start(at))
        assert match is not None
        return match.group()

    def own_line(self, at: int) -> str | None:
        """The white space before a position, where nothing else stands before it in its line."""
        start = self.line_start(at)
        before = self.text[start:at]
        return before if start > 0 and not before.strip(" \t") else None

    def with_item(self, path: Sequence[str], key: str | None, value: Any) -> str:
        """The text with the value first in the container at that path, which is made where it is missing."""
        container, missing = (None, path) if self.is_blank else self.find(path)
        for name in reversed(missing):
            value = {key: value} if key is not None else [value]
            key = name
        if container is None:
            return self.text + _render({key: value}, "", DEFAULT_UNIT, self.newline) + self.newline
        return self._insert(container, key, value)

    def with_value(self, path: Sequence[str], key: str, value: Any) -> str:
        """The text with another value for a key that is there."""
        container, _ = self.find(path)
        item = next(member for member in container.items if member.key == key)
        indent = self.own_line(item.start)
        if indent is None:
            new = _one_line(value, *self.separators)
        else:
            new = _render(value, indent, self.unit, self.newline)
        return self.text[: item.value] + new + self.text[item.end :]

    def without_item(self, path: Sequence[str], matches: Callable[[str | None, Any], bool]) -> Iterator[str]:
        """Texts without the item that matches, the neatest first; the caller takes the first correct one.

        The neatest can be wrong where somebody has edited the text: a line that ends with `// …` swallows
        what is joined to it.
        """
        container, _ = self.find(path)
        for index, item in enumerate(container.items):
            if matches(item.key, self.value(item)):
                for spans in self._cuts(container, index):
                    text = self.text
                    for start, end in reversed(spans):
                        text = text[:start] + text[end:]
                    yield text

    def _insert(self, container: Container, key: str | None, value: Any) -> str:
        first = container.items[0] if container.items else None
        line_end = self.plain.find("\n", container.opens, self.skip(container.opens + 1))
        if self.is_flat or (first and line_end < 0):
            comma, colon = self.separators
            at = first.start if first else container.opens + 1
            text = _name(key, colon) + _one_line(value, comma, colon) + (comma if first else "")
        else:
            indent = self.own_line(first.start) if first else None
            if indent is None:
                indent = self.indent_of_line(container.opens) + self.unit
            text = self.newline + indent + _name(key, ": ") + _render(value, indent, self.unit, self.newline)
            if line_end < 0:  # an empty one, closed in the line where it opens
                at = container.opens + 1
                text += self.newline + self.indent_of_line(container.opens)
            else:
                at = line_end - 1 if self.text[line_end - 1] == "\r" else line_end
                text += "," if first else ""
        return self.text[:at] + text + self.text[at:]

    def _cuts(self, container: Container, index: int) -> Iterator[list[tuple[int, int]]]:
        """What can be cut out for an item, together with a comma that is not needed then."""
        item = container.items[index]
        lead = self._lead(item.start)
        end = item.end if item.comma is None else item.comma + 1
        commas = []
        if not container.items[1:]:
            rest = self.text[container.opens + 1 : item.start] + self.text[end : container.closes]
            if not rest.strip(SPACE):
                yield [(container.opens + 1, container.closes)]
        elif index + 1 < len(container.items):
            if lead == item.start and self.text[end] == " ":
                yield [(item.start, end + 1)]
        elif item.comma is None:
            before = container.items[index - 1].comma
            assert before is not None
            commas = [(before, before + 1)]
            lead = max(lead, before + 1)
        yield [*commas, (lead, end)]
        yield [*commas, (item.start, end)]

    def _lead(self, start: int) -> int:
        """Where the white space and line break before a position begin, if it is the first in its line."""
        if self.own_line(start) is None:
            return start
        at = self.line_start(start) - 1
        return at - 1 if self.newline == "\r\n" and self.text[at - 1] == "\r" else at


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
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant)
_LENIENT = json.JSONDecoder(parse_float=Decimal)


def _blank(pattern: re.Pattern[str], text: str, applies: Callable[[int], bool] = lambda _: True) -> str:
    """The text with spaces in place of what the pattern matches outside strings, where `applies` says so."""

    def replacement(match: re.Match[str]) -> str:
        text = match[0]
        unclosed = text.startswith("/*") and not (len(text) > 3 and text.endswith("*/"))
        if unclosed or text.startswith('"') or not applies(match.start()):
            return text
        return " " * len(text)

    return pattern.sub(replacement, text)


def _name(key: str | None, colon: str) -> str:
    return "" if key is None else json.dumps(key, ensure_ascii=False) + colon


def _one_line(value: Any, comma: str, colon: str) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(comma, colon), default=float)


def _render(value: Any, indent: str, unit: str, newline: str) -> str:
    """The value over several lines; lists of plain values in one."""
    inner = indent + unit
    if isinstance(value, dict) and value:
        brackets = "{}"
        rows = [_name(key, ": ") + _render(item, inner, unit, newline) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        brackets = "[]"
        rows = [_render(item, inner, unit, newline) for item in value]
    else:
        return _one_line(value, ", ", ": ")
    return f"{brackets[0]}{newline}{inner}{f',{newline}{inner}'.join(rows)}{newline}{indent}{brackets[1]}"
