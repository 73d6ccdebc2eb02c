"""Real hosts on servers of ours, driven by a fake model: what the model is offered and what it receives."""

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.hosts.fake_model import NAMES, Call, FakeModel
from tests.hosts.hosts import HOSTS, Given, Host
from tests.hosts.relay import Relay
from tests.hosts.running import POLL_S, Running, on_stdio, running
from tests.hosts.table import Row
from tests.hosts.traffic import Traffic, read_traffic
from tests.network.server import serving
from tests.support.endpoint import Endpoint, Reply, chat

pytestmark = [pytest.mark.anyio, pytest.mark.hosts]

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "population": {"type": "integer"}},
    "required": ["name", "population"],
    "additionalProperties": False,
}
ASK = Call("ask_grok", {"prompt": "What is the sandbox?"})
SEARCH = Call("grok_search", {"query": "What is new in Python?"})
STRUCTURED = Call("grok_structured", {"prompt": "Invent a city.", "schema": SCHEMA})
WRONG = Call("grok_search", {"query": "Hi", "from_date": "2026-02-01", "to_date": "2026-01-01"})
SOURCES = ("https://docs.python-guide.example/releases", "https://x.com/i/status/1975500000000000031")
CLAUDE_CODE = "Claude Code"
KEY = "xai-key-of-the-tests-1234567890"
LIMIT_S = 20  # of some hosts it holds for the start of the server as well
LIMITED_S = 90.0
SOON_S = 5.0
WAIT_S = 2
AT_ONCE_S = 2.0


async def driven(host: Host, given: Given, model: FakeModel) -> None:
    """A run of the host to its end. One whose first turn did not wait for the server is repeated once."""
    for _ in range(2):
        async with running(host, given) as run:
            await run.end()
            await run.servers_end()
        if model.offered:
            return
    raise AssertionError(f"the model was offered no tool of ours: {run.printed[-2000:]}")


def check_tools(host: Host, model: FakeModel, traffic: Traffic) -> None:
    """The model is offered all tools, under the names that we promise, with all that they take."""
    assert list(traffic.tools) == list(NAMES)
    for name, listed in traffic.tools.items():
        offered = model.offered[name]
        assert offered.name == host.tool_names.format(name)
        assert listed["description"] in offered.description
        assert listed["inputSchema"]["properties"].keys() <= offered.schema["properties"].keys()
        assert set(listed["inputSchema"]["required"]) <= set(offered.schema["required"])


def check_results(host: Host, model: FakeModel, traffic: Traffic) -> None:
    """The model gets each result exactly as the server wrote it, as often as the host is known to show it."""
    sent: list[dict[str, Any]] = traffic.results
    assert [result.get("isError", False) for result in sent] == [False, False, False, True]
    texts = [result["content"][0]["text"] for result in sent]
    ask, search, structured, wrong = model.received
    assert host.content(ask) == texts[0]
    assert ask.count("Sandbox answer: you asked") == 1
    assert host.content(search) == texts[1]
    assert search.count("Sources:") == 1
    assert all(source in search for source in SOURCES)
    assert host.content(structured) == texts[2]
    assert structured.count("sandbox name") == host.copies
    assert json.loads(texts[2])["data"] == {"name": "sandbox name", "population": 3}
    assert host.error(wrong) == texts[3]
    assert texts[3].startswith("[invalid_argument] from_date: is after to_date.")


def check_progress(host: Host, traffic: Traffic) -> str:
    """Notes come for every token that the host sends, and for none else; says in a word whether any did."""
    assert len(traffic.tokens) == (4 if host.sends_token else 0)
    told = {one["progressToken"] for one in traffic.notes}
    assert told == set(traffic.tokens[:3])  # the fourth call fails at once
    return "yes" if traffic.notes else "asks for none"


def check_all(host: Host, model: FakeModel, traffic: Traffic) -> dict[str, str]:
    """What a whole run has to show, and its cells of the table."""
    check_tools(host, model, traffic)
    check_results(host, model, traffic)
    return {
        "tools_listed": str(len(NAMES)),
        "first_turn": str(len(model.first_offered or ())),
        "ask": "text",
        "search": "text, URLs",
        "structured": "data" if host.copies == 1 else f"data, {host.copies} times",
        "error": "readable",
        "progress": check_progress(host, traffic),
        "protocol": traffic.protocol,
    }


ALL = ("tools_listed", "first_turn", "ask", "search", "structured", "error", "progress", "protocol")


async def test_the_model_gets_tools_answers_sources_data_and_errors_as_the_server_wrote_them(
    host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, "stdio", *ALL)
    async with FakeModel(ASK, SEARCH, STRUCTURED, WRONG) as model:
        await driven(host, on_stdio(tmp_path, model.url, GROK_MCP_GATEWAY="sandbox"), model)
    traffic = read_traffic(tmp_path)
    assert traffic.protocol == host.protocol
    row(**check_all(host, model, traffic))


NETWORK = [
    *((name, "http") for name in HOSTS),
    (CLAUDE_CODE, "http, handshake"),
    (CLAUDE_CODE, "sse"),
]


