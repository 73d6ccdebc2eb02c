"""Usage and budget on a network: apart by caller, and one count for servers that share a Redis."""

import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.accounting.records import RESERVED_S, Begun, Caps, midnight
from grok_mcp.accounting.redis import RedisBudget
from grok_mcp.sandbox import SandboxServer
from grok_mcp.serving.http.token_lines import new_token
from tests.network.redis import RedisServer, redis
from tests.network.server import modern, serving
from tests.support.endpoint import Endpoint
from tests.support.host import Host, host_on
from tests.support.ledger import CENT, held, in_flight, priced, query

__all__ = ["redis"]

pytestmark = pytest.mark.anyio

CAP = 0.01
FOUR = CENT * 4 // 10


def ask(url: str, token: str) -> dict[str, Any]:
    return rpc(url, token, modern(1, "tools/call", name="ask_grok", arguments={"prompt": "Hi"}))


def usage(url: str, token: str) -> dict[str, Any]:
    sent = modern(1, "resources/read", uri="grok://usage")
    sent["headers"]["Mcp-Name"] = "grok://usage"
    (content,) = rpc(url, token, sent)["contents"]
    told: dict[str, Any] = json.loads(content["text"])
    return told


def rpc(url: str, token: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    headers = {**sent["headers"], "Authorization": f"Bearer {token}"}
    response = httpx2.post(f"{url}/mcp", headers=headers, json=sent["json"], timeout=60)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()["result"]
    return result


def test_usage_and_budget_of_one_caller_are_nobody_else_s(tmp_path: Path) -> None:
    made = {name: new_token(name) for name in ("alice", "bob", "local")}
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"{line}\n" for _, line in made.values()))
    alice, bob, local = (token for token, _ in made.values())
    flags = ("--token-file", str(tokens), "--budget-usd-per-day", "0.0005")
    with SandboxServer(pace=0) as sandbox, serving(sandbox.url, *flags) as server:
        costs = [ask(server.url, alice)["_meta"]["grok-mcp/answer"]["usage"]["cost_usd"] for _ in range(2)]
        refused = ask(server.url, alice)
        others = [ask(server.url, token) for token in (bob, local)]
        told = {name: usage(server.url, token) for name, (token, _) in made.items()}
    assert refused["_meta"]["grok-mcp/error"]["code"] == "budget"
    assert not [other for other in others if other.get("isError")]
    assert told["alice"] == IsPartialDict(caller="alice", budget_usd_per_day=0.0005)
    assert told["alice"]["today"] == IsPartialDict(
        calls=3, failed_calls=0, calls_not_sent=1, cost_usd=pytest.approx(sum(costs))
    )
    assert told["bob"]["all_time"]["calls"] == told["local"]["all_time"]["calls"] == 1
    assert "alice" not in json.dumps([told["bob"], told["local"]])
    callers = [row["caller"] for row in query("SELECT DISTINCT caller FROM calls ORDER BY 1")]
    assert callers == ["alice", "bob", "local (by token)"], "who has a token is not the user of this machine"


@asynccontextmanager
async def machines(
    endpoint: Endpoint, redis: RedisServer, tmp_path: Path
) -> AsyncIterator[tuple[Host, Host]]:
    """Two servers with ledgers of their own and one Redis."""
    shared: dict[str, Any] = {"redis_url": redis.url, "budget_usd_per_day": CAP}
    async with (
        host_on(endpoint, state_dir=tmp_path / "one", **shared) as one,
        host_on(endpoint, state_dir=tmp_path / "two", **shared) as two,
    ):
        yield one, two


async def test_servers_that_share_a_redis_share_what_is_spent(redis: RedisServer, tmp_path: Path) -> None:
    async with Endpoint(priced(FOUR)) as endpoint:
        async with machines(endpoint, redis, tmp_path) as (one, two):
            answered = [await host.ask() for host in (one, two, one)]
            refused = [await host.ask() for host in (two, one)]
    assert [result.answer["usage"]["cost_usd"] for result in answered] == [0.004] * 3
    assert all("0.012000 USD were spent today" in result.text for result in refused)
    assert [result.error["code"] for result in refused] == ["budget"] * 2
    assert len(endpoint.requests) == 3
    names = b" ".join(redis.names())
    assert b"grok-mcp:{budget}:" in names and b"local" not in names
    assert all(0 < redis.ask("TTL", name) <= 2 * 86_400 for name in redis.names())


