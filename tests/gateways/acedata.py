"""AceData: a base URL without /v1, and replies without usage (docs.acedata.cloud, Grok chat completions)."""

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
        "id": "02e1f3a7",
        "object": "chat.completion.chunk",
        "created": 1795301000,
        "model": model,
        "choices": list(choices),
        **more,
    }


def choice(delta: Json, finish: str | None = None, index: int = 0) -> Json:
    return {"index": index, "delta": delta, "finish_reason": finish}


def stream(*deltas: Json, model: str = "grok-4", finish: str = "stop", **last: object) -> Reply:
    """Chunks as OpenAI has them; none of them holds counts."""
    return events(
        chunk(choice({"role": "assistant", "content": ""}), model=model),
        *(chunk(choice(delta), model=model) for delta in deltas),
        chunk(choice({}, finish), model=model, **last),
    )


def refusal(status: int, words: str) -> Reply:
    return body(
        {
            "success": False,
            "error": {"code": "bad_request", "message": words},
            "trace_id": "0f7c8a51-9c8e-4a3f-8f0e-3c1d5c7e9b21",
        },
        status=status,
    )


SHAPE = Shape("acedata", "grok-4", stream, refusal, split_calls)

WHOLE: Json = {
    "id": "02e1f3a7",
    "object": "chat.completion",
    "created": 1795301000,
    "model": "grok-4",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
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
            {"sources": ["x"], "excluded_x_handles": ["@spam"]},
            at_chat(
                SHAPE.searched(
                    search_parameters={**LIVE, "sources": [{"type": "x", "excluded_x_handles": ["spam"]}]}
                ),
                stream({"content": "It slipped."}),
            ),
            gives=answer("It slipped.", "grok-4", searched=False, warnings=[NO_SEARCH_RAN]),
        ),
    ),
    *refused_search_parameters(
        SHAPE,
        (410, refusal(410, LIVE_SEARCH_IS_GONE)),
        (422, body({"detail": [{"loc": ["body", "search_parameters"], "msg": "extra fields"}]}, status=422)),
        (404, body({"detail": "Not Found"}, status=404)),
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
                body(
                    {
                        **WHOLE,
                        "choices": [
                            {
                                "index": 1,
                                "message": {"role": "assistant", "content": "No."},
                                "finish_reason": "stop",
                            },
                            {
                                "index": 0,
                                "message": {"role": "assistant", "content": "Yes."},
                                "finish_reason": "stop",
                            },
                        ],
                    }
                ),
            ),
            gives=answer("Yes.", "grok-4", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "include_usage",
        # It is asked for, in vain: nothing is counted, nothing is made up.
        ask({}, at_chat(SHAPE.asked(), stream({"content": "Hi."})), gives=answer("Hi.", "grok-4", None)),
    ),
    SHAPE.row(
        "usage",
        ask({}, at_chat(SHAPE.asked(), body(WHOLE)), gives=answer("Hi.", "grok-4", None)),
        # Its tutorials show bodies in a wrapper.
        ask(
            {},
            at_chat(SHAPE.asked(), body({"status": "success", "data": WHOLE})),
            gives=answer("Hi.", "grok-4", None),
        ),
    ),
    SHAPE.models(
        "grok-4",
        "grok-4-1-fast",
        "grok-4-1-fast-non-reasoning",
        "grok-3",
        "grok-3-mini",
        "grok-2-vision",
        answers={"grok-4-1-fast": "grok-4.3", "grok-3": "grok-3-mini"},
    ),
]

NOT_APPLICABLE = {"responses": "not documented for Grok"}
