"""JSON Schema for `grok_structured`: what is sent of the caller's schema, and how an answer is held against
it.

Nothing is ever fetched, and no pattern can run away (`patterns.py`). An answer is checked against the
caller's own schema, so what endpoints do not take is still held. What xAI refuses or ignores: docs.x.ai,
structured outputs.
"""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError, SchemaMismatchError
from grok_mcp.foreign import depth_of, load_json
from grok_mcp.tools.apart import TooMuchError, mismatches_apart
from grok_mcp.tools.patterns import LISTS, MAPS, SINGLE, Sorted, options, sort_patterns
from grok_mcp.tools.schema_words import in_words

if TYPE_CHECKING:
    import jsonschema_rs


WRAPPER = "result"
"""The property that a schema whose root is not an object is wrapped in, upstream only."""

_DRAFT_07 = "http://json-schema.org/draft-07/schema#"
_ADVICE = "Correct the schema; nothing was sent."


def _without_fence(text: str) -> str:
    """What stands between code fences where these are around all of a text, else the text."""
    head, _, rest = text.strip().partition("\n")
    language = head.removeprefix("```").strip()
    fenced = head.startswith("```") and rest.endswith("```") and (language.isalpha() or not language)
    return rest.removesuffix("```") if fenced else text


class _Compiled(NamedTuple):
    """A validator, the schema by its patterns, and how many nodes it has with every reference written out."""

    validator: "jsonschema_rs.Validator"
    patterns: Sorted
    nodes: int


class SchemaCheck:
    """A caller's schema, ready to hold answers against it.

    `fitted` is what endpoints are sent; `warnings` name what of the schema they are not sent, and what no
    answer is held to.
    """

    def __init__(
        self,
        compiled: "_Compiled",
        fitted: Mapping[str, Any],
        dropped: list[str],
        *,
        wrapped: bool,
    ) -> None:
        self.fitted = fitted
        self.warnings = [
            f"The endpoint takes no {name}: only the answer is held to it here." for name in dropped
        ]
        self.warnings += [
            f"The pattern {pattern[:60]!r} was left out: it can't be matched here."
            for pattern in compiled.patterns.unusable
        ]
        self._validator, self._patterns, self._nodes = compiled
        self._wrapped = wrapped

    @classmethod
    def compile(cls, schema: Mapping[str, Any]) -> "SchemaCheck":
        """Check a caller's schema and compile it; takes a moment, so call it in a thread.

        Raises InvalidArgumentError for a schema that can't be used.
        """
        compiled = _validator(schema)
        dropped: dict[str, None] = {}
        fitted = _fit(compiled.patterns.usable, "", dropped)
        fitted.pop("$id", None)
        if fitted.get("type") == "object" or "properties" in fitted:
            return cls(compiled, {"type": "object", **fitted}, list(dropped), wrapped=False)
        wrapper = {name: fitted[name] for name in _ROOT_ONLY if name in fitted} | {
            "type": "object",
            "properties": {WRAPPER: {name: fitted[name] for name in fitted if name not in _ROOT_ONLY}},
            "required": [WRAPPER],
            "additionalProperties": False,
        }
        return cls(compiled, wrapper, list(dropped), wrapped=True)

    def value(self, text: str) -> Any:
        """The JSON value in an answer; code fences around it are taken off, nothing else is guessed.

        Raises ValueError where there is none.
        """
        value = load_json(_without_fence(text))
        if self._wrapped and isinstance(value, Mapping) and set(value) == {WRAPPER}:
            return value[WRAPPER]
        return value

    async def mismatches(self, text: str) -> list[str]:
        """Where and why an answer does not fit, at most a few: `/city/name: 3 is not of type "string"`.

        Raises SchemaMismatchError for one that can't be checked in time.
        """
        if len(text) > bounds.DATA_CHARACTERS:
            return [f"/: longer than {bounds.DATA_CHARACTERS:,} characters"]
        try:
            value = self.value(text)
        except ValueError as error:
            return [f"/: not JSON ({error})"]
        apart = self._nodes * (1 + sum(map(text.count, ",[{"))) > bounds.CHECKS
        if apart:
            found = await self._apart(self._patterns.usable, value)
        else:
            first = islice(self._validator.iter_errors(value), bounds.MISMATCHES)
            found = [(_path(one), one.message) for one in first]
        if not (apart or found or self._patterns.full is None):
            try:
                found = await self._apart(self._patterns.full, value)
            except SchemaMismatchError:
                note = "The patterns with look-around took too long: the answer is not held to them."
                self.warnings.append(note)
        return [f"{path}: {message[:160]}" for path, message in found]

    async def _apart(self, schema: Mapping[str, Any], value: Any) -> list[tuple[str, str]]:
        try:
            return await mismatches_apart(schema, value, draft_07=_is_draft_07(schema))
        except TooMuchError:
            raise SchemaMismatchError(
                f"Grok's answer could not be checked against the schema within {bounds.CHECK_S:g} s.",
                "Use a simpler schema, or ask for less.",
            ) from None


