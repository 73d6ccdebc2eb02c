"""How xAI's Responses API is asked and answers (docs.x.ai: REST reference, tools, cost tracking)."""

from typing import Any

from tests.gateways.chat_form import LIVE_SEARCH_IS_GONE, user
from tests.gateways.shapes import message, reasoning, response_stream
from tests.gateways.table import (
    KEY,
    SCHEMA,
    Call,
    Failure,
    Json,
    Row,
    answer,
    ask,
    at_responses,
    search,
    today,
)
from tests.support.endpoint import Reply, body

USAGE: Json = {
    "input_tokens": 6120,
    "input_tokens_details": {"cached_tokens": 2048},
    "output_tokens": 402,
    "output_tokens_details": {"reasoning_tokens": 265},
    "total_tokens": 6522,
    "num_sources_used": 0,
    "num_server_side_tools_used": 6,
    "cost_in_usd_ticks": 565_800_000,
    "server_side_tool_usage_details": {
        "web_search_calls": 1,
        "x_search_calls": 2,
        "x_posts_fetched": 8,
        "x_users_fetched": 0,
        "code_interpreter_calls": 0,
        "file_search_calls": 0,
        "mcp_calls": 0,
        "document_search_calls": 0,
        "image_generation_calls": 0,
    },
    "context_details": {"input_tokens": 3905, "output_tokens": 137},
}
COUNTS: Json = {
    "input_tokens": 6120,
    "cached_tokens": 2048,
    "output_tokens": 402,
    "reasoning_tokens": 265,
    "text_tokens": 137,
    "total_tokens": 6522,
    "web_searches": 1,
    "x_searches": 2,
    "x_posts_fetched": 8,
    "cost_usd": 0.05658,
    "cost_source": "reported",
}
HELLO = response_stream("grok-4.7", reasoning("gAAA"), message("Hi", "."))
HI = answer("Hi.", "grok-4.7")
THOUGHT: Json = {
    "id": "rs_9f0c",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Think."}],
    "encrypted_content": "gAAA",
    "status": "completed",
}
UNSUPPORTED = body(
    {
        "code": "Client specified an invalid argument",
        "error": "Model grok-5 does not support parameter reasoningEffort.",
    },
    status=400,
)


def asked(*turns: Json, prompt: str = "Hello?", **more: Any) -> Json:
    """A request without any option; `turns` in place of the one question."""
    return {
        "model": "grok-4.7",
        "input": list(turns) or [{"role": "user", "content": prompt}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": KEY,
        **more,
    }


def searched(*sentences: str, **more: Any) -> Json:
    """A search that has to happen, in the web and on X, without any filter."""
    return {
        **asked({"role": "system", "content": today(*sentences)}, {"role": "user", "content": "Tram?"}),
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
        "tool_choice": "required",
        "tools": [{"type": "web_search"}, {"type": "x_search"}],
        **more,
    }


def row(feature: str, *calls: Call) -> Row:
    return Row("xai", feature, calls)


def said_json(text: str) -> Reply:
    return response_stream("grok-4.7", message(text))


def hello(sent: Json, arguments: Json, *warnings: str, answers: str = "") -> Call:
    """A question that is answered by "Hi.", by the model that was asked or by another one."""
    model = answers or sent["model"]
    reply = response_stream(model, message("Hi", "."))
    return ask(arguments, at_responses(sent, reply), gives=answer("Hi.", model, warnings=warnings))


def with_model(name: str, answers: str, *warnings: str) -> Call:
    return hello(asked(model=name), {"model": name}, *warnings, answers=answers)


def with_effort(name: str, effort: str) -> Call:
    sent = asked(model=name, reasoning={"effort": effort})
    return hello(sent, {"model": name, "reasoning_effort": effort})


def without_effort(name: str, effort: str) -> Call:
    left_out = f"reasoning_effort was left out: {name} does not take it."
    return hello(asked(model=name), {"model": name, "reasoning_effort": effort}, left_out)


FUNCTIONS: list[Json] = [
    {
        "type": "function",
        "name": "get_weather",
        "description": "Current temperature",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]
JSON_SCHEMA: Json = {"format": {"type": "json_schema", "name": "place", "strict": True, "schema": SCHEMA}}
NO_OTHER_SEARCH = ["The endpoint does not search by responses; this is the model's own knowledge."]


def refused_search(status: int, refused: Reply, *before: Call) -> Row:
    """At xAI there is nothing else to try: `auto` goes on without a search, `on` is an error (`before`)."""
    auto = {name: value for name, value in searched().items() if name != "tool_choice"}
    plain = asked({"role": "system", "content": today()}, user("Tram?"))
    return row(
        f"search refused with {status}",
        *before,
        search(
            {"mode": "auto"},
            at_responses(auto, refused),
            at_responses(plain, HELLO),
            gives=answer("Hi.", "grok-4.7", searched=False, warnings=NO_OTHER_SEARCH),
        ),
    )


def no_search(refused: Reply) -> Call:
    return search(
        {},
        at_responses(searched(), refused),
        gives=Failure("search_unavailable", "GROK_MCP_SEARCH_DIALECT"),
    )


GONE = body({"code": "gone", "error": LIVE_SEARCH_IS_GONE}, status=410)
UNKNOWN_TOOL = body(
    "Failed to deserialize the JSON body into the target type: tools[0].type: unknown variant "
    "`web_search`, expected `function` or `live_search`",
    status=422,
    content_type="text/plain",
)
NOT_FOUND = body("Not Found", status=404, content_type="text/plain")
