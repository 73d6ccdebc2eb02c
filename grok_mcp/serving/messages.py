"""What the bytes of a client mean: a JSON-RPC message, or the answer to what is not one.

The same on every transport. Damaged text is served as U+FFFD; an id that nobody could be answered by, a batch
and a byte order mark are refused, where the SDK takes some of them for a notification, which has no answer.
"""

import json
import re
from typing import NamedTuple, TypeGuard

import mcp_types as types
from pydantic import ValidationError

from grok_mcp import bounds
from grok_mcp.foreign import depth_of, has_too_many_values
from grok_mcp.redaction import join_surrogates

# The id of a message that can't be parsed as a whole: among the other short members at its start
# or its end, where every client's serialiser puts it.
_ID = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]*")'
_SHORT = rb'"(?:jsonrpc|method)"\s*:\s*"[^"\\]*"'
_LEADING_ID = re.compile(rb"\s*\{\s*(?:" + _SHORT + rb"\s*,\s*)*" + _ID + rb"\s*[,}]")
_TRAILING_ID = re.compile(rb",\s*" + _ID + rb"\s*(?:,\s*" + _SHORT + rb"\s*)*\}\s*$")
_EXCERPT = 1024
"""Bytes at either end of such a message in which its id is looked for."""


class RefusedMessageError(Exception):
    """Bytes that are not a message of the protocol; `answer` is what the client gets, as JSON."""

    def __init__(self, code: int, reason: str, *request_ids: object, batch: bool = False) -> None:
        error = types.ErrorData(code=code, message=reason)
        usable = list(filter(_is_id, request_ids))
        ids: list[str | int | None] = [*usable] or [None]
        self.errors = [types.JSONRPCError(jsonrpc="2.0", id=one, error=error) for one in ids]
        answers = b",".join(
            types.jsonrpc_message_adapter.dump_json(one, by_alias=True, exclude_unset=True)
            for one in self.errors
        )
        self.answer = b"[%s]" % answers if batch and usable else answers


class Decoded(NamedTuple):
    """A message, and whether its bytes say the same to the SDK."""

    message: types.JSONRPCMessage
    as_sent: bool


def decode(data: bytes) -> Decoded:
    """The message in these bytes. Raises RefusedMessageError."""
    if has_too_many_values(data):
        reason = f"Invalid Request: more than {bounds.JSON_VALUES:,} values in one message"
        raise RefusedMessageError(types.INVALID_REQUEST, reason, outer_id(data))
    try:
        message = types.jsonrpc_message_adapter.validate_json(data, by_name=False)
    except ValidationError:
        message = None
    # The SDK takes a request whose id it can't use for a notification; a key may be written with escapes.
    doubtful = isinstance(message, types.JSONRPCNotification) and (b'"id"' in data or b"\\u" in data)
    if message is None or doubtful:
        return Decoded(_without_odd_token(_decode_doubtful(data)), as_sent=False)
    usable = _without_odd_token(message)
    return Decoded(usable, as_sent=usable is message)


def _decode_doubtful(data: bytes) -> types.JSONRPCMessage:
    text = data.decode("utf-8", "replace")
    try:
        value = json.loads(text.removeprefix("\ufeff"))
        repaired = join_surrogates(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        raise RefusedMessageError(
            types.INVALID_REQUEST, "Invalid Request: nested too deeply", outer_id(data)
        ) from None
    except ValueError:
        raise RefusedMessageError(types.PARSE_ERROR, "Parse error: this is not JSON") from None
    if isinstance(value, list):
        raise _refused_batch(value)
    request_id = value.get("id") if isinstance(value, dict) else None
    if text.startswith("\ufeff"):
        reason = "Invalid Request: begins with a byte order mark"
        raise RefusedMessageError(types.INVALID_REQUEST, reason, request_id)
    try:
        message = types.jsonrpc_message_adapter.validate_json(repaired, by_name=False)
    except ValidationError:
        message = None
    if message is None or (isinstance(message, types.JSONRPCNotification) and "id" in value):
        reason = "Invalid Request: not a JSON-RPC 2.0 message"
        if isinstance(value, dict) and "id" in value and not _is_id(request_id):
            reason = "Invalid Request: an id is a string or a whole number"
        elif depth_of(value, bounds.JSON_DEPTH) > bounds.JSON_DEPTH:
            reason = "Invalid Request: nested too deeply"
        raise RefusedMessageError(types.INVALID_REQUEST, reason, request_id)
    return message


def _is_id(value: object) -> TypeGuard[str | int]:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _refused_batch(values: list[object]) -> RefusedMessageError:
    """The answer to several messages at once, which only 2025-03-26 knew: each request is to come alone."""
    reason = "Invalid Request: batches are not served; send each message by itself"
    ids = [value.get("id") for value in values if isinstance(value, dict)]
    if len(ids) > bounds.BATCH:
        ids = []
    return RefusedMessageError(types.INVALID_REQUEST, reason, *ids, batch=True)


def _without_odd_token(message: types.JSONRPCMessage) -> types.JSONRPCMessage:
    """The message itself, or a copy without a progress token that is none: the call is served."""
    match message:
        case types.JSONRPCRequest(params={"_meta": {"progressToken": token, **others}, **rest}) if not _is_id(
            token
        ):
            return message.model_copy(update={"params": {**rest, "_meta": others}})
    return message


def outer_id(data: bytes) -> str | int | None:
    """The id of a message of which only the two ends are read."""
    match = _LEADING_ID.match(data[:_EXCERPT]) or _TRAILING_ID.search(data[-_EXCERPT:])
    if match is None:
        return None
    text = match[1].decode("utf-8", "replace")
    return text.strip('"') if text.startswith('"') else int(text)
