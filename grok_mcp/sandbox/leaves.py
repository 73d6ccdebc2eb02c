"""Texts and numbers that fit a JSON Schema."""

from fractions import Fraction
from math import ceil, floor
from typing import Any
from uuid import UUID

from grok_mcp.sandbox.patterns import match_pattern

MAX_LENGTH = 2048

_FORMATS = {
    "date": "2026-11-{day:02}",
    "time": "09:30:{day:02}Z",
    "date-time": "2026-11-{day:02}T09:30:00Z",
    "email": "sandbox{salt}@city.example",
    "ipv4": "192.0.2.{day}",
    "ipv6": "2001:db8::{day:x}",
    "uri": "https://city.example/{salt}",
}


def make_string(schema: dict[str, Any], name: str, salt: int) -> str:
    """A text with the schema's format, pattern and length; ValueError where that's too hard."""
    shortest = schema.get("minLength", 0)
    longest = schema.get("maxLength", MAX_LENGTH)
    kind = schema.get("format")
    if kind == "uuid":
        return str(UUID(int=salt, version=4))
    if kind in _FORMATS:
        return _FORMATS[kind].format(day=salt % 28 + 1, salt=salt)
    if "pattern" in schema:
        return match_pattern(schema["pattern"], shortest)
    text = f"sandbox {name}{f' {salt + 1}' if salt else ''}"
    if len(text) > longest:
        text = f"{salt}sandbox" if salt else "sandbox"
    return text.ljust(shortest, ".")[:longest]


def make_number(schema: dict[str, Any], salt: int, *, whole: bool) -> int | float:
    """The smallest fitting number, the largest, or one of our own where nothing bounds it."""
    step = Fraction(str(schema.get("multipleOf", 1 if whole else "0.5")))
    if whole and step.denominator != 1:
        step = Fraction(step.numerator)
    low = _bound(schema, "minimum", "exclusiveMinimum", step, 1)
    high = _bound(schema, "maximum", "exclusiveMaximum", step, -1)
    if low is not None:
        room = high - low + 1 if high is not None and high >= low else salt + 1
        number = (low + salt % room) * step
    elif high is not None:
        number = (high - salt) * step
    else:
        number = (3 + salt) * step
    if not whole and "multipleOf" not in schema and not _inside(number, schema):
        number = _between(schema)
    return int(number) if number.denominator == 1 else float(number)


def _bound(schema: dict[str, Any], word: str, exclusive: str, step: Fraction, sign: int) -> int | None:
    """The first multiple of the step on the allowed side of a bound."""
    found = []
    if word in schema:
        ratio = Fraction(str(schema[word])) / step
        found.append(ceil(ratio) if sign > 0 else floor(ratio))
    if exclusive in schema:
        ratio = Fraction(str(schema[exclusive])) / step
        found.append(floor(ratio) + 1 if sign > 0 else ceil(ratio) - 1)
    return (max(found) if sign > 0 else min(found)) if found else None


def _inside(number: Fraction, schema: dict[str, Any]) -> bool:
    return (
        number >= Fraction(str(schema.get("minimum", number)))
        and number <= Fraction(str(schema.get("maximum", number)))
        and number < Fraction(str(schema.get("exclusiveMaximum", number + 1)))
    )


def _between(schema: dict[str, Any]) -> Fraction:
    """The middle of a range that is narrower than our step."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    return (Fraction(str(low)) + Fraction(str(high))) / 2
