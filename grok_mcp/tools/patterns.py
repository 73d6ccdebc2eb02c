"""The regular expressions of a schema, by the engine that can match them.

Most run on an engine whose time is linear in the text. Look-around and back-references need one that
backtracks, so these run in a process of their own, which can be ended (`apart.py`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError

if TYPE_CHECKING:
    import jsonschema_rs


MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = (
    *("items", "additionalItems", "unevaluatedItems", "additionalProperties", "unevaluatedProperties"),
    *("contains", "not", "if", "then", "else", "propertyNames", "contentSchema"),
)
"""Keywords under which schemas stand: by name, in a list, and as one."""

_BROKEN = ("unterminated", "unbalanced", "missing )", "nothing to repeat", "bad escape (end")
"""What Python says of a pattern that is one in no dialect of regular expressions."""

Schema = Mapping[str, Any]


class Sorted(NamedTuple):
    """A schema with the patterns that can be matched in linear time, and one with all that can be matched.

    The second is None where it would be the same. `unusable` names the patterns that neither has.
    """

    linear: Schema
    full: Schema | None
    unusable: tuple[str, ...]

    @property
    def usable(self) -> Schema:
        """The schema with all patterns that can be matched."""
        return self.linear if self.full is None else self.full


def sort_patterns(schema: Schema) -> Sorted:
    """Which patterns of a schema can be matched; raises InvalidArgumentError where one is broken."""
    found: dict[str, str] = {}
    for path, node in subschemas(schema):
        names = node.get("patternProperties")
        for pattern in (node.get("pattern"), *(names if isinstance(names, Mapping) else ())):
            if isinstance(pattern, str):
                found.setdefault(pattern, path or "/")
    if len(found) > bounds.SCHEMA_PATTERNS or sum(map(len, found)) > bounds.SCHEMA_PATTERN_CHARACTERS:
        raise InvalidArgumentError(
            f"schema: more than {bounds.SCHEMA_PATTERNS} patterns, or "
            f"{bounds.SCHEMA_PATTERN_CHARACTERS:,} characters of them.",
            "Leave some out; nothing was sent.",
        )
    linear = {pattern for pattern in found if _compiles(pattern, linear=True)}
    usable = linear | {
        pattern for pattern in found if pattern not in linear and _compiles(pattern, linear=False)
    }
    for pattern in found.keys() - usable:
        _refuse_broken(pattern, found[pattern])
    return Sorted(
        linear=schema if len(linear) == len(found) else _without(schema, found.keys() - linear),
        full=_without(schema, found.keys() - usable) if linear != usable else None,
        unusable=tuple(pattern for pattern in found if pattern not in usable),
    )


def _compiles(pattern: str, *, linear: bool) -> bool:
    import jsonschema_rs  # a large extension that only one tool needs

    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options(linear=linear))
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def options(*, linear: bool) -> "jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions":
    """The engine that patterns run on."""
    import jsonschema_rs  # a large extension that only one tool needs

    kind = jsonschema_rs.RegexOptions if linear else jsonschema_rs.FancyRegexOptions
    return kind(size_limit=bounds.PATTERN_BYTES)


def _refuse_broken(pattern: str, path: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        if str(error).startswith(_BROKEN):
            raise InvalidArgumentError(
                f"schema: {path}: the pattern {pattern[:80]!r} is broken: {error}.",
                "Correct the schema; nothing was sent.",
            ) from None


def subschemas(schema: Any, path: str = "") -> Iterable[tuple[str, Schema]]:
    """Each schema in a schema, with where it stands; values of `enum`, `const` and the like are data."""
    todo = [(path, schema)]
    while todo:
        path, node = todo.pop()
        if not isinstance(node, Mapping):
            continue
        yield path, node
        for name, value in node.items():
            if name in MAPS and isinstance(value, Mapping):
                todo.extend((f"{path}/{name}/{key}", one) for key, one in value.items())
            elif isinstance(value, list) and name in (*LISTS, *SINGLE):
                todo.extend((f"{path}/{name}/{number}", one) for number, one in enumerate(value))
            elif name in SINGLE:
                todo.append((f"{path}/{name}", value))


def _without(schema: Any, patterns: Iterable[str]) -> Any:
    """A copy of the schema without these patterns, which says less where one of them named properties."""
    gone = frozenset(patterns)

    def copied(node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        kept = {name: value for name, value in node.items() if name != "pattern" or value not in gone}
        names = kept.get("patternProperties")
        if isinstance(names, Mapping) and not gone.isdisjoint(names):
            kept["patternProperties"] = {key: one for key, one in names.items() if key not in gone}
            for name in ("additionalProperties", "unevaluatedProperties"):
                kept.pop(name, None)
        return {name: _each(name, value, copied) for name, value in kept.items()}

    return copied(schema)


def _each(name: str, value: Any, change: Callable[[Any], Any]) -> Any:
    """What stands under a keyword with each schema in it changed."""
    if name in MAPS and isinstance(value, Mapping):
        return {key: change(one) for key, one in value.items()}
    if isinstance(value, list) and name in (*LISTS, *SINGLE):
        return [change(one) for one in value]
    return change(value) if name in SINGLE else value
