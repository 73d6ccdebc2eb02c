"""The other baseline: the same streamed requests by `httpx2` alone, in a process of its own.

Reads one JSON order a line from stdin, `{"url", "body", "count", "together"}`, and answers each with one
line: seconds of each request, nanoseconds from the stamp in the text to its arrival, CPU seconds and bytes.
`raw_aiohttp.py` is the same on the other client.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2

_STAMP = re.compile(rb"\d{19}")
HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "Authorization": "Bearer x",
}
Result = tuple[float, int | None, int]
"""Of one request: seconds, delay of the stamped text in ns, bytes."""
Request = Callable[[str, bytes], Awaitable[Result]]


async def request(client: httpx2.AsyncClient, url: str, body: bytes) -> Result:
    """One request read to its end."""
    began = time.perf_counter()
    async with client.stream("POST", url, content=body, headers=HEADERS) as response:
        return await read(response.aiter_bytes(), began, stamped=b"-stamp" in body)


async def read(chunks: AsyncIterator[bytes], began: float, *, stamped: bool) -> Result:
    """Everything that comes, looked at only for the stamp."""
    delay, size = None, 0
    async for chunk in chunks:
        size += len(chunk)
        if stamped and (stamp := _STAMP.search(chunk)):
            delay, stamped = time.monotonic_ns() - int(stamp[0]), False
    return time.perf_counter() - began, delay, size


async def obey(make: Request, order: dict[str, Any]) -> dict[str, Any]:
    """Carry one order out, one request after the other or all together."""
    url, count = order["url"], order["count"]
    body = json.dumps(order["body"], separators=(",", ":")).encode()
    cpu, began = time.process_time(), time.perf_counter()
    if order.get("together"):
        results = await asyncio.gather(*(make(url, body) for _ in range(count)))
    else:
        results = [await make(url, body) for _ in range(count)]
    return {
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "seconds": [seconds for seconds, _, _ in results],
        "delays_ns": [delay for _, delay, _ in results if delay is not None],
        "bytes": sum(size for _, _, size in results),
    }


async def obey_all(make: Request) -> None:
    """Obey until stdin ends. Reading it blocks the loop, and nothing else is going on meanwhile."""
    for line in sys.stdin:
        answer = await obey(make, json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def main() -> None:
    """With one client, as a server has."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx2.AsyncClient(timeout=120, trust_env=False, limits=limits) as client:
        await obey_all(lambda url, body: request(client, url, body))


if __name__ == "__main__":
    asyncio.run(main())
