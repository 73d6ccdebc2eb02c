"""Every recorded-shape payload comes back through a real MCP call as what it means."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from dirty_equals import IsPartialDict

from tests.conftest import PAYLOADS, host_on
from tests.endpoint import Endpoint, Reply, body

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Case:
    """A payload file, the tool that asks for it, and what has to come back."""

    file: str
    tool: str = "ask_grok"
    answer: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    usage: dict[str, Any] = field(default_factory=dict)


def usage(
    input_tokens: int, output_tokens: int, reasoning: int = 0, cached: int = 0, **more: Any
) -> dict[str, Any]:
    """A complete usage; text and total follow from the rest."""
    return {
        "input_tokens": input_tokens,
        "cached_tokens": cached,
        "output_tokens": output_tokens,
        "reasoning_tokens": reasoning,
        "text_tokens": output_tokens - reasoning,
        "total_tokens": input_tokens + output_tokens,
        **more,
    }


def reported(ticks: int) -> dict[str, Any]:
    return {"cost_usd": ticks / 10**10, "cost_source": "reported"}


COUNCIL = (
    "The council approved the tram extension on 12 November[[1]](https://city.example/council/minutes-1112), "
    "and construction starts in March[[2]](https://transit.example/news/extension). Residents on X mostly "
    "welcomed it[[3]](https://x.com/i/status/1988800000000000042)."
)


def cited(index: int, url: str, *spans: list[int], title: str = "", source: str = "web") -> dict[str, Any]:
    title = title or url.removeprefix("https://")
    return {"index": index, "url": url, "title": title, "source": source, "spans": list(spans)}


CASES = [
    Case(
        "01_chat_stream_plain.sse",
        answer={
            "text": "Water boils at 100 °C at sea level.",
            "finish_reason": "stop",
            "model": "grok-4.20-0309-non-reasoning",
        },
        usage=usage(21, 9, **reported(487_500)),
    ),
    Case(
        "02_chat_stream_reasoning_usage_crlf.sse",
        answer={"text": "17 × 23 = 391", "finish_reason": "stop", "model": "grok-4.7"},
        usage=usage(214, 151, 143, 128, **reported(11_420_000)),
    ),
    Case(
        "03_chat_legacy_live_search_response.json",
        "grok_search",
        answer={
            "text": "The probe entered orbit on 14 November, according to the agency's bulletin; two "
            "independent trackers confirmed the manoeuvre.",
            "searched": True,
            "citations": [
                cited(1, "https://agency.example/bulletins/2025-11-14"),
                cited(2, "https://tracker.example/objects/40211"),
                cited(3, "https://x.com/i/status/1988000000000000001", source="x"),
            ],
        },
        usage=usage(1480, 394, 333, 640, sources_used=3, cost_source="estimated"),
    ),
    Case(
        "04_chat_legacy_live_search_stream.sse",
        "grok_search",
        answer={
            "text": "Two outlets report the launch slipped to Friday.",
            "searched": True,
            "citations": [
                cited(1, "https://news.example/launch-slips"),
                cited(2, "https://daily.example/space/friday"),
            ],
        },
        usage={"input_tokens": 910, "output_tokens": 12, "total_tokens": 922, "sources_used": 2},
    ),
    Case(
        "05_responses_stream_web_and_x_search.sse",
        "grok_search",
        answer={
            "text": COUNCIL,
            "searched": True,
            "search_queries": ["tram extension council vote 12 November", "tram extension since:2026-11-12"],
            "citations": [
                cited(1, "https://city.example/council/minutes-1112", [54, 102]),
                cited(2, "https://transit.example/news/extension", [136, 181]),
                cited(3, "https://x.com/i/status/1988800000000000042", [216, 265], source="x"),
                cited(4, "https://forum.example/t/9917"),
            ],
            "finish_reason": "stop",
        },
        usage=usage(6120, 402, 265, 2048, web_searches=1, x_searches=1, **reported(565_800_000)),
    ),
    Case(
        "06_responses_web_search_nonstream.json",
        "grok_search",
        answer={
            "text": "The capital of Palau is Ngerulmud.",
            "search_queries": ["capital of Palau"],
            "citations": [cited(1, "https://atlas.example/palau"), cited(2, "https://gov.example/pw")],
            "model": "grok-4.3",
        },
        usage=usage(1941, 203, 180, 947, web_searches=1, **reported(69_394_000)),
    ),
    Case(
        "08a_chat_stream_tool_calls_xai.sse",
        answer={
            "finish_reason": "tool_calls",
            "tool_calls": [
                {"id": "call_55117580", "name": "get_weather", "arguments": {"city": "Oslo"}},
                {"id": "call_55117581", "name": "get_weather", "arguments": {"city": "Bergen"}},
            ],
        },
        usage=usage(291, 140, 88, 244, **reported(4_575_500)),
    ),
    Case(
        "08b_chat_stream_tool_calls_gateway_split_empty_finish.sse",
        answer={
            "finish_reason": "tool_calls",
            "tool_calls": [{"id": "call_9a", "name": "get_weather", "arguments": {"city": "Oslo"}}],
        },
        usage={"output_tokens": 75, "reasoning_tokens": 60, "text_tokens": 15, "cost_source": "estimated"},
    ),
    Case(
        "10a_responses_stream_incomplete.sse",
        answer={"text": "partial answ", "finish_reason": "length"},
        usage=usage(100, 64, 60, **reported(5_840_000)),
    ),
    Case(
        "10b_responses_stream_failed.sse",
        error={"code": "upstream", "retryable": True},
    ),
    Case("10c_responses_stream_error_event.sse", error={"code": "overloaded", "retryable": True}),
    Case(
        "12a_openrouter_stream_midstream_error.sse",
        answer={"text": "The answer", "finish_reason": "interrupted", "model": "x-ai/grok-4.7"},
    ),
    Case(
        "12b_openrouter_stream_annotations_cost.sse",
        "grok_search",
        answer={
            "text": "Ngerulmud is the capital.",
            "searched": True,
            "citations": [cited(1, "https://atlas.example/palau", [0, 25], title="Palau")],
        },
        usage=usage(1900, 88, 61, cost_usd=0.009328, cost_source="reported", web_searches=1),
    ),
    Case(
        "13a_chat_stream_error_object_then_done.sse",
        answer={"text": "Partial", "finish_reason": "interrupted"},
    ),
    Case("13b_chat_stream_truncated_no_done.sse", answer={"text": "Cut off", "finish_reason": "interrupted"}),
    Case(
        "13c_stream_requested_but_json_returned.json",
        answer={
            "text": "Gateway ignored stream=true; choice has no index and there is no usage.",
            "finish_reason": "stop",
            "model": "grok-3",
        },
    ),
]


def payload_reply(file: str, *, byte_by_byte: bool = False) -> Reply:
    content = (PAYLOADS / file).read_bytes()
    content_type = "text/event-stream" if file.endswith(".sse") else "application/json"
    pieces = tuple(content[at : at + 1] for at in range(len(content))) if byte_by_byte else (content,)
    return Reply(pieces, content_type=content_type)


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
