"""Results as the server gives them to hosts that show cards."""

from collections.abc import Mapping
from typing import Any

ANSWER = "grok-mcp/answer"


def marker(number: int, url: str) -> str:
    return f"[[{number}]]({url})"


def citation(number: int, url: str, title: str, source: str = "web", **more: Any) -> dict[str, Any]:
    return {"index": number, "url": url, "title": title, "source": source, "spans": [], **more}


def result(text: Any, **answer: Any) -> dict[str, Any]:
    """A `CallToolResult` with an answer for the card."""
    shown = text if isinstance(text, str) else ""
    return {"content": [{"type": "text", "text": shown}], "_meta": {ANSWER: {"text": text, **answer}}}


def error(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": True, "_meta": {"grok-mcp/error": {}}}


def span_of(text: str, part: str) -> list[int]:
    """Where a part stands in a text, in code points."""
    start = text.index(part)
    return [start, start + len(part)]


URLS = (
    "https://www.nasa.gov/mission/europa-clipper/",
    "https://science.nasa.gov/jupiter/moons/europa/facts/?ref=overview&lang=en",
    "https://x.com/EuropaClipper/status/1846242130948165783",
    "https://www.esa.int/Science_Exploration/Space_Science/Juice",
    "https://news.example.co.uk/space/europa-clipper-passes-mars",
)
CLAIM = "The spacecraft left Earth on 14 October 2024 and will reach Jupiter in April 2030"
TEXT = f"""**Europa Clipper** is on its way to Jupiter. {CLAIM}. {marker(1, URLS[0])} It flew past Mars
in March 2025 to gain speed. {marker(5, URLS[4])}{marker(3, URLS[2])}

### What it looks for

- An ocean below the ice, which magnetic measurements point to. {marker(2, URLS[1])}
- Plumes of water that would let it taste that ocean without landing.
- Places where a later mission could set down.

| Mission | Arrives | Flybys of Europa |
|---|---|---:|
| Europa Clipper {marker(1, URLS[0])} | April 2030 | 49 |
| Juice {marker(4, URLS[3])} | July 2031 | 2 |

The dose that its electronics take is the limit: `2.9 Mrad` over the whole tour, so the orbit leaves the
radiation belt after each flyby.
"""

SEARCH: Mapping[str, Any] = result(
    TEXT,
    citations=[
        citation(1, URLS[0], "Europa Clipper — NASA Science", spans=[span_of(TEXT, CLAIM)]),
        citation(
            2,
            URLS[1],
            "Europa: Facts about the ocean world and how we know of it, from Galileo's magnetometer to today",
        ),
        citation(3, URLS[2], "Europa Clipper on X: We felt the pull of Mars", "x"),
        citation(4, URLS[3], "ESA – Juice: JUpiter ICy moons Explorer", from_text=True),
        citation(5, URLS[4], "Spacecraft passes Mars on its way to Jupiter", "news"),
        citation(6, "https://en.wikipedia.org/wiki/Europa_Clipper", "Europa Clipper - Wikipedia"),
    ],
    steps=[
        {
            "kind": "web",
            "queries": ["Europa Clipper status 2026", "Europa Clipper Jupiter arrival"],
            "met": [1, 2, 6],
        },
        {"kind": "x", "queries": ["from:EuropaClipper Mars flyby"], "met": [3]},
        {"kind": "page", "url": URLS[1], "pattern": "magnetometer", "met": [2]},
        {"kind": "page", "url": URLS[4], "met": [5]},
        {"kind": "code"},
    ],
    code_runs=[
        {
            "code": "from datetime import date\n\n"
            "print((date(2030, 4, 11) - date(2024, 10, 14)).days, 'days')",
            "output": "2005 days",
        }
    ],
    evidence={"cited": [1, 2, 3, 5], "met_only": [6], "unseen": [4], "broken": []},
    warnings=["One page could not be read: news.example.org answered 403."],
    searched=True,
    finish_reason="stop",
    model="grok-4.3",
    usage={
        "input_tokens": 18_240,
        "cached_tokens": 11_008,
        "output_tokens": 1_912,
        "reasoning_tokens": 1_204,
        "total_tokens": 20_152,
        "cost_usd": 0.0231,
        "cost_source": "estimated",
        "duration_s": 14.27,
        "time_to_first_token_s": 6.1,
    },
)
FAILED = error(
    "[rate_limited] The endpoint takes no more calls for now (429).\n\n"
    "Wait 20 seconds, then try again; or set `GROK_MCP_MAX_RETRIES` higher."
)


def _sums(key: str, calls: int, tokens: int, cost: float) -> dict[str, Any]:
    return {
        "key": key,
        "calls": calls,
        "calls_without_cost": 0,
        "calls_with_estimated_cost": calls // 3,
        "input_tokens": tokens * 9 // 10,
        "output_tokens": tokens // 10,
        "total_tokens": tokens,
        "cost_usd": cost,
    }


_DAYS = [
    3,
    0,
    7,
    12,
    9,
    2,
    1,
    14,
    22,
    17,
    11,
    8,
    0,
    3,
    19,
    25,
    31,
    12,
    6,
    2,
    9,
    15,
    18,
    27,
    21,
    10,
    4,
    13,
    16,
    12,
]
USAGE: Mapping[str, Any] = {
    "caller": "local",
    "sandbox": False,
    "budget_usd_per_day": 2.5,
    "today": _sums("", 12, 214_000, 0.3412),
    "this_month": _sums("", 350, 6_120_000, 9.82),
    "all_time": _sums("", 1_204, 24_800_000, 41.07),
    "by_model": [
        _sums("grok-4.3", 240, 4_800_000, 8.12),
        _sums("grok-4-fast", 101, 1_200_000, 1.44),
        _sums("grok-code-fast-1", 9, 120_000, 0.26),
    ],
    "by_day": [
        _sums(f"2026-11-{day:02}", calls, calls * 17_500, calls * 0.0287)
        for day, calls in enumerate(_DAYS, 1)
    ],
}
