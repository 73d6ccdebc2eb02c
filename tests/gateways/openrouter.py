"""OpenRouter: its web plugin, nested annotations, comments while it waits, its cost (openrouter.ai/docs)."""

import json

from tests.gateways.chat_form import LIVE_SEARCH_IS_GONE, Shape, common_rows, option_rows
from tests.gateways.shapes import lines, message, response_stream, split_calls
from tests.gateways.table import (
    EVERYTHING,
    KEY,
    NO_SEARCH_RAN,
    Call,
    Failure,
    Json,
    Row,
    answer,
    ask,
    at_chat,
    at_responses,
    cited,
    search,
)
from tests.support.endpoint import Reply, body


def chunk(*choices: Json, model: str = "x-ai/grok-4.7", **more: object) -> Json:
    return {
        "id": "gen-1795301500-abc",
        "provider": "xAI",
        "model": model,
        "object": "chat.completion.chunk",
        "created": 1795301500,
        "choices": list(choices),
        **more,
    }


def choice(delta: Json, finish: str | None = None, index: int = 0) -> Json:
    return {
        "index": index,
        "delta": {"role": "assistant", "content": "", **delta},
        "finish_reason": finish,
        "native_finish_reason": finish,
    }


def stream(
    *deltas: Json, model: str = "x-ai/grok-4.7", finish: str = "stop", usage: Json | None = None
) -> Reply:
    """Comments between the chunks; the counts come behind the end, beside an empty choice."""
    return lines(
        chunk(choice({"reasoning": "Think."}), model=model),
        *(chunk(choice(delta), model=model) for delta in deltas),
        chunk(choice({}, finish), model=model),
        *([chunk(choice({}), model=model, usage=usage)] if usage else []),
        comment=": OPENROUTER PROCESSING",
    )


def refusal(status: int, words: str) -> Reply:
    """What xAI said, wrapped: as text in the metadata of OpenRouter's own error."""
    raw = json.dumps({"code": "Client specified an invalid argument", "error": words})
    metadata = {"raw": raw, "provider_name": "xAI"}
    error = {"code": status, "message": "Provider returned error", "metadata": metadata}
    return body({"error": error, "user_id": "user_2xyz"}, status=status)


SHAPE = Shape("openrouter", "x-ai/grok-4.7", stream, refusal, split_calls)

USAGE: Json = {
    "prompt_tokens": 1900,
    "completion_tokens": 88,
    "total_tokens": 1988,
    "cost": 0.009328,
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": None},
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 61},
}
COUNTS: Json = {
    "input_tokens": 1900,
    "cached_tokens": 0,
    "output_tokens": 88,
    "reasoning_tokens": 61,
    "text_tokens": 27,
    "total_tokens": 1988,
    "cost_usd": 0.009328,
    "cost_source": "reported",
}
PALAU: Json = {
    "annotations": [
        {
            "type": "url_citation",
            "url_citation": {
                "url": "https://atlas.example/palau",
                "title": "Palau",
                "content": "Ngerulmud has been the capital since 2006.",
                "start_index": 0,
                "end_index": 25,
            },
        }
    ]
}


def without_search(status: int, refused: Reply) -> Call:
    """There is no other way to search: `auto` goes on without."""
    sent = SHAPE.searched(plugins=[{"id": "web"}])
    return search(
        {"mode": "auto"},
        at_chat(sent, refused),
        at_chat(SHAPE.searched(), stream({"content": "From memory."})),
        gives=answer(
            "From memory.",
            "x-ai/grok-4.7",
            searched=False,
            warnings=["The endpoint does not search by openrouter; this is the model's own knowledge."],
        ),
    )


