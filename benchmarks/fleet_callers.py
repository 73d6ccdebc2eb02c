"""Callers of a shared server, thousands in one process: each asks, waits for the answer, and asks again.

`python -m benchmarks.fleet_callers` reads orders in JSON lines; it answers each with the path of its results:
{"port": 8000, "tokens": FILE, "callers": [first, last], "open": calls of each at once, "seconds": 30,
 "model": …, "results": FILE, "first": number of the first call, "calls": how many each makes at most}
A result is `[began, ended, caller, call, outcome]`: `ok`, the code of an error, or `lost` and why.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.http_client import META, MODERN, post

CONNECTIONS_PER_S = 2_000
"""How fast they come: no listening socket holds ten thousand at once."""
_CODE = re.compile(rb'"grok-mcp/error":\{"code":"(\w+)"')
_AGAIN = re.compile(rb'"retry_after_s":([\d.]+)')
_LONGEST_PAUSE_S = 2.0


class Callers:
    """All of one order."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._tokens = Path(order["tokens"]).read_text(encoding="utf-8").splitlines()
        self._numbers: dict[int, Iterator[int]] = {}
        self._until = 0.0
        self.results: list[tuple[float, float, int, int, str]] = []

    async def run(self) -> None:
        """Let them ask until their time is over, and wait for the last answers."""
        first, last = self._order["callers"]
        slots = [(caller, slot) for slot in range(self._order["open"]) for caller in range(first, last)]
        self._until = time.time() + self._order["seconds"] + len(slots) / CONNECTIONS_PER_S
        async with asyncio.TaskGroup() as group:
            for number, (caller, _) in enumerate(slots):
                group.create_task(self._ask_on(caller))
                if number % 100 == 99:
                    await asyncio.sleep(100 / CONNECTIONS_PER_S)

    async def _ask_on(self, caller: int) -> None:
        """One of the connections of a caller."""
        reader = writer = None
        numbers = self._numbers.setdefault(caller, count(self._order.get("first", 0)))
        most = self._order.get("first", 0) + self._order.get("calls", 1_000_000)
        while time.time() < self._until and (call := next(numbers)) < most:
            began, pause = time.time(), 0.0
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._order["port"])
                assert reader is not None
                writer.write(self._request(caller, call))
                answer = await _response(reader)
                outcome, pause = _outcome(answer)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                outcome, pause = f"lost: {type(error).__name__}", 0.1
                if writer is not None:
                    writer.close()
                reader = writer = None
            self.results.append((began, time.time(), caller, call, outcome))
            if pause:
                await asyncio.sleep(pause)
        if writer is not None:
            writer.close()

    def _request(self, caller: int, call: int) -> bytes:
        arguments = {"prompt": f"caller-{caller} call-{call}", "model": self._order["model"]}
        params = {"name": "ask_grok", "arguments": arguments, "_meta": META}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        extra = MODERN.format(tool="ask_grok") + f"Authorization: Bearer {self._tokens[caller]}\r\n"
        return post(self._order["port"], "/mcp", json.dumps(message).encode(), extra)


async def _response(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"content-length:" in lower:
        size = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        return head + await reader.readexactly(size)
    return head + await reader.readuntil(b"\r\n0\r\n\r\n")


def _outcome(answer: bytes) -> tuple[str, float]:
    """How a call has ended, and how long to wait before the next one."""
    status = answer[9:12].decode()
    if status != "200":
        return f"lost: HTTP {status}", 0.1
    if code := _CODE.search(answer):
        again = _AGAIN.search(answer)
        return code[1].decode(), min(float(again[1]) if again else 0.2, _LONGEST_PAUSE_S)
    return "ok", 0.0


def main() -> None:
    """Carry out one order after the other until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        callers = Callers(order)
        asyncio.run(callers.run())
        with Path(order["results"]).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(one) + "\n" for one in callers.results)
        print(order["results"], flush=True)


if __name__ == "__main__":
    main()
