"""A long rough ride: faults at the endpoint, hostile inputs, clients that vanish, a Redis that goes away, and
nothing leaks.

`test_soak.py` runs a short one; `python -m tests.network.soak --seconds 300` a long one.
"""

import argparse
import os
import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp.client import Client
from mcp_types import CallToolResult

from grok_mcp.sandbox import SandboxServer
from grok_mcp.sandbox.errors import refusal
from grok_mcp.sandbox.faults import Fault, Word
from tests.network.hostile import ANSWERS, ARGUMENTS, SCHEMAS, Cost
from tests.network.redis import RedisServer
from tests.network.server import SERVE, Served, modern, serving
from tests.sandbox_faults import FAULTS
from tests.support.host import Result
from tests.support.pace import slowness, within

SCRIPTS = (
    "",
    "",
    "",
    "status=503;times=1",
    "status=429;retry-after=0",
    "status=500;body=html",
    "cut=3",
    "end=5",
    "error=4",
    "stall=4",
    "garbage=2",
    "hang",
    "json",
    "error200",
    "delay=0.3",
    "split;crlf;nodone",
    "pace=0.02",
)
INPUTS = tuple(
    one for one in (*SCHEMAS, *ARGUMENTS, *ANSWERS) if one.cost == Cost() and one.says != "connection"
)
"""Hostile ones, without those that take long: with many at once they would be all that goes on."""
CALLERS = 12
ATTACKERS = 2
PATIENCE_S = 20.0  # seconds of a quiet machine
SETTLED_S = 15.0
AT_ONCE = {"MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""Memory that is free goes back to the system at once: what is left is in use."""


def _flood(fault: Fault, number: int) -> None:
    """Answer as the hostile input of that number has it."""
    reply = INPUTS[number].reply()
    fault.headers.update(reply.headers)
    if reply.status == 200:
        fault.pieces.append(lambda pieces: reply.pieces)
    else:
        fault.refusals.append(lambda *_: refusal(reply.status))
        fault.write_error = lambda error: (b"".join(reply.pieces[:4]), reply.content_type)


FLOOD = Word("flood", "N", "the hostile input of that number", _flood)


class Ride:
    """What happened to the calls of one ride."""

    def __init__(self, url: str, seconds: float, seed: int) -> None:
        self.url = url
        self.ended: Counter[str] = Counter()
        self.odd: list[str] = []
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._random = random.Random(seed)

    @property
    def over(self) -> bool:
        return time.monotonic() > self._until

    async def run(self, redis: RedisServer) -> None:
        """Callers of both eras and on both transports, while Redis is restarted twice."""
        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(self._caller, "legacy" if number % 2 else "auto")
            for _ in range(ATTACKERS):
                group.start_soon(self._attacker)
            group.start_soon(self._vanishing)
            group.start_soon(self._restarts, redis)

    async def _caller(self, mode: Any) -> None:
        while not self.over:
            try:
                with within(PATIENCE_S):
                    async with Client(f"{self.url}/mcp", mode=mode) as client:
                        await self._some_calls(client)
            except TimeoutError:
                self.odd.append("a call hung")

    async def _some_calls(self, client: Client) -> None:
        handle = None
        for _ in range(self._random.randint(1, 4)):
            fault = self._random.choice(SCRIPTS)
            arguments: dict[str, Any] = {
                "prompt": "Well?",
                "model": f"grok-4.7!{fault}" if fault else "grok-4.7",
            }
            if handle:
                arguments["conversation_id"] = handle
            raw = await client.call_tool("ask_grok", arguments)
            assert isinstance(raw, CallToolResult)
            handle = self._note(Result(raw)) or handle

    def _note(self, result: Result) -> str | None:
        """Count how a call ended; an answer or an error with a code of ours, nothing else."""
        if result.raw.is_error:
            code = str(result.error["code"])
            self.ended[code] += 1
            if code == "internal":
                self.odd.append(result.text)
            return None
        self.ended[result.answer["finish_reason"]] += 1
        return result.answer.get("conversation_id")

    async def _attacker(self) -> None:
        """One hostile input after the other; each gets an answer or an error with a code of ours."""
        async with httpx2.AsyncClient(timeout=PATIENCE_S * slowness()) as client:
            while not self.over:
                number = self._random.randrange(len(INPUTS))
                call = INPUTS[number].call()
                call["arguments"].setdefault("model", f"grok-4.7!flood={number}")
                try:
                    response = await client.post(f"{self.url}/mcp", **modern(1, "tools/call", **call))
                except httpx2.TimeoutException:
                    self.odd.append(f"{INPUTS[number].name}: no answer")
                    continue
                self.ended["hostile"] += 1
                if '"jsonrpc"' not in response.text or '"code":"internal"' in response.text:
                    self.odd.append(f"{INPUTS[number].name}: {response.text[:500]}")

    async def _vanishing(self) -> None:
        """Clients that close their connection in the middle of an answer."""
        while not self.over:
            sent = modern(
                1, "tools/call", name="ask_grok", arguments={"prompt": "Hi", "model": "grok-4.7!pace=0.05"}
            )
            async with httpx2.AsyncClient() as client:
                with anyio.move_on_after(self._random.uniform(0.05, 0.6)):
                    await client.post(f"{self.url}/mcp", timeout=10, **sent)
            self.ended["vanished"] += 1

    async def _restarts(self, redis: RedisServer) -> None:
        for _ in range(2):
            await anyio.sleep(self._seconds / 4)
            await anyio.to_thread.run_sync(redis.kill)
            await anyio.sleep(min(self._seconds / 8, 5))
            await anyio.to_thread.run_sync(redis.start)


def descriptors(served: Served, redis: RedisServer) -> int:
    """How many files and sockets the server holds, less the idle connections that it keeps to Redis."""
    return len(os.listdir(f"/proc/{served.process.pid}/fd")) - redis.connections()


def resident(served: Served) -> int:
    """Its resident memory in bytes."""
    pages = Path(f"/proc/{served.process.pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def settled(served: Served, redis: RedisServer, limit: int) -> int:
    """The number of descriptors, once idle connections have had time to go."""
    with anyio.move_on_after(SETTLED_S):
        while descriptors(served, redis) > limit:
            await anyio.sleep(0.2)
    return descriptors(served, redis)


async def _note_halfway(served: Served, after_s: float, resident_bytes: list[int]) -> None:
    await anyio.sleep(after_s)
    resident_bytes.append(resident(served))


async def ride(seconds: float, seed: int = 1) -> tuple[Ride, dict[str, int]]:
    """One ride, and what the server held before and after it."""
    with ExitStack() as stack:
        sandbox = SandboxServer(pace=0.001, faults=(*FAULTS, FLOOD))
        upstream = sandbox.start()
        stack.callback(sandbox.stop)
        redis = stack.enter_context(RedisServer())
        served = stack.enter_context(
            serving(
                upstream,
                command=SERVE,
                GROK_MCP_GATEWAY="sandbox",
                GROK_MCP_REDIS_URL=redis.url,
                GROK_MCP_IDLE_TIMEOUT="1",
                GROK_MCP_TIMEOUT="8",
                **AT_ONCE,
            )
        )
        await Ride(served.url, 2, seed).run(redis)  # all pools and caches are there
        before = descriptors(served, redis), resident(served)
        ridden = Ride(served.url, seconds, seed)
        halfway: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(_note_halfway, served, seconds / 2, halfway)
            await ridden.run(redis)
        after = await settled(served, redis, before[0]), resident(served)
        ridden.odd += [line for line in served.lines if "Traceback" in line or "never awaited" in line]
        ready = httpx2.get(f"{served.url}/readyz").json()
        ridden.odd += [] if ready["ready"] else [f"not ready: {ready}"]
    held = {
        "descriptors before": before[0],
        "descriptors after": after[0],
        "MB before": before[1] >> 20,
        "MB halfway": halfway[0] >> 20,
        "MB after": after[1] >> 20,
        "exit status": served.status(),
    }
    return ridden, held


def main() -> None:
    """Ride for as long as the command line says and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ridden, held = anyio.run(ride, options.seconds, options.seed)
    print(dict(ridden.ended.most_common()), held, ridden.odd[:5], sep="\n")  # noqa: T201  # it is what it is for


if __name__ == "__main__":
    main()
