"""JSON Schema for `grok_structured`: checks the caller's schema, and the answer against it.

Nothing is ever fetched, and patterns run on an engine whose time is linear in the text.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from grok_mcp.errors import InvalidArgumentError

MAX_SCHEMA_CHARS = 256 * 1024
MAX_DEPTH = 64
MAX_FAULTS = 8
_DRAFT_07 = "http://json-schema.org/draft-07/schema#"
_ADVICE = "Correct the schema; nothing was sent."


def check_schema(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """A validator for the caller's schema. Raises InvalidArgumentError for one that can't be used."""
    if _depth(schema) > MAX_DEPTH:
        raise InvalidArgumentError(f"schema: nested more than {MAX_DEPTH} levels deep.", _ADVICE)
    if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
        raise InvalidArgumentError(f"schema: larger than {MAX_SCHEMA_CHARS // 1024} KiB.", _ADVICE)
    _check_references(schema)
    if "$schema" not in schema and any(isinstance(node.get("items"), list) for node in _nodes(schema)):
        schema = {"$schema": _DRAFT_07, **schema}  # only that draft writes tuples so
    draft = schema.get("$schema")
    cls: type[jsonschema_rs.Validator] = jsonschema_rs.Draft202012Validator
    if isinstance(draft, str) and "draft-07" in draft:
        cls = jsonschema_rs.Draft7Validator
    elif draft is not None and "2020-12" not in str(draft):
        raise InvalidArgumentError("schema: $schema must be draft 2020-12 or draft-07.", _ADVICE)
    try:
        jsonschema_rs.meta.validate(dict(schema))
        return cls(
            dict(schema),
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            retriever=_refuse_remote,
        )
    except jsonschema_rs.ValidationError as error:
        raise InvalidArgumentError(f"schema: {_path(error)}: {error.message[:200]}.", _ADVICE) from None
    except ValueError as error:
        raise InvalidArgumentError(f"schema: {str(error)[:200]}.", _ADVICE) from None


def _refuse_remote(uri: str) -> Any:
    raise ValueError(f"{uri[:80]} is outside the schema")


def _depth(schema: Any) -> int:
    """How deep the schema nests; counted without recursion, so that no depth can hurt."""
    deepest, level = 0, [schema]
    while level:
        deepest += 1
        if deepest > MAX_DEPTH:
            break
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, Mapping) else node)
            if isinstance(child, Mapping | list)
        ]
    return deepest


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        yield node
        node = node.values()
    elif not isinstance(node, list):
        return
    for child in node:
        if isinstance(child, Mapping | list):
            yield from _nodes(child)


def _check_references(schema: Mapping[str, Any]) -> None:
    """Refuse references that leave the schema, point nowhere, or lead back to themselves."""
    leads: dict[str, list[str]] = {}
    todo = [reference for node in _nodes(schema) if (reference := node.get("$ref")) is not None]
    for reference in todo:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise InvalidArgumentError(
                f"schema: the $ref {str(reference)[:80]!r} leaves the schema.", _ADVICE
            )
        if reference not in leads:
            target = _resolve(schema, reference)
            leads[reference] = [str(node["$ref"]) for node in _nodes(target) if "$ref" in node]
    finished: set[str] = set()
    for start in leads:
        _walk(start, leads, (), finished)


def _walk(reference: str, leads: Mapping[str, list[str]], trail: tuple[str, ...], finished: set[str]) -> None:
    if reference in trail or len(trail) > MAX_DEPTH:
        raise InvalidArgumentError(
            f"schema: {reference[:80]} refers to itself, and the endpoint takes no cycles.", _ADVICE
        )
    if reference not in finished:
        for further in leads.get(reference, ()):
            _walk(further, leads, (*trail, reference), finished)
        finished.add(reference)


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


_FENCE = re.compile(r"\s*```[A-Za-z]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


def read_json(text: str) -> Any:
    """The JSON value in an answer; code fences around it are taken off, nothing else is guessed.

    Raises ValueError where there is none.
    """
    fenced = _FENCE.fullmatch(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def faults(validator: jsonschema_rs.Validator, value: Any) -> list[str]:
    """Where and why the value does not fit, at most a few: `/city/name: 3 is not of type "string"`."""
    found = []
    for error in validator.iter_errors(value):
        found.append(f"{_path(error)}: {error.message[:160]}")
        if len(found) == MAX_FAULTS:
            break
    return found


def _path(error: jsonschema_rs.ValidationError) -> str:
    return "/" + "/".join(str(step) for step in error.instance_path)
