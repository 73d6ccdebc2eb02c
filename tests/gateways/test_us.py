"""What is particular about xAI's endpoint in the US: its model, its prices, and what leaves the region."""

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from dirty_equals import IsPartialDict

from grok_mcp.accounting.estimate import estimate_cost
from grok_mcp.gateways import GATEWAYS
from grok_mcp.messages import ChatRequest, Message
from tests.support.endpoint import Endpoint, Reply, Request, body, chat
from tests.support.host import host_on
from tests.support.pace import within

pytestmark = pytest.mark.anyio

NOTE = "Searches, code and documents leave the region"


def listing(*names: str) -> Reply:
    """The endpoint's own list of models."""
    return body({"models": [{"id": name} for name in names]})


def with_list(models: Reply, answer: Reply | None = None) -> Callable[[Request], Reply]:
    """An endpoint with this list, which answers every call."""
    return lambda request: models if request.method == "GET" else answer or chat("Hi.")


def asked(endpoint: Endpoint) -> list[str]:
    """The models that were asked for, or the path of a list that was read."""
    return [
        request.path.removeprefix("/v1") if request.method == "GET" else request.body["model"]
        for request in endpoint.requests
    ]


@pytest.mark.parametrize(
    ("models", "default"),
    [
        (listing("grok-4.6"), "grok-4.6"),
        (listing("grok-4.6", "grok-4.7"), "grok-4.7"),
        (listing("grok-4.3-latest"), "grok-4.3"),
        (listing("grok-9", "grok-imagine"), "grok-4.6"),
    ],
    ids=["as its page says", "a newer one too", "an alias of an older one", "none that is known"],
)
async def test_its_own_list_decides_about_the_default_model_once(models: Reply, default: str) -> None:
    async with Endpoint(choose=with_list(models)) as endpoint, host_on(endpoint, gateway="xai-us") as host:
        await host.ask()
        await host.search()
        (read,) = (await host.client.read_resource("grok://models")).contents
    assert asked(endpoint) == ["/language-models", default, default]
    assert json.loads(getattr(read, "text", ""))["default_model"] == default


@pytest.mark.parametrize(
    "models",
    [body("Not Found", status=404), body({"models": "none"}), Reply(end="cut")],
    ids=["missing", "none in it", "broken"],
)
async def test_without_a_list_that_can_be_read_it_is_grok_4_6(models: Reply) -> None:
    async with Endpoint(choose=with_list(models)) as endpoint, host_on(endpoint, gateway="xai-us") as host:
        await host.ask()
        await host.ask()
    assert asked(endpoint) == ["/language-models", "/models", "grok-4.6", "grok-4.6"]


async def test_a_list_that_does_not_come_is_waited_for_once_and_for_two_seconds() -> None:
    never = with_list(Reply(end="silent"))
    async with Endpoint(choose=never) as endpoint, host_on(endpoint, gateway="xai-us") as host:
        with within(10):
            await host.ask()
        with anyio.fail_after(2):  # less than it would wait for again
            await host.ask()
    assert asked(endpoint) == ["/language-models", "grok-4.6", "grok-4.6"]


async def test_a_model_that_is_named_needs_no_list() -> None:
    answering = with_list(listing("grok-4.7"))
    async with Endpoint(choose=answering) as endpoint:
        async with host_on(endpoint, gateway="xai-us", model="grok-4.3") as host:
            await host.ask()
        async with host_on(endpoint, gateway="xai-us") as host:
            await host.ask(model="grok-4.5")
        async with host_on(endpoint, gateway="xai") as host:
            await host.ask()
    assert asked(endpoint) == ["grok-4.3", "grok-4.5", "grok-4.7"]


@pytest.mark.parametrize(
    ("tool", "arguments", "noted"),
    [
        ("ask_grok", {"prompt": "Tram?"}, False),
        ("grok_search", {"query": "Tram?"}, True),
        ("grok_search", {"query": "Tram?", "mode": "auto"}, True),
        ("grok_search", {"query": "Tram?", "mode": "off"}, False),
        ("grok_structured", {"prompt": "Tram?", "schema": {"type": "object"}, "search": True}, True),
    ],
    ids=["no search", "search", "may search", "must not search", "JSON with a search"],
)
async def test_a_search_is_said_to_leave_the_region(
    tool: str, arguments: dict[str, Any], noted: bool
) -> None:
    answering = with_list(listing("grok-4.6"), chat("{}"))
    async with Endpoint(choose=answering) as endpoint, host_on(endpoint, gateway="xai-us") as host:
        result = await host.call(tool, **arguments)
    assert (NOTE in str(result.raw)) == noted


def test_an_estimate_knows_that_tokens_cost_a_tenth_more_and_searches_do_not() -> None:
    def parts(gateway: str) -> Any:
        request = ChatRequest("grok-4.6", (Message("user", "Tram?"),))
        return estimate_cost(request, "responses", GATEWAYS[gateway])

    there, here = parts("xai-us"), parts("xai")
    assert (there.input_usd * 10, there.output_usd * 10) == (here.input_usd * 11, here.output_usd * 11)
    assert there.search_usd == here.search_usd


async def test_a_cost_that_is_estimated_after_a_call_and_prices_shown_know_it_too() -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000}
    costs, prices = [], []
    for gateway in ("xai", "xai-us"):
        answering = with_list(body("No.", status=404), chat("Hi.", usage=usage))
        async with Endpoint(choose=answering) as endpoint, host_on(endpoint, gateway=gateway) as host:
            answer = (await host.ask(model="grok-4.6")).answer
            (read,) = (await host.client.read_resource("grok://models")).contents
        assert answer["usage"] == IsPartialDict(cost_source="estimated")
        costs.append(answer["usage"]["cost_usd"])
        listed = json.loads(getattr(read, "text", ""))["models"]
        prices += [model["input_usd_per_million"] for model in listed if model["id"] == "grok-4.6"]
    assert costs[1] == pytest.approx(costs[0] * 1.1)
    assert prices == [2.0, 2.2]
