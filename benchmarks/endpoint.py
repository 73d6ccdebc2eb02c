"""An endpoint that costs next to nothing: canned answers over a raw socket, in a process of its own.

The model name says how it behaves, `grok-bench-` and then any of these:
`n20000` that many text events, `b40` of so many bytes each, `d1000` milliseconds before the first byte,
`g100` milliseconds between the start of the answer and its text. `stamp` makes the first text the time
(`time.monotonic_ns`) at which it was sent, `h0` how many milliseconds the second waits for it (20).
`whole` says the whole text again in the last event of the Responses API, as real endpoints do.

Perplexity's Agent API has no model: there the name stands in the question, and the text is always said again.
A request that asks for no stream gets the answer in one piece. Started as a process, it prints its port and
runs until its stdin ends.
"""

import asyncio
import json
import re
import sys
import time
from functools import lru_cache
from typing import NamedTuple

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model"\s*:\s*"(grok-bench[a-z0-9-]*)"')
_MODEL_IN_TEXT = re.compile(rb"grok-bench[a-z0-9-]*")
_NO_STREAM = re.compile(rb'"stream"\s*:\s*false')
_AGENT = "/v1/agent"
_OPTION = re.compile(r"-([nbdgh])(\d+)")
_SENTENCE = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep.\n"
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"


class Behaviour(NamedTuple):
    """What a model name asks for; times are in milliseconds."""

    events: int = 1
    size: int = 40
    delay: int = 0
    gap: int = 0
    hold: int = 20
    stamped: bool = False
    whole: bool = False


class Script(NamedTuple):
    """The bytes of one answer: its start, one text event (sent many times), and its end."""

    start: bytes
    event: bytes
    end: bytes


def behaviour_of(model: str) -> Behaviour:
    """Read a model name."""
    fields = {"n": "events", "b": "size", "d": "delay", "g": "gap", "h": "hold"}
    options = {fields[letter]: int(value) for letter, value in _OPTION.findall(model)}
    return Behaviour(**options, stamped="-stamp" in model, whole="-whole" in model)


def text_of(size: int) -> str:
    """So many characters of prose, with line breaks."""
    return (_SENTENCE * (size // len(_SENTENCE) + 1))[:size]


@lru_cache(maxsize=64)
def script_of(path: str, model: str) -> Script:
    """The answer to a request, in the dialect of its path."""
    behaviour = behaviour_of(model)
    piece = text_of(behaviour.size)
    if path == _AGENT or path.endswith("/responses"):
        return _responses(model, piece, behaviour.events, whole=behaviour.whole or path == _AGENT)
    return _chat(model, piece, behaviour.events)


def _chat(model: str, piece: str, events: int) -> Script:
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}

    def choice(delta: dict[str, str], reason: str | None) -> bytes:
        return _event(common | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    usage = {
        "prompt_tokens": 10,
        "completion_tokens": events,
        "total_tokens": 10 + events,
        "cost_in_usd_ticks": 1000,
    }
    end = choice({}, "stop") + _event(common | {"choices": [], "usage": usage}) + _chunk(b"data: [DONE]\n\n")
    start = choice({"role": "assistant", "content": ""}, None)
    return Script(start, choice({"content": piece}, None), end + _LAST_CHUNK)


def _responses(model: str, piece: str, events: int, *, whole: bool) -> Script:
    response = {"id": "resp_1", "object": "response", "model": model, "status": "in_progress", "output": []}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": []}
    usage = {
        "input_tokens": 10,
        "output_tokens": events,
        "total_tokens": 10 + events,
        "cost_in_usd_ticks": 1000,
    }
    start: list[dict[str, object]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
    ]
    delta = {"type": "response.output_text.delta", "sequence_number": 1, **where, "delta": piece}
    content = [{"type": "output_text", "text": piece * events, "annotations": []}]
    output = [item | {"content": content}] if whole else []
    done = response | {"status": "completed", "output": output, "usage": usage}
    end: list[dict[str, object]] = [
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": done},
    ]
    return Script(b"".join(map(_event, start)), _event(delta), b"".join(map(_event, end)) + _LAST_CHUNK)


@lru_cache(maxsize=64)
def whole_answer(model: str) -> bytes:
    """The answer in one piece, with a source, without which some take it for none."""
    behaviour = behaviour_of(model)
    source = {
        "type": "url_citation",
        "url": "https://source.example/",
        "title": "1",
        "start_index": 0,
        "end_index": 9,
    }
    text = text_of(behaviour.size) * behaviour.events
    content = [{"type": "output_text", "text": text, "annotations": [source]}]
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 10, "output_tokens": behaviour.events, "total_tokens": 10 + behaviour.events}
    answer = {
        "id": "resp_1",
        "object": "response",
        "model": model,
        "status": "completed",
        "output": [item],
        "usage": usage,
    }
    body = json.dumps(answer, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def _event(payload: dict[str, object]) -> bytes:
    return _chunk(b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _stamp(script: Script, behaviour: Behaviour) -> bytes:
    """The text event with the present time in place of as many characters, so that its length stays."""
    now = b"%019d" % time.monotonic_ns()
    piece = json.dumps(text_of(behaviour.size))[1:-1].encode()
    return script.event.replace(piece, now + piece[len(now) :], 1)


async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection until the client closes it."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            path = head.split(b" ", 2)[1].decode()
            model = _model_of(path, body)
            if _NO_STREAM.search(body):
                await _answer_whole(writer, model)
            else:
                await _answer(writer, path, model)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _model_of(path: str, body: bytes) -> str:
    if path == _AGENT:
        named = _MODEL_IN_TEXT.search(body)
        return named[0].decode() if named else "grok-bench"
    found = _MODEL.search(body)
    return found[1].decode() if found else "grok-bench"


async def _answer_whole(writer: asyncio.StreamWriter, model: str) -> None:
    await asyncio.sleep(behaviour_of(model).delay / 1000)
    writer.write(whole_answer(model))
    await writer.drain()


async def _answer(writer: asyncio.StreamWriter, path: str, model: str) -> None:
    behaviour, script = behaviour_of(model), script_of(path, model)
    if behaviour.delay:
        await asyncio.sleep(behaviour.delay / 1000)
    if behaviour.events == 1 and not behaviour.stamped:
        writer.write(_HEAD + script.start + script.event + script.end)
        await writer.drain()
        return
    writer.write(_HEAD + script.start)
    if behaviour.gap:
        await asyncio.sleep(behaviour.gap / 1000)
    if behaviour.stamped:
        writer.write(_stamp(script, behaviour))
        await asyncio.sleep(behaviour.hold / 1000)
    for _ in range(behaviour.events - behaviour.stamped):
        writer.write(script.event)
        await writer.drain()
    writer.write(script.end)
    await writer.drain()


async def main() -> None:
    """Listen on a free loopback port until the parent closes our stdin."""
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
