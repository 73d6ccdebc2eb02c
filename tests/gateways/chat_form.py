"""Chat completions as OpenAI wrote them down and every gateway takes them: one record a gateway, rows of all.

`chat_table.py` says in `ChatGateway`s what differs; `rows_of` makes the rows of each. Where a gateway does
something of its own, its record has a function for that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.gateways.shapes import FOUND, FOUND_TEXT, found, split_calls, torn
from tests.gateways.table import (
    ADDRESS,
    CALL,
    CALLS,
    DATA_URI,
    EVERYTHING,
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
    cited,
    search,
    structured,
    today,
)
from tests.support.endpoint import Reply, body, events

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


Counted = tuple[Reply, Json | None]
"""A reply, and the counts that a host sees of it."""


@dataclass(frozen=True, kw_only=True)
class ChatGateway:
    """How one gateway speaks chat completions, as far as gateways differ in it."""

    # What it is asked.
    column: str
    model: str = "grok-4"
    everything: Json = field(default_factory=lambda: EVERYTHING_SENT)
    always: Json = field(default_factory=dict)
    """Stands in every request."""
    settings: Json = field(default_factory=dict)

    # How it streams.
    ids: Json
    """In chunks and whole bodies, as are `created` and what else names the answer."""
    chunk: Json
    chunk_choice: Json = field(default_factory=dict)
    every_delta: Json = field(default_factory=dict)
    opening: Json | None = None
    """The first delta, where it has no text."""
    indexed: bool = True
    null_finish: bool = True
    """Whether choices that go on have a finish_reason of null, or none at all."""
    finish_names: Sequence[str] = ("finish_reason",)
    counts_stand: Literal["in the end", "behind it", "behind it always", "behind it, with a choice"]
    framed: Callable[[list[Json], str], Reply] = lambda chunks, finish: events(*chunks)
    calls: Callable[..., list[Json]] = split_calls
    """Puts calls of `get_weather` into deltas."""

    # How it answers in one piece, and how it refuses.
    whole_choice: Json = field(default_factory=dict)
    whole_message: Json = field(default_factory=dict)
    error: Callable[[int, str], Json]

    # What it counts, and what a host sees of that; None where it counts nothing.
    usage: Json | None = None
    counts: Json | None = None
    counting: "Callable[[ChatGateway], list[Reply]]" = lambda gateway: [
        gateway.stream({"content": "Hi."}, usage=gateway.usage)
    ]
    """Where in a stream the counts stand."""
    usages: "Callable[[ChatGateway], list[Counted]]" = lambda gateway: [
        (body(gateway.whole("Hi.", usage=gateway.usage)), gateway.counts)
    ]

    # What it does of its own.
    searches: "Callable[[ChatGateway], list[Call]]"
    refused_with: "Callable[[ChatGateway], Mapping[int, Reply]]" = lambda gateway: {}
    """Replies to a search, by status."""
    refused: "Callable[[ChatGateway, int, Reply], Row]" = lambda gateway, status, refusal: (
        refused_live_search(gateway, status, refusal)
    )
    two_answers: "Callable[[ChatGateway], Counted]"
    first_of_two: "Callable[[ChatGateway], Counted]"
    own_rows: "Callable[[ChatGateway], list[Row]]" = lambda gateway: option_rows(gateway)
    models: Sequence[str]
    others: Mapping[str, str]
    """Models in whose place another one answers."""
    not_applicable: Mapping[str, str] = field(default_factory=dict)

    def choice_of(self, delta: Json, finish: str | None = None, index: int = 0) -> Json:
        """One choice of a chunk."""
        ended = {} if finish is None and not self.null_finish else dict.fromkeys(self.finish_names, finish)
        placed = {"index": index} if self.indexed else {}
        return {**placed, **self.chunk_choice, "delta": {**self.every_delta, **delta}, **ended}

    def chunk_of(self, *choices: Json, model: str = "", **more: Any) -> Json:
        """One chunk of a stream."""
        return {**self.ids, **self.chunk, "model": model or self.model, "choices": list(choices), **more}

    def stream(
        self, *deltas: Json, model: str = "", finish: str = "stop", usage: Json | None = None, **last: Any
    ) -> Reply:
        """A whole stream; `last` stands in the chunk that ends the answer, or behind it."""
        opening = [] if self.opening is None else [self.opening]
        chunks = [self.chunk_of(self.choice_of(delta), model=model) for delta in (*opening, *deltas)]
        counted, end = {"usage": usage} if usage else {}, self.choice_of({}, finish)
        if self.counts_stand == "in the end":
            chunks.append(self.chunk_of(end, model=model, **counted, **last))
        elif self.counts_stand == "behind it always":
            chunks += [self.chunk_of(end, model=model), self.chunk_of(model=model, **counted, **last)]
        else:
            beside = [self.choice_of({})] if self.counts_stand == "behind it, with a choice" else []
            chunks.append(self.chunk_of(end, model=model, **last))
            chunks += [self.chunk_of(*beside, model=model, **counted)] if counted else []
        return self.framed(chunks, finish)

    def whole(self, *texts: str, usage: Json | None = None) -> Json:
        """A body that holds these answers."""
        choices = [
            {
                **({"index": number} if self.indexed else {}),
                **self.whole_choice,
                "message": {"role": "assistant", "content": text, **self.whole_message},
                **dict.fromkeys(self.finish_names, "stop"),
            }
            for number, text in enumerate(texts)
        ]
        counted = {"usage": usage} if usage else {}
        return {**self.ids, "object": "chat.completion", "model": self.model, "choices": choices, **counted}

    def refusal(self, status: int, words: str) -> Reply:
        """An error body in its own form."""
        return body(self.error(status, words), status=status)

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

    def with_models(self) -> Row:
        """Models that go out unchanged and answer themselves, then those in whose place another answers."""
        others = []
        for name, other in self.others.items():
            told = f"The model {name.rpartition('/')[2]} was asked for; {other} answered."
            reply = self.stream({"content": "Hi."}, model=other)
            gives = answer("Hi.", other, warnings=[told])
            others.append(ask({"model": name}, at_chat(self.asked(model=name), reply), gives=gives))
        plain = [self.hello(self.asked(model=name), {"model": name}) for name in self.models]
        return self.row("models", *plain, *others)

    def option(self, feature: str, **options: Any) -> Row:
        """Options that go out under their own names."""
        return self.row(feature, self.hello(self.asked(**options), {"options": options}))


def common_rows(gateway: ChatGateway) -> list[Row]:
    """The rows of every gateway that takes what it is sent."""
    return [
        _structured(gateway),
        _structured_unsupported(gateway),
        _functions(gateway),
        _tool_choice(gateway),
        _images(gateway),
        gateway.option("seed", seed=7),
        _parameter_refused(gateway),
        _affinity(gateway),
        _streamed(gateway),
    ]


def option_rows(gateway: ChatGateway) -> list[Row]:
    """Options that xAI's own reasoning models refuse, and gateways therefore may drop or forward."""
    return [
        gateway.option("stop", stop=["END"]),
        gateway.option("penalties", presence_penalty=0.5, frequency_penalty=-0.5),
        gateway.row(
            "effort",
            gateway.hello(gateway.asked(reasoning_effort="low"), {"reasoning_effort": "low"}),
            gateway.hello(gateway.asked(reasoning_effort="none"), {"reasoning_effort": "none"}),
            gateway.hello(gateway.asked(reasoning_effort="xhigh"), {"reasoning_effort": "xhigh"}),
        ),
    ]


