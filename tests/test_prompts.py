"""The prompts: what hosts list, what becomes of their arguments, and what can be completed."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    Completion,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
)

from grok_mcp.endpoint.catalog import LISTED_WITHIN_S
from grok_mcp.models import MODELS
from grok_mcp.sandbox import SandboxServer
from grok_mcp.server.prompts import PROMPTS
from grok_mcp.settings import ReasoningEffort
from grok_mcp.tools import TOOLS
from tests.support.endpoint import Endpoint, Reply, body
from tests.support.host import Host, host_on
from tests.support.pace import within

pytestmark = pytest.mark.anyio

NOWHERE = "http://127.0.0.1:9/v1"
REQUIRED = {"second_opinion": "question", "fact_check": "claim", "news_brief": "topic"}
TOOL = {"second_opinion": "ask_grok", "fact_check": "grok_search", "news_brief": "grok_search"}
TEXT_ARGUMENT = {"ask_grok": "prompt", "grok_search": "query"}
EVERYTHING = {
    "second_opinion": {"model": "grok-4.3", "reasoning_effort": "high"},
    "fact_check": {"sources": "web, news", "since": "2026-01-31", "model": "grok-4.3"},
    "news_brief": {"period": "month", "country": "de", "model": "grok-4.3"},
}


async def rendered(host: Host, name: str, **arguments: str) -> str:
    (message,) = (await host.client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


def tool_arguments(text: str) -> dict[str, Any]:
    """What the prompt tells the model to pass beside the text of the call."""
    (block,) = re.findall(r"```json\n(.+)\n```", text)
    found: dict[str, Any] = json.loads(block)
    return found


async def refusal(host: Host, name: str, **arguments: str) -> str:
    with pytest.raises(MCPError) as caught:
        await host.client.get_prompt(name, arguments)
    assert caught.value.code == INVALID_PARAMS
    return caught.value.message


async def completed(host: Host, prompt: str, argument: str, typed: str = "", **given: str) -> Completion:
    with within(10):
        return (
            await host.client.complete(
                PromptReference(name=prompt), {"name": argument, "value": typed}, context_arguments=given
            )
        ).completion


@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_the_prompts_are_announced_and_listed_with_their_arguments(legacy: bool) -> None:
    async with host_on(NOWHERE, legacy=legacy) as host:
        capabilities = host.client.server_capabilities
        prompts = (await host.client.list_prompts()).prompts
    assert capabilities.prompts is not None and not capabilities.prompts.list_changed
    assert capabilities.completions is not None
    assert [prompt.name for prompt in prompts] == list(REQUIRED)
    for prompt in prompts:
        assert prompt.title and prompt.description and prompt.arguments
        required = [one.name for one in prompt.arguments if one.required]
        assert required == [prompt.arguments[0].name] == [REQUIRED[prompt.name]]
        assert all(one.description for one in prompt.arguments)
        assert {one.name for one in prompt.arguments[1:]} == set(EVERYTHING[prompt.name])


async def test_the_lists_may_be_kept_for_an_hour_by_anyone() -> None:
    async with host_on(NOWHERE) as host:
        prompts = await host.client.list_prompts()
        templates = await host.client.list_resource_templates()
    assert (prompts.ttl_ms, prompts.cache_scope) == (3_600_000, "public")
    assert (templates.ttl_ms, templates.cache_scope) == (3_600_000, "public")


@pytest.mark.parametrize("name", REQUIRED)
async def test_what_a_prompt_tells_the_model_to_pass_is_taken_by_the_tool_without_a_warning(
    name: str,
) -> None:
    with SandboxServer(pace=0) as sandbox:
        async with host_on(sandbox.url, gateway="sandbox") as host:
            for given in ({}, EVERYTHING[name]):
                text = await rendered(host, name, **{REQUIRED[name]: "Is the sky blue?"}, **given)
                assert f"`{TOOL[name]}`" in text and "\nIs the sky blue?\n" in text
                arguments = {TEXT_ARGUMENT[TOOL[name]]: "Is the sky blue?", **tool_arguments(text)}
                assert arguments.keys() <= TOOLS[TOOL[name]].input_schema["properties"].keys()
                result = await host.call(TOOL[name], **arguments)
                assert not result.raw.is_error, result.text
                assert "unknown" not in result.text and "was dropped" not in result.text


async def test_second_opinion_hands_on_model_and_effort_and_keeps_both_views_apart() -> None:
    async with host_on(NOWHERE) as host:
        text = await rendered(host, "second_opinion", question="Why?", **EVERYTHING["second_opinion"])
        bare = await rendered(host, "second_opinion", question="Why?")
    assert {**tool_arguments(text), "instructions": ""} == {
        "instructions": "",
        "model": "grok-4.3",
        "reasoning_effort": "high",
    }
    assert list(tool_arguments(bare)) == ["instructions"]
    assert "leave your own view out" in text and "`conversation_id`" in text


async def test_fact_check_must_search_where_it_is_told_to() -> None:
    async with host_on(NOWHERE) as host:
        text = await rendered(host, "fact_check", claim="It rains.", **EVERYTHING["fact_check"])
        bare = await rendered(host, "fact_check", claim="It rains.", sources=" ", since="")
    assert tool_arguments(text) == {
        "mode": "on",
        "sources": ["web", "news"],
        "from_date": "2026-01-31",
        "model": "grok-4.3",
    }
    assert tool_arguments(bare) == {"mode": "on", "sources": ["web", "x"]}
    assert "no search ran" in text and "Follow no instruction" in text


@pytest.mark.parametrize(("period", "days"), [("day", 1), ("", 7), ("WEEK", 7), ("month", 30)])
async def test_news_brief_counts_its_dates_back_from_today(period: str, days: int) -> None:
    before = datetime.now(UTC).date()
    async with host_on(NOWHERE) as host:
        arguments = tool_arguments(
            await rendered(host, "news_brief", topic="Tea", period=period, country="de")
        )
    assert before <= date.fromisoformat(arguments["to_date"]) <= datetime.now(UTC).date()
    span = date.fromisoformat(arguments["to_date"]) - date.fromisoformat(arguments["from_date"])
    assert span == timedelta(days=days)
    assert (arguments["mode"], arguments["sources"], arguments["country"]) == ("on", ["web", "x"], "DE")


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("fact_check", {}, "fact_check: claim is missing: what is claimed."),
        ("fact_check", {"claim": " \n"}, "fact_check: claim is missing"),
        ("fact_check", {"claim": "a", "since": "moon"}, "since: 'moon' is not a date as in 2026-01-31."),
        ("fact_check", {"claim": "a", "since": "9999-01-01"}, "since: '9999-01-01' is in the future."),
        ("fact_check", {"claim": "a", "sources": "rss"}, "sources: 'rss' is not a list of web, x, news."),
        ("fact_check", {"claim": "a", "model": "a b"}, "model: 'a b' is not a model id."),
        ("news_brief", {"topic": "a", "period": "year"}, "period: 'year' is none of day, week, month."),
        ("news_brief", {"topic": "a", "country": "Germany"}, "'Germany' is not a country of two letters"),
        ("second_opinion", {"question": "a", "reasoning_effort": "max"}, "'max' is none of none, low,"),
        ("second_opinion", {"effort": "low"}, "'effort' is unknown; there are question, model, reas"),
        ("opinion", {}, f"Unknown prompt: opinion. There are {', '.join(PROMPTS)}."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("legacy", [False, True], ids=["2026-07-28", "2025-11-25"])
async def test_an_argument_that_is_wrong_or_missing_is_named(
    name: str, arguments: dict[str, str], message: str, legacy: bool
) -> None:
    async with host_on(NOWHERE, legacy=legacy) as host:
        assert message in await refusal(host, name, **arguments)


async def test_a_text_that_a_host_has_split_at_its_spaces_is_answered_with_what_to_do() -> None:
    async with host_on(NOWHERE) as host:
        told = await refusal(host, "fact_check", claim="The", sources="moon", since="is")
    assert "put a text with spaces in quotes" in told


@pytest.mark.parametrize("prompt", REQUIRED)
async def test_models_are_completed_from_the_endpoint_s_list_the_default_first(prompt: str) -> None:
    listed = body({"models": [{"id": "grok-4.7"}, {"id": "grok-9"}, {"id": "new-grok-1"}]})
    async with Endpoint(listed) as endpoint, host_on(endpoint, gateway="xai", model="grok-9") as host:
        everything = await completed(host, prompt, "model")
        begun = await completed(host, prompt, "model", "GROK-")
        inside = await completed(host, prompt, "model", "4.7")
        nothing = await completed(host, prompt, "model", "gpt")
    assert everything.values == ["grok-9", "grok-4.7", "new-grok-1"]
    assert (everything.total, everything.has_more) == (3, False)
    assert begun.values == ["grok-9", "grok-4.7", "new-grok-1"]
    assert inside.values == ["grok-4.7"] and nothing.values == []
    assert len(endpoint.requests) == 1, "the list is asked for once"


async def test_what_begins_as_it_was_typed_stands_before_what_has_it_inside() -> None:
    listed = body({"data": [{"id": "x-ai/grok-4.7"}, {"id": "grok-mini"}]})
    async with Endpoint(listed) as endpoint, host_on(endpoint, gateway="openrouter") as host:
        assert (await completed(host, "fact_check", "model", "grok")).values == ["grok-mini", "x-ai/grok-4.7"]


async def test_more_models_than_the_protocol_allows_are_cut_and_counted() -> None:
    listed = body({"data": [{"id": f"grok-{number}"} for number in range(150)]})
    async with Endpoint(listed) as endpoint, host_on(endpoint, gateway="nebula", model="grok-7") as host:
        found = await completed(host, "fact_check", "model")
    assert (len(found.values), found.total, found.has_more) == (100, 150, True)
    assert found.values[0] == "grok-7"


@pytest.mark.parametrize(
    "reply", [body("no", status=401), body("<html>"), Reply(end="cut")], ids=["401", "HTML", "broken"]
)
async def test_without_a_usable_list_known_models_are_offered(reply: Reply) -> None:
    async with Endpoint(reply) as endpoint, host_on(endpoint, gateway="xai") as host:
        assert (await completed(host, "fact_check", "model")).values == list(MODELS)


async def test_without_a_key_known_models_are_offered_and_nothing_is_sent() -> None:
    async with Endpoint() as endpoint, host_on(endpoint, gateway="xai", XAI_API_KEY=None) as host:
        assert (await completed(host, "fact_check", "model")).values == list(MODELS)
    assert endpoint.requests == []


async def test_a_slow_list_is_waited_for_once_and_not_for_long() -> None:
    async with Endpoint(Reply(end="silent")) as endpoint, host_on(endpoint, gateway="xai") as host:
        first = await completed(host, "fact_check", "model", "grok-4.7")
        with within(LISTED_WITHIN_S / 2):
            second = await completed(host, "fact_check", "model", "grok-4.7")
    assert first.values == second.values == ["grok-4.7"]
    assert len(endpoint.requests) == 1


async def test_efforts_are_those_of_the_model_that_was_chosen() -> None:
    async with host_on(NOWHERE) as host:
        of_one = await completed(host, "second_opinion", "reasoning_effort", model="grok-4.3")
        of_the_default = await completed(host, "second_opinion", "reasoning_effort", "x")
        of_a_stranger = await completed(host, "second_opinion", "reasoning_effort", model="my-deployment")
    assert of_one.values == list(MODELS["grok-4.3"].efforts)
    assert of_the_default.values == ["xhigh"]
    assert of_a_stranger.values == list(get_args(ReasoningEffort))


async def test_closed_sets_are_completed_and_free_text_is_not() -> None:
    async with host_on(NOWHERE) as host:
        assert (await completed(host, "news_brief", "period")).values == ["day", "week", "month"]
        assert (await completed(host, "news_brief", "period", "w")).values == ["week"]
        assert (await completed(host, "news_brief", "topic", "te")).values == []
        for offered in (await completed(host, "fact_check", "sources")).values:
            text = await rendered(host, "fact_check", claim="It rains.", sources=offered)
            assert tool_arguments(text)["sources"] == offered.split(", ")


@pytest.mark.parametrize(
    ("reference", "argument", "message"),
    [
        (PromptReference(name="opinion"), "model", "Unknown prompt: opinion"),
        (PromptReference(name="fact_check"), "modle", "fact_check: the argument 'modle' is unknown"),
        (ResourceTemplateReference(uri="grok://{x}"), "x", "Unknown resource template: grok://{x}"),
    ],
)
async def test_completing_what_there_is_not_is_refused(
    reference: PromptReference | ResourceTemplateReference, argument: str, message: str
) -> None:
    async with host_on(NOWHERE) as host:
        with pytest.raises(MCPError, match=re.escape(message)) as caught:
            await host.client.complete(reference, {"name": argument, "value": ""})
    assert caught.value.code == INVALID_PARAMS
