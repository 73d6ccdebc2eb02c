"""JSON-RPC messages from and to lines of bytes, also long ones; `session.py` uses it."""

import json
import secrets

import mcp_types as types
from pydantic_core import PydanticSerializationError, to_json

from grok_mcp import bounds
from grok_mcp.redaction import join_surrogates
from grok_mcp.serving import messages
from grok_mcp.serving.messages import RefusedMessageError
from grok_mcp.serving.stdio.pipes import OverlongLine

_LONG_TEXT = 256 * 1024
"""Characters of a text that leaves in slices: in one piece it would be held three times over."""

_LINE_ENDS = {end.encode(): b"\\u%04x" % ord(end) for end in "\u0085\u2028\u2029"}
"""What some clients take for the end of a line. It stands in strings only, where an escape says the same."""


def decode(line: bytes) -> types.JSONRPCMessage:
    """The message in one line. Raises RefusedMessageError."""
    if isinstance(line, OverlongLine):
        reason = f"Invalid Request: a message may have {bounds.LINE_BYTES >> 20} MiB"
        raise RefusedMessageError(types.INVALID_REQUEST, reason, messages.outer_id(line))
    return messages.decode(line).message


def encode(message: types.JSONRPCMessage) -> list[bytes]:
    """One line for the wire in pieces."""
    return [*map(_on_one_line, _pieces(message)), b"\n"]


def _on_one_line(piece: bytes) -> bytes:
    if piece.isascii():
        return piece
    for end, escape in _LINE_ENDS.items():
        piece = piece.replace(end, escape)
    return piece


def _pieces(message: types.JSONRPCMessage) -> list[bytes]:
    try:
        if text := _long_text(message):
            return _in_slices(message, text)
        return [_dumped(message)]
    except PydanticSerializationError:  # a lone surrogate: the one thing UTF-8 can't carry
        value = message.model_dump(mode="json", by_alias=True, exclude_unset=True)
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return [join_surrogates(line).encode()]


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
    return [head, *(to_json(piece)[1:-1] for piece in slices), tail]
