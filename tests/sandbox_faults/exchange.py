"""Words for the exchange as a whole and for its bytes: errors, early ends, other ways to write a stream."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, islice
from typing import Any
from urllib.parse import unquote

from grok_mcp.sandbox.errors import RefusalError, refusal
from grok_mcp.sandbox.faults import Fault, Word
from tests.sandbox_faults.changes import JSON, Events
from tests.sandbox_faults.shapes import BODIES, JSON_BODIES, error_json, shaped_body

GARBAGE = b"<<this is no JSON>>"
LONGEST_S = 86_000.0
SPLIT_BYTES = 7

Pieces = Iterable[bytes]


def _is_event(piece: bytes) -> bool:
    return piece.startswith((b"data: {", b"event: "))


def _is_comment(piece: bytes) -> bool:
    return piece.startswith(b":") and piece.endswith(b"\n\n")


# ------------------------------------------------------------------------------------- errors


def _reworded(fault: Fault, error: RefusalError) -> RefusalError:
    message = unquote(fault.script.get("message", ""))
    return RefusalError(error.status, message, code=error.code) if message else error


def _shape_errors(fault: Fault, _: str) -> None:
    shape = fault.script.get("body", "xai")
    fault.write_error = lambda error: shaped_body(shape, _reworded(fault, error))


def _error_inside(fault: Fault, place: int) -> None:
    """An error as the last event: that of the dialect, or a gateway's own object."""
    shape = fault.script.get("body", "xai")

    def events(events: Events) -> Iterator[JSON]:
        error = _reworded(fault, refusal(503))
        start, *rest = events
        yield from islice([start, *rest], place)
        if "type" in start and (shape == "xai" or shape not in JSON_BODIES):
            yield {"type": "error", "code": None, "message": error.message, "param": None}
        elif "choices" in start and shape == "openrouter":
            reasons = {"finish_reason": "error", "native_finish_reason": "error"}
            choices = [{"index": 0, "delta": {"content": ""}, **reasons}]
            yield (
                start | {"choices": choices, "provider": "xAI"} | {"error": error_json(shape, error)["error"]}
            )
        else:
            yield error_json(shape, error)

    fault.events.append(events)


def _error_in_choice(fault: Fault, place: int) -> None:
    """An error inside the choice of a last chunk; of a body without a stream in its choice."""

    def failed(choice: JSON) -> JSON:
        error = {"code": 502, "message": "Upstream provider disconnected"}
        return choice | {"finish_reason": "error", "error": error}

    def events(events: Events) -> Iterator[JSON]:
        start, *rest = events
        if "choices" not in start:
            yield from [start, *rest]
            return
        yield from islice([start, *rest], place)
        yield start | {"choices": [failed({"index": 0, "delta": {}})]}

    def body(body: JSON) -> JSON:
        return body | {"choices": [*map(failed, body["choices"])]} if "choices" in body else body

    fault.events.append(events)
    fault.bodies.append(body)


# ------------------------------------------------------------------------------------- bytes


def _garbage(fault: Fault, place: int) -> None:
    def pieces(pieces: Pieces) -> Iterator[bytes]:
        number = count()
        for piece in pieces:
            if not _is_comment(piece) and next(number) == place:
                yield b"data: %b\n\n" % GARBAGE if _is_event(piece) else GARBAGE
            yield piece

    fault.pieces.append(pieces)


def _with_comments(pieces: Pieces) -> Iterator[bytes]:
    for piece in pieces:
        if _is_event(piece):
            yield b": keepalive\n\n"
        if not _is_comment(piece):
            yield piece


def _with_event_lines(pieces: Pieces) -> Iterator[bytes]:
    number = count()
    for piece in pieces:
        if _is_event(piece):
            kind = json.loads(piece.removeprefix(b"data: ")).get("type", "message")
            yield f"event: {kind}\nid: {next(number)}\n".encode() + piece
        else:
            yield piece