def _validator(schema: Mapping[str, Any]) -> _Compiled:
    """A validator for the caller's schema. Raises InvalidArgumentError for one that can't be used."""
    import jsonschema_rs  # a large extension that only this tool needs

    if depth_of(schema, bounds.SCHEMA_DEPTH) > bounds.SCHEMA_DEPTH:
        raise InvalidArgumentError(f"schema: nested more than {bounds.SCHEMA_DEPTH} levels deep.", _ADVICE)
    if len(json.dumps(schema)) > bounds.SCHEMA_CHARACTERS:
        raise InvalidArgumentError(f"schema: larger than {bounds.SCHEMA_CHARACTERS // 1024} KiB.", _ADVICE)
    size = _checked_size(schema)
    if "$schema" not in schema and any(isinstance(node.get("items"), list) for node in _nodes(schema)):
        schema = {"$schema": _DRAFT_07, **schema}  # only that draft writes tuples like this
    draft = schema.get("$schema")
    if draft is not None and not _is_draft_07(schema) and "2020-12" not in str(draft):
        raise InvalidArgumentError("schema: $schema must be draft 2020-12 or draft-07.", _ADVICE)
    patterns = sort_patterns(schema)
    kind = jsonschema_rs.Draft7Validator if _is_draft_07(schema) else jsonschema_rs.Draft202012Validator
    try:
        jsonschema_rs.meta.validate(dict(patterns.usable))
        validator = kind(
            dict(patterns.linear),
            validate_formats=True,
            pattern_options=options(linear=True),
            retriever=_refuse_remote,
        )
    except jsonschema_rs.ValidationError as error:
        raise InvalidArgumentError(f"schema: {in_words(error)}.", _ADVICE) from None
    except ValueError as error:
        raise InvalidArgumentError(f"schema: {str(error)[:200]}.", _ADVICE) from None
    return _Compiled(validator, patterns, size)


def _is_draft_07(schema: Mapping[str, Any]) -> bool:
    return "draft-07" in str(schema.get("$schema"))


def _path(error: "jsonschema_rs.ValidationError") -> str:
    return "/" + "/".join(str(step) for step in error.instance_path)


def _refuse_remote(uri: str) -> Any:
    raise ValueError(f"{uri[:80]} is outside the schema")


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        node = node.values()
    elif not isinstance(node, list):
        return
    for child in node:
        if isinstance(child, Mapping | list):
            yield from _nodes(child)


def _checked_size(schema: Mapping[str, Any]) -> int:
    """How many nodes the schema has with every reference written out.

    Refuses references that leave the schema, point nowhere, lead back to themselves, or make it too large.
    """
    if any("$dynamicRef" in node or "$recursiveRef" in node for node in _nodes(schema)):
        raise InvalidArgumentError("schema: $dynamicRef and $recursiveRef are not supported.", "Use $ref.")
    size = _size(schema, schema, {}, ())
    if size > bounds.SCHEMA_NODES:
        raise InvalidArgumentError(
            f"schema: more than {bounds.SCHEMA_NODES:,} nodes with every $ref written out.", _ADVICE
        )
    return size


