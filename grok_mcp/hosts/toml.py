"""A text in TOML, changed in one place: a table is added behind everything else, and removed again.

The standard library's parser says what a statement means; this module only splits the text into statements.
Why not tomlkit: docs/decisions/0014-tomlkit-and-redis.md.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from grok_mcp import bounds
from grok_mcp.hosts.host import HostError
from grok_mcp.redaction import quote

# Possessive, and content with an end that is missing: nothing is tried twice, nor kept to be tried again.
_STRING = (
    r'"""(?:[^"\\]++|\\.|"(?!""))*+(?:"{3,5}|\\?\Z)'
    r"|'''(?:[^']++|'(?!''))*+(?:'{3,5}|\Z)"
    r'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?+'
    r"|'[^'\n]*+'?+"
)
_TOKEN = re.compile(rf"{_STRING}|#[^\n]*+|[\[{{]|[\]}}]|\n", re.DOTALL)
_OPAQUE = re.compile(rf"({_STRING})|#[^\n]*+", re.DOTALL)

# What the parser takes time for that is not linear: its keys are tuples that grow by a copy for each part,
# and its pattern of numbers keeps a state for each digit.
_UNREADABLE = re.compile(r"(?<![\w \t-])[ \t]*+(?:(?:[\w-]++[ \t]*+\.[ \t]*+){100}|[+-]?\d[\d_]{5000})")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Statement:
    """A header, or a key with its value: its position, and its path from the root."""

    start: int
    end: int
    path: tuple[str, ...]


class TomlText:
    """A parsed text in TOML; a `HostError` says what is wrong with it and where."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > bounds.TOML_BYTES:
            raise HostError(f"it is larger than {bounds.TOML_BYTES >> 20} MiB")
        if _UNREADABLE.search(_OPAQUE.sub(lambda match: "s" if match[1] else "", text)):
            raise HostError("it has a key of more than a hundred parts, or a number of thousands of digits")
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            message = quote(str(error)).replace("(at line ", "(line ")
            raise HostError(message[:1].lower() + message[1:]) from None
        except ValueError as error:
            raise HostError(f"it holds a value that can't be read: {quote(str(error))}") from None
        except RecursionError:
            raise HostError("it is nested too deeply to be read") from None

    @cached_property
    def newline(self) -> str:
        """How the lines of the text end."""
        return "\r\n" if 2 * self.text.count("\r\n") > self.text.count("\n") else "\n"

    def with_table(self, path: Sequence[str], value: Mapping[str, Any]) -> str:
        """The text with that table at its end."""
        newline = self.newline
        rows = [f"[{'.'.join(map(_key, path))}]"]
        rows += [f"{_key(key)} = {_value(item)}" for key, item in value.items()]
        block = newline.join(rows)
        if not self.text:
            return block + newline
        if not self.text.endswith("\n"):
            return self.text + newline * 2 + block
        return self.text + newline + block + newline

    @staticmethod
    def inline(key: str, value: Mapping[str, Any]) -> str:
        """A member of an inline table."""
        return f"{_key(key)} = {_value(value)}"

    def without_table(self, path: tuple[str, ...]) -> str:
        """The text without that table and everything below it."""
        text, newline = self.text, self.newline
        kept, at = [], 0
        for start, end in self._groups(path):
            if text.endswith(newline * 2, at, start) or text[at:start] == newline:
                start -= len(newline)
            if end == len(text) and not text.endswith("\n") and text.endswith(newline, at, start):
                start -= len(newline)
            kept.append(text[at:start])
            at = end
        return "".join([*kept, text[at:]])

    def _groups(self, path: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Where the statements below that path are, each run of neighbours as one."""
        below = groupby(self._statements(), lambda statement: statement.path[: len(path)] == path)
        for matches, statements in below:
            if matches:
                run = list(statements)
                yield run[0].start, run[-1].end

    def _statements(self) -> Iterator[Statement]:
        table: tuple[str, ...] = ()
        for start, end in _lines(self.text):
            text = self.text[start:end]
            content = text.lstrip(" \t\r\n")
            if not content or content.startswith("#"):
                continue
            path = _path(tomllib.loads(text))
            if content.startswith("["):
                table = path
                yield Statement(start, end, path)
            else:
                yield Statement(start, end, table + path)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Where the statements of a valid text are, also those over several lines, and its other lines."""
    start = depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in "[{":
            depth += 1
        elif token in "]}":
            depth -= 1
        elif token == "\n" and depth == 0:
            yield start, match.end()
            start = match.end()
    if start < len(text):
        yield start, len(text)


def _path(data: Any) -> tuple[str, ...]:
    """The path of the value that a single statement defines."""
    path: list[str] = []
    while data:
        if isinstance(data, list):
            data = data[0]
        elif isinstance(data, dict) and len(data) == 1:
            ((key, data),) = data.items()
            path.append(key)
        else:
            break
    return tuple(path)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)
