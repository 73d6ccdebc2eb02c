"""The budget of a day: a cap that holds over calls in flight, processes and broken ledgers."""

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anyio
import pytest
from dirty_equals import IsFloat, IsPartialDict
from mcp.client import Client
from mcp_types import CallToolResult

from grok_mcp.accounting.ledger import Ledger
from grok_mcp.accounting.records import RESERVED_S, Begun, Caps, Entry
from grok_mcp.sandbox import SandboxServer
from grok_mcp.usage import Usage
from tests.support.endpoint import Endpoint, Reply, body
from tests.support.host import Result, host_on
from tests.support.ledger import CENT, file, fill, forget, garbage, held, in_flight, priced, query, rows
from tests.support.pace import until, within
from tests.support.stdio import mcp_client, program

pytestmark = pytest.mark.anyio

CAP = 0.01
FOUR = CENT * 4 // 10
"""Of such calls two are within the cap, and the third reaches it."""


async def test_calls_pass_until_the_cap_is_reached_and_the_next_is_told_when_it_resets() -> None:
    async with Endpoint(priced(FOUR)) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        for _ in range(3):
            assert (await host.ask()).answer["usage"]["cost_usd"] == 0.004
        refused = await host.ask()
    reset = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    left_s = (reset - datetime.now(UTC)).total_seconds()
    assert refused.error == IsPartialDict(
        code="budget", retryable=True, retry_after_s=IsFloat(ge=left_s - 60, le=left_s + 60)
    )
    assert refused.text.startswith(
        "[budget] Your budget of 0.01 USD a day is reached: 0.012000 USD were spent"
    )
    assert f"It resets at {reset:%Y-%m-%d} 00:00 UTC, in {left_s / 3600:.1f} hours." in refused.text
    assert "GROK_MCP_BUDGET_USD_PER_DAY" in refused.text
    assert len(endpoint.requests) == 3
    assert [row.get("error") for row in rows()] == [None, None, None, "budget"]


async def test_what_calls_in_flight_may_cost_counts_as_spent_until_they_have_ended() -> None:
    first, second = held(FOUR), held(FOUR)
    async with Endpoint(priced(FOUR), first, second, priced(1)) as endpoint:
        async with host_on(endpoint, budget_usd_per_day=CAP) as host:
            await host.ask()
            async with in_flight(host, first, endpoint), in_flight(host, second, endpoint):
                refused = await host.ask()
                assert len(endpoint.requests) == 3
            after = await host.ask()
    assert refused.error == IsPartialDict(code="budget", retry_after_s=10.0)
    assert "0.004000 USD were spent today and 2 calls in flight may cost 0.008000 USD" in refused.text
    assert "Wait until they have ended" in refused.text and "It resets at" in refused.text
    assert after.error["code"] == "budget" and "0.012000 USD were spent" in after.text
    assert query("SELECT * FROM in_flight") == []


