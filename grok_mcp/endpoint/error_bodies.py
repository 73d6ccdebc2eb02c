"""Reads the words in an error body of any known shape; `failures.py` decides what they mean."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_UNSUPPORTED = (
    r"Argument not supported on this model: [`'\"]?(\w+)",
    r"does not support (?:the )?parameter [`'\"]?(\w+)",
    r"does not support [`'\"](\w+)[`'\"] value",
    r"(?i)(?:unsupported|unknown|unrecognized)[ _]parameter:? [`'\"]?(\w+)",
    r"(?i)[`'\"]?(\w+)[`'\"]? is not supported (?:with|by|on|for) this model",
)


class ErrorBody(NamedTuple):
    """What could be read out of an error body of any known shape; empty where there is nothing."""

    message: str = ""
    code: str = ""
    status: int | None = None
    param: str = ""


def read_error_body(body: bytes | str) -> ErrorBody:
    """The words in an error body: JSON of any known shape, plain text, HTML or nothing."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        if "<html" in text.lower():
            title = re.search(r"(?is)<title>(.*?)</title>", text)
            text = title[1] if title else "an HTML page"
        return ErrorBody(message=text.strip())
    return read_error_payload(payload)


def read_error_payload(payload: Any) -> ErrorBody:
    """The words in an error object, as a body or inside a stream."""
    if not isinstance(payload, Mapping):
        return ErrorBody(message=str(payload))
    error = payload.get("error")
    outer = _word(payload.get("code"))
    if isinstance(error, str):
        return ErrorBody(error, outer)
    if isinstance(error, Mapping):
        return _read_inner(error, outer)
    for name in ("message", "detail"):
        value = payload.get(name)
        if value:
            words = value if isinstance(value, str) else json.dumps(value)
            return ErrorBody(words, outer)
    return ErrorBody(code=outer)


def _read_inner(error: Mapping[str, Any], outer: str) -> ErrorBody:
    """An `error` object; its code may be a number, which then is a status."""
    code, status = error.get("code"), None
    if isinstance(code, int) and not isinstance(code, bool):
        status, code = code, None
    message = _word(error.get("message"))
    metadata = error.get("metadata")
    raw = _word(metadata.get("raw")) if isinstance(metadata, Mapping) else ""
    if raw:
        message = f"{message}: {read_error_body(raw).message}"
    words = " ".join(filter(None, (_word(code), _word(error.get("type")), outer)))
    return ErrorBody(message, words, status, _word(error.get("param")))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def unsupported_parameter(body: ErrorBody) -> str | None:
    """The snake_case name of the parameter that this model does not take according to the endpoint."""
    for pattern in _UNSUPPORTED:
        match = re.search(pattern, body.message)
        if match:
            return re.sub(r"(?<=[a-z])([A-Z])", lambda m: f"_{m[1].lower()}", match[1])
    if body.param and "unsupported" in body.code.lower():
        return body.param.rsplit(".", 1)[0]
    return None
