"""Chat completions as OpenAI wrote them down and every gateway takes them: rows that differ in shape only.

A gateway's file says its `Shape`: model, what each request carries, how it streams and how it refuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.gateways.shapes import FOUND, FOUND_TEXT, found, torn
from tests.gateways.table import (
    ADDRESS,
    CALL,
    CALLS,
    DATA_URI,
    IN_WORDS,
    KEY,
    OSLO_AND_BERGEN,
    RESULTS,
    SCHEMA,
    SCHEMA_IN_WORDS,
    TOOLS,
    Call,
    Exchange,
    Json,
    Row,
    answer,
    ask,
    at_chat,
    at_responses,
    search,
    structured,
    today,
)
from tests.support.endpoint import Reply


@dataclass(frozen=True)
class Shape:
    """How one gateway speaks chat completions.

    `stream(*deltas, model=…, finish=…)` is a reply, `refusal(status, words)` an error body; `calls` puts
    calls of `get_weather` into deltas. `always` stands in every request.
    """

    column: str
    model: str
    stream: Callable[..., Reply]
    refusal: Callable[[int, str], Reply]
    calls: Callable[..., list[Json]]
    always: Json = field(default_factory=dict)
    settings: Json = field(default_factory=dict)

    def asked(self, *turns: Json, prompt: str = "Hello?", **more: Any) -> Json:
        """A request without any option; `turns` in place of the one question."""
        return {
            "model": self.model,
            "messages": list(turns) or [user(prompt)],
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.always,
            **more,
        }

    def searched(self, *sentences: str, **more: Any) -> Json:
        """A search: the same, with the date and what has no field as system message."""
        return self.asked({"role": "system", "content": today(*sentences)}, user("Tram?"), **more)

    def row(self, feature: str, *calls: Call) -> Row:
        return Row(self.column, feature, calls, self.settings)

    def hello(self, sent: Json, arguments: Json, *warnings: str, before: Exchange | None = None) -> Call:
        """A question that is answered by "Hi.", where need be after a request that was refused."""
        model = sent["model"]
        reply = self.stream({"content": "Hi"}, {"content": "."}, model=model)
        return ask(
            arguments,
            *filter(None, [before]),
            at_chat(sent, reply),
            gives=answer("Hi.", model, warnings=warnings),
        )

    def models(self, *named: str, answers: Mapping[str, str]) -> Row:
        """Models that go out unchanged and answer themselves, then those in whose place another answers."""
        others = []
        for name, other in answers.items():
            told = f"The model {name.rpartition('/')[2]} was requested; {other} answered."
            reply = self.stream({"content": "Hi."}, model=other)
            gives = answer("Hi.", other, warnings=[told])
            others.append(ask({"model": name}, at_chat(self.asked(model=name), reply), gives=gives))
        plain = [self.hello(self.asked(model=name), {"model": name}) for name in named]
        return self.row("models", *plain, *others)

    def option(self, feature: str, **options: Any) -> Row:
        """Options that go out under their own names."""
        return self.row(feature, self.hello(self.asked(**options), {"options": options}))


EVERYTHING_SENT: Json = {
    "model": "grok-4",
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
}
"""What `EVERYTHING` of `table.py` becomes on chat completions."""


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def assistant(text: str) -> Json:
    return {"role": "assistant", "content": text}


def common_rows(shape: Shape) -> list[Row]:
    """The rows of every gateway that takes what it is sent."""
    return [
        _structured(shape),
        _structured_unsupported(shape),
        _functions(shape),
        _tool_choice(shape),
        _images(shape),
        shape.option("seed", seed=7),
        _parameter_refused(shape),
        _affinity(shape),
        _streamed(shape),
    ]


def option_rows(shape: Shape) -> list[Row]:
    """Options that xAI's own reasoning models refuse, and gateways therefore may drop or forward."""
    return [
        shape.option("stop", stop=["END"]),
        shape.option("penalties", presence_penalty=0.5, frequency_penalty=-0.5),
        shape.row(
            "effort",
            shape.hello(shape.asked(reasoning_effort="low"), {"reasoning_effort": "low"}),
            shape.hello(shape.asked(reasoning_effort="none"), {"reasoning_effort": "none"}),
            shape.hello(shape.asked(reasoning_effort="xhigh"), {"reasoning_effort": "xhigh"}),
        ),
    ]


JSON_SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {"name": "place", "strict": True, "schema": SCHEMA},
}


def _structured(shape: Shape) -> Row:
    return shape.row(
        "structured",
        structured(
            {"instructions": "Extract facts."},
            at_chat(
                shape.asked(
                    {"role": "system", "content": "Extract facts."},
                    user("Which city?"),
                    response_format=JSON_SCHEMA,
                ),
                shape.stream({"content": '{"city":'}, {"content": '"Oslo"}'}),
            ),
            gives=answer('{"city":"Oslo"}', shape.model, data={"city": "Oslo"}),
        ),
    )


def _structured_unsupported(shape: Shape) -> Row:
    """The schema is ignored, which a code fence shows; it is refused; JSON mode is refused as well."""
    asked = shape.asked(user("Which city?"), response_format=JSON_SCHEMA)
    told = ({"role": "system", "content": SCHEMA_IN_WORDS}, user("Which city?"))
    json_mode = shape.asked(*told, response_format={"type": "json_object"})
    refused = shape.refusal(400, "response_format is not supported")
    fenced = '```json\n{"city":"Oslo"}\n```'
    oslo = shape.stream({"content": '{"city":"Oslo"}'})
    in_words = answer('{"city":"Oslo"}', shape.model, data={"city": "Oslo"}, warnings=[IN_WORDS])
    return shape.row(
        "structured unsupported",
        structured(
            {},
            at_chat(asked, shape.stream({"content": fenced})),
            gives=answer(fenced, shape.model, data={"city": "Oslo"}),
        ),
        structured({}, at_chat(asked, refused), at_chat(json_mode, oslo), gives=in_words),
        structured(
            {},
            at_chat(asked, refused),
            at_chat(json_mode, refused),
            at_chat(shape.asked(*told), oslo),
            gives=in_words,
        ),
    )


