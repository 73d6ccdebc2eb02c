"""Which models there are, what they are called, and what happens to a name that is old, new or wrong."""

import json
from typing import Any

import pytest
from dirty_equals import IsPartialDict
from mcp.shared.exceptions import MCPError

from grok_mcp.gateways import GATEWAYS
from grok_mcp.models import MODELS, RETIRED
from tests.support.endpoint import Endpoint, Reply, body, chat
from tests.support.host import Host, host_on

pytestmark = pytest.mark.anyio

XAI_LIST = body(
    {
        "models": [
            {
                "id": "grok-4.7",
                "aliases": ["grok-latest"],
                "input_modalities": ["text", "image"],
                "prompt_text_token_price": 21000,
                "cached_prompt_text_token_price": 5000,
                "completion_text_token_price": 60000,
                "prompt_text_token_price_long_context": 0,
                "context_length": 600_000,
                "capabilities": {"reasoning_effort": ["low", "high"], "default_reasoning_effort": "high"},
            },
            {"id": "grok-5", "input_modalities": ["text"], "prompt_text_token_price": 30000},
        ]
    }
)
MISSING = body(
    {"code": "not-found", "error": "The model does not exist or your team does not have access to it"},
    status=404,
)


async def read_models(host: Host) -> dict[str, Any]:
    (content,) = (await host.client.read_resource("grok://models")).contents
    assert content.mime_type == "application/json"
    found: dict[str, Any] = json.loads(getattr(content, "text", ""))
    return found


def named(models: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [model for model in models["models"] if model["id"] == name]
    found: dict[str, Any] = one
    return found


async def test_the_endpoint_s_own_list_is_merged_with_what_is_known() -> None:
    async with Endpoint(XAI_LIST) as endpoint, host_on(endpoint, gateway="xai") as host:
        models = await read_models(host)
    assert (endpoint.requests[0].method, endpoint.requests[0].path) == ("GET", "/v1/language-models")
    assert endpoint.requests[0].headers["authorization"] == "Bearer xai-test-key-1234567890"
    assert models == IsPartialDict(gateway="xai", default_model="grok-4.7", source="endpoint")
    assert [model["id"] for model in models["models"]] == ["grok-4.7", "grok-5"]
    assert named(models, "grok-4.7") == {
        "id": "grok-4.7",
        "aliases": ["grok-latest"],
        "good_for": MODELS["grok-4.7"].good_for,
        "context_window": 600_000,
        "input_usd_per_million": 2.1,
        "cached_usd_per_million": 0.5,
        "output_usd_per_million": 6.0,
        "long_context_input_usd_per_million": 4.0,
        "long_context_output_usd_per_million": 12.0,
        "long_context_threshold": 200_000,
        "reasoning": True,
        "reasoning_efforts": ["low", "high"],
        "default_reasoning_effort": "high",
        "refused_parameters": ["presence_penalty", "frequency_penalty", "stop"],
        "image_input": True,
    }
    assert named(models, "grok-5") == {"id": "grok-5", "input_usd_per_million": 3.0, "image_input": False}
    assert {"id": "grok-3", "served_by": "grok-4.3"} in models["retired"]


async def test_the_list_is_asked_for_once_an_hour() -> None:
    async with Endpoint(XAI_LIST) as endpoint, host_on(endpoint, gateway="xai") as host:
        assert await read_models(host) == await read_models(host)
    assert len(endpoint.requests) == 1


async def test_the_shorter_list_is_read_where_the_rich_one_is_missing() -> None:
    plain = body({"object": "list", "data": [{"id": "grok-4.3"}]})
    async with Endpoint(body("Not Found", status=404), plain) as endpoint:
        async with host_on(endpoint, gateway="xai") as host:
            models = await read_models(host)
    assert [request.path for request in endpoint.requests] == ["/v1/language-models", "/v1/models"]
    assert [model["id"] for model in models["models"]] == ["grok-4.3"]


async def test_of_a_mixed_list_only_the_models_of_grok_are_shown() -> None:
    mixed = body({"data": [{"id": "openai/gpt-9"}, {"id": "x-ai/grok-4.7", "context_length": 500_000}]})
    async with Endpoint(mixed) as endpoint, host_on(endpoint, gateway="openrouter") as host:
        models = await read_models(host)
    (only,) = models["models"]
    assert only == IsPartialDict(id="x-ai/grok-4.7", context_window=500_000, image_input=True)
    assert "input_usd_per_million" not in only, "xAI's prices are not OpenRouter's"
    assert "retired" not in models


@pytest.mark.parametrize(
    "reply",
    [
        body("Not Found", status=404),
        body("<html>hm</html>", content_type="text/html"),
        body([1, 2]),
        body({"data": "none"}),
        body({"data": [{"id": 7}, None]}),
        Reply(end="cut"),
    ],
    ids=["404", "HTML", "a list", "no models", "no ids", "broken"],
)
async def test_without_a_usable_list_the_documented_models_are_shown(reply: Reply) -> None:
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="nebula") as host:
        models = await read_models(host)
    assert models["source"] == "built-in"
    assert [model["id"] for model in models["models"]] == [
        "grok-4",
        "grok-4-fast-reasoning",
        "grok-3",
        "grok-3-fast",
    ]


