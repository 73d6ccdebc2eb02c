"""Each gateway gets the requests that it documents, and its own shape of answer is understood.

To add a gateway, add its record in `gateways.py`, and one of what differs in `tests/gateways/chat_table.py`.
"""

from collections import Counter
from typing import Any, get_args

import pytest
from dirty_equals import IsStr

from grok_mcp.gateways import GATEWAYS
from grok_mcp.sandbox import SandboxServer
from grok_mcp.settings import GatewayName
from tests.gateways.columns import COLUMNS, NOTICE
from tests.gateways.table import FEATURES, Call, Failure, Json, Row
from tests.support.endpoint import Endpoint, Request, without
from tests.support.host import Result, host_on

pytestmark = pytest.mark.anyio

ROWS = [row for rows, _ in COLUMNS.values() for row in rows]

AFFINITY_HEADERS = {
    "xai": "x-grok-conv-id",
    "xai-us": "x-grok-conv-id",
    "sandbox": "x-grok-conv-id",
    "theturbo": "x-conversation-id",
}
"""Where a gateway documents a header that keeps a conversation on one machine."""


async def play(row: Row, endpoint: Endpoint) -> list[Result]:
    """The results of the calls of a row, all made by one host, which also listens to the text as it comes."""
    results: list[Result] = []
    settings = {"gateway": row.gateway, "results": "structured", "progress": "deltas", **row.settings}
    async with host_on(endpoint, legacy=True, **settings) as host:
        for call in row.calls:
            handle: dict[str, Any] = {}
            if call.continues is not None:
                handle = {"conversation_id": results[call.continues].structured["conversation_id"]}
            results.append(await host.call(call.tool, watch=True, **call.arguments, **handle))
    return results


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.column} {row.feature}")
async def test_a_gateway_is_asked_as_it_documents_and_its_answer_is_understood(row: Row) -> None:
    exchanges = [exchange for call in row.calls for exchange in call.exchanges]
    async with Endpoint(*(exchange.reply for exchange in exchanges)) as endpoint:
        results = await play(row, endpoint)
    for result, call in zip(results, row.calls, strict=True):
        check_result(result, call)
    for request, exchange in zip(endpoint.requests, exchanges, strict=True):
        assert (request.method, request.path) == ("POST", f"/v1{exchange.path}")
        assert request.body == exchange.body
        check_headers(request, row.gateway)
    check_affinity(endpoint.requests, row)


def check_result(result: Result, call: Call) -> None:
    """The whole published answer; what came as deltas is its text."""
    if isinstance(call.gives, Failure):
        assert result.error["code"] == call.gives.code
        assert call.gives.words in result.text
        return
    assert not result.raw.is_error, result.text
    assert held(result.structured) == call.gives
    assert "".join(message for _, message in result.notes) == call.gives.get("text", "")


def check_headers(request: Request, gateway: str) -> None:
    """These headers and no other one: nothing tells who asks, or for what."""
    of_http = ("host", "accept-encoding", "content-length")
    ours = {name: value for name, value in request.headers.items() if name not in of_http}
    assert {*of_http} < request.headers.keys()
    affinity = {name: IsStr(regex=r"[0-9a-f]{32}") for name in [AFFINITY_HEADERS.get(gateway)] if name}
    assert ours == {
        "authorization": f"Bearer {'sandbox' if gateway == 'sandbox' else 'xai-test-key-1234567890'}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "user-agent": IsStr(regex=r"grok-mcp-server/\d+\.\d+\.\d+\w*"),
        **affinity,
    }


def check_affinity(requests: list[Request], row: Row) -> None:
    """Header and cache key say the same, in all turns and branches of one conversation, and nowhere else."""
    roots: list[int] = []
    for number, call in enumerate(row.calls):
        roots.append(number if call.continues is None else roots[call.continues])
    conversations = [
        root for root, call in zip(roots, row.calls, strict=True) for _ in range(len(call.exchanges))
    ]
    header = AFFINITY_HEADERS.get(row.gateway, "")
    keys: dict[int, set[str]] = {root: set() for root in roots}
    for request, root in zip(requests, conversations, strict=True):
        keys[root] |= {request.headers.get(header, ""), request.body.get("prompt_cache_key", "")} - {""}
    assert all(len(found) <= 1 for found in keys.values())
    known = [key for found in keys.values() for key in found]
    assert len(known) == len(set(known))


def test_every_gateway_has_a_row_for_every_feature_or_a_reason() -> None:
    assert {column.removesuffix(" chat") for column in COLUMNS} == set(GATEWAYS) == {*get_args(GatewayName)}
    for column, (rows, reasons) in COLUMNS.items():
        assert {row.column for row in rows} == {column}
        there = Counter([*(row.feature for row in rows), *reasons])
        assert there == Counter(list(FEATURES)), column


async def test_the_sandbox_itself_answers_what_its_rows_ask() -> None:
    from_replies = ("functions", "responses")  # those of the rows, not the sandbox's own
    calls = [
        call
        for row in COLUMNS["sandbox"][0]
        for call in row.calls
        if row.feature not in from_replies
        and call.continues is None
        and call.arguments.get("model") != "grok-5"
    ]
    with SandboxServer(pace=0) as server:
        async with host_on(server.url, gateway="sandbox", results="structured") as host:
            results = [await host.call(call.tool, **call.arguments) for call in calls]
    for result, call in zip(results, calls, strict=True):
        assert not result.raw.is_error, result.text
        assert isinstance(call.gives, dict)
        assert call.gives.keys() <= result.structured.keys()
        assert NOTICE in result.structured["warnings"]


def held(published: Json) -> Json:
    """Less the name and the usual tier that replies echo: tests/test_server_tools.py is about these."""
    usage = {name: value for name, value in published["usage"].items() if (name, value) != TIER}
    return without({**published, "usage": usage}, ["response_id"])


TIER = ("service_tier", "default")
