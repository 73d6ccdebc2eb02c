"""xAI over chat completions, as GROK_MCP_DIALECT=chat_completions asks for (docs.x.ai, REST reference)."""

from tests.gateways.chat_form import Shape, common_rows, user
from tests.gateways.shapes import FOUND, FOUND_TEXT, found, whole_calls
from tests.gateways.table import (
    EVERYTHING,
    KEY,
    Json,
    answer,
    ask,
    at_chat,
    at_responses,
    search,
    today,
)
from tests.support.endpoint import Reply, body, events


def chunk(*choices: Json, model: str = "grok-4.7", **more: object) -> Json:
    return {
        "id": "5f1c0d3e-9a8b-4c7d-8e6f-0a1b2c3d4e5f",
        "object": "chat.completion.chunk",
        "created": 1795300000,
        "model": model,
        "choices": list(choices),
        **more,
        "system_fingerprint": "fp_7c31d0a9be",
        "service_tier": "default",
    }


def stream(
    *deltas: Json,
    model: str = "grok-4.7",
    finish: str = "stop",
    usage: Json | None = None,
    **last: object,
) -> Reply:
    """Running chunks without finish_reason, reasoning first, the counts behind the end without a choice."""
    chunks = [
        chunk({"index": 0, "delta": delta}, model=model)
        for delta in ({"role": "assistant", "reasoning_content": "Think."}, *deltas)
    ]
    chunks.append(chunk({"index": 0, "delta": {}, "finish_reason": finish}, model=model, **last))
    return events(*chunks, *([chunk(model=model, usage=usage)] if usage else []))