def _in_lines(piece: bytes) -> bytes:
    head, _, text = piece.partition(b"data: {")
    if not _is_event(piece):
        return piece
    lines = json.dumps(json.loads(b"{" + text), ensure_ascii=False, indent=1).split("\n")
    return head + "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


def _without_end(pieces: Pieces) -> Iterator[bytes]:
    """Nothing behind the last piece's words."""
    *before, last = pieces
    yield from before
    yield last.rstrip(b"\n")


def _joined(piece: bytes) -> bytes:
    return piece.removesuffix(b"\n") if _is_event(piece) else piece


def _with_glued_end(pieces: Pieces) -> Iterator[bytes]:
    """`[DONE]` on the line behind the last event, without a blank one between them."""
    *before, last = pieces
    if last == b"data: [DONE]\n\n" and before:
        *before, event = before
        last = event.removesuffix(b"\n") + last
    yield from before
    yield last


def _cut_event(fault: Fault, place: int) -> None:
    """The beginning of an event, and the next one glued to it."""

    def pieces(pieces: Pieces) -> Iterator[bytes]:
        number = count()
        for piece in pieces:
            cut = _is_event(piece) and next(number) == place
            yield piece[: len(piece) // 2] if cut else piece

    fault.pieces.append(pieces)


def _split(pieces: Pieces) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), SPLIT_BYTES):
            yield piece[start : start + SPLIT_BYTES]


def _bytes(name: str, effect: str, change: Callable[[Pieces], Pieces]) -> Word:
    return Word(name, "", effect, lambda fault, _: fault.pieces.append(change))


def _each(name: str, effect: str, change: Callable[[bytes], bytes]) -> Word:
    return _bytes(name, effect, lambda pieces: map(change, pieces))


def _without_stream(fault: Fault, _: None) -> None:
    fault.requests.append(lambda body: body | {"stream": False})


def _set(name: str, constant: object = None) -> Callable[[Fault, Any], None]:
    """Sets a field of the fault, to the word's value unless to a constant."""
    return lambda fault, value: setattr(fault, name, value if constant is None else constant)


EXCHANGE = (
    Word("body", "|".join(BODIES), "the shape of errors", _shape_errors),
    Word("message", "TEXT", "of errors, percent-encoded", _shape_errors),
    Word("pace", "S", "seconds between two events", _set("pace")),
    Word("hang", "", "accept and never answer", _set("delay", LONGEST_S)),
    Word("json", "", "a body though a stream was requested", _without_stream),
    Word("end", "N", "end early, but cleanly, after N events", _set("ends_after")),
    Word("error", "N", "an error inside the stream after N events, which ends it", _error_inside),
    Word("choiceerror", "N", "an error inside the choice after N events, on chat", _error_in_choice),
    Word("cutevent", "N", "the event after N others is cut, the next one glued to it", _cut_event),
    _each("joined", "no blank lines between events", _joined),
    _bytes("gluedone", "[DONE] glued to the last event", _with_glued_end),
    _bytes("nodone", "no [DONE]", lambda pieces: (piece for piece in pieces if piece != b"data: [DONE]\n\n")),
    _bytes("keepalive", "a comment before each event", _with_comments),
    Word("garbage", "N", "a line that is no JSON after N events", _garbage),
    _bytes("eventlines", "lines `event:` and `id:` for each event", _with_event_lines),
    _each("multiline", "several data lines for each event", _in_lines),
    _bytes("noblank", "no blank line behind the last event", _without_end),
    _each("cr", "lines end with CR", lambda piece: piece.replace(b"\n", b"\r")),
    _each("crlf", "lines end with CRLF", lambda piece: piece.replace(b"\n", b"\r\n")),
    _bytes("bom", "a byte order mark first", lambda pieces: chain([b"\xef\xbb\xbf"], pieces)),
    _bytes("split", "tiny pieces", _split),
    Word("notype", "", "no Content-Type", lambda fault, _: fault.headers.update({"content-type": None})),
)