def _size(node: Any, schema: Mapping[str, Any], sizes: dict[str, int], trail: tuple[str, ...]) -> int:
    """How many nodes a part of the schema has with every reference written out; each target counts once."""
    size = 0
    for one in _nodes(node):
        size += 1
        reference = one.get("$ref")
        if reference is None:
            continue
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise InvalidArgumentError(
                f"schema: the $ref {str(reference)[:80]!r} leaves the schema.", _ADVICE
            )
        if len(trail) > bounds.SCHEMA_DEPTH:
            raise InvalidArgumentError(
                f"schema: more than {bounds.SCHEMA_DEPTH} $refs behind each other.", _ADVICE
            )
        if reference in trail:
            raise InvalidArgumentError(
                f"schema: {reference[:80]} refers to itself, and the endpoint takes no cycles.", _ADVICE
            )
        if reference not in sizes:
            target = _resolve(schema, reference)
            sizes[reference] = _size(target, schema, sizes, (*trail, reference))
        size += sizes[reference]
    return size


def _resolve(schema: Any, reference: str) -> Any:
    node = schema
    for step in reference.removeprefix("#").split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and step.isdigit() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, Mapping) and step in node:
            node = node[step]
        else:
            raise InvalidArgumentError(f"schema: the $ref {reference[:80]!r} points nowhere.", _ADVICE)
    if node is schema:
        raise InvalidArgumentError(f"schema: {reference!r} refers to the whole schema, a cycle.", _ADVICE)
    return node


_ROOT_ONLY = ("$schema", "$id", "$defs", "definitions")

# Back-references, \p{…}, \b, look-around and inline flags, as xAI's pattern subset leaves them out.
_FOREIGN_PATTERN = re.compile(r"\\[1-9]|\\k<|\\[pPbB]|\(\?[=!<imsux-]")


def _fit(schema: Mapping[str, Any], path: str, dropped: dict[str, None]) -> dict[str, Any]:
    """One level of the schema and all below it."""
    for name in ("enum", *LISTS):
        if schema.get(name) == []:
            raise InvalidArgumentError(
                f"schema: {path or '/'}: {name} has no members, so that nothing fits.", "Correct the schema."
            )
    off = _refused(schema, dropped)
    fitted = {
        name: _fit_value(name, value, f"{path}/{name}", dropped)
        for name, value in schema.items()
        if name not in off
    }
    if isinstance(fitted.get("items"), list):  # a tuple, as draft-07 writes it
        fitted["prefixItems"] = fitted.pop("items")
        if "additionalItems" in fitted:
            fitted["items"] = fitted.pop("additionalItems")
    return fitted


def _refused(schema: Mapping[str, Any], dropped: dict[str, None]) -> set[str]:
    """The keywords of this level that the endpoint would refuse."""
    off = {name for name in ("minContains", "maxContains") if name in schema}
    if _FOREIGN_PATTERN.search(str(schema.get("pattern", ""))):
        off.add("pattern")
    dropped.update(dict.fromkeys(sorted(off)))
    return off


def _fit_value(name: str, value: Any, path: str, dropped: dict[str, None]) -> Any:
    """What stands under one keyword: a schema, a list of schemas, schemas by name, or plain data."""
    if name in MAPS and isinstance(value, Mapping):
        return {
            key: _fit_value("items", {} if one is True else one, f"{path}/{key}", dropped)
            for key, one in value.items()
            if one is not False
        }
    if name not in (*LISTS, *SINGLE):
        return value
    if isinstance(value, list):
        return [_fit_value("items", one, f"{path}/{number}", dropped) for number, one in enumerate(value)]
    return _fit(value, path, dropped) if isinstance(value, Mapping) else value
