"""Every recorded-shape payload comes back through a real MCP call as what it means."""

import json
from typing import Any

import pytest
from dirty_equals import IsPartialDict

from tests.support.endpoint import Endpoint, body
from tests.support.host import host_on
from tests.support.payloads import CASES, PAYLOADS, Case, payload_reply

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
@pytest.mark.parametrize("byte_by_byte", [False, True], ids=["whole", "byte by byte"])
async def test_a_payload_comes_back_as_what_it_means(case: Case, byte_by_byte: bool) -> None:
    async with Endpoint(payload_reply(case.file, byte_by_byte=byte_by_byte)) as endpoint:
        async with host_on(endpoint, results="structured", max_retries=0) as host:
            argument = "query" if case.tool == "grok_search" else "prompt"
            asked: dict[str, Any] = {argument: "Well?"}
            result = await host.call(case.tool, **asked)
    if case.error:
        assert result.error == IsPartialDict(case.error)
        return
    assert result.structured == IsPartialDict(case.answer)
    assert result.structured["usage"] == IsPartialDict(case.usage)
    if not case.usage:
        assert "input_tokens" not in result.structured["usage"]
    assert "cost_usd" in result.structured["usage"] or "cost_source" not in result.structured["usage"]


def test_every_stream_and_body_payload_is_in_the_table() -> None:
    others = {
        "07_structured_output_both_dialects.json",  # tests/tools/test_structured.py
        "08c_tool_phase2_request.json",  # tests/tools/test_ask.py
        "09_errors_all_shapes.json",  # tests/test_errors.py
        "11_usage_dialects.json",  # below
    }
    assert {case.file for case in CASES} | others == {path.name for path in PAYLOADS.iterdir()}


USAGES = json.loads((PAYLOADS / "11_usage_dialects.json").read_text(encoding="utf-8"))
NAMES = {
    "prompt": "input_tokens",
    "cached": "cached_tokens",
    "text": "text_tokens",
    "reasoning": "reasoning_tokens",
    "output_total": "output_tokens",
    "total": "total_tokens",
}


@pytest.mark.parametrize("case", USAGES, ids=lambda case: case["dialect"])
async def test_usage_means_the_same_whichever_endpoint_counted(case: dict[str, Any]) -> None:
    if case["dialect"] == "xai_responses_inclusive":
        item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Hi"}]}
        reply = body({"object": "response", "status": "completed", "output": [item], "usage": case["usage"]})
    else:
        message = {"role": "assistant", "content": "Hi"}
        reply = body({"choices": [{"message": message, "finish_reason": "stop"}], "usage": case["usage"]})
    async with Endpoint(reply) as endpoint, host_on(endpoint) as host:
        counted = (await host.ask()).answer["usage"]
    if case["expect"] is None:
        assert set(counted) == {"duration_s", "time_to_first_token_s"}
    else:
        expected = {NAMES[name]: value for name, value in case["expect"].items()}
        assert {name: counted.get(name, 0) for name in expected} == expected