def _functions(shape: Shape) -> Row:
    called = {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
            },
            {
                "id": "call_2",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Bergen"}'},
            },
        ],
    }
    return shape.row(
        "functions",
        ask(
            {**OSLO_AND_BERGEN, "options": {"parallel_tool_calls": True}},
            at_chat(
                shape.asked(prompt="Weather in Oslo and Bergen?", tools=TOOLS, parallel_tool_calls=True),
                shape.stream(*shape.calls("Oslo", "Bergen"), finish="tool_calls"),
            ),
            gives=answer("", shape.model, **CALLS),
        ),
        ask(
            RESULTS,
            at_chat(
                shape.asked(
                    user("Weather in Oslo and Bergen?"),
                    called,
                    {"role": "tool", "tool_call_id": "call_1", "content": '{"temp_c": 2}'},
                    {"role": "tool", "tool_call_id": "call_2", "content": "error: station offline"},
                    tools=TOOLS,
                ),
                shape.stream({"content": "2 °C in Oslo."}),
            ),
            gives=answer("2 °C in Oslo.", shape.model),
            continues=0,
        ),
    )


def _tool_choice(shape: Shape) -> Row:
    """A gateway may leave finish_reason empty although there is a call."""
    one = {"type": "function", "function": {"name": "get_weather"}}

    def called(choice: str, sent: Json, finish: str) -> Call:
        return ask(
            {"tools": TOOLS, "tool_choice": choice},
            at_chat(sent, shape.stream(*shape.calls("Oslo"), finish=finish)),
            gives=answer("", shape.model, **CALL),
        )

    return shape.row(
        "tool_choice",
        *(
            shape.hello(shape.asked(tools=TOOLS, tool_choice=choice), {"tools": TOOLS, "tool_choice": choice})
            for choice in ("auto", "none")
        ),
        called("required", shape.asked(tools=TOOLS, tool_choice="required"), "tool_calls"),
        called("get_weather", shape.asked(tools=TOOLS, tool_choice=one), ""),
    )


def _images(shape: Shape) -> Row:
    content = [
        {"type": "image_url", "image_url": {"url": ADDRESS}},
        {"type": "image_url", "image_url": {"url": DATA_URI}},
        {"type": "text", "text": "Hello?"},
    ]
    return shape.row(
        "images",
        shape.hello(shape.asked({"role": "user", "content": content}), {"images": [ADDRESS, DATA_URI]}),
    )


def _parameter_refused(shape: Shape) -> Row:
    """xAI's own words, in the body that the gateway puts around them."""
    refused = shape.refusal(400, "Argument not supported on this model: presencePenalty")
    return shape.row(
        "parameter refused",
        shape.hello(
            shape.asked(model="grok-5"),
            {"model": "grok-5", "options": {"presence_penalty": 0.5}},
            "presence_penalty was left out: the model does not take it.",
            before=at_chat(shape.asked(presence_penalty=0.5, model="grok-5"), refused),
        ),
    )


def _affinity(shape: Shape) -> Row:
    """One conversation with two branches, and another one."""
    first = shape.hello(shape.asked(), {})
    branches = [
        ask(
            {"prompt": prompt},
            at_chat(
                shape.asked(user("Hello?"), assistant("Hi."), user(prompt)),
                shape.stream({"content": "Yes."}),
            ),
            gives=answer("Yes.", shape.model),
            continues=0,
        )
        for prompt in ("And?", "Or?")
    ]
    further = ask(
        {"prompt": "Why?"},
        at_chat(
            shape.asked(user("Hello?"), assistant("Hi."), user("Or?"), assistant("Yes."), user("Why?")),
            shape.stream({"content": "So."}),
        ),
        gives=answer("So.", shape.model),
        continues=2,
    )
    return shape.row("affinity", first, *branches, further, first)


def _streamed(shape: Shape) -> Row:
    text = [{"content": piece} for piece in ("Bl", "å ", "hval", ".")]
    reply = torn(shape.stream(*text))
    return shape.row("stream", ask({}, at_chat(shape.asked(), reply), gives=answer("Blå hval.", shape.model)))


LIVE_SEARCH_IS_GONE = "Live search is deprecated. Please switch to the Agent Tools API."


def refused_search_parameters(shape: Shape, *refusals: tuple[int, Reply]) -> list[Row]:
    """`search_parameters` is refused; server tools of the Responses API follow, from then on at once."""
    tools = at_responses(
        {
            "model": shape.model,
            "input": [{"role": "system", "content": today()}, user("Tram?")],
            "stream": True,
            "store": False,
            "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
            "prompt_cache_key": KEY,
            "tool_choice": "required",
            "tools": [{"type": "web_search"}, {"type": "x_search"}],
        },
        found(shape.model),
    )
    live = shape.searched(search_parameters={"mode": "on", "return_citations": True})
    answered = answer(FOUND_TEXT, shape.model, **FOUND)
    switched = "The endpoint does not search by search_parameters; responses was used."
    return [
        shape.row(
            f"search refused with {status}",
            search({}, at_chat(live, refusal), tools, gives={**answered, "warnings": [switched]}),
            search({}, tools, gives=answered),
        )
        for status, refusal in refusals
    ]
