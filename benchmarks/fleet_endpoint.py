"""An endpoint that is slow, bursty and failing, and writes down what it was asked and what it has billed.

Started as a process, it prints its port. Each line of its input is the path of a file, into which it writes
its history so far, one request a line: `[seconds, caller, call, attempt, outcome, ticks]`, where the outcome
is `answered`, `cut`, `refused`, `limited` or `dropped`. It prints the number of lines then.

A question names its caller and its call, as in `caller-17 call-3`. How a request fares is drawn from these
and from the number of the attempt, so each run is the same. With a model whose name has `-kind` in it, no
answer is cut and no second attempt fails; answers of `-fast` ones come at once.
"""

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from pathlib import Path

TICKS = 10_000_000
"""What each answer costs, a thousandth of a US dollar."""
PROMPT_TOKENS, COMPLETION_TOKENS = 100, 50

_ASKED = re.compile(rb"caller-(\d+) call-(\d+)")
_MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_USUAL_S, _TAIL_S, _BURST_S = 0.3, 0.2, 0.5
_BURSTS = 10.0, 2.0  # every so many seconds, for so long


def _chunk(payload: object) -> bytes:
    data = b"data: " + json.dumps(payload).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


_COMMON = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "grok-4.7"}
_BEGIN = _chunk(_COMMON | {"choices": [{"index": 0, "delta": {"content": "An answer "}}]})
_END = (
    _chunk(
        _COMMON | {"choices": [{"index": 0, "delta": {"content": "that is whole."}, "finish_reason": "stop"}]}
    )
    + _chunk(
        _COMMON
        | {
            "choices": [],
            "usage": {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": COMPLETION_TOKENS,
                "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
                "cost_in_usd_ticks": TICKS,
            },
        }
    )
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)
_REFUSALS = {
    "refused": b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\n"
    b'Content-Length: 16\r\n\r\n{"error":"busy"}',
    "limited": b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Type: application/json\r\n"
    b'Content-Length: 21\r\n\r\n{"error":"slow down"}',
}


class Endpoint:
    """Answers, and remembers."""

    def __init__(self) -> None:
        self.history: list[tuple[float, int, int, int, str, int]] = []
        self._attempts = Counter[tuple[int, int]]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                if not await self._answer(body, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False where the connection is lost with it."""
        asked, model = _ASKED.search(body), _MODEL.search(body)
        if asked is None or model is None:
            writer.write(b"HTTP/1.1 404 Nothing\r\nContent-Length: 2\r\n\r\n{}")
            return True
        caller, call = int(asked[1]), int(asked[2])
        self._attempts[caller, call] += 1
        attempt = self._attempts[caller, call]
        kind = b"-kind" in model[1]
        draw = random.Random(f"{caller} {call} {attempt}")
        outcome = _fate(draw.random()) if attempt == 1 or not kind else "answered"
        if outcome == "cut" and kind:
            outcome = "answered"
        arrived = time.time()
        if b"-fast" not in model[1]:
            every, lasting = _BURSTS
            burst_s = _BURST_S if arrived % every < lasting else 0.0
            await asyncio.sleep(_USUAL_S + draw.expovariate(1 / _TAIL_S) + burst_s)
        else:
            outcome = "answered"
        ticks = TICKS if outcome in ("answered", "cut") else 0
        self.history.append((arrived, caller, call, attempt, outcome, ticks))
        if outcome == "answered":
            writer.write(_HEAD + _BEGIN + _END)
        elif outcome == "cut":
            writer.write(_HEAD + _BEGIN)
        elif outcome in _REFUSALS:
            writer.write(_REFUSALS[outcome])
        await writer.drain()
        return outcome not in ("cut", "dropped")

    def write(self, path: str) -> int:
        """Write the history; returns its length."""
        with Path(path).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(one) + "\n" for one in self.history)
        return len(self.history)


def _fate(drawn: float) -> str:
    """How a request ends: 8 % of them not well."""
    ends = (("refused", 0.04), ("limited", 0.02), ("dropped", 0.01), ("cut", 0.01))
    for outcome, share in ends:
        drawn -= share
        if drawn < 0:
            return outcome
    return "answered"


async def main() -> None:
    """Serve until the input ends."""
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, backlog=4096, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        print(endpoint.write(line), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
