"""Reads foreign JSON without trusting its types: whatever an endpoint sends, these never raise."""

from collections.abc import Mapping
from typing import Any

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