JSON_SCHEMA: Json = {
    "type": "json_schema",
    "json_schema": {"name": "place", "strict": True, "schema": SCHEMA},
}


def _structured(gateway: ChatGateway) -> Row:
    return gateway.row(
        "structured",
        structured(
            {"instructions": "Extract facts."},
            at_chat(
                gateway.asked(
                    {"role": "system", "content": "Extract facts."},
                    user("Which city?"),
                    response_format=JSON_SCHEMA,
                ),
                gateway.stream({"content": '{"city":'}, {"content": '"Oslo"}'}),
            ),
            gives=answer('{"city":"Oslo"}', gateway.model, data={"city": "Oslo"}),
        ),
    )


def _structured_unsupported(gateway: ChatGateway) -> Row:
    """The schema is ignored, which a code fence shows; it is refused; JSON mode is refused as well."""
    asked = gateway.asked(user("Which city?"), response_format=JSON_SCHEMA)
    told = ({"role": "system", "content": SCHEMA_IN_WORDS}, user("Which city?"))
    json_mode = gateway.asked(*told, response_format={"type": "json_object"})
    refused = gateway.refusal(400, "response_format is not supported")
    fenced = '```json\n{"city":"Oslo"}\n```'
    oslo = gateway.stream({"content": '{"city":"Oslo"}'})
    in_words = answer('{"city":"Oslo"}', gateway.model, data={"city": "Oslo"}, warnings=[IN_WORDS])
    return gateway.row(
        "structured unsupported",
        structured(
            {},
            at_chat(asked, gateway.stream({"content": fenced})),
            gives=answer(fenced, gateway.model, data={"city": "Oslo"}),
        ),
        structured({}, at_chat(asked, refused), at_chat(json_mode, oslo), gives=in_words),
        structured(
            {},
            at_chat(asked, refused),
            at_chat(json_mode, refused),
            at_chat(gateway.asked(*told), oslo),
            gives=in_words,
        ),
    )