USAGE: Json = {
    "prompt_tokens": 703,
    "completion_tokens": 4,
    "total_tokens": 957,
    "prompt_tokens_details": {
        "text_tokens": 703,
        "audio_tokens": 0,
        "image_tokens": 0,
        "cached_tokens": 679,
    },
    "completion_tokens_details": {
        "reasoning_tokens": 250,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
    "num_sources_used": 0,
    "cost_in_usd_ticks": 8_008_000,
}
COUNTS: Json = {
    "input_tokens": 703,
    "cached_tokens": 679,
    "output_tokens": 254,
    "reasoning_tokens": 250,
    "text_tokens": 4,
    "total_tokens": 957,
    "cost_usd": 0.0008008,
    "cost_source": "reported",
}
"""xAI's chat counts reasoning beside the completion: 703 + 4 + 250 = 957."""


def refusal(status: int, words: str) -> Reply:
    return body({"code": "Client specified an invalid argument", "error": words}, status=status)


SHAPE = Shape(
    "xai chat",
    "grok-4.7",
    stream,
    refusal,
    whole_calls,
    always={"prompt_cache_key": KEY},
    settings={"dialect": "chat_completions"},
)

HELLO = stream({"content": "Hi"}, {"content": "."})
HI = answer("Hi.", "grok-4.7")
TWO_ANSWERS = events(
    chunk({"index": 1, "delta": {"role": "assistant", "content": "No."}}),
    chunk({"index": 0, "delta": {"role": "assistant", "content": "Yes."}}),
    chunk({"index": 1, "delta": {}, "finish_reason": "stop"}),
    chunk({"index": 0, "delta": {}, "finish_reason": "stop"}),
)


ROWS = [
    SHAPE.row(
        "ask",
        ask(
            EVERYTHING,
            at_chat(
                {
                    "model": "grok-4.7",
                    "messages": [
                        {"role": "system", "content": "Be brief."},
                        {"role": "user", "content": "Hello?"},
                    ],
                    "stream": True,
                    "stream_options": {"include_usage": True},
                    "prompt_cache_key": KEY,
                    "reasoning_effort": "low",
                    "max_completion_tokens": 2048,
                    "temperature": 0.7,
                    "top_p": 0.95,
                    "parallel_tool_calls": False,
                    "service_tier": "default",
                    "user": "opaque-id",
                },
                HELLO,
            ),
            gives=HI,
        ),
    ),
    SHAPE.row(
        "search",
        search(
            {},
            at_responses(
                {
                    "model": "grok-4.7",
                    "input": [{"role": "system", "content": today()}, user("Tram?")],
                    "stream": True,
                    "store": False,
                    "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
                    "prompt_cache_key": KEY,
                    "tool_choice": "required",
                    "tools": [{"type": "web_search"}, {"type": "x_search"}],
                },
                found("grok-4.7"),
            ),
            gives=answer(FOUND_TEXT, "grok-4.7", **FOUND),
        ),
    ),
    *common_rows(SHAPE),
    SHAPE.row(
        "n",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                body(
                    {
                        "id": "5f1c0d3e-9a8b-4c7d-8e6f-0a1b2c3d4e5f",
                        "object": "chat.completion",
                        "created": 1795300000,
                        "model": "grok-4.7",
                        "choices": [
                            {
                                "index": 0,
                                "message": {"role": "assistant", "content": "Yes.", "refusal": None},
                                "finish_reason": "stop",
                            },
                            {
                                "index": 1,
                                "message": {"role": "assistant", "content": "No.", "refusal": None},
                                "finish_reason": "stop",
                            },
                        ],
                    }
                ),
            ),
            gives=answer("Yes.", "grok-4.7", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "stop",
        SHAPE.hello(
            SHAPE.asked(),
            {"options": {"stop": ["END"]}},
            "stop was left out: grok-4.7 does not take it.",
        ),
        SHAPE.hello(
            SHAPE.asked(model="grok-4.20-0309-non-reasoning", stop=["END"]),
            {"model": "grok-4.20-0309-non-reasoning", "options": {"stop": ["END"]}},
        ),
    ),
    SHAPE.row(
        "penalties",
        SHAPE.hello(
            SHAPE.asked(),
            {"options": {"presence_penalty": 0.5, "frequency_penalty": -0.5}},
            "presence_penalty was left out: grok-4.7 does not take it.",
            "frequency_penalty was left out: grok-4.7 does not take it.",
        ),
        SHAPE.hello(
            SHAPE.asked(model="grok-4.20-0309-non-reasoning", presence_penalty=0.5, frequency_penalty=-0.5),
            {
                "model": "grok-4.20-0309-non-reasoning",
                "options": {"presence_penalty": 0.5, "frequency_penalty": -0.5},
            },
        ),
    ),
    SHAPE.row(
        "include_usage",
        ask(
            {},
            at_chat(SHAPE.asked(), stream({"content": "Hi."}, usage=USAGE)),
            gives=answer("Hi.", "grok-4.7", COUNTS),
        ),
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                events(
                    chunk({"index": 0, "delta": {"role": "assistant", "content": "Hi."}}),
                    chunk({"index": 0, "delta": {}, "finish_reason": "stop"}, usage=USAGE),
                ),
            ),
            gives=answer("Hi.", "grok-4.7", COUNTS),
        ),
    ),
    SHAPE.row(
        "effort",
        SHAPE.hello(SHAPE.asked(reasoning_effort="xhigh"), {"reasoning_effort": "xhigh"}),
        SHAPE.hello(
            SHAPE.asked(model="grok-4.5"),
            {"model": "grok-4.5", "reasoning_effort": "none"},
            "reasoning_effort was left out: grok-4.5 does not take it.",
        ),
        SHAPE.hello(
            SHAPE.asked(model="grok-4.20"),
            {"model": "grok-4.20", "reasoning_effort": "low"},
            "reasoning_effort was left out: grok-4.20-0309-reasoning does not take it.",
        ),
    ),
    SHAPE.row(
        "usage",
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                stream(
                    {"content": "Hi."},
                    usage={
                        "prompt_tokens": 4142,
                        "completion_tokens": 254,
                        "total_tokens": 8724,
                        "prompt_tokens_details": {"text_tokens": 8470, "cached_tokens": 4328},
                        "cost_in_usd_ticks": 0,
                    },
                ),
            ),
            gives=answer(
                "Hi.",
                "grok-4.7",
                {
                    "input_tokens": 8470,
                    "cached_tokens": 4328,
                    "output_tokens": 254,
                    "text_tokens": 254,
                    "total_tokens": 8724,
                    "cost_usd": 0.0,
                    "cost_source": "reported",
                },
            ),
        ),
        # Without a total: xAI's chat counts reasoning beside the completion.
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                stream(
                    {"content": "Hi."},
                    usage={
                        "prompt_tokens": 100,
                        "completion_tokens": 500,
                        "completion_tokens_details": {"reasoning_tokens": 300},
                        "cost_in_usd_ticks": 1_000,
                    },
                ),
            ),
            gives=answer(
                "Hi.",
                "grok-4.7",
                {
                    "input_tokens": 100,
                    "output_tokens": 800,
                    "reasoning_tokens": 300,
                    "text_tokens": 500,
                    "total_tokens": 900,
                    "cost_usd": 1e-7,
                    "cost_source": "reported",
                },
            ),
        ),
    ),
    SHAPE.row(
        "index",
        ask(
            {"options": {"n": 2}},
            at_chat(SHAPE.asked(n=2), TWO_ANSWERS),
            gives=answer("Yes.", "grok-4.7", alternatives=["No."]),
        ),
    ),
    SHAPE.models("grok-4.7", "grok-4.6", answers={"grok-4.6": "grok-4.7"}),
]

NOT_APPLICABLE = {
    "responses": "the setting asks for the other dialect",
    **dict.fromkeys(
        ("search refused with 410", "search refused with 422", "search refused with 404"),
        "searches as `xai` does, whichever dialect the setting asks for",
    ),
}
