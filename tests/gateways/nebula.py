"""Nebula: live search by `search_parameters`, reasoning inside the completion.

Its pages: oepnai-nebula.apifox.cn/english (Grok) and docs.openai-nebula.com (chat). Replies and errors have
the form of new-api, which its parameters point to.
"""

from tests.gateways.chat_form import (
    EVERYTHING_SENT,
    LIVE_SEARCH_IS_GONE,
    Shape,
    common_rows,
    option_rows,
    refused_search_parameters,
)
from tests.gateways.shapes import split_calls
from tests.gateways.table import (
    ESTIMATED,
    EVERYTHING,
    NO_SEARCH_RAN,
    NO_SOURCES,
    Json,
    Row,
    answer,
    ask,
    at_chat,
    cited,
    search,
)
from tests.support.endpoint import Reply, body, events


def chunk(*choices: Json, model: str = "grok-4", **more: object) -> Json:
    return {
        "id": "chatcmpl-89D5Tc",
        "object": "chat.completion.chunk",
        "created": 1795301000,
        "model": model,
        "choices": list(choices),
        "usage": None,
        **more,
    }


def choice(delta: Json, finish: str | None = None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def stream(
    *deltas: Json, model: str = "grok-4", finish: str = "stop", usage: Json | None = None, **last: object
) -> Reply:
    """Chunks with a null finish_reason and usage, and a last one that holds the counts and no choice."""
    return events(
        chunk(choice({"role": "assistant", "content": None}), model=model),
        *(chunk(choice(delta), model=model) for delta in deltas),
        chunk(choice({}, finish), model=model),
        chunk(model=model, usage=usage, **last),
    )


def refusal(status: int, words: str) -> Reply:
    message = f"{words} (request id: 20261122080000123456789)"
    error = {"message": message, "type": "new_api_error", "param": "", "code": "invalid_request"}
    return body({"error": error}, status=status)


SHAPE = Shape("nebula", "grok-4", stream, refusal, split_calls)

USAGE: Json = {
    "prompt_tokens": 100,
    "completion_tokens": 500,
    "total_tokens": 600,
    "completion_token_details": {"reasoning_tokens": 300, "text_tokens": 200},
}
"""As its Grok page spells the details, without the plural."""
COUNTS: Json = {
    "input_tokens": 100,
    "output_tokens": 500,
    "reasoning_tokens": 300,
    "text_tokens": 200,
    "total_tokens": 600,
    **ESTIMATED,
}
LIVE: Json = {"mode": "on", "return_citations": True}
PAGES = ["https://news.example/launch", "https://x.com/i/status/42"]
EVERY_FILTER: Json = {
    "mode": "auto",
    "sources": ["web", "news", "x", "rss"],
    "from_date": "2026-01-01",
    "to_date": "2026-01-31",
    "excluded_domains": ["b.org"],
    "allowed_x_handles": ["xai"],
    "country": "us",
    "max_results": 15,
    "options": {
        "safe_search": True,
        "min_likes": 10,
        "min_views": 100,
        "rss_links": ["https://example.org/feed.xml"],
    },
}

ROWS: list[Row] = [
    SHAPE.row(
        "ask",
        ask(
            EVERYTHING,
            at_chat(
                EVERYTHING_SENT,
                stream({"content": "Hi"}, {"content": "."}),
            ),
            gives=answer("Hi.", "grok-4"),
        ),
    ),
    SHAPE.row(
        "search",
        search(
            {},
            at_chat(
                SHAPE.searched(search_parameters=LIVE),
                stream(
                    {"content": "The launch slipped."},
                    citations=PAGES,
                    usage={**USAGE, "num_sources_used": 2},
                ),
            ),
            gives=answer(
                "The launch slipped.",
                "grok-4",
                {**COUNTS, "sources_used": 2},
                searched=True,
                citations=[
                    cited(1, "https://news.example/launch", "news.example/launch"),
                    cited(2, "https://x.com/i/status/42", "x.com/i/status/42", source="x"),
                ],
            ),
        ),
        search(
            EVERY_FILTER,
            at_chat(
                SHAPE.searched(
                    search_parameters={
                        "mode": "auto",
                        "return_citations": True,
                        "from_date": "2026-01-01",
                        "to_date": "2026-01-31",
                        "max_search_results": 15,
                        "sources": [
                            {
                                "type": "web",
                                "country": "US",
                                "excluded_websites": ["b.org"],
                                "safe_search": True,
                            },
                            {
                                "type": "news",
                                "country": "US",
                                "excluded_websites": ["b.org"],
                                "safe_search": True,
                            },
                            {
                                "type": "x",
                                "included_x_handles": ["xai"],
                                "post_favorite_count": 10,
                                "post_view_count": 100,
                            },
                            {"type": "rss", "links": ["https://example.org/feed.xml"]},
                        ],
                    }
                ),
                stream({"content": "From memory."}),
            ),
            gives=answer("From memory.", "grok-4", searched=False),
        ),
        # The citations are lost on the way: once with a count of sources, once without a trace.
        search(
            {},
            at_chat(
                SHAPE.searched(search_parameters=LIVE),
                stream({"content": "It slipped."}, usage={**USAGE, "num_sources_used": 3}),
            ),
            gives=answer(
                "It slipped.",
                "grok-4",
                {**COUNTS, "sources_used": 3},
                searched=True,
                warnings=[NO_SOURCES],
            ),
        ),
        search(
            {},
            at_chat(SHAPE.searched(search_parameters=LIVE), stream({"content": "It slipped."}, usage=USAGE)),
            gives=answer("It slipped.", "grok-4", COUNTS, searched=False, warnings=[NO_SEARCH_RAN]),
        ),
    ),
    *refused_search_parameters(
        SHAPE,
        (410, refusal(410, LIVE_SEARCH_IS_GONE)),
        (422, refusal(422, "search_parameters: extra fields not permitted")),
        (404, body("404 page not found", status=404, content_type="text/plain")),
    ),
    *common_rows(SHAPE),
    *option_rows(SHAPE),
    SHAPE.row(
        "n",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                events(
                    chunk(choice({"role": "assistant", "content": "Yes."}, "stop")),
                    chunk({**choice({"role": "assistant", "content": "No."}, "stop"), "index": 1}),
                ),
            ),
            gives=answer("Yes.", "grok-4", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "index",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                events(
                    chunk({**choice({"role": "assistant", "content": "No."}, "stop"), "index": 1}),
                    chunk(choice({"role": "assistant", "content": "Yes."}, "stop")),
                ),
            ),
            gives=answer("Yes.", "grok-4", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "include_usage",
        # Chunks may carry what was used so far: the last word counts, nothing is added up.
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                events(
                    chunk(
                        choice({"role": "assistant", "content": "Hi"}),
                        usage={"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101},
                    ),
                    chunk(
                        choice({"content": "."}, "stop"),
                        usage={"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102},
                    ),
                    chunk(usage=USAGE),
                ),
            ),
            gives=answer("Hi.", "grok-4", COUNTS),
        ),
    ),
    SHAPE.row(
        "usage",
        *(
            ask(
                {},
                at_chat(
                    SHAPE.asked(),
                    body(
                        {
                            "id": "chatcmpl-89D5Tc",
                            "object": "chat.completion",
                            "created": 1795301000,
                            "model": "grok-4",
                            "choices": [
                                {
                                    "index": 0,
                                    "message": {"role": "assistant", "content": "Hi."},
                                    "finish_reason": "stop",
                                }
                            ],
                            "usage": {
                                "prompt_tokens": 100,
                                "completion_tokens": 500,
                                "total_tokens": 600,
                                spelt: {"reasoning_tokens": 300, "text_tokens": 200},
                            },
                        }
                    ),
                ),
                gives=answer("Hi.", "grok-4", COUNTS),
            )
            for spelt in ("completion_token_details", "completion_tokens_details")
        ),
        # Without a total: here reasoning is inside the completion.
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                stream(
                    {"content": "Hi."},
                    usage={
                        "prompt_tokens": 100,
                        "completion_tokens": 500,
                        "completion_token_details": {"reasoning_tokens": 300},
                    },
                ),
            ),
            gives=answer("Hi.", "grok-4", COUNTS),
        ),
    ),
    SHAPE.models(
        "grok-3",
        "grok-3-fast",
        "grok-4",
        "grok-4-fast-reasoning",
        answers={"grok-4": "grok-4.3", "grok-4-fast-reasoning": "grok-4.3"},
    ),
]

NOT_APPLICABLE = {"responses": "documented for GPT models and files, not for Grok"}