async def test_a_call_in_flight_on_one_machine_counts_on_the_other(
    redis: RedisServer, tmp_path: Path
) -> None:
    first, second = held(FOUR), held(1)
    async with Endpoint(priced(FOUR), priced(1), first, second, priced(1)) as endpoint:
        async with machines(endpoint, redis, tmp_path) as (one, two):
            await one.ask()
            await two.ask()
            async with in_flight(one, first, endpoint), in_flight(one, second, endpoint):
                refused = await two.ask()
            after = await two.ask()
    assert "0.004000 USD were spent today and 2 calls in flight may cost 0.008000 USD" in refused.text
    assert after.answer["usage"]["cost_usd"] == 1e-10


async def test_a_dead_machine_s_calls_in_flight_count_as_of_unknown_end_until_their_day_is_over(
    redis: RedisServer,
) -> None:
    dead, alive = RedisBudget(redis.url), RedisBudget(redis.url)
    today = midnight(time.time())
    wanted = Begun("one", time.time(), "ask_grok", "ann", "generic", ticks=CENT)
    two = wanted._replace(id="two")
    assert dead.reserve(wanted, Caps(CENT), today, 0).admitted
    assert alive.reserve(two, Caps(CENT), today, 0)[:5] == (False, 0, CENT, 1, 0)
    (name,) = [one for one in redis.names() if one.endswith(b"in-flight")]
    now = redis.ask("TIME")[0]
    (told,) = redis.ask("HVALS", name)
    ticks, expires, day = told.split()
    assert int(ticks) == CENT and int(expires) <= now + RESERVED_S
    redis.ask("HSET", name, "one", b"%s %d %s" % (ticks, now, day))  # as when its time is over
    assert alive.reserve(two, Caps(CENT), today, 0)[:5] == (False, 0, 0, 0, CENT)
    dead.renew([wanted])
    assert alive.reserve(two, Caps(CENT), today, 0)[:5] == (False, 0, CENT, 1, 0), "it was only slow"
    redis.ask("HSET", name, "one", b"%s %d %s" % (ticks, now, day))
    dead.settle(wanted, 3, today)
    assert alive.reserve(two, Caps(CENT), today, 0)[:5] == (True, 3, 0, 0, 0), "its end has come after all"
    redis.ask("HSET", name, "one", b"%s %d %s" % (ticks, now, day))
    assert alive.reserve(two, Caps(CENT), today + 86_400, 0)[:5] == (True, 0, 0, 0, 0)
    assert redis.ask("HKEYS", name) == [b"two"]
    redis.ask("HSET", name, "old", b"%s %d" % (ticks, now))  # of a server that knew no day
    assert alive.reserve(two, Caps(CENT), today, 0).admitted
    for budget in (dead, alive):
        budget.close()


async def test_no_call_is_let_in_while_redis_is_away_and_nothing_is_lost(
    redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = held(CENT * 7 // 10)
    async with Endpoint(slow, priced(FOUR)) as endpoint:
        async with machines(endpoint, redis, tmp_path) as (one, two):
            async with in_flight(one, slow, endpoint):
                redis.freeze()
                refused = await two.ask()
            redis.thaw()
            await one.ask()  # its first one is settled before it
            last = await two.ask()
    assert refused.error == IsPartialDict(code="overloaded", retryable=True)
    assert "The budget can't be checked" in refused.text
    assert "0.011000 USD were spent today" in last.text
    assert len(endpoint.requests) == 2
    told = [record.getMessage() for record in caplog.records if "budget" in record.getMessage()]
    assert sum("Redis is away" in line for line in told) <= 2 and any(
        "Redis is back" in line for line in told
    )


async def test_a_redis_that_has_forgotten_everything_does_not_open_the_till(
    redis: RedisServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with Endpoint(priced(CENT)) as endpoint:
        async with machines(endpoint, redis, tmp_path) as (one, _):
            await one.ask()
            redis.kill()
            redis.start()
            refused = await one.ask()
    assert refused.error["code"] == "budget" and "0.010000 USD were spent" in refused.text


async def test_what_is_settled_twice_counts_once(redis: RedisServer) -> None:
    budget = RedisBudget(redis.url)
    today = midnight(time.time())
    wanted = Begun("one", time.time(), "ask_grok", "ann", "generic", ticks=5)
    budget.reserve(wanted, Caps(CENT), today, 0)
    budget.settle(wanted, 7, today)
    budget.settle(wanted, 7, today)  # as after a reply that was lost
    assert budget.reserve(wanted._replace(id="two"), Caps(CENT), today, 0)[:5] == (True, 7, 0, 0, 0)
    assert budget.reserve(wanted._replace(id="two", gateway="sandbox"), Caps(CENT), today, 0)[:5] == (
        True,
        0,
        0,
        0,
        0,
    )
    assert budget.reserve(wanted._replace(id="two"), Caps(CENT), today + 86_400, 0).spent == 0
    budget.close()
