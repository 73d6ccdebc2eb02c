"""Documents that stand for conversations and answers outside this process: JSON, compressed where it is long.

Redis, the file of kept answers and that of the shell's conversations hold them.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from grok_mcp import bounds
from grok_mcp.errors import GrokError
from grok_mcp.messages import Answer, Document, FunctionCall, Message, Outcome, Running
from grok_mcp.redaction import join_surrogates
from grok_mcp.stores.answers import Name
from grok_mcp.stores.conversations import Conversation
from grok_mcp.usage import Usage

UNREADABLE = (LookupError, TypeError, ValueError, RecursionError, zlib.error)
_VERSION = 2
"""Of the documents of outcomes."""
_CONVERSATION_VERSION = 1
_COMPRESS_ABOVE = 4_096


def pack(document: str) -> bytes:
    """A JSON object as it is stored."""
    plain = document.encode()
    return zlib.compress(plain, 1) if len(plain) > _COMPRESS_ABOVE else plain


def unpack(stored: bytes) -> bytes:
    """The JSON object again; raises one of UNREADABLE where it is none of ours."""
    if stored.startswith(b"{"):
        return stored
    reader = zlib.decompressobj()
    plain = reader.decompress(stored, bounds.STORED_BYTES)
    if not reader.eof:
        raise ValueError
    return plain


@cache
def _answers() -> TypeAdapter[Answer]:
    return TypeAdapter(Answer)


@cache
def _running() -> TypeAdapter[Running]:
    return TypeAdapter(Running)


class Row(NamedTuple):
    """An outcome as it is written to a file; `at` in seconds since the epoch."""

    name: Name
    at: float
    runs: bool
    document: bytes


def pack_conversation(conversation: Conversation) -> bytes:
    """A conversation as it is stored. Raises RecursionError for tools that are nested too deeply."""
    turns = [turn._asdict() for turn in conversation.messages]
    document = {"version": _CONVERSATION_VERSION, **conversation._asdict(), "messages": turns}
    return pack(join_surrogates(json.dumps(document, ensure_ascii=False, default=dict)))


def unpack_conversation(stored: bytes) -> Conversation:
    """What was packed; raises one of UNREADABLE where it is not one of ours."""
    document = json.loads(unpack(stored))
    if document["version"] != _CONVERSATION_VERSION:
        raise ValueError
    turns = []
    for turn in document["messages"]:
        turn["images"], turn["reasoning"] = tuple(turn["images"]), tuple(turn["reasoning"])
        turn["tool_calls"] = tuple(FunctionCall(*call) for call in turn["tool_calls"])
        turn["documents"] = tuple(Document(*one) for one in turn["documents"])
        turns.append(Message(**turn))
    return Conversation(document["root"], tuple(turns), document["instructions"], tuple(document["tools"]))


def pack_outcome(outcome: Outcome) -> bytes:
    """An outcome as it is stored. Raises RecursionError for data that is nested too deeply."""
    document: dict[str, Any]
    if isinstance(outcome, GrokError):
        usage = outcome.usage and TypeAdapter(Usage).dump_python(outcome.usage)
        document = {"error": type(outcome).__name__, **vars(outcome), "usage": usage}
    elif isinstance(outcome, Running):
        document = {"running": outcome._asdict()}
    else:
        document = {"answer": _answers().dump_python(replace(outcome, reasoning=()))}
    plain = json.dumps({"version": _VERSION, **document}, ensure_ascii=False, default=str)
    return pack(join_surrogates(plain))


def unpack_outcome(stored: bytes) -> Outcome:
    """What was packed; raises one of UNREADABLE where it is not one of ours."""
    document = json.loads(unpack(stored))
    if document.pop("version") != _VERSION:
        raise ValueError
    if "answer" in document:
        return _answers().validate_python(document["answer"])
    if "running" in document:
        known = {name: value for name, value in dict(document["running"]).items() if name in Running._fields}
        return _running().validate_python(known)  # a newer process may say more
    (kind,) = (kind for kind in _kinds(GrokError) if kind.__name__ == document["error"])
    error = kind(document["message"], document["advice"])
    usage = document["usage"] and TypeAdapter(Usage).validate_python(document["usage"])
    for name in ("retryable", "retry_after_s", "status", "request_id", "attachment"):
        setattr(error, name, document.get(name, getattr(error, name)))
    error.usage = usage
    return error


def _kinds(kind: type[GrokError]) -> Iterator[type[GrokError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
