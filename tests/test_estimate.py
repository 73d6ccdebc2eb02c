"""What a call is said to cost beforehand, beside what the sandbox then bills by xAI's price list."""

import base64
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from mcp_types import ElicitRequestFormParams, ElicitResult

from grok_mcp.accounting import estimate as rules
from grok_mcp.accounting.estimate import AGENTS, estimate_cost
from grok_mcp.gateways import GATEWAYS
from grok_mcp.messages import ChatRequest, Message
from grok_mcp.sandbox import SandboxServer
from grok_mcp.usage import ATTACHMENT_USD, CODE_USD, COLLECTION_USD, PRIORITY_FACTOR, SEARCH_USD
from tests.support.host import host_on
from tests.support.pages import ROOT

pytestmark = pytest.mark.anyio

PROSE = "The tram runs along the river and turns at the old bridge. " * 800
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "look_up", "description": PROSE, "parameters": {"type": "object", "properties": {}}}


@dataclass(frozen=True)
class Case:
    """A call, and how many times its bill the estimate may be; it is never below the bill."""

    factor: float
    arguments: dict[str, Any]
    tool: str = "ask_grok"
    settings: dict[str, Any] = field(default_factory=dict)
    before: str = ""


CASES = {
    "a long prompt": Case(1.5, {"prompt": PROSE, "max_output_tokens": 100}),
    "a prompt beyond the threshold of long contexts": Case(
        1.5, {"prompt": PROSE * 20, "max_output_tokens": 100}
    ),
    "another script": Case(5, {"prompt": "電車は川に沿って走る。" * 3000, "max_output_tokens": 100}),
    "a long answer": Case(1.5, {"prompt": "Write 1500 words.", "max_output_tokens": 2500}),
    "a long answer of a cheaper model": Case(
        1.5, {"prompt": "Write 1500 words.", "max_output_tokens": 2500, "model": "grok-4.3"}
    ),
    "a model that does not think": Case(
        1.5,
        {"prompt": "Write 700 words.", "max_output_tokens": 1200, "model": "grok-4.20-non-reasoning"},
    ),
    "no limit of the answer": Case(3, {"prompt": "Write 1500 words."}),
    "several answers, whose limit leaves thoughts out": Case(
        1.5,
        {
            "prompt": "Write 700 words.",
            "max_output_tokens": 1200,
            "model": "grok-4.3",
            "reasoning_effort": "none",
            "options": {"n": 3},
        },
    ),
    "images": Case(6, {"prompt": PROSE[:9000], "images": [PIXEL] * 4, "max_output_tokens": 100}),
    "functions": Case(1.5, {"prompt": "Hi", "tools": [FUNCTION], "max_output_tokens": 100}),
    "a conversation, which is mostly cached": Case(
        5, {"prompt": "And then?", "max_output_tokens": 100}, before=PROSE
    ),
    "code, of which the sandbox runs less": Case(
        6, {"prompt": "Compute the sum of 1 to 100.", "code": True, "max_output_tokens": 1000}
    ),
    "a usual search, of which the sandbox makes a short one": Case(
        16, {"query": "tram extension"}, "grok_search"
    ),
    "a search of one turn": Case(
        4, {"query": "tram extension", "max_output_tokens": 300, "options": {"max_turns": 1}}, "grok_search"
    ),
    "a search of the web alone": Case(
        5,
        {
            "query": "tram extension",
            "sources": ["web"],
            "max_output_tokens": 300,
            "options": {"max_turns": 1},
        },
        "grok_search",
    ),
    "a search in the older way": Case(
        2,
        {"query": "tram extension", "max_results": 3, "max_output_tokens": 300, "reasoning_effort": "low"},
        "grok_search",
        {"search_dialect": "search_parameters"},
    ),
    "JSON that may be corrected": Case(
        3, {"prompt": PROSE, "schema": SCHEMA, "max_output_tokens": 200}, "grok_structured"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_an_estimate_is_not_below_the_bill_and_within_a_factor_of_it(case: Case) -> None:
    questions: list[str] = []

    async def accept(context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        questions.append(params.message)
        return ElicitResult(action="accept", content={})

    with SandboxServer(pace=0) as sandbox:
        settings = {"gateway": "sandbox", "call_limit_usd": "0.000001", **case.settings}
        async with host_on(sandbox.url, elicitation=accept, **settings) as host:
            more = {}
            if case.before:
                first = await host.ask(case.before, max_output_tokens=100)
                more = {"conversation_id": first.answer["conversation_id"]}
            result = await host.call(case.tool, **case.arguments, **more)
    billed = Decimal(str(result.answer["usage"]["cost_usd"]))
    found = re.search(r"may cost (\S+) USD", questions[-1])
    assert found is not None
    estimated = Decimal(found[1])
    assert billed <= estimated <= billed * Decimal(case.factor), f"{estimated / billed:.2f} times {billed}"


def cost_of(gateway: str = "xai", dialect: str = "responses", **request: Any) -> Decimal | None:
    asked = {"model": "grok-4.7", "messages": (Message("user", "Hi"),), **request}
    estimated = estimate_cost(ChatRequest(**asked), dialect, GATEWAYS[gateway])
    return estimated and estimated.usd


def test_each_agent_of_a_multi_agent_model_reads_and_writes() -> None:
    alone = cost_of(model="grok-4.20", max_output_tokens=1000)
    assert alone
    for effort, agents in AGENTS.items():
        several = cost_of(model="grok-4.20-multi-agent", max_output_tokens=1000, reasoning_effort=effort)
        assert several == alone * agents


def test_the_priority_tier_doubles_the_price_of_tokens() -> None:
    plain, faster = cost_of(), cost_of(options={"service_tier": "priority"})
    assert plain and faster == 2 * plain


def test_more_effort_is_expected_to_think_more() -> None:
    costs = [cost_of(reasoning_effort=effort) for effort in ("low", "medium", "high", "xhigh")]
    assert None not in costs and costs == sorted(set(costs), key=str)


@pytest.mark.parametrize(
    ("gateway", "model", "known"),
    [
        ("xai", "grok-4.7", True),
        ("openrouter", "x-ai/grok-4.7", True),
        ("xai", "grok-3", True),
        ("nebula", "grok-3", True),
        ("nebula", "grok-of-tomorrow", False),
        ("generic", "acme-1", False),
    ],
)
def test_prices_are_ours_or_those_of_the_public_list(gateway: str, model: str, known: bool) -> None:
    assert (cost_of(gateway, model=model) is not None) is known


def test_a_retired_model_costs_what_serves_it_costs() -> None:
    assert cost_of(model="grok-3", reasoning_effort="low") == cost_of(model="grok-4.3")


def test_the_page_gives_the_figures_of_the_rule() -> None:
    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    section = page.partition("## A limit for one call")[2].partition("\n## ")[0]
    thoughts = ", ".join(
        f"{tokens:,} for `{effort}`" for effort, tokens in rules.THOUGHT_TOKENS.items() if tokens
    )
    for figures in (
        f"a token for {rules.BYTES_PER_TOKEN} bytes of UTF-8",
        f"{rules.IMAGE_TOKENS:,} tokens",
        f"{rules.DOCUMENT_TOKENS:,} tokens, or a token for {rules.DOCUMENT_BYTES_PER_TOKEN} bytes",
        f"and {ATTACHMENT_USD} USD for a search of it",
        f"{rules.TEXT_TOKENS:,} tokens and its thoughts: {thoughts}",
        f"{AGENTS['low']} or {AGENTS['xhigh']} times",
        f"up to {rules.SEARCH_TURNS} turns (`max_turns`), each of {rules.READ_TOKENS:,} tokens",
        f"{rules.POSTS} posts where X is searched, at {SEARCH_USD} USD each",
        f"{rules.SEARCH_TURNS * rules.READ_TOKENS:,} tokens that are read, and {rules.LIVE_SOURCES} sources",
        f"at {rules.LIVE_SOURCE_USD} USD",
        f"{rules.SEARCH_TURNS * rules.READ_TOKENS:,} tokens that are read and {rules.SEARCH_TURNS} searches",
        f"at {COLLECTION_USD} USD",
        f"{rules.CODE_RUNS} runs, each of {rules.CODE_TOKENS:,} tokens that are read, at {CODE_USD} USD",
    ):
        assert figures in section
    assert PRIORITY_FACTOR == 2 and "twice the price" in section
