"""SurgeAI: the fixed id of its samples, usage with OpenAI's zeros (docs.surgeai.one, Grok, OpenAI format)."""

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
    return {
        "id": "abc",
        "object": "chat.completion.chunk",
        "created": 1795301000,
        "model": model,
        "choices": list(choices),
        "system_fingerprint": "",
        **more,
    }


def choice(delta: Json, finish: str | None = None, index: int = 0) -> Json:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def stream(
    *deltas: Json, model: str = "grok-4", finish: str = "stop", usage: Json | None = None, **last: object
) -> Reply:
    """Chunks as OpenAI has them, the counts in a last one without a choice."""
    return events(
        chunk(choice({"role": "assistant", "content": "", "refusal": None}), model=model),
        *(chunk(choice(delta), model=model) for delta in deltas),
        chunk(choice({}, finish), model=model, **last),
        *([chunk(model=model, usage=usage)] if usage else []),
    )


def refusal(status: int, words: str) -> Reply:
    error = {"message": words, "type": "invalid_request_error", "param": "", "code": None}
    return body({"error": error}, status=status)


SHAPE = Shape("surgeai", "grok-4", stream, refusal, split_calls)

USAGE: Json = {
    "prompt_tokens": 688,
    "completion_tokens": 196,
    "total_tokens": 884,
    "prompt_tokens_details": {"cached_tokens": 679, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 124,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
COUNTS: Json = {
    "input_tokens": 688,
    "cached_tokens": 679,
    "output_tokens": 196,
    "reasoning_tokens": 124,
    "text_tokens": 72,
    "total_tokens": 884,
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
            {"to_date": "2026-11-20", "options": {"max_turns": 2}},
            at_chat(
                SHAPE.searched(
                    "Search at most 2 times.", search_parameters={**LIVE, "to_date": "2026-11-20"}
                ),
                stream({"content": "It slipped."}, usage=USAGE),
            ),
            gives=answer(
                "It slipped.",
                "grok-4",
                COUNTS,
                searched=False,
                warnings=[
                    "This endpoint has no field for max_turns: passed on in words, best effort.",
                    NO_SEARCH_RAN,
                ],
            ),
        ),
    ),
    *refused_search_parameters(
        SHAPE,
        (410, refusal(410, LIVE_SEARCH_IS_GONE)),
        (422, refusal(422, "Unknown parameter: 'search_parameters'.")),
        (404, body({"error": {"message": "Invalid URL (POST /v1/chat/completions)"}}, status=404)),
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
                    chunk(choice({"role": "assistant", "content": "Yes."}, "stop", index=0)),
                    chunk(choice({"role": "assistant", "content": "No."}, "stop", index=1)),
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
                    chunk(choice({"content": "N"}, index=1), choice({"content": "Ye"}, index=0)),
                    chunk(choice({"content": "s."}, "stop", index=0)),
                    chunk(choice({"content": "o."}, "stop", index=1)),
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
                        "id": "abc",
                        "object": "chat.completion",
                        "created": 1795301000,
                        "model": "grok-4",
                        "choices": [
                            {
                                "index": 0,
                                "message": {"role": "assistant", "content": "Hi.", "refusal": None},
                                "logprobs": None,
                                "finish_reason": "stop",
                            }
                        ],
                        "usage": USAGE,
                    }
                ),
            ),
            gives=answer("Hi.", "grok-4", COUNTS),
        ),
    ),
    SHAPE.models("grok-3", "grok-4", answers={"grok-3": "grok-4.3"}),
]

NOT_APPLICABLE = {"responses": "documented for GPT models, not for Grok"}
