"""Many calls at once, each with a reply of its own."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from tests.support.endpoint import Endpoint, Reply, Request
from tests.support.host import Result, host_on


def number_in(request: Request) -> int:
    """Which of the calls that run side by side this request belongs to."""
    found = re.search(r"Case (\d+)\.", json.dumps(request.body))
    assert found
    return int(found[1])


@dataclass(frozen=True)
class Asked:
    """A tool that is called, and what the endpoint replies to each of its requests."""

    reply: Reply
    tool: str = "ask_grok"


async def side_by_side(asked: Sequence[Asked], **settings: Any) -> list[tuple[Result, int]]:
    """All these calls on one host: the result of each, and the number of its requests."""
    came = [anyio.Event() for _ in asked]
    results: dict[int, Result] = {}

    def choose(request: Request) -> Reply:
        came[number_in(request)].set()
        return asked[number_in(request)].reply

    async with Endpoint(choose=choose) as endpoint, host_on(endpoint, **settings) as host:

        async def call(number: int, tool: str) -> None:
            ask = host.search if tool == "grok_search" else host.ask
            results[number] = await ask(f"Case {number}.")
            came[number].set()

        async with anyio.create_task_group() as group:
            for number, one in enumerate(asked):
                group.start_soon(call, number, one.tool)
                await came[number].wait()  # began all at once, they would themselves make the endpoint silent
    requests = Counter(number_in(request) for request in endpoint.requests)
    return [(results[number], requests[number]) for number in range(len(asked))]
