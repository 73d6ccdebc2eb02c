"""What an operator sets for all calls: guidelines that xAI applies, and collections that calls may search."""

from typing import Any

import pytest

from grok_mcp.environment import SettingsError, load_settings
from tests.support.endpoint import Endpoint, body, chat
from tests.support.host import host_on

pytestmark = pytest.mark.anyio

DECLINED = [
    {"type": "policy", "category": "nsfw", "behavior": "decline"},
    {"type": "policy", "category": "violence", "behavior": "decline"},
]
FILE_SEARCH = {"type": "file_search", "vector_store_ids": ["collection_1", "col.2"], "max_num_results": 10}
RESULTS = "file_search_call.results"
CALLS: dict[str, dict[str, Any]] = {
    "ask_grok": {"prompt": "Tram?"},
    "grok_search": {"query": "Tram?"},
    "grok_structured": {"prompt": "Tram?", "schema": {"type": "object"}},
}


@pytest.mark.parametrize("tool", CALLS)
async def test_guidelines_and_collections_go_out_with_every_call(tool: str) -> None:
    own: dict[str, Any] = {"guidelines": "nsfw, Violence nsfw", "collections": "collection_1,col.2"}
    async with Endpoint(chat("{}")) as endpoint, host_on(endpoint, gateway="xai", **own) as host:
        result = await host.call(tool, **CALLS[tool])
    sent = endpoint.requests[0].body
    assert sent["guidelines"] == DECLINED
    assert FILE_SEARCH in sent["tools"] and RESULTS in sent["include"]
    assert not result.raw.is_error and "collection" not in str(result.raw)


async def test_what_is_not_set_is_not_sent() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint, gateway="xai") as host:
        await host.ask()
    assert not {"guidelines", "tools", "safety_identifier"} & endpoint.requests[0].body.keys()
    assert RESULTS not in endpoint.requests[0].body["include"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": "grok-4.20-multi-agent"}, "takes none with a multi-agent model"),
        ({"model": "grok-4.20-non-reasoning", "options": {"stop": "END"}}, "takes none with stop"),
    ],
    ids=["multi-agent", "stop"],
)
async def test_guidelines_that_would_have_the_call_refused_are_left_out_with_a_note(
    arguments: dict[str, Any], words: str
) -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        async with host_on(endpoint, gateway="xai", guidelines="nsfw,violence") as host:
            result = await host.ask(**arguments)
            await host.ask(model="grok-4.7", options={"stop": "END"})  # which this model refuses anyway
    assert "guidelines" not in endpoint.requests[0].body
    assert f"This server's guidelines were not sent: xAI {words}." in result.text
    assert endpoint.requests[1].body["guidelines"] == DECLINED


@pytest.mark.parametrize(
    ("gateway", "arguments", "words"),
    [
        ("nebula", {}, "Nebula does not do that by chat_completions"),
        ("openrouter", {}, "OpenRouter does not do that by chat_completions"),
        ("xai", {"options": {"seed": 7}}, "xAI does not do that by chat_completions"),
    ],
)
async def test_collections_that_the_endpoint_can_t_search_are_told(
    gateway: str, arguments: dict[str, Any], words: str
) -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        async with host_on(endpoint, gateway=gateway, collections="collection_1") as host:
            result = await host.ask(**arguments)
    assert not {"tools", "include"} & endpoint.requests[0].body.keys()
    assert f"No collection was searched: {words}." in result.text


async def test_documents_of_collections_are_searched_once_where_json_is_corrected() -> None:
    replies = (chat('{"n": "four"}'), chat('{"n": 4}'))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with Endpoint(*replies) as endpoint:
        async with host_on(
            endpoint, gateway="xai", collections="collection_1", guidelines="nsfw,violence"
        ) as host:
            await host.call("grok_structured", prompt="How many?", schema=schema)
    first, second = (request.body for request in endpoint.requests)
    assert "tools" in first and "tools" not in second
    assert second["guidelines"] == DECLINED, "those hold for the correction too"


async def test_an_endpoint_that_refuses_to_say_what_it_found_is_asked_without() -> None:
    refused = body({"error": "Argument not supported on this model: include"}, status=400)
    async with Endpoint(refused, chat("Hi.")) as endpoint:
        async with host_on(endpoint, gateway="xai", collections="collection_1") as host:
            result = await host.ask()
    assert result.text.startswith("Hi.")
    assert "include" not in endpoint.requests[1].body and "tools" in endpoint.requests[1].body


async def test_collections_are_said_to_leave_the_region_too() -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        settings: dict[str, Any] = {"gateway": "xai-us", "model": "grok-4.6", "collections": "collection_1"}
        async with host_on(endpoint, **settings) as host:
            assert "Searches, code and documents leave the region" in (await host.ask()).text


async def test_collections_count_in_what_a_call_may_cost() -> None:
    async with Endpoint(chat("Hi.")) as endpoint:
        settings: dict[str, Any] = {"gateway": "xai", "collections": "collection_1", "call_limit_usd": "0.04"}
        async with host_on(endpoint, **settings) as host:
            refused = await host.ask()
        async with host_on(endpoint, **{**settings, "collections": ""}) as host:
            assert (await host.ask()).text.startswith("Hi.")
    assert refused.error["code"] == "call_limit"
    assert "a search for 0.0100 USD" in refused.text


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("GROK_MCP_GUIDELINES", "nsfw,politics", "nsfw, violence, profanity"),
        ("GROK_MCP_COLLECTIONS", "one two/three", "ids"),
        ("GROK_MCP_COLLECTIONS", "x" * 129, "ids"),
        ("GROK_MCP_COLLECTIONS", ",".join(f"c{number}" for number in range(11)), "at most 10"),
        ("GROK_MCP_SAFETY_IDENTIFIER", "maybe", "'off'"),
        ("GROK_MCP_SAFETY_KEY", "short", "16 to"),
    ],
    ids=["word", "id", "long id", "many ids", "choice", "short key"],
)
def test_a_wrong_value_is_one_line(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    (problem,) = caught.value.problems
    assert problem.startswith(f"{variable}: ") and words in problem
    assert "short" not in problem, "a key is never shown"


def test_guidelines_that_nobody_would_apply_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROK_MCP_GUIDELINES", "nsfw")
    monkeypatch.setenv("XAI_BASE_URL", "https://llm.ai-nebula.com/v1")
    with pytest.raises(SettingsError, match=r"^GROK_MCP_GUIDELINES: only xAI .* the gateway is nebula"):
        load_settings()
    monkeypatch.setenv("GROK_MCP_GATEWAY", "xai")
    assert load_settings().guidelines == ("nsfw",)