@pytest.mark.parametrize(("host", "server_on"), NETWORK, indirect=["host"])
async def test_a_server_on_the_network_is_shown_to_the_model_in_the_same_way(
    host: Host, server_on: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, server_on, *ALL)
    with serving(None, "--transport", "http", GROK_MCP_GATEWAY="sandbox") as server:
        handshake_only = server_on == "http, handshake"
        async with (
            Relay(server.url, tmp_path, handshake_only=handshake_only) as relay,
            FakeModel(ASK, SEARCH, STRUCTURED, WRONG) as model,
        ):
            sse = server_on == "sse"
            url = f"{relay.url}/{'sse' if sse else 'mcp'}"
            await driven(host, Given(tmp_path, model.url, url=url, sse=sse), model)
    traffic = read_traffic(tmp_path)
    if host.name == CLAUDE_CODE:
        assert traffic.protocol == ("2026-07-28" if server_on == "http" else "2025-11-25")
    row(**check_all(host, model, traffic))


async def test_a_missing_key_hides_no_tool_and_is_told_to_the_model(
    host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, "stdio", "no_key")
    async with FakeModel(ASK) as model:
        await driven(host, on_stdio(tmp_path, model.url), model)
    (told,) = model.received
    assert host.error(told).startswith("[configuration]") and "XAI_API_KEY" in told
    row(no_key="readable")


@asynccontextmanager
async def calling(host: Host, given: Given, endpoint: Endpoint) -> AsyncIterator[Running]:
    """The host while its first call is with the endpoint; as in `driven`, in a second run if need be."""
    async with running(host, given) as run:
        if await asked(endpoint, run, 1):
            yield run
            return
    async with running(host, given) as run:
        assert await asked(endpoint, run, 1), run.printed[-2000:]
        yield run


async def asked(endpoint: Endpoint, run: Running, times: int) -> bool:
    """Whether the endpoint gets so many requests before the host ends."""
    with anyio.fail_after(LIMITED_S):
        while len(endpoint.requests) < times and run.process.returncode is None:
            await anyio.sleep(POLL_S)
    return len(endpoint.requests) >= times


async def closed(endpoint: Endpoint, seconds: float) -> bool:
    """Whether the server has closed its connection to the endpoint by then."""
    with anyio.move_on_after(seconds):
        await endpoint.closed.wait()
    return endpoint.closed.is_set()


async def test_a_call_that_is_over_the_hosts_limit_ends_upstream_as_soon_as_the_server_is_told(
    host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, "stdio", "time_limit")
    silent = {"XAI_API_KEY": KEY, "GROK_MCP_PROGRESS": "off"}  # progress would extend some limits
    async with Endpoint(Reply(end="hang")) as endpoint, FakeModel(ASK, ASK) as model:
        given = on_stdio(tmp_path, model.url, LIMIT_S, XAI_BASE_URL=endpoint.url, **silent)
        async with calling(host, given, endpoint) as run:
            assert await asked(endpoint, run, times=2), run.printed[-2000:]
            assert await closed(endpoint, AT_ONCE_S) is host.tells_of_its_limit
            assert run.process.returncode is None
            (told,) = model.received
            assert "timed out" in told.lower()
    took_s = endpoint.requests[1].at - endpoint.requests[0].at
    assert took_s >= LIMIT_S / 2, "the host gave up for another reason"
    cancels = run.traffic.sent("notifications/cancelled")
    assert bool(cancels) is host.tells_of_its_limit
    row(time_limit="ends the call" if host.tells_of_its_limit else "server is not told")


async def test_ctrl_c_ends_the_call_upstream_and_the_server(
    host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, "stdio", "interrupt")
    async with Endpoint(Reply(end="hang")) as endpoint, FakeModel(ASK) as model:
        given = on_stdio(tmp_path, model.url, XAI_API_KEY=KEY, XAI_BASE_URL=endpoint.url)
        async with calling(host, given, endpoint) as run:
            os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
            assert await closed(endpoint, SOON_S)
            await run.servers_end()
    assert not model.received
    row(interrupt="ends the call")


async def test_a_call_that_takes_long_is_handed_over_and_the_model_collects_the_rest(
    host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row = Row(request.config, host, "stdio", "slow_call")
    reply = Reply(chat("It is ", "blue.").pieces, hold=1)

    def collect(received: str) -> dict[str, Any]:
        reply.release.set()
        (answer_id,) = set(re.findall(r"ans_[\w-]{22}", received))
        return {"answer_id": answer_id, "offset": len("It is ")}

    async with Endpoint(reply) as endpoint, FakeModel(SEARCH, Call("grok_result", collect)) as model:
        upstream = {"XAI_API_KEY": KEY, "XAI_BASE_URL": endpoint.url, "GROK_MCP_GATEWAY": "xai"}
        given = on_stdio(tmp_path, model.url, LIMIT_S, GROK_MCP_WAIT=str(WAIT_S), **upstream)
        await driven(host, given, model)
    traffic = read_traffic(tmp_path)
    (begun, *links), (ended,) = [result["content"] for result in traffic.results]
    first, rest = model.received
    assert len(links) == (host.protocol >= "2025-06-18"), "older ones have no links"
    shown = "".join(map(host.link, links))
    assert first.endswith(shown)
    assert host.content(first.removesuffix(shown)) == begun["text"]
    assert host.content(rest) == ended["text"]
    assert begun["text"].startswith("It is \n\nNote: Grok is still writing")
    assert ended["text"].startswith("blue.\n\n")
    assert not traffic.sent("tasks/get")
    assert [one.method for one in endpoint.requests].count("POST") == 1
    row(slow_call="hand-over")
