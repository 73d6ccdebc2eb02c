"""The recorded-shape payloads, and what each of them means."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.endpoint import Reply

PAYLOADS = Path(__file__).parents[1] / "payloads"


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


def payloads_of(file: str) -> list[dict[str, Any]]:
    lines = (PAYLOADS / file).read_text(encoding="utf-8").splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
