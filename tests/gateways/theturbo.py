"""TheTurbo (Zenlayer): choices without an index, a conversation header of its own.

Its page: docs.console.zenlayer.com, xAI chat completion. How it streams is not shown there: its sample's form
is taken for the chunks too.
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
    return {"id": "chatcmpl-123", "created": 1795301000, "model": model, "choices": list(choices), **more}


def choice(delta: Json, finish: str | None = None) -> Json:
    return {"delta": delta, "finish_reason": finish}


def stream(
    *deltas: Json, model: str = "grok-4", finish: str = "stop", usage: Json | None = None, **last: object
) -> Reply:
    """Chunks without an index; the counts stand in the one that ends the answer."""
    counted = {"usage": usage} if usage else {}
    return events(
        *(chunk(choice(delta), model=model) for delta in deltas),
        chunk(choice({}, finish), model=model, **counted, **last),
    )


def refusal(status: int, words: str) -> Reply:
    error = {"message": words, "type": "invalid_request_error", "param": None, "code": None}
    return body({"error": error}, status=status)


SHAPE = Shape("theturbo", "grok-4", stream, refusal, split_calls)

USAGE: Json = {"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40}
COUNTS: Json = {
    "input_tokens": 10,
    "output_tokens": 30,
    "text_tokens": 30,
    "total_tokens": 40,
    **ESTIMATED,
}
LIVE: Json = {"mode": "on", "return_citations": True}

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
                stream({"content": "It slipped."}, citations=["https://news.example/launch"]),
            ),
            gives=answer(
                "It slipped.",
                "grok-4",
                searched=True,
                citations=[cited(1, "https://news.example/launch", "news.example/launch")],
            ),
        ),
        search(
            {"allowed_domains": ["a.org"], "sources": ["web"]},
            at_chat(
                SHAPE.searched(
                    search_parameters={**LIVE, "sources": [{"type": "web", "allowed_websites": ["a.org"]}]}
                ),
                stream({"content": "It slipped."}),
            ),
            gives=answer("It slipped.", "grok-4", searched=False, warnings=[NO_SEARCH_RAN]),
        ),
    ),
    *refused_search_parameters(
        SHAPE,
        (410, refusal(410, LIVE_SEARCH_IS_GONE)),
        (422, refusal(422, "Unrecognized request argument supplied: search_parameters")),
        (404, body("<html><title>404 Not Found</title></html>", status=404, content_type="text/html")),
    ),
    *common_rows(SHAPE),
    *option_rows(SHAPE),
    SHAPE.row(
        "n",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                body(
                    {
                        "id": "chatcmpl-123",
                        "object": "chat.completion",
                        "created": 1795301000,
                        "model": "grok-4",
                        "choices": [
                            {
                                "message": {"role": "assistant", "content": "Yes."},
                                "logprobs": None,
                                "finish_reason": "stop",
                            },
                            {
                                "message": {"role": "assistant", "content": "No."},
                                "logprobs": None,
                                "finish_reason": "stop",
                            },
                        ],
                        "usage": USAGE,
                    }
                ),
            ),
            gives=answer("Yes.", "grok-4", COUNTS, alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "index",
        # Without an index the position in the list tells the answers apart.
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                events(
                    chunk(choice({"content": "Ye"}), choice({"content": "N"})),
                    chunk(choice({"content": "s."}, "stop"), choice({"content": "o."}, "stop")),
                ),
            ),
            gives=answer("Yes.", "grok-4", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "include_usage",
        ask(
            {},
            at_chat(SHAPE.asked(), stream({"content": "Hi."}, usage=USAGE)),
            gives=answer("Hi.", "grok-4", COUNTS),
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
                        "id": "chatcmpl-123",
                        "object": "chat.completion",
                        "created": 1795301000,
                        "model": "grok-4",
                        "choices": [
                            {
                                "message": {"role": "assistant", "content": "Hi."},
                                "logprobs": None,
                                "finish_reason": "stop",
                            }
                        ],
                        "usage": {"prompt_tokens": 10, "completion_tokens": 30, "total_tokens": 40},
                    }
                ),
            ),
            gives=answer("Hi.", "grok-4", COUNTS),
        ),
        # Whether reasoning is counted is not documented: the total tells (12 + 1 + 228 = 241).
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                stream(
                    {"content": "Hi."},
                    usage={
                        "prompt_tokens": 12,
                        "completion_tokens": 1,
                        "total_tokens": 241,
                        "completion_tokens_details": {"reasoning_tokens": 228},
                    },
                ),
            ),
            gives=answer(
                "Hi.",
                "grok-4",
                {
                    "input_tokens": 12,
                    "output_tokens": 229,
                    "reasoning_tokens": 228,
                    "text_tokens": 1,
                    "total_tokens": 241,
                    **ESTIMATED,
                },
            ),
        ),
    ),
    SHAPE.models(
        "grok-3",
        "grok-4",
        "grok-4-fast-reasoning",
        "grok-4-fast-non-reasoning",
        answers={"grok-3": "grok-4.3", "grok-4": "grok-4-fast-reasoning"},
    ),
]

NOT_APPLICABLE = {"responses": "not documented for Grok"}
