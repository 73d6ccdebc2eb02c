"""Refusals and their bodies, in the shapes that xAI and its gateways use."""

import json
from html import escape
from typing import Any

TEAM = "00000000-0000-0000-0000-000000000000"
UNAVAILABLE = "The service is currently unavailable"

_BY_STATUS = {
    400: ("invalid-argument", "Invalid argument."),
    401: ("unauthenticated:no-credentials", "No credentials provided"),
    402: ("payment-required", "Insufficient credits"),
    403: (
        "The caller does not have permission to execute the specified operation",
        f"Your team {TEAM} has either used all available credits or reached its monthly spending limit.",
    ),
    404: (
        "not-found",
        f"The model does not exist or your team {TEAM} does not have access to it.",
    ),
    410: (
        "gone",
        "Live search is deprecated. Please switch to the Agent Tools API:"
        " https://docs.x.ai/docs/guides/tools/overview",
    ),
    422: (
        "invalid-argument",
        "Failed to deserialize the JSON body into the target type: data did not match",
    ),
    429: ("Some resource has been exhausted", "Too many requests"),
}


class RefusalError(Exception):
    """The sandbox refuses a request as the real endpoint would."""

    def __init__(self, status: int, message: str, *, code: str = "invalid-argument") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def default_error(status: int) -> tuple[str, str]:
    """The code and the sentence that go with a status."""
    if status >= 500:
        return UNAVAILABLE, "Service temporarily unavailable."
    return _BY_STATUS.get(status, ("invalid-argument", f"Refused with status {status}."))


def error_json(shape: str, status: int, code: str, message: str) -> dict[str, Any]:
    """An error object; a shape that is no JSON becomes the plain xAI one."""
    if shape == "openai":
        kind = "invalid_request_error" if status < 500 else "upstream_error"
        return {"error": {"message": message, "type": kind, "param": "", "code": code}}
    if shape == "string":
        return {"error": message}
    if shape == "fastapi":
        return {"detail": message}
    return {"code": code, "error": message}


def error_body(shape: str, status: int, code: str, message: str) -> tuple[bytes, str]:
    """The bytes of an error body and its content type."""
    if shape == "text":
        return message.encode(), "text/plain; charset=utf-8"
    if shape == "html":
        page = f"<!DOCTYPE html><html><head><title>{status}</title></head><body>Error {status}"
        return f"{page} {escape(message)}</body></html>".encode(), "text/html"
    if shape == "empty":
        return b"", ""
    body = error_json(shape, status, code, message)
    return json.dumps(body, ensure_ascii=False).encode(), "application/json"
