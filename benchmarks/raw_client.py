"""The other baseline: the same streamed requests by `httpx2` alone, in a process of its own.

Reads one JSON order a line from stdin, `{"url", "body", "count", "together"}`, and answers each with one
line: seconds of each request, nanoseconds from the stamp in the text to its arrival, CPU seconds and bytes.
"""

import asyncio
import json
import re
import sys
import time
from typing import Any

import httpx2

_STAMP = re.compile(rb"\d{19}")
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "Authorization": "Bearer x",
}


async def request(client: httpx2.AsyncClient, url: str, body: bytes) -> tuple[float, int | None, int]:
    """One request read to its end: seconds, delay of the stamped text in ns, bytes."""
    began, delay, size = time.perf_counter(), None, 0
    look = b"-stamp" in body
    async with client.stream("POST", url, content=body, headers=_HEADERS) as response:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if look and (stamp := _STAMP.search(chunk)):
                delay, look = time.monotonic_ns() - int(stamp[0]), False
    return time.perf_counter() - began, delay, size


async def obey(client: httpx2.AsyncClient, order: dict[str, Any]) -> dict[str, Any]:
    """Carry one order out, one request after the other or all together."""
    url, count = order["url"], order["count"]
    body = json.dumps(order["body"], separators=(",", ":")).encode()
    cpu, began = time.process_time(), time.perf_counter()
    if order.get("together"):
        results = await asyncio.gather(*(request(client, url, body) for _ in range(count)))
    else:
        results = [await request(client, url, body) for _ in range(count)]
    return {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "seconds": [seconds for seconds, _, _ in results],
        "delays_ns": [delay for _, delay, _ in results if delay is not None],
        "bytes": sum(size for _, _, size in results),
    }


async def main() -> None:
    """Obey until stdin ends. Reading it blocks the loop, and nothing else is going on meanwhile."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(timeout=120, trust_env=False, limits=limits) as client:
        for line in sys.stdin:
            answer = await obey(client, json.loads(line))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
