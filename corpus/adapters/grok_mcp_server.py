"""The adapter of this project's own server: an MCP client in memory, and the tools as hosts call them.

Run it by the Python in which `grok-mcp-server` is installed. A request with a schema is one of
`grok_structured`, one that searches one of `grok_search`, any other one of `ask_grok`.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from mcp.client import Client

from grok_mcp import __version__
from grok_mcp.pipeline import Grok
from grok_mcp.server import build_server
from grok_mcp.settings import Settings

OFFERS = [
    *("text", "tool_calls", "citations", "searches", "pages", "code_runs", "documents", "alternatives"),
    *("usage", "finish_reason", "model", "error", "complete", "data"),
]
KINDS = {
    "authentication": "authentication",
    "permission": "permission",
    "insufficient_credit": "credit",
    "model_not_found": "model",
    "rate_limited": "rate_limit",
    "invalid_argument": "request",
    "content_filter": "content",
    "overloaded": "overloaded",
    "timeout": "timeout",
    "upstream": "server",
    "connection": "connection",
    "interrupted": "connection",
    "search_unavailable": "search",
    "configuration": "address",
}
COUNTS = (
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "total_tokens",
    "web_searches",
    "x_searches",
)


async def read(base_url: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The reading of one case."""
    chat = request["dialect"] == "chat"
    settings = {
        "XAI_BASE_URL": base_url,
        "XAI_API_KEY": request["api_key"],
        "model": request["model"],
        "dialect": "chat_completions" if chat else "responses",
        "search_dialect": "search_parameters" if chat else "responses",
        "results": "structured",
        "max_retries": 0,
        "idle_timeout": request.get("timeout_s", 10),
    }
    grok = Grok(Settings(**settings))
    try:
        async with Client(build_server(grok)) as client:
            return reading(await client.call_tool(*call(request)))
    finally:
        await grok.aclose()


def call(request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The tool that makes such a request, and its arguments."""
    options: dict[str, Any] = {"options": {"n": request["n"]}} if "n" in request else {}
    if "schema" in request:
        return "grok_structured", {"prompt": request["prompt"], "schema": request["schema"], **options}
    if request.get("search"):
        return "grok_search", {"query": request["prompt"], **options}
    tools = {"tools": request["tools"]} if "tools" in request else {}
    return "ask_grok", {"prompt": request["prompt"], **tools, **options}


def reading(result: Any) -> dict[str, Any]:
    """What a result says, in the words of the corpus."""
    if result.is_error:
        error = result.meta["grok-mcp/error"]
        kept = {name: error.get(name) for name in ("status", "message", "retryable", "retry_after_s")}
        return {
            "complete": False,
            "error": {"kind": KINDS.get(error["code"]), **kept},
            "usage": usage(error.get("usage") or {}),
        }
    answer = result.structured_content
    complete = answer["finish_reason"] != "interrupted"
    names = {"searches": "search_queries", "pages": "pages_read"}
    same = ("text", "tool_calls", "code_runs", "documents", "alternatives", "finish_reason", "model", "data")
    return {
        **{name: answer[name] for name in same if name in answer},
        **{name: answer.get(ours, []) for name, ours in names.items()},
        "citations": answer.get("citations", []),
        "usage": usage(answer["usage"]),
        "complete": complete,
        "error": None if complete else {"message": " ".join(answer.get("warnings", ()))},
    }


def usage(counts: Mapping[str, Any]) -> dict[str, Any]:
    """The counts; a cost that is only estimated is not what the endpoint reported."""
    cost = counts.get("cost_usd") if counts.get("cost_source") == "reported" else None
    return {**{name: counts.get(name) for name in COUNTS}, "cost_usd": cost}


def main() -> None:
    """Read cases from stdin until it ends."""
    offers = {"chat": OFFERS, "responses": OFFERS}
    print(json.dumps({"client": "grok-mcp-server", "version": __version__, "offers": offers}), flush=True)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            task = json.loads(line)
            print(json.dumps(runner.run(read(task["base_url"], task["request"]))), flush=True)


if __name__ == "__main__":
    main()
