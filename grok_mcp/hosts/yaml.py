"""A text in YAML, changed in one place; the rest stays, to the byte.

The library says where each value stands; this module only cuts and inserts there. It is loaded for hosts
with such a file only. A parser of our own would have to know block scalars, five kinds of quotes and tags.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from grok_mcp import bounds
from grok_mcp.hosts.host import HostError
from grok_mcp.redaction import quote

UNIT = "  "

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""Plain text that some parsers take for another type."""

_MAPPING, _SEQUENCE = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_TYPES: Mapping[str, Callable[[str], Any]] = {
    "tag:yaml.org,2002:int": lambda text: int(text.replace("_", ""), 0) if "0o" in text else int(text),
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": lambda text: text.lower() == "true",
    "tag:yaml.org,2002:null": lambda text: None,
}


class YamlText:
    """A parsed text in YAML; a `HostError` says what is wrong with it and where."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > bounds.YAML_BYTES:
            raise HostError(f"it is larger than {bounds.YAML_BYTES >> 10} KiB")
        try:
            if "*" in text and any(isinstance(event, AliasEvent) for event in _yaml().parse(text)):
                raise HostError("it uses aliases (*name), which are not supported here")
            self._root: Node | None = _yaml().compose(text)
            data = {} if self._root is None else _data(self._root)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
            raise HostError(quote(str(error.problem or error.context)) + place) from None
        except (YAMLError, ValueError) as error:
            raise HostError(f"it holds something that can't be read: {quote(str(error))}") from None
        except RecursionError:
            raise HostError("it is nested too deeply to be read") from None
        if not isinstance(data, dict):
            raise HostError("its root is not a mapping")
        self.data: dict[str, Any] = {
            key: {} if value is None else value for key, value in data.items()
        }  # `extensions:` with nothing below it is an empty table
        self.newline = "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"

    @cached_property
    def _members(self) -> list[tuple[Node, Node]]:
        return list(self._root.value) if isinstance(self._root, MappingNode) else []

    def _find(self, path: Sequence[str]) -> tuple[Node | None, Node | None]:
        """The key and the value at a path of one step, or the root for none."""
        if not path:
            return None, self._root
        return next(((key, value) for key, value in self._members if key.value == path[0]), (None, None))

    def with_item(self, path: Sequence[str], key: str, value: Any) -> str:
        """The text with the value first in the mapping at that path, which is made where it is missing."""
        at_key, mapping = self._find(path)
        if mapping is None:
            return self._with_root_item(path, key, value)
        if isinstance(mapping, MappingNode) and mapping.flow_style:
            return self._into_flow(mapping, f"{_scalar(key)}: {_flow(value)}")
        if isinstance(mapping, MappingNode):
            column = mapping.value[0][0].start_mark.column
            return self._insert(self._line(mapping.start_mark.index), column, key, value)
        assert at_key is not None  # a key with nothing behind it
        line_end = self.text.find("\n", at_key.end_mark.index)
        column = at_key.start_mark.column + len(UNIT)
        if line_end < 0:
            return self.text + self.newline + self._rendered(column, key, value).removesuffix(self.newline)
        return self._insert(line_end + 1, column, key, value)

    def _with_root_item(self, path: Sequence[str], key: str, value: Any) -> str:
        for name in reversed(path):
            key, value = name, {key: value}
        if isinstance(self._root, MappingNode) and self._root.flow_style:
            return self._into_flow(self._root, f"{_scalar(key)}: {_flow(value)}")
        column = self._root.start_mark.column if self._root is not None else 0
        rendered = self._rendered(column, key, value)
        if not self.text or self.text.endswith("\n"):
            return self.text + rendered
        return self.text + self.newline + rendered.removesuffix(self.newline)

    def with_value(self, path: Sequence[str], key: str, value: Any) -> str:
        """The text with another value for a key that is there."""
        _, mapping = self._find(path)
        assert isinstance(mapping, MappingNode)
        at_key, old = next((at_key, old) for at_key, old in mapping.value if at_key.value == key)
        if mapping.flow_style:
            return self.text[: old.start_mark.index] + _flow(value) + self.text[_end(old) :]
        start, end = self._line(at_key.start_mark.index), self._next_line(max(_end(old), _end(at_key)))
        rendered = self._rendered(at_key.start_mark.column, key, value)
        if end == len(self.text) and not self.text.endswith("\n"):
            rendered = rendered.removesuffix(self.newline)
        return self.text[:start] + rendered + self.text[end:]

    def without_item(self, path: Sequence[str], matches: Callable[[str | None, Any], bool]) -> Iterator[str]:
        """Texts without the member that matches, the neatest first."""
        _, mapping = self._find(path)
        if not isinstance(mapping, MappingNode):
            return
        members = mapping.value
        for index, (key, value) in enumerate(members):
            if not matches(key.value, _data(value)):
                continue
            start, end = key.start_mark.index, max(_end(value), _end(key))
            if mapping.flow_style and index + 1 < len(members):
                yield self.text[:start] + self.text[members[index + 1][0].start_mark.index :]
            elif mapping.flow_style and index:
                yield self.text[: _end(members[index - 1][1])] + self.text[end:]
            elif mapping.flow_style:
                yield self.text[: mapping.start_mark.index + 1] + self.text[mapping.end_mark.index - 1 :]
            else:
                start, end = self._line(start), self._next_line(end)
                if end == len(self.text) and not self.text.endswith("\n"):
                    yield self.text[:start].removesuffix("\n").removesuffix("\r")
                yield self.text[:start] + self.text[end:]

    def _into_flow(self, mapping: MappingNode, member: str) -> str:
        at = mapping.start_mark.index + 1
        if mapping.value:
            at = mapping.value[0][0].start_mark.index
            member += ", "
        return self.text[:at] + member + self.text[at:]

    def _insert(self, at: int, column: int, key: str, value: Any) -> str:
        return self.text[:at] + self._rendered(column, key, value) + self.text[at:]

    def _rendered(self, column: int, key: str, value: Any) -> str:
        return "".join(f"{line}{self.newline}" for line in _block(" " * column, key, value))

    def _line(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def _next_line(self, at: int) -> int:
        """Where the line behind a position begins; a block of text may end there already."""
        if at and self.text[at - 1 : at] == "\n":
            return at
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end + 1


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _end(node: Node) -> int:
    """Where the last character of a value is; a block reaches over blank lines and comments behind it."""
    if not isinstance(node, MappingNode | SequenceNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return max(map(_end, last)) if isinstance(last, tuple) else _end(last)


def _data(node: Node) -> Any:
    """The plain data of a node; what has a tag of its own is text."""
    if isinstance(node, MappingNode):
        made: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise HostError(f"it has a key that is not text (line {key.start_mark.line + 1})")
            if key.value in made:
                raise HostError(
                    f"the key {quote(key.value)!r} appears twice (line {key.start_mark.line + 1})"
                )
            made[key.value] = _data(value)
        return made
    if isinstance(node, SequenceNode):
        return [_data(item) for item in node.value]
    return _TYPES.get(str(node.tag), str)(node.value)


def _block(indent: str, key: str, value: Any) -> Iterator[str]:
    """The lines of a member in block style; lists stand in one line."""
    if isinstance(value, Mapping) and value:
        yield f"{indent}{_scalar(key)}:"
        for name, item in value.items():
            yield from _block(indent + UNIT, name, item)
    else:
        yield f"{indent}{_scalar(key)}: {_flow(value)}"


def _flow(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if not isinstance(value, str):
        return str(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\x7f")