ROWS: list[Row] = [
    SHAPE.row(
        "ask",
        ask(
            EVERYTHING,
            at_chat(
                {
                    "model": "x-ai/grok-4.7",
                    "messages": [
                        {"role": "system", "content": "Be brief."},
                        {"role": "user", "content": "Hello?"},
                    ],
                    "stream": True,
                    "stream_options": {"include_usage": True},
                    "reasoning_effort": "low",
                    "max_tokens": 2048,
                    "temperature": 0.7,
                    "top_p": 0.95,
                    "parallel_tool_calls": False,
                    "service_tier": "default",
                    "user": "opaque-id",
                },
                stream({"content": "Hi"}, {"content": "."}),
            ),
            gives=answer("Hi.", "x-ai/grok-4.7"),
        ),
    ),
    Row(
        "openrouter",
        "responses",
        (
            ask(
                {"instructions": "Be brief."},
                at_responses(
                    {
                        "model": "x-ai/grok-4.7",
                        "input": [
                            {"role": "system", "content": "Be brief."},
                            {"role": "user", "content": "Hello?"},
                        ],
                        "stream": True,
                        "store": False,
                        "include": ["reasoning.encrypted_content"],
                        "prompt_cache_key": KEY,
                    },
                    response_stream("x-ai/grok-4.7", message("Hi", ".")),
                ),
                gives=answer("Hi.", "x-ai/grok-4.7"),
            ),
        ),
        {"dialect": "responses"},
    ),
    SHAPE.row(
        "search",
        search(
            {"max_results": 5},
            at_chat(
                SHAPE.searched(plugins=[{"id": "web", "max_results": 5}]),
                stream(
                    {"content": "Ngerulmud is "},
                    {"content": "the capital."},
                    PALAU,
                    usage={**USAGE, "server_tool_use": {"web_search_requests": 1}},
                ),
            ),
            gives=answer(
                "Ngerulmud is the capital.",
                "x-ai/grok-4.7",
                {**COUNTS, "web_searches": 1},
                searched=True,
                citations=[cited(1, "https://atlas.example/palau", "Palau", [0, 25])],
            ),
        ),
        search(
            {
                "sources": ["x"],
                "from_date": "2026-11-01",
                "excluded_domains": ["b.org"],
                "allowed_x_handles": ["xai"],
                "country": "pw",
            },
            at_chat(
                SHAPE.searched(
                    "Use only these kinds of source: X posts.",
                    "Use only sources dated from 2026-11-01, both days included.",
                    "Use no page of b.org.",
                    "On X, use only posts by xai.",
                    "Search as from the country PW.",
                    plugins=[{"id": "web"}],
                ),
                stream({"content": "From memory."}),
            ),
            gives=answer(
                "From memory.",
                "x-ai/grok-4.7",
                searched=False,
                warnings=[
                    "This endpoint has no field for sources, dates, excluded_domains, allowed_x_handles, "
                    "country: passed on in words, best effort.",
                    NO_SEARCH_RAN,
                ],
            ),
        ),
    ),
    SHAPE.row(
        "search refused with 410",
        search(
            {},
            at_chat(SHAPE.searched(plugins=[{"id": "web"}]), refusal(410, LIVE_SEARCH_IS_GONE)),
            gives=Failure("search_unavailable", "GROK_MCP_SEARCH_DIALECT"),
        ),
        without_search(410, refusal(410, LIVE_SEARCH_IS_GONE)),
    ),
    SHAPE.row(
        "search refused with 422",
        without_search(422, body({"error": {"code": 422, "message": "Invalid input"}}, status=422)),
    ),
    SHAPE.row(
        "search refused with 404",
        without_search(404, body({"error": {"code": 404, "message": "Not Found"}}, status=404)),
    ),
    *common_rows(SHAPE),
    *option_rows(SHAPE),
    SHAPE.row(
        "n",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                lines(
                    chunk(choice({"content": "Yes."}, "stop", index=0)),
                    chunk(choice({"content": "No."}, "stop", index=1)),
                ),
            ),
            gives=answer("Yes.", "x-ai/grok-4.7", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "index",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                lines(
                    chunk(choice({"content": "No."}, "stop", index=1)),
                    chunk(choice({"content": "Yes."}, "stop", index=0)),
                ),
            ),
            gives=answer("Yes.", "x-ai/grok-4.7", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "include_usage",
        ask(
            {},
            at_chat(SHAPE.asked(), stream({"content": "Hi."}, usage=USAGE)),
            gives=answer("Hi.", "x-ai/grok-4.7", COUNTS),
        ),
    ),
    SHAPE.row(
        "usage",
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                body(
                    {
                        "id": "gen-1795301500-abc",
                        "provider": "xAI",
                        "model": "x-ai/grok-4.7",
                        "object": "chat.completion",
                        "created": 1795301500,
                        "choices": [
                            {
                                "index": 0,
                                "message": {
                                    "role": "assistant",
                                    "content": "Hi.",
                                    "refusal": None,
                                    "reasoning": "Think.",
                                },
                                "logprobs": None,
                                "finish_reason": "stop",
                                "native_finish_reason": "stop",
                            }
                        ],
                        "usage": {
                            **USAGE,
                            "cost": 0.25,
                            "server_tool_use": {"web_search_requests": 3},
                        },
                    }
                ),
            ),
            gives=answer("Hi.", "x-ai/grok-4.7", {**COUNTS, "cost_usd": 0.25, "web_searches": 3}),
        ),
    ),
    SHAPE.models(
        "x-ai/grok-4.7",
        "x-ai/grok-4.6",
        "x-ai/grok-4.3",
        "x-ai/grok-3",
        answers={"x-ai/grok-4.6": "x-ai/grok-4.7"},
    ),
]

NOT_APPLICABLE: dict[str, str] = {}
