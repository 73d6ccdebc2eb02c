"""Error bodies in the shapes that gateways use."""

import json
from collections.abc import Callable, Mapping
from html import escape

from grok_mcp.sandbox.errors import RefusalError, error_body
from tests.sandbox_faults.changes import JSON


def _xai(error: RefusalError) -> JSON:
    return {"code": error.code, "error": error.message}


def _openai(error: RefusalError) -> JSON:
    kind = "invalid_request_error" if error.status < 500 else "upstream_error"
    return {"error": {"message": error.message, "type": kind, "param": "", "code": error.code}}


def _newapi(error: RefusalError) -> JSON:
    message = f"{error.message} (request id: 20261122000000000000001)"
    return {"error": {"message": message, "type": "new_api_error", "param": "", "code": error.code}}


_ACEDATA_CODES = {
    400: "bad_request",
    401: "invalid_token",
    403: "forbidden",
    429: "too_many_requests",
    504: "timeout",
}


def _acedata(error: RefusalError) -> JSON:
    code = _ACEDATA_CODES.get(error.status, "api_error")
    return {
        "success": False,
        "error": {"code": code, "message": error.message},
        "trace_id": "2cf86e86-0000-4000-8000-032c0f2a4e89",
    }


def _openrouter(error: RefusalError) -> JSON:
    """The words of xAI stand in `metadata.raw`, those of OpenRouter say nothing."""
    metadata = {"provider_name": "xAI", "raw": json.dumps(_xai(error), ensure_ascii=False)}
    status = error.status if error.status >= 400 else 502
    inner = {"code": status, "message": "Provider returned error", "metadata": metadata}
    return {"error": inner, "user_id": "user_sandbox"}


def _details(error: RefusalError) -> JSON:
    return {"detail": [{"loc": ["body"], "msg": error.message, "type": "value_error"}]}


def _textcode(error: RefusalError) -> JSON:
    return {"error": {"message": error.message, "type": "upstream_error", "code": str(error.status)}}


_SHAPES: Mapping[str, Callable[[RefusalError], JSON]] = {
    "xai": _xai,
    "openai": _openai,
    "string": lambda error: {"error": error.message},
    "fastapi": lambda error: {"detail": error.message},
    "details": _details,
    "message": lambda error: {"message": error.message},
    "newapi": _newapi,
    "acedata": _acedata,
    "openrouter": _openrouter,
    "msg": lambda error: {"code": error.status, "msg": error.message, "success": False},
    "errormsg": lambda error: {"error_code": error.status, "error_msg": error.message},
    "errors": lambda error: {"errors": [{"message": error.message, "code": error.status}]},
    "textcode": _textcode,
}

JSON_BODIES = tuple(_SHAPES)
BODIES = (*JSON_BODIES, "list", "events", "text", "html", "empty")


def error_json(shape: str, error: RefusalError) -> JSON:
    """An error object; a shape that is not JSON becomes the plain xAI one."""
    return _SHAPES.get(shape, _xai)(error)


def shaped_body(shape: str, error: RefusalError) -> tuple[bytes, str]:
    """The bytes of an error body and its content type."""
    if shape == "xai":
        return error_body(error)
    if shape == "list":
        return json.dumps([_openai(error)], ensure_ascii=False).encode(), "application/json"
    if shape == "events":
        event = json.dumps(_openai(error), ensure_ascii=False)
        return f"event: error\ndata: {event}\n\ndata: [DONE]\n\n".encode(), "text/event-stream"
    if shape == "text":
        return error.message.encode(), "text/plain; charset=utf-8"
    if shape == "html":
        page = f"<!DOCTYPE html><html><head><title>{error.status}</title></head><body>Error {error.status}"
        return f"{page} {escape(error.message)}</body></html>".encode(), "text/html"
    if shape == "empty":
        return b"", ""
    return json.dumps(error_json(shape, error), ensure_ascii=False).encode(), "application/json"
