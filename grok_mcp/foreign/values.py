"""Reads foreign JSON without trusting its types: but for `load_json`, these never raise."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from grok_mcp import bounds
from grok_mcp.redaction import join_surrogates

_COUNTED_AT_ONCE = 64 * 1024
"""Bytes whose values are counted in one go: what is behind a value too many is not looked at."""

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


def json_text(value: Any) -> str:
    """JSON that should have come as text, also where it came as an object or a list."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else text_of(value)


def is_thought(part: Mapping[str, Any]) -> bool:
    """Whether a part of a content is reasoning, in any endpoint's words, and so no part of the answer."""
    kind = text_of(part.get("type"))
    thoughts = ("reasoning", "thinking", "thought", "redacted_thinking", "summary_text", "analysis")
    return kind.startswith(thoughts) or part.get("thought") is True


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
    if len(data) <= bounds.JSON_VALUES or _marks(data) <= bounds.JSON_VALUES:
        return False
    values, in_text, start = 0, False, 0
    while start < len(data) and values <= bounds.JSON_VALUES:
        end = start + _COUNTED_AT_ONCE
        while data[end - 1 : end] == b"\\":  # an escape is not torn apart
            end += 1
        texts = data[start:end].replace(b"\\\\", b"__").replace(b'\\"', b"__").split(b'"')
        outside = texts[in_text::2]
        in_text ^= len(texts) % 2 == 0
        values += _marks(b"".join(outside)) + len(outside) - (not in_text)
        start = end
    return values > bounds.JSON_VALUES


def _marks(data: bytes) -> int:
    """Marks that begin or part values, also those inside texts."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def load_json(text: str) -> Any:
    """The JSON value in a text, fit to be sent on as JSON: finite, not too deep, valid Unicode.

    Raises ValueError, whose words say why, where there is none.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        too_deep = depth_of(value, bounds.JSON_DEPTH) > bounds.JSON_DEPTH
        if "\\u" in text and not too_deep:  # half a surrogate pair may be written so
            plain = json.dumps(value, ensure_ascii=False)
            joined = join_surrogates(plain)
            value = value if joined is plain else json.loads(joined)
    except RecursionError:
        too_deep = True
    except ValueError as error:
        if "digits" in str(error):  # Python's own bound, and its advice to programmers
            raise ValueError("a number has thousands of digits") from None
        raise
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
