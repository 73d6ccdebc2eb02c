"""A line of the audit stream: one JSON object with the same fields for every call."""

import json
from datetime import UTC, datetime
from typing import Any

from grok_mcp.redaction import one_line
from grok_mcp.reports import CallReport
from grok_mcp.usage import Usage

MAX_TEXT = 200
"""Characters of a name."""
MAX_BYTES = 600
"""The same in bytes of JSON, where one character may take twelve. So a whole line with its five names is
shorter than the 4,096 bytes that a pipe takes at once.
"""


def fields_of(report: CallReport) -> dict[str, Any]:
    """The fields, in their order; None where something is unknown or does not apply."""
    usage = report.usage or Usage()
    ended = datetime.fromtimestamp(report.ended_at, UTC).isoformat(timespec="milliseconds")
    return {
        "time": ended.replace("+00:00", "Z"),
        "request_id": report.request_id,
        "caller": _text(report.caller),
        "group": _text(report.group),
        "transport": report.transport,
        "tool": _text(report.tool),
        "gateway": report.gateway,
        "model_asked": _text(report.model_asked),
        "model": _text(report.model),
        "decision": report.decision,
        "outcome": report.outcome,
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_usd": None if usage.cost_usd is None else float(usage.cost_usd),
        "cost_source": usage.cost_source,
        "attempts": report.attempts,
        "duration_s": round(report.duration_s, 3),
    }


def line_of(report: CallReport) -> bytes:
    """The line, with its end."""
    return json.dumps(fields_of(report), separators=(",", ":")).encode() + b"\n"


def _text(text: str) -> str | None:
    named = one_line(text)[:MAX_TEXT]
    while len(json.dumps(named)) > MAX_BYTES:
        named = named[:-1]
    return named or None
