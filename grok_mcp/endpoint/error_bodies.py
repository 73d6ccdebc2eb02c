"""Reads the words in an error body of any known shape; `failures.py` decides what they mean."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from grok_mcp import bounds

_NAMED = r"[`'\"]?(\w{1,64})\b[`'\"]?"
_UNSUPPORTED = (
    rf"Argument not supported on this model: {_NAMED}",
    r"Argument not supported: [`'\"]?(\w{1,64})[`'\"]?(?:$|[.,;)]|\s*\()",
    rf"does not support (?:the )?parameters?:? [\[{{]?{_NAMED}",
    r"does not support [`'\"](\w{1,64})[`'\"](?: value|\.?$)",
    r"(?i)unsupported value: [`'\"](\w{1,64})[`'\"] does not support",
    r"^[`'\"](\w{1,64})[`'\"] does not support .{1,40} with this model",
    rf"(?i)(?:unsupported|unknown|unrecognized)[ _]parameter(?:s|\(s\))?:? {_NAMED}",
    rf"(?i)unknown (?:name|field):? {_NAMED}",
    rf"(?i)unrecognized keys?(?:\(s\))? in object: {_NAMED}",
    r"(?i)\b(\w{1,64})[`'\"]? is (?:not supported|deprecated) (?:with|by|on|for) this model",
    rf"(?i)(?:parameter|field|property|argument) {_NAMED} is (?:unsupported|not supported|not allowed)",
    rf"(?i)(?:parameters?|fields?) (?:is|are) not supported: {_NAMED}",
    rf"(?i)unrecognized request arguments? supplied: {_NAMED}",
    rf"(?i)unexpected keyword argument {_NAMED}",
    r"(?i)^[`'\"](\w{1,64})[`'\"] is not allowed",
    r"#/(\w{1,64}): extra inputs are not permitted",
    r"(?i)extra inputs are not permitted, field: [`'\"](\w{1,64})",
    r"(?i)\b(\w{1,64}):? +extra (?:inputs are not permitted|fields not permitted)",
    r"(?i)^\d+ validation errors?[^\n]*\n(?:body\.)?(\w{1,64})\n +extra inputs are not permitted",
    r"extra_forbidden', 'loc': \('body', '(\w{1,64})'",
    rf"(?i)additional properties(?: are not allowed \(|: ){_NAMED}",
)
"""How endpoints say that they do not take a parameter; the name is the group."""

_NAMES = ("message", "msg", "error_msg", "error_message", "detail", "reason", "text")
"""Fields that hold the words of an error."""


class ErrorBody(NamedTuple):
    """What could be read out of an error body of any known shape; empty where there is nothing."""

    message: str = ""
    code: str = ""
    status: int | None = None
    param: str = ""


def read_error_body(body: bytes | str) -> ErrorBody:
    """The words in an error body: JSON of any known shape, a stream of it, plain text, HTML or nothing."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    if not re.match(r"\s*(?:data|event|id|retry|):", text):
        return _read_text(text)
    events = map(_read_text, re.findall(r"(?:^|[\r\n])data: ?([^\r\n]+)", text))
    return next((event for event in events if event.message), ErrorBody())


def _read_text(text: str) -> ErrorBody:
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        lower = text.lower()
        if "<html" in lower:
            start, end = lower.find("<title>"), lower.find("</title>")
            text = text[start + len("<title>") : end] if 0 <= start < end else "an HTML page"
        return ErrorBody(message=text.strip()[: bounds.ERROR_CHARACTERS])
    return read_error_payload(payload)


def read_error_payload(payload: Any) -> ErrorBody:
    """The words in an error object, as a body or inside a stream."""
    message, code, status, param = _read_payload(payload)
    return ErrorBody(
        message[: bounds.ERROR_CHARACTERS],
        code[: bounds.ERROR_CHARACTERS],
        status,
        param[: bounds.ERROR_CHARACTERS],
    )


def _read_payload(payload: Any) -> ErrorBody:
    if isinstance(payload, list) and payload and isinstance(payload[0], Mapping):
        payload = payload[0]  # as Google's endpoints write it
    if not isinstance(payload, Mapping):
        return ErrorBody(message=_sentence(payload))
    error = payload.get("error")
    outer = _word(payload.get("code"))
    if isinstance(error, str):
        return ErrorBody(error, outer, _status(outer))
    if isinstance(error, Mapping):
        return _read_inner(error, outer)
    errors = error if isinstance(error, list) else payload.get("errors")
    if isinstance(errors, list) and errors:
        return _read_payload({"error": _first(errors), "code": outer})
    words = next(filter(None, (_sentence(payload.get(name)) for name in _NAMES)), "")
    status = payload.get("code")
    return ErrorBody(words, outer, status if _is_status(status) else _status(outer), _param(payload))


def _read_inner(error: Mapping[str, Any], outer: str) -> ErrorBody:
    """An `error` object; its code may be a number, or one written as text, which then is a status."""
    code = error.get("code")
    status = code if _is_status(code) else _status(code)
    message = next(filter(None, (_sentence(error.get(name)) for name in _NAMES)), "")
    metadata = error.get("metadata")
    raw = _word(metadata.get("raw")) if isinstance(metadata, Mapping) else ""
    if raw:
        message = f"{message}: {read_error_body(raw).message}"
    words = " ".join(filter(None, (_word(code), _word(error.get("type")), outer)))
    return ErrorBody(message, words, status, _word(error.get("param")))


def _first(value: Any) -> Any:
    """The first item of a list, also of lists in lists."""
    while isinstance(value, list) and value:
        value = value[0]
    return value


def _sentence(value: Any, depth: int = 0) -> str:
    """The words in a value: itself, or what its usual fields or its first item hold."""
    if isinstance(value, str):
        return value
    if depth < bounds.ERROR_DEPTH and isinstance(value, list) and value:
        return _sentence(value[0], depth + 1)
    if depth < bounds.ERROR_DEPTH and isinstance(value, Mapping):
        inner = (_sentence(value.get(name), depth + 1) for name in (*_NAMES, "error"))
        return next(filter(None, inner), "")
    return "" if value is None or isinstance(value, bool | list | Mapping) else str(value)


def _param(payload: Mapping[str, Any]) -> str:
    """The field that FastAPI refuses: the last word of `loc`, where its type says that it is unknown."""
    detail = payload.get("detail")
    first = detail[0] if isinstance(detail, list) and detail and isinstance(detail[0], Mapping) else {}
    location = first.get("loc")
    if not isinstance(location, list) or not location or "extra" not in _word(first.get("type")):
        return ""
    return _word(location[-1])


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _status(code: Any) -> int | None:
    """A status that is written as text."""
    return int(code) if isinstance(code, str) and re.fullmatch(r"[3-5]\d\d", code) else None


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def unsupported_parameter(body: ErrorBody) -> str | None:
    """The snake_case name of the parameter that this model does not take according to the endpoint."""
    for pattern in _UNSUPPORTED:
        match = re.search(pattern, body.message)
        if match:
            return re.sub(r"(?<=[a-z])([A-Z])", lambda m: f"_{m[1].lower()}", match[1])
    if body.param and ("unsupported" in body.code.lower() or "extra" in body.message.lower()):
        return body.param.rsplit(".", 1)[0]
    return None
