"""The reading of request bodies that both dialects share; what is of a wrong form raises, and is a 422."""

import json
import re
from typing import Any

from grok_mcp.sandbox.answering.question import Function, Turn
from grok_mcp.sandbox.errors import JSON, RefusalError

MAX_FUNCTIONS = 128


def turn(role: str, content: Any) -> Turn:
    """A message from its role and its content, a string or a list of parts."""
    if content is None or isinstance(content, str):
        return Turn(role, content or "")
    if not content:
        raise RefusalError(400, "Each message must have at least one content element.")
    texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
    images = [part["image_url"] for part in content if part.get("type") in ("image_url", "input_image")]
    for image in images:
        url = image["url"] if isinstance(image, dict) else image
        if not re.match(r"https://|data:image/(png|jpe?g);base64,", url):
            raise RefusalError(400, "Unsupported image: give a https address or a png or jpeg data URI.")
    files = [part for part in content if part.get("type") in ("input_file", "file")]
    return Turn(role, "\n".join(texts), len(images), tuple(map(_document, files)))


def _document(part: JSON) -> str:
    """The name of a document; in the responses dialect it is given flat, in chat under `file`."""
    file = part.get("file", part)
    if file.get("file_url"):
        if not str(file["file_url"]).startswith("https://"):
            raise RefusalError(400, "file_url must be an https address.")
        return str(file["file_url"])
    if not re.match(r"data:[\w.+/-]+;base64,", str(file.get("file_data"))):
        raise RefusalError(400, "A file needs file_url, or file_data as a data URI.")
    return str(file.get("filename") or "a document")


def functions(tools: list[JSON]) -> tuple[Function, ...]:
    """The functions among the tools, from their nested or their flat definitions."""
    if len(tools) > MAX_FUNCTIONS:
        raise RefusalError(400, f"At most {MAX_FUNCTIONS} tools may be given.")
    definitions = [tool.get("function", tool) for tool in tools if tool.get("type") == "function"]
    return tuple(Function(one["name"], one.get("parameters") or {"type": "object"}) for one in definitions)


def tool_choice(choice: Any, functions: tuple[Function, ...]) -> str:
    """The choice: auto, none, required or a function's name."""
    if choice in (None, "auto", "none", "required"):
        return choice or "auto"
    name = choice.get("function", choice)["name"]
    if not any(function.name == name for function in functions):
        raise RefusalError(400, f"tool_choice names an unknown function: {name}")
    return str(name)


def answer_format(described: JSON) -> tuple[str, Any]:
    """The kind of answer and its schema, from the format object of either dialect."""
    kind = str(described.get("type", "text"))
    if kind != "json_schema":
        return kind, None
    described = described.get("json_schema", described)
    if "schema" not in described:
        raise RefusalError(400, "response_format of type json_schema needs a schema.")
    return kind, described["schema"]


def count(body: JSON, *names: str) -> int | None:
    """The first of some positive whole numbers that is set."""
    name = next((name for name in names if body.get(name) is not None), "")
    number = body.get(name)
    if name and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
        raise RefusalError(400, f"{name} must be a positive whole number.")
    return number


def names(filters: JSON, allowed: str, excluded: str, limit: int) -> tuple[frozenset[str], frozenset[str]]:
    """The allowed and the excluded names of a filter, which exclude each other."""
    included, left_out = (filters.get(key) or [] for key in (allowed, excluded))
    if included and left_out:
        raise RefusalError(400, f"{allowed} and {excluded} cannot both be set.")
    if len(included) + len(left_out) > limit:
        raise RefusalError(400, f"{allowed} and {excluded} take at most {limit} entries.")
    return frozenset(map(str.lower, included)), frozenset(map(str.lower, left_out))


def dates(filters: JSON) -> tuple[str, str]:
    """The first and the last day to search."""
    first, last = filters.get("from_date") or "", filters.get("to_date") or "9999"
    for day in (first, last):
        if not re.match(r"$|9999$|\d{4}-\d\d-\d\d", day):
            raise RefusalError(400, f"Not an ISO 8601 date: {day}")
    return first[:10], last[:10]


def as_text(*parts: object) -> str:
    """What tools, schemas and calls add to the tokens of a prompt."""
    return "".join(json.dumps(part) for part in parts if part)