async def test_a_call_in_flight_that_ends_cheaper_gives_room_back() -> None:
    cheap = held(1)
    async with Endpoint(priced(CENT * 9 // 10), cheap, priced(1)) as endpoint:
        async with host_on(endpoint, budget_usd_per_day=CAP) as host:
            await host.ask()
            async with in_flight(host, cheap, endpoint):
                assert (await host.ask()).error["code"] == "budget"
            assert (await host.ask()).answer["usage"]["cost_usd"] == 1e-10


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_a_call_that_comes_to_nothing_gives_its_room_back(how: str) -> None:
    refused = body({"error": {"message": "no"}}, status=400)
    nothing = refused if how == "failed" else Reply(end="hang")
    async with Endpoint(priced(CENT * 9 // 10), nothing, priced(1)) as endpoint:
        async with host_on(endpoint, budget_usd_per_day=CAP, legacy=True) as host:
            await host.ask()
            with anyio.move_on_after(0.5 if how == "cancelled" else 10):
                await host.ask()
            await until(lambda: len(rows()) == 2)
            assert (await host.ask()).answer["usage"]["cost_usd"] == 1e-10


async def ask(client: Client, prompt: str = "Hi") -> Result:
    with within(30):
        raw = await client.call_tool("ask_grok", {"prompt": prompt})
    assert isinstance(raw, CallToolResult)
    return Result(raw)


async def test_the_cap_holds_across_processes() -> None:
    cap: dict[str, Any] = {"GROK_MCP_BUDGET_USD_PER_DAY": "0.01"}
    async with Endpoint(priced(FOUR)) as endpoint:
        async with mcp_client(endpoint.url, **cap) as one, mcp_client(endpoint.url, **cap) as two:
            answered = [await ask(client) for client in (one, two, one)]
            refused = [await ask(client) for client in (two, one)]
    assert [result.answer["usage"]["cost_usd"] for result in answered] == [0.004] * 3
    assert [result.error["code"] for result in refused] == ["budget"] * 2
    assert len(endpoint.requests) == 3


async def test_a_call_in_flight_counts_in_other_processes_until_its_own_is_dead_then_as_spent() -> None:
    variables = {"GROK_MCP_BUDGET_USD_PER_DAY": "0.01", "XAI_API_KEY": "x"}
    hanging = Reply(end="hang")
    async with Endpoint(priced(CENT * 6 // 10), hanging, priced(1)) as endpoint:
        async with host_on(endpoint, budget_usd_per_day=CAP) as host:
            await host.ask()
            with program(XAI_BASE_URL=endpoint.url, **variables) as process:
                assert process.stdin
                call = {"name": "ask_grok", "arguments": {"prompt": "Hi"}}
                for message in (
                    {"id": 1, "method": "initialize", "params": INITIALIZE},
                    {"id": 2, "method": "tools/call", "params": call},
                ):
                    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
                process.stdin.flush()
                with within(30):
                    while len(endpoint.requests) < 2:
                        await anyio.sleep(0.02)
                counted = await host.ask()
                process.kill()
                process.wait()
            still = await host.ask()
            now = time.time()
            (left,) = query("SELECT id, expires_at FROM in_flight")
            query("UPDATE in_flight SET expires_at = ?", now)  # as when its time is over
            unknown = await host.ask()
            query("UPDATE in_flight SET at = at - 86400")
            free = await host.ask()
    assert "1 call in flight may cost 0.006000 USD" in counted.text
    assert still.error["code"] == "budget", "nobody can tell yet that it is dead"
    assert left["expires_at"] <= now + RESERVED_S
    assert unknown.error == IsPartialDict(code="budget", retry_after_s=IsFloat(gt=10))
    assert (
        "0.006000 USD were spent today, calls with an unknown end may have cost 0.006000 USD" in unknown.text
    )
    assert free.answer["usage"]["cost_usd"] == 1e-10


INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


async def test_a_call_that_takes_long_keeps_its_place_in_the_budget() -> None:
    ledger = Ledger(file().parent, renew_s=0.05)
    await ledger.reserve(Begun("long", time.time(), "ask_grok", "local", "xai", "grok-4.7"), Caps(CENT))
    query("UPDATE in_flight SET expires_at = 0")
    await until(lambda: query("SELECT expires_at FROM in_flight")[0]["expires_at"] > time.time())
    query("DELETE FROM in_flight")  # as another process does where this one slept for too long
    await until(lambda: len(query("SELECT * FROM in_flight")) == 1)
    ledger.record(Entry(time.time(), "ask_grok", "local", "xai"), "long")
    await ledger.aclose()
    assert query("SELECT * FROM in_flight") == []


async def test_a_call_of_unknown_end_of_a_server_without_a_budget_counts_as_such_calls_cost() -> None:
    price = Usage(cost_usd=Decimal("0.006"))
    fill([Entry(time.time(), "ask_grok", "local", "generic", "grok-4.7", usage=price)])
    lost = Begun("lost", time.time(), "ask_grok", "local", "generic", "grok-4.7", sent=True)
    forget([lost, lost._replace(id="play", gateway="sandbox"), lost._replace(id="ann", caller="ann")])
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        refused = await host.ask()
    assert (
        "0.006000 USD were spent today, calls with an unknown end may have cost 0.006000 USD" in refused.text
    )


async def test_a_reservation_for_which_nothing_was_sent_goes_with_its_process() -> None:
    forget([Begun("unsent", time.time(), "ask_grok", "local", "generic", ticks=CENT)])
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        assert (await host.ask()).answer
    assert query("SELECT * FROM in_flight") == []


async def test_yesterday_and_other_callers_and_the_sandbox_do_not_count() -> None:
    price = Usage(cost_usd=Decimal(1))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    fill(
        [
            Entry(midnight - 1, "ask_grok", "local", "generic", usage=price),
            Entry(midnight, "ask_grok", "alice", "generic", usage=price),
            Entry(midnight, "ask_grok", "local", "sandbox", usage=price),
        ]
    )
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        assert (await host.ask()).answer
        fill([Entry(midnight, "ask_grok", "local", "generic", usage=price)])
        assert (await host.ask()).error["code"] == "budget"


async def test_the_sandbox_has_a_budget_of_its_own_play_money() -> None:
    with SandboxServer(pace=0) as sandbox:
        async with host_on(sandbox.url, gateway="sandbox", budget_usd_per_day=0.0001) as host:
            assert (await host.ask()).answer["usage"]["cost_usd"] > 0.0001
            assert (await host.ask()).error["code"] == "budget"
    async with Endpoint(priced(1)) as endpoint, host_on(endpoint, budget_usd_per_day=0.0001) as host:
        assert (await host.ask()).answer["usage"]["cost_usd"] == 1e-10


async def test_a_cost_that_nobody_knows_is_told_with_the_answer_and_does_not_count() -> None:
    unknown = body(
        {
            "model": "acme-1",
            "choices": [{"index": 0, "message": {"content": "Hi."}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }
    )
    async with Endpoint(unknown) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        texts = [(await host.ask(model="acme-1")).text for _ in range(3)]
    assert all("Note: What this call cost is unknown, so the budget of the day" in text for text in texts)
    assert [row["cost_source"] for row in rows()] == ["unknown"] * 3
    async with Endpoint(unknown) as endpoint, host_on(endpoint) as host:
        assert "budget" not in (await host.ask(model="acme-1")).text


async def test_a_wrong_argument_is_told_as_such_when_the_cap_is_reached_too() -> None:
    async with Endpoint(priced(CENT)) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        await host.ask()
        assert (await host.ask("")).error["code"] == "invalid_argument"
        assert (await host.ask()).error["code"] == "budget"


async def test_the_cap_holds_in_the_process_where_the_ledger_can_t_be_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    garbage(file())
    slow = held(FOUR)
    async with Endpoint(priced(FOUR), slow, priced(FOUR)) as endpoint:
        async with host_on(endpoint, budget_usd_per_day=CAP) as host:
            await host.ask()
            async with in_flight(host, slow, endpoint):
                assert (await host.ask()).answer
                assert (await host.ask()).error["code"] == "budget"
            assert "0.012000 USD were spent" in (await host.ask()).text
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_what_was_spent_is_not_forgotten_when_the_ledger_breaks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow = held(1)
    async with Endpoint(priced(CENT * 8 // 10), slow, priced(CENT)) as endpoint:
        async with host_on(endpoint, budget_usd_per_day=CAP) as host:
            await host.ask()
            async with in_flight(host, slow, endpoint):
                for one in file().parent.iterdir():
                    one.unlink()
                file().write_bytes(b"not a database" * 500)
                refused = await host.ask()
            assert (await host.ask()).answer
            again = await host.ask()
    assert "0.008000 USD were spent today and 1 call in flight may cost 0.008000" in refused.text
    assert again.error["code"] == "budget" and "0.018000 USD were spent" in again.text
    assert len(caplog.records) == 1


async def test_the_caller_s_usage_is_told_beside_the_cap() -> None:
    async with Endpoint(priced(FOUR)) as endpoint, host_on(endpoint, budget_usd_per_day=CAP) as host:
        await host.ask()
        (content,) = (await host.client.read_resource("grok://usage")).contents
    told = json.loads(content.text)  # type: ignore[union-attr]  # a text
    assert told == IsPartialDict(caller="local", sandbox=False, budget_usd_per_day=0.01)
    counted = IsPartialDict(calls=1, failed_calls=0, input_tokens=10, output_tokens=5, cost_usd=0.004)
    assert told["today"] == told["this_month"] == told["all_time"] == counted
    assert told["by_model"] == [{"key": "grok-4.7", **told["all_time"]}]