async def test_without_a_key_the_built_in_list_is_shown_and_nothing_is_sent() -> None:
    async with Endpoint(XAI_LIST) as endpoint:
        async with host_on(endpoint, gateway="xai", XAI_API_KEY=None) as host:
            models = await read_models(host)
    assert endpoint.requests == []
    assert [model["id"] for model in models["models"]] == list(MODELS)
    assert "There is no API key" in models["note"]


async def test_resources_are_listed_and_an_unknown_one_is_a_protocol_error() -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        listed = (await host.client.list_resources()).resources
        with pytest.raises(MCPError, match="Unknown resource: grok://nothing"):
            await host.client.read_resource("grok://nothing")
    assert "grok://models" in [resource.uri for resource in listed]
    assert all(resource.mime_type == "application/json" and resource.title for resource in listed)


def test_every_gateway_s_default_model_is_one_that_it_has() -> None:
    for gateway in GATEWAYS.values():
        assert gateway.default_model in (gateway.models or MODELS), gateway.name


def test_a_retired_model_is_served_by_one_that_is_not() -> None:
    assert set(RETIRED.values()) <= set(MODELS)
    assert not set(RETIRED) & set(MODELS)


@pytest.mark.parametrize(
    ("asked", "answered", "warned"),
    [
        ("grok-4.7", "grok-4.7", False),
        ("grok-4.20", "grok-4.20-0309-reasoning", False),
        ("grok-4.20", "grok-4.20-0309-non-reasoning", True),
        ("grok-4.3-latest", "grok-4.3", False),
        ("grok-latest", "grok-4.7", False),
        ("grok-build-latest", "grok-4.5", False),
        ("grok-4.6-latest", "grok-4.6", False),
        ("grok-4.20-multi-agent-beta-0309", "grok-4.20-multi-agent-0309", False),
        ("grok-4.20-0309", "grok-4.20-0309-reasoning", False),
        ("grok-4", "grok-4-0709", False),
        ("grok-4", "grok-4.3", True),
        ("grok-3", "grok-3-beta", False),
        ("grok-3", "grok-3-mini", True),
        ("grok-4.6", "grok-4.7", True),
        ("my-deployment", "my-deployment", False),
    ],
)
async def test_another_model_is_named_and_another_name_of_the_same_is_not(
    asked: str, answered: str, warned: bool
) -> None:
    reply = body({"model": answered, "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]})
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="nebula") as host:
        text = (await host.ask(model=asked)).text
    assert (f"The model {asked} was asked for; {answered} answered." in text) == warned


@pytest.mark.parametrize(
    ("answered", "told"), [("grok-4.3", "grok-4.3"), ("grok-code-fast-1", "grok-build-0.1")]
)
async def test_a_retired_model_is_said_to_be_served_by_the_one_that_answers(answered: str, told: str) -> None:
    reply = body({"model": answered, "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]})
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai") as host:
        text = (await host.ask(model="grok-code-fast-1")).text
    assert f"grok-code-fast-1 was retired on 2026-05-15; {told} answers and is billed." in text


@pytest.mark.parametrize(("gateway", "successor"), [("xai", "grok-4.3"), ("xai-us", "grok-4.6")])
async def test_a_retired_model_that_is_refused_is_answered_with_one_that_the_endpoint_has(
    gateway: str, successor: str
) -> None:
    async with Endpoint(MISSING) as endpoint, host_on(endpoint, gateway=gateway) as host:
        text = (await host.ask(model="grok-3")).text
    assert text.startswith("[model_not_found]")
    assert f"It was retired on 2026-05-15: use {successor}." in text
    assert len(endpoint.requests) == 1


async def test_a_wrong_name_is_answered_with_names_of_the_endpoint_at_hand() -> None:
    async with Endpoint(MISSING) as endpoint, host_on(endpoint, gateway="openrouter") as host:
        text = (await host.ask(model="grok-4-7")).text
    assert "Did you mean x-ai/grok-4.7?" in text
    assert [request.method for request in endpoint.requests] == ["POST"]


async def test_a_new_model_that_one_dialect_does_not_serve_yet_is_asked_in_the_other() -> None:
    async with Endpoint(MISSING, XAI_LIST, chat("Hi."), chat("Again.")) as endpoint:
        async with host_on(endpoint, gateway="xai", max_retries=0) as host:
            first = await host.ask(model="grok-5")
            await host.ask(model="grok-5")
            await host.ask(model="grok-4.7")
    assert first.text.startswith("Hi.")
    assert "does not serve grok-5 by responses; chat_completions was used" in first.text
    assert [request.path.removeprefix("/v1") for request in endpoint.requests] == [
        "/responses",
        "/language-models",
        "/chat/completions",
        "/chat/completions",
        "/responses",
    ]


async def test_a_name_that_the_endpoint_does_not_list_is_posted_once() -> None:
    async with Endpoint(MISSING, XAI_LIST) as endpoint, host_on(endpoint, gateway="xai") as host:
        text = (await host.ask(model="grok-6")).text
    assert "Did you mean grok-5" in text
    assert [request.method for request in endpoint.requests] == ["POST", "GET"]


RETIRED_NAMES = (
    *("grok-4", "grok-4-latest", "grok-4-fast", "grok-4-1-fast", "grok-3-latest", "grok-3-mini"),
    *("grok-3-mini-fast", "grok-code-fast"),
)


@pytest.mark.parametrize("name", RETIRED_NAMES)
async def test_a_short_name_of_a_retired_model_is_said_to_be_retired_where_xai_serves_it(name: str) -> None:
    target = "grok-build-0.1" if "code" in name else "grok-4.3"
    reply = body({"model": name, "choices": [{"message": {"content": "Hi."}, "finish_reason": "stop"}]})
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai") as host:
        text = (await host.ask(model=name)).text
    assert f"{name} was retired on 2026-05-15; {target} answers and is billed." in text
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="nebula") as host:
        assert "retired" not in (await host.ask(model=name)).text


@pytest.mark.parametrize("name", ["grok-4.5", "grok-4.6", "grok-4.7", "grok-4.7-latest"])
async def test_no_effort_is_left_out_for_models_that_always_think(name: str) -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint, gateway="xai") as host:
        text = (await host.ask(model=name, reasoning_effort="none")).text
        await host.ask(model=name, reasoning_effort="xhigh")
        await host.ask(model="grok-4.3", reasoning_effort="none")
    efforts = [request.body.get("reasoning") for request in endpoint.requests]
    assert efforts == [None, {"effort": "xhigh"}, {"effort": "none"}]
    assert f"reasoning_effort was left out: {name.removesuffix('-latest')} does not take it." in text
