"""JSON-RPC messages from and to lines of bytes, also damaged ones and long ones; `session.py` uses it."""

import json
import re
import secrets

import mcp_types as types
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_json

from grok_mcp.serving.stdio.pipes import MAX_LINE, OverlongLine

_LONG_TEXT = 256 * 1024
"""Characters of a text that leaves in slices: in one piece it would be held three times over."""

# The id of a message that can't be parsed as a whole: among the other short members at its start
# or its end, where every client's serialiser puts it.
_ID = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]*")'
_SHORT = rb'"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"'
_LEADING_ID = re.compile(rb"\s*\{\s*(?:" + _SHORT + rb"\s*,\s*)*" + _ID + rb"\s*[,}]")
_TRAILING_ID = re.compile(rb",\s*" + _ID + rb"\s*(?:,\s*" + _SHORT + rb"\s*)*\}\s*$")


class RefusedLineError(Exception):
    """A line that is not a message of the protocol; `answer` is what the client gets."""

    def __init__(self, code: int, reason: str, request_id: object = None) -> None:
        if isinstance(request_id, bool) or not isinstance(request_id, str | int):
            request_id = None
        error = types.ErrorData(code=code, message=reason)
        self.answer = types.JSONRPCError(jsonrpc="2.0", id=request_id, error=error)


def decode(line: bytes) -> types.JSONRPCMessage:
    """The message in one line. What is merely damaged text in a string is served as U+FFFD."""
    if isinstance(line, OverlongLine):
        reason = f"Invalid Request: a message may have {MAX_LINE >> 20} MiB"
        raise RefusedLineError(types.INVALID_REQUEST, reason, _outer_id(line))
    try:
        message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        return _decode_doubtful(line)
    if isinstance(message, types.JSONRPCNotification) and b'"id"' in line:
        return _decode_doubtful(line)
    return message


def _decode_doubtful(line: bytes) -> types.JSONRPCMessage:
    text = line.decode("utf-8", "replace")
    try:
        value = json.loads(text.removeprefix("\ufeff"))
        repaired = _without_surrogates(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        reason = "Invalid Request: nested too deeply"
        raise RefusedLineError(types.INVALID_REQUEST, reason, _outer_id(line)) from None
    except ValueError:
        raise RefusedLineError(types.PARSE_ERROR, "Parse error: the line is not JSON") from None
    request_id = value.get("id") if isinstance(value, dict) else None
    if text.startswith("\ufeff"):
        raise RefusedLineError(
            types.INVALID_REQUEST, "Invalid Request: begins with a byte order mark", request_id
        )
    try:
        message = types.jsonrpc_message_adapter.validate_json(repaired, by_name=False)
    except ValidationError:
        message = None
    # The SDK takes a request whose id it can't use for a notification, which nobody answers.
    if message is None or (isinstance(message, types.JSONRPCNotification) and "id" in value):
        reason = "Invalid Request: not a JSON-RPC 2.0 message"
        raise RefusedLineError(types.INVALID_REQUEST, reason, request_id)
    return message


def _outer_id(line: bytes) -> str | int | None:
    match = _LEADING_ID.match(line) or _TRAILING_ID.search(line[-1024:])
    if match is None:
        return None
    text = match[1].decode("utf-8", "replace")
    return text.strip('"') if text.startswith('"') else int(text)


def encode(message: types.JSONRPCMessage) -> list[bytes]:
    """One line for the wire in pieces, the same bytes that the SDK's own transport writes."""
    try:
        if text := _long_text(message):
            return _in_slices(message, text)
        return [_dumped(message), b"\n"]
    except PydanticSerializationError:  # a lone surrogate: the one thing UTF-8 can't carry
        value = message.model_dump(mode="json", by_alias=True, exclude_unset=True)
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return [_without_surrogates(line).encode(), b"\n"]


def _dumped(message: types.JSONRPCMessage) -> bytes:
    return types.jsonrpc_message_adapter.dump_json(message, by_alias=True, exclude_unset=True)


def _long_text(message: types.JSONRPCMessage) -> str | None:
    """The one text of a tool result, where it is long."""
    match message:
        case types.JSONRPCResponse(result={"content": [{"text": str(text)}]}) if len(text) > _LONG_TEXT:
            return text
    return None


def _in_slices(message: types.JSONRPCMessage, text: str) -> list[bytes]:
    """The line with its long text encoded a slice at a time, between the two ends of the rest."""
    assert isinstance(message, types.JSONRPCResponse)
    place = secrets.token_hex(16)
    (block,) = message.result["content"]
    short = message.model_copy(update={"result": {**message.result, "content": [{**block, "text": place}]}})
    head, tail = _dumped(short).split(place.encode())
    slices = (text[start : start + _LONG_TEXT] for start in range(0, len(text), _LONG_TEXT))
    return [head, *(to_json(piece)[1:-1] for piece in slices), tail, b"\n"]


def _without_surrogates(text: str) -> str:
    """Join the halves of a pair, and put U+FFFD for a half that is alone."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