def _functions(gateway: ChatGateway) -> Row:
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
    return gateway.row(
        "functions",
        ask(
            {**OSLO_AND_BERGEN, "options": {"parallel_tool_calls": True}},
            at_chat(
                gateway.asked(prompt="Weather in Oslo and Bergen?", tools=TOOLS, parallel_tool_calls=True),
                gateway.stream(*gateway.calls("Oslo", "Bergen"), finish="tool_calls"),
            ),
            gives=answer("", gateway.model, **CALLS),
        ),
        ask(
            RESULTS,
            at_chat(
                gateway.asked(
                    user("Weather in Oslo and Bergen?"),
                    called,
                    {"role": "tool", "tool_call_id": "call_1", "content": '{"temp_c": 2}'},
                    {"role": "tool", "tool_call_id": "call_2", "content": "error: station offline"},
                    tools=TOOLS,
                ),
                gateway.stream({"content": "2 °C in Oslo."}),
            ),
            gives=answer("2 °C in Oslo.", gateway.model),
            continues=0,
        ),
    )


def _tool_choice(gateway: ChatGateway) -> Row:
    """A gateway may leave finish_reason empty although there is a call."""
    one = {"type": "function", "function": {"name": "get_weather"}}

    def called(choice: str, sent: Json, finish: str) -> Call:
        return ask(
            {"tools": TOOLS, "tool_choice": choice},
            at_chat(sent, gateway.stream(*gateway.calls("Oslo"), finish=finish)),
            gives=answer("", gateway.model, **CALL),
        )

    return gateway.row(
        "tool_choice",
        *(
            gateway.hello(
                gateway.asked(tools=TOOLS, tool_choice=choice), {"tools": TOOLS, "tool_choice": choice}
            )
            for choice in ("auto", "none")
        ),
        called("required", gateway.asked(tools=TOOLS, tool_choice="required"), "tool_calls"),
        called("get_weather", gateway.asked(tools=TOOLS, tool_choice=one), ""),
    )


def _images(gateway: ChatGateway) -> Row:
    content = [
        {"type": "image_url", "image_url": {"url": ADDRESS}},
        {"type": "image_url", "image_url": {"url": DATA_URI}},
        {"type": "text", "text": "Hello?"},
    ]
    return gateway.row(
        "images",
        gateway.hello(gateway.asked({"role": "user", "content": content}), {"images": [ADDRESS, DATA_URI]}),
    )


def _parameter_refused(gateway: ChatGateway) -> Row:
    """xAI's own words, in the body that the gateway puts around them."""
    refused = gateway.refusal(400, "Argument not supported on this model: presencePenalty")
    return gateway.row(
        "parameter refused",
        gateway.hello(
            gateway.asked(model="grok-5"),
            {"model": "grok-5", "options": {"presence_penalty": 0.5}},
            "presence_penalty was left out: the model does not take it.",
            before=at_chat(gateway.asked(presence_penalty=0.5, model="grok-5"), refused),
        ),
    )


def _affinity(gateway: ChatGateway) -> Row:
    """One conversation with two branches, and another one."""
    first = gateway.hello(gateway.asked(), {})
    branches = [
        ask(
            {"prompt": prompt},
            at_chat(
                gateway.asked(user("Hello?"), assistant("Hi."), user(prompt)),
                gateway.stream({"content": "Yes."}),
            ),
            gives=answer("Yes.", gateway.model),
            continues=0,
        )
        for prompt in ("And?", "Or?")
    ]
    further = ask(
        {"prompt": "Why?"},
        at_chat(
            gateway.asked(user("Hello?"), assistant("Hi."), user("Or?"), assistant("Yes."), user("Why?")),
            gateway.stream({"content": "So."}),
        ),
        gives=answer("So.", gateway.model),
        continues=2,
    )
    return gateway.row("affinity", first, *branches, further, first)


def _streamed(gateway: ChatGateway) -> Row:
    text = [{"content": piece} for piece in ("Bl", "å ", "hval", ".")]
    reply = torn(gateway.stream(*text))
    return gateway.row(
        "stream", ask({}, at_chat(gateway.asked(), reply), gives=answer("Blå hval.", gateway.model))
    )


LIVE_SEARCH_IS_GONE = "Live search is deprecated. Please switch to the Agent Tools API."


SERVER_TOOLS: Json = {
    "stream": True,
    "store": False,
    "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
    "prompt_cache_key": KEY,
    "tool_choice": "required",
    "tools": [{"type": "web_search"}, {"type": "x_search"}],
}
LIVE: Json = {"mode": "on", "return_citations": True}
LAUNCH = "https://news.example/launch"


