"""LiteLLM's hook: what it counts of our results, as a proxy would hand them to it."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from project import ROOT

from tests.support.endpoint import Endpoint, body, chat
from tests.support.host import Host, host_on

pytestmark = pytest.mark.anyio

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "cost_in_usd_ticks": 7_000_000}


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The file's own object; of LiteLLM it needs one class, which is no more than a base."""
    logger = ModuleType("litellm.integrations.custom_logger")
    logger.CustomLogger = type("CustomLogger", (), {})  # type: ignore[attr-defined]
    for name in ("litellm", "litellm.integrations"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, logger.__name__, logger)
    spec = importlib.util.spec_from_file_location("litellm_cost", ROOT / "packaging" / "litellm_cost.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.grok_cost


async def counted(hook: Any, result: Any) -> Any:
    response = SimpleNamespace(hidden_params=SimpleNamespace(response_cost=None))
    kwargs = {"original_response": result}
    answered = await hook.async_post_mcp_tool_call_hook(kwargs, response, None, None)
    return answered.hidden_params.response_cost


async def test_each_call_costs_what_the_endpoint_reported(hook: Any) -> None:
    async with Endpoint(chat("Hi.", usage=USAGE)) as endpoint, host_on(endpoint) as host:
        result = await host.ask()
    assert await counted(hook, result.raw) == pytest.approx(0.0007)
    assert await counted(hook, result.raw) == pytest.approx(0.0007), "two calls may have the same answer"


async def test_an_answer_in_pages_counts_once(hook: Any) -> None:
    async with Endpoint(chat("One.\n\n", "Two. " * 500, usage=USAGE)) as endpoint:
        async with host_on(endpoint, max_result_chars=1000) as host:
            first = await host.ask()
            answer_id = first.answer["answer_id"]
            costs = [await counted(hook, first.raw)]
            pages = [await page(host, answer_id, offset) for offset in (900, 1800)]
            costs += [await counted(hook, one.raw) for one in pages]
    assert costs == [pytest.approx(0.0007), 0.0, 0.0]


async def page(host: Host, answer_id: str, offset: int) -> Any:
    return await host.call("grok_result", answer_id=answer_id, offset=offset)


async def test_a_call_that_failed_costs_nothing_and_other_servers_stay_as_they_are(hook: Any) -> None:
    async with Endpoint(body({"error": "no"}, status=400)) as endpoint, host_on(endpoint) as host:
        failed = await host.ask()
    assert await counted(hook, failed.raw) == 0.0
    for other in (SimpleNamespace(meta=None), SimpleNamespace(meta={"theirs": 1}), SimpleNamespace(), None):
        assert await counted(hook, other) is None
