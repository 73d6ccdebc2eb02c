"""Changes one place of a text in JSON; everything else stays as it is, to the byte.

What is new comes first in its object or array: then nothing but new text has to be put in, no comma behind a
neighbour either.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grok_mcp.hosts.jsontext import DEFAULT_UNIT, SPACE, Container, JsonText


def with_item(doc: JsonText, path: Sequence[str], key: str | None, value: Any) -> str:
    """The text with the value first in the container at that path, which is made where it is missing."""
    container, missing = (None, path) if doc.is_blank else doc.find(path)
    for name in reversed(missing):
        value = {key: value} if key is not None else [value]
        key = name
    if container is None:
        return doc.text + _render({key: value}, "", DEFAULT_UNIT, doc.newline) + doc.newline
    return _insert(doc, container, key, value)


def _insert(doc: JsonText, container: Container, key: str | None, value: Any) -> str:
    first = container.items[0] if container.items else None
    line_end = doc.plain.find("\n", container.opens, doc.skip(container.opens + 1))
    if doc.is_flat or (first and line_end < 0):
        comma, colon = doc.separators
        at = first.start if first else container.opens + 1
        text = _name(key, colon) + _one_line(value, comma, colon) + (comma if first else "")
    else:
        indent = doc.own_line(first.start) if first else None
        if indent is None:
            indent = doc.indent_of_line(container.opens) + doc.unit
        text = doc.newline + indent + _name(key, ": ") + _render(value, indent, doc.unit, doc.newline)
        if line_end < 0:  # an empty one, closed in the line where it opens
            at = container.opens + 1
            text += doc.newline + doc.indent_of_line(container.opens)
        else:
            at = line_end - 1 if doc.text[line_end - 1] == "\r" else line_end
            text += "," if first else ""
    return doc.text[:at] + text + doc.text[at:]


def with_value(doc: JsonText, path: Sequence[str], key: str, value: Any) -> str:
    """The text with another value for a key that is there."""
    container, _ = doc.find(path)
    item = next(one for one in container.items if one.key == key)
    indent = doc.own_line(item.start)
    if indent is None:
        new = _one_line(value, *doc.separators)
    else:
        new = _render(value, indent, doc.unit, doc.newline)
    return doc.text[: item.value] + new + doc.text[item.end :]


def without_item(
    doc: JsonText, path: Sequence[str], matches: Callable[[str | None, Any], bool]
) -> Iterator[str]:
    """Texts without the item that matches, the neatest first; the caller takes the first that is right.

    The neatest can be wrong where somebody has moved things: a line that ends with `// …` swallows what
    is joined to it.
    """
    container, _ = doc.find(path)
    for index, item in enumerate(container.items):
        if matches(item.key, doc.value(item)):
            for spans in _cuts(doc, container, index):
                text = doc.text
                for start, end in reversed(spans):
                    text = text[:start] + text[end:]
                yield text


def _cuts(doc: JsonText, container: Container, index: int) -> Iterator[list[tuple[int, int]]]:
    """What can be cut out for an item, with one comma too many."""
    item = container.items[index]
    lead = _lead(doc, item.start)
    end = item.end if item.comma is None else item.comma + 1
    commas = []
    if not container.items[1:]:
        rest = doc.text[container.opens + 1 : item.start] + doc.text[end : container.closes]
        if not rest.strip(SPACE):
            yield [(container.opens + 1, container.closes)]
    elif index + 1 < len(container.items):
        if lead == item.start and doc.text[end] == " ":
            yield [(item.start, end + 1)]
    elif item.comma is None:
        before = container.items[index - 1].comma
        assert before is not None
        commas = [(before, before + 1)]
        lead = max(lead, before + 1)
    yield [*commas, (lead, end)]
    yield [*commas, (item.start, end)]


def _lead(doc: JsonText, start: int) -> int:
    """Where the white space and the line break before a position begin, if it is the first in its line."""
    if doc.own_line(start) is None:
        return start
    at = doc.line_start(start) - 1
    return at - 1 if doc.newline == "\r\n" and doc.text[at - 1] == "\r" else at


def _name(key: str | None, colon: str) -> str:
    return "" if key is None else json.dumps(key, ensure_ascii=False) + colon


def _one_line(value: Any, comma: str, colon: str) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(comma, colon))


def _render(value: Any, indent: str, unit: str, newline: str) -> str:
    """The value over several lines; lists of plain values in one."""
    inner = indent + unit
    if isinstance(value, dict) and value:
        brackets = "{}"
        rows = [_name(key, ": ") + _render(one, inner, unit, newline) for key, one in value.items()]
    elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
        brackets = "[]"
        rows = [_render(one, inner, unit, newline) for one in value]
    else:
        return _one_line(value, ", ", ": ")
    return f"{brackets[0]}{newline}{inner}{f',{newline}{inner}'.join(rows)}{newline}{indent}{brackets[1]}"