def by_tools(gateway: ChatGateway) -> Exchange:
    """A search by server tools of the Responses API."""
    asked = [{"role": "system", "content": today()}, user("Tram?")]
    return at_responses({"model": gateway.model, "input": asked, **SERVER_TOOLS}, found(gateway.model))


def by_live_search(gateway: ChatGateway) -> Exchange:
    """A search by `search_parameters`."""
    found = gateway.stream({"content": "It slipped."}, citations=[LAUNCH])
    return at_chat(gateway.searched(search_parameters=LIVE), found)


def slipped(gateway: ChatGateway, *warnings: str) -> Json:
    """What is published of `by_live_search`."""
    citations = [cited(1, LAUNCH, "news.example/launch")]
    return answer("It slipped.", gateway.model, warnings=warnings, searched=True, citations=citations)


def refused_live_search(gateway: ChatGateway, status: int, refusal: Reply) -> Row:
    """`search_parameters` is refused; server tools of the Responses API follow, from then on at once."""
    live = gateway.searched(search_parameters=LIVE)
    answered = answer(FOUND_TEXT, gateway.model, **FOUND)
    switched = "The endpoint does not search by search_parameters; responses was used."
    tools = by_tools(gateway)
    return gateway.row(
        f"search refused with {status}",
        search({}, at_chat(live, refusal), tools, gives={**answered, "warnings": [switched]}),
        search({}, tools, gives=answered),
    )


def refused_tools(gateway: ChatGateway, status: int, refusal: Reply) -> Row:
    """Server tools are refused; `search_parameters` follows, from then on at once."""
    tools, live = by_tools(gateway), by_live_search(gateway)
    switched = "The endpoint does not search by responses; search_parameters was used."
    return gateway.row(
        f"search refused with {status}",
        search({}, at_responses(tools.body, refusal), live, gives=slipped(gateway, switched)),
        search({}, live, gives=slipped(gateway)),
    )


def rows_of(gateway: ChatGateway) -> list[Row]:
    """All rows of a gateway."""
    hi = gateway.stream({"content": "Hi"}, {"content": "."})
    return [
        gateway.row(
            "ask", ask(EVERYTHING, at_chat(gateway.everything, hi), gives=answer("Hi.", gateway.model))
        ),
        gateway.row("search", *gateway.searches(gateway)),
        *(gateway.refused(gateway, status, reply) for status, reply in gateway.refused_with(gateway).items()),
        *common_rows(gateway),
        *gateway.own_rows(gateway),
        _two(gateway, "n", gateway.two_answers(gateway)),
        _two(gateway, "index", gateway.first_of_two(gateway)),
        _counted(gateway, "include_usage", [(reply, gateway.counts) for reply in gateway.counting(gateway)]),
        _counted(gateway, "usage", gateway.usages(gateway)),
        gateway.with_models(),
    ]


def _two(gateway: ChatGateway, feature: str, replied: Counted) -> Row:
    reply, counts = replied
    gives = answer("Yes.", gateway.model, counts, alternatives=["No."])
    return gateway.row(feature, ask({"options": {"n": 2}}, at_chat(gateway.asked(n=2), reply), gives=gives))


def _counted(gateway: ChatGateway, feature: str, replies: list[Counted]) -> Row:
    return gateway.row(
        feature,
        *(
            ask({}, at_chat(gateway.asked(), reply), gives=answer("Hi.", gateway.model, counts))
            for reply, counts in replies
        ),
    )


# Two answers, yes and no, in the forms in which gateways send them.


def one_by_one(gateway: ChatGateway, *indexes: int) -> Counted:
    """Each in a chunk of its own, in this order."""
    role = {"role": "assistant"} if "role" in (gateway.opening or {}) else {}
    chunks = [
        gateway.chunk_of(gateway.choice_of({**role, "content": ("Yes.", "No.")[index]}, "stop", index))
        for index in indexes
    ]
    return events(*chunks), None


def first_first(gateway: ChatGateway) -> Counted:
    return one_by_one(gateway, 0, 1)


def last_first(gateway: ChatGateway) -> Counted:
    return one_by_one(gateway, 1, 0)


def last_first_in_a_body(gateway: ChatGateway) -> Counted:
    whole = gateway.whole("Yes.", "No.")
    return body({**whole, "choices": whole["choices"][::-1]}), None


def in_a_body(gateway: ChatGateway) -> Counted:
    return body(gateway.whole("Yes.", "No.")), None


def in_a_counted_body(gateway: ChatGateway) -> Counted:
    return body(gateway.whole("Yes.", "No.", usage=gateway.usage)), gateway.counts
