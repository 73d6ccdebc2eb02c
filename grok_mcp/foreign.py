"""Reads what is not ours without trusting it: JSON of any types, and files of any kind, size and encoding.

Whatever an endpoint sends, the functions for JSON never raise, but `load_json`.
"""

import codecs
import errno
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from grok_mcp.redaction import join_surrogates

MAX_DEPTH = 100
"""Levels of JSON that we hand on: the parsers of Rust hosts stop at 128, pydantic's at 200."""

MAX_VALUES = 200_000
"""Of one piece of JSON, names included: each takes up to a hundred times its two bytes."""
_VALUE = re.compile(rb'[\[{,]|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A text as a whole, which may hold all of the marks, or a mark outside of texts."""

FAILURE_FIELDS = ("error", "errors", "error_msg", "error_message", "code", "detail", "message", "msg")
"""Fields of a payload that is nothing but an error."""

_EMPTY: Mapping[str, Any] = {}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list; empty where the value is not a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """The value if it is a string, the text parts joined if it is a list of parts, else empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(part.get("text")) for part in mappings(value))
    return ""


def integer(value: Any, default: int) -> int:
    """The value if it is a whole number, else the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def depth_of(value: Any, limit: int) -> int:
    """How deep objects and lists nest, at most one more than the limit; no depth can hurt it."""
    depth, level = 0, [value]
    while depth <= limit:
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            break
        depth += 1
        level = [child for one in level for child in (one.values() if isinstance(one, dict) else one)]
    return depth


def has_too_many_values(data: bytes) -> bool:
    """Whether JSON holds more values than any message or answer has; a text counts as one."""
    if len(data) <= MAX_VALUES or data.count(b",") + data.count(b"[") + data.count(b"{") <= MAX_VALUES:
        return False
    return sum(1 for _ in islice(_VALUE.finditer(data), MAX_VALUES + 1)) > MAX_VALUES


def load_json(text: str) -> Any:
    """The JSON value in a text, fit to be sent on as JSON: finite, not too deep, valid Unicode.

    Raises ValueError, whose words say why, where there is none.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        too_deep = depth_of(value, MAX_DEPTH) > MAX_DEPTH
        if "\\u" in text and not too_deep:  # half a surrogate pair may be written so
            plain = json.dumps(value, ensure_ascii=False)
            joined = join_surrogates(plain)
            value = value if joined is plain else json.loads(joined)
    except RecursionError:
        too_deep = True
    if too_deep:
        raise ValueError("nested too deeply")
    return value


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:20]} is too large a number")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; raises OSError, whose `strerror` says why not.

    A pipe could keep its reader for ever, a device could do anything, and neither has an end.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        # It may have become something else since: opening a pipe must not wait either.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            data = file.read(limit + 1)
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a null character") from None
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit >> 10} KiB")
    return data


def encoding_of(data: bytes) -> str:
    """The encoding of a text file: UTF-8, or UTF-16 where a mark at its beginning says so.

    Raises ValueError, which says why it is neither.
    """
    utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf_16 else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if utf_16 else "UTF-8"
        raise ValueError(f"it is not text in {name} (byte {error.start + 1}): save it as UTF-8") from None
    if "\0" in text:
        raise ValueError("it is not text: it holds null characters")
    return encoding


def read_text(path: Path, limit: int) -> str:
    """The text of such a file; raises OSError or ValueError, whose words say why not."""
    data = read_regular(path, limit)
    return data.decode(encoding_of(data))
