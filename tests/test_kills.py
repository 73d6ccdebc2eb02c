"""Servers that are killed at any moment: what the endpoint, the host and the ledger count agrees.

GROK_TEST_KILLS=100 kills more of them than a run of all tests does.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import anyio
import pytest
from dirty_equals import IsPartialDict

from tests.support.cli import run, unmeasured
from tests.support.endpoint import Endpoint, Reply, Request
from tests.support.ledger import CENT, priced, query, rows
from tests.support.pace import within
from tests.support.stdio import COMMAND, INITIALIZE, INITIALIZED, request

pytestmark = pytest.mark.anyio

KILLS = int(os.environ.get("GROK_TEST_KILLS", "12"))
SIDE_BY_SIDE = 4
CALLS = 60
"""More than a server answers before it is killed."""


class Host:
    """A host that asks a server all the time, a few questions at once, until it kills it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.random = random.Random(number)
        self.asked: set[str] = set()
        self.answered: Counter[str] = Counter()

    async def run(self, **variables: str) -> None:
        async with await anyio.open_process(
            COMMAND, stderr=subprocess.PIPE, env={**unmeasured(), "XAI_API_KEY": "x", **variables}
        ) as process:
            assert process.stdin and process.stdout
            lines = [INITIALIZE, INITIALIZED, *map(self.question, range(2, 2 + CALLS))]
            await process.stdin.send(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            received = b""
            wanted = self.random.randrange(CALLS // 2)  # answers; and then some moment behind them
            while received.count(b'"result"') <= wanted:
                received += await process.stdout.receive()
            await anyio.sleep(self.random.random() * 0.02)
            process.kill()
            async for rest in process.stdout:
                received += rest
        for line in received.splitlines():
            if line.endswith(b"}") and (answer := json.loads(line)).get("id", 1) > 1:
                assert not answer["result"].get("isError"), answer
                self.answered[self.name(answer["id"])] += 1

    def name(self, number: int) -> str:
        return f"server {self.number} call {number}"

    def question(self, number: int) -> dict[str, Any]:
        self.asked.add(self.name(number))
        arguments = {"prompt": "Hi", "model": self.name(number)}
        return request(number, "tools/call", name="ask_grok", arguments=arguments)


@pytest.mark.parametrize("budget", [None, "1000"], ids=["no budget", "a budget"])
async def test_after_kills_at_any_moment_endpoint_host_and_ledger_agree(budget: str | None) -> None:
    requested: Counter[str] = Counter()

    def choose(request: Request) -> Reply:
        requested[request.body["model"]] += 1
        return priced(CENT)

    variables = {"GROK_MCP_MAX_CONCURRENCY": "3"} | (
        {"GROK_MCP_BUDGET_USD_PER_DAY": budget} if budget else {}
    )
    hosts = [Host(number) for number in range(KILLS)]
    places = anyio.Semaphore(SIDE_BY_SIDE)

    async def run_one(host: Host, url: str) -> None:
        async with places:
            with within(60):
                await host.run(XAI_BASE_URL=url, **variables)

    async with Endpoint(choose=choose) as endpoint, anyio.create_task_group() as group:
        for host in hosts:
            group.start_soon(run_one, host, endpoint.url)
    ended = Counter(row["model_asked"] for row in rows())
    begun = Counter(row["model_asked"] for row in query("SELECT * FROM in_flight WHERE sent"))
    recorded = ended + begun
    answered = Counter[str]()
    for host in hosts:
        answered += host.answered
    assert set(recorded.values()) | set(requested.values()) | set(answered.values()) == {1}
    assert len(answered) >= KILLS
    assert not answered.keys() - ended.keys(), "an answer was delivered without its row"
    assert not requested.keys() - recorded.keys(), "a request went out without a row"
    assert not recorded.keys() - {name for host in hosts for name in host.asked}
    assert not ended.keys() - requested.keys()
    assert len(recorded) - len(requested) <= 3 * KILLS, "no more than were about to be sent"
    told = json.loads(run("usage", "--json").stdout)
    assert told == IsPartialDict(
        calls=len(recorded), calls_with_unknown_end=len(begun), calls_without_cost=len(begun)
    )
    assert told["cost_usd"] == pytest.approx(len(ended) * 0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is found out within a minute")
async def test_a_call_whose_server_was_killed_is_told_at_once_and_one_in_flight_is_not() -> None:
    held = anyio.Event()

    def choose(request: Request) -> Reply:
        if request.body["model"] == "the second":
            held.set()
        return Reply(end="hang")

    env = {**unmeasured(), "XAI_API_KEY": "x"}
    async with Endpoint(choose=choose) as endpoint:
        async with await anyio.open_process(COMMAND, env={**env, "XAI_BASE_URL": endpoint.url}) as process:
            assert process.stdin
            lines = [INITIALIZE, INITIALIZED]
            for number, model in enumerate(("the first", "the second"), 2):
                arguments = {"prompt": "Hi", "model": model}
                lines.append(request(number, "tools/call", name="ask_grok", arguments=arguments))
            await process.stdin.send(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
            with within(30):
                await held.wait()
            in_flight = json.loads((await anyio.to_thread.run_sync(run, "usage", "--json")).stdout)
            process.kill()
            await process.wait()
        killed = json.loads((await anyio.to_thread.run_sync(run, "usage", "--json", "--by", "model")).stdout)
        table = (await anyio.to_thread.run_sync(run, "usage")).stdout
    assert in_flight == IsPartialDict(calls=0, calls_with_unknown_end=0, rows=[])
    assert killed == IsPartialDict(calls=2, failed_calls=0, calls_without_cost=2, calls_with_unknown_end=2)
    assert [row["key"] for row in killed["rows"]] == ["the first", "the second"]
    assert "Calls with an unknown end: 2. Their server was killed" in " ".join(table.split())
