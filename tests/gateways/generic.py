"""An endpoint that we don't know: chat completions first, Responses where that path is not there.

Its replies are as spare as a gateway's may be: no id, no object, carriage returns, no `[DONE]`.
"""

from tests.gateways.chat_form import LIVE_SEARCH_IS_GONE, Shape, common_rows, option_rows
from tests.gateways.shapes import FOUND, FOUND_TEXT, found, lines, message, response_stream, split_calls
from tests.gateways.table import (
    ESTIMATED,
    EVERYTHING,
    KEY,
    Json,
    Row,
    answer,
    ask,
    at_chat,
    at_responses,
    cited,
    search,
    today,
)
from tests.support.endpoint import Reply, body


def chunk(*choices: Json, model: str = "grok-4.7", **more: object) -> Json:
    return {"model": model, "choices": list(choices), **more}


def choice(delta: Json, finish: str | None = None, index: int = 0) -> Json:
    return {"index": index, "delta": delta, **({"finish_reason": finish} if finish is not None else {})}


def stream(
    *deltas: Json, model: str = "grok-4.7", finish: str = "stop", usage: Json | None = None, **last: object
) -> Reply:
    """Chunks with nothing in them that could be left out; counts, if any, where the answer ends."""
    counted = {"usage": usage} if usage else {}
    return lines(
        *(chunk(choice(delta), model=model) for delta in deltas),
        chunk(choice({}, finish), model=model, **counted, **last),
        newline="\r\n",
        done=not finish,
    )


def refusal(status: int, words: str) -> Reply:
    return body({"error": {"message": words}}, status=status)


SHAPE = Shape("generic", "grok-4.7", stream, refusal, split_calls)

USAGE: Json = {"prompt_tokens": "12", "completion_tokens": 8.0, "total_tokens": 20}
COUNTS: Json = {
    "input_tokens": 12,
    "output_tokens": 8,
    "text_tokens": 8,
    "total_tokens": 20,
    **ESTIMATED,
}
NOT_THERE = body("404 page not found", status=404, content_type="text/plain")
ANSWER: Json = {
    "model": "grok-4.7",
    "input": [{"role": "user", "content": "Hello?"}],
    "stream": True,
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": KEY,
}
SEARCH: Json = {
    "model": "grok-4.7",
    "input": [{"role": "system", "content": today()}, {"role": "user", "content": "Tram?"}],
    "stream": True,
    "store": False,
    "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
    "prompt_cache_key": KEY,
    "tool_choice": "required",
    "tools": [{"type": "web_search"}, {"type": "x_search"}],
}


def refused_search(status: int, refused: Reply) -> Row:
    """Server tools are refused; `search_parameters` follows, from then on at once."""
    live = at_chat(
        SHAPE.searched(search_parameters={"mode": "on", "return_citations": True}),
        stream({"content": "It slipped."}, citations=["https://news.example/launch"]),
    )
    slipped = answer(
        "It slipped.",
        "grok-4.7",
        searched=True,
        citations=[cited(1, "https://news.example/launch", "news.example/launch")],
    )
    switched = "The endpoint does not search by responses; search_parameters was used."
    return SHAPE.row(
        f"search refused with {status}",
        search({}, at_responses(SEARCH, refused), live, gives={**slipped, "warnings": [switched]}),
        search({}, live, gives=slipped),
    )


ROWS: list[Row] = [
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
            gives=answer("Hi.", "grok-4.7"),
        ),
    ),
    SHAPE.row(
        "responses",
        ask(
            {},
            at_chat(SHAPE.asked(), NOT_THERE),
            at_responses(ANSWER, response_stream("grok-4.7", message("Hi", "."))),
            gives=answer(
                "Hi.",
                "grok-4.7",
                warnings=["The endpoint does not speak chat_completions; responses was used."],
            ),
        ),
        ask(
            {},
            at_responses(ANSWER, response_stream("grok-4.7", message("Hi", "."))),
            gives=answer("Hi.", "grok-4.7"),
        ),
    ),
    SHAPE.row(
        "search",
        search({}, at_responses(SEARCH, found("grok-4.7")), gives=answer(FOUND_TEXT, "grok-4.7", **FOUND)),
    ),
    refused_search(410, refusal(410, LIVE_SEARCH_IS_GONE)),
    refused_search(
        422,
        body(
            "unknown variant `web_search`, expected `function` or `live_search`",
            status=422,
            content_type="text/plain",
        ),
    ),
    refused_search(404, NOT_THERE),
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
            gives=answer("Yes.", "grok-4.7", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "index",
        ask(
            {"options": {"n": 2}},
            at_chat(
                SHAPE.asked(n=2),
                body({"choices": [{"message": {"content": "Yes."}}, {"message": {"content": "No."}}]}),
            ),
            gives=answer("Yes.", "grok-4.7", alternatives=["No."]),
        ),
    ),
    SHAPE.row(
        "include_usage",
        ask(
            {},
            at_chat(SHAPE.asked(), stream({"content": "Hi."}, usage=USAGE)),
            gives=answer("Hi.", "grok-4.7", COUNTS),
        ),
    ),
    SHAPE.row(
        "usage",
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                body({"choices": [{"message": {"content": "Hi."}}], "usage": {"prompt_tokens": -1}}),
            ),
            gives=answer("Hi.", "grok-4.7"),
        ),
        # Where the total does not tell, reasoning that exceeds the completion can't be inside it.
        ask(
            {},
            at_chat(
                SHAPE.asked(),
                body(
                    {
                        "choices": [{"message": {"content": "Hi."}}],
                        "usage": {
                            "prompt_tokens": 12,
                            "completion_tokens": 1,
                            "completion_tokens_details": {"reasoning_tokens": 228},
                        },
                    }
                ),
            ),
            gives=answer(
                "Hi.",
                "grok-4.7",
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
    SHAPE.models("grok-4.7", "grok-3", "my-own-model", answers={"grok-4.6": "grok-4.7"}),
]

NOT_APPLICABLE: dict[str, str] = {}
