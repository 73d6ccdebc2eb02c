"""xAI over its Responses API, and over chat completions where only that has the option.

Facts: docs.x.ai, REST reference, tools, citations, structured outputs, cost tracking.
"""

from tests.gateways.chat_form import assistant, user
from tests.gateways.chat_table import XAI_CHAT, xai_two_answers
from tests.gateways.shapes import (
    FOUND,
    FOUND_TEXT,
    found,
    function_call,
    message,
    reasoning,
    response_stream,
    torn,
    web_search,
)
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
    SCHEMA_IN_WORDS,
    TOOLS,
    answer,
    ask,
    at_chat,
    at_responses,
    cited,
    search,
    structured,
    today,
)
from tests.gateways.xai_form import (
    COUNTS,
    FUNCTIONS,
    GONE,
    HELLO,
    HI,
    JSON_SCHEMA,
    NOT_FOUND,
    THOUGHT,
    UNKNOWN_TOOL,
    UNSUPPORTED,
    USAGE,
    asked,
    hello,
    no_search,
    refused_search,
    row,
    said_json,
    searched,
    with_effort,
    with_model,
    without_effort,
)
from tests.support.endpoint import body

CHAT_HELLO = XAI_CHAT.stream({"content": "Hi"}, {"content": "."})
CHAT_HI = answer("Hi.", "grok-4.7")

ROWS = [
    row(
        "ask",
        ask(
            EVERYTHING,
            at_responses(
                {
                    "model": "grok-4.7",
                    "input": [
                        {"role": "system", "content": "Be brief."},
                        {"role": "user", "content": "Hello?"},
                    ],
                    "stream": True,
                    "store": False,
                    "include": ["reasoning.encrypted_content"],
                    "prompt_cache_key": KEY,
                    "reasoning": {"effort": "low"},
                    "max_output_tokens": 2048,
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
    row(
        "responses",
        ask(
            {},
            at_responses(asked(), NOT_FOUND),
            at_chat(XAI_CHAT.asked(), CHAT_HELLO),
            gives={
                **CHAT_HI,
                "warnings": ["The endpoint does not speak responses; chat_completions was used."],
            },
        ),
        ask({}, at_chat(XAI_CHAT.asked(), CHAT_HELLO), gives=CHAT_HI),
    ),
    row(
        "search",
        search(
            {}, at_responses(searched(), found("grok-4.7")), gives=answer(FOUND_TEXT, "grok-4.7", **FOUND)
        ),
        search(
            {
                "from_date": "2026-11-01",
                "to_date": "2026-11-22",
                "allowed_domains": ["https://www.city.example/news"],
                "allowed_x_handles": ["@xai"],
                "options": {"max_turns": 4, "image_understanding": False, "video_understanding": False},
            },
            at_responses(
                searched(
                    "Use only web pages dated from 2026-11-01 until 2026-11-22, both days included.",
                    max_turns=4,
                    tools=[
                        {
                            "type": "web_search",
                            "filters": {"allowed_domains": ["city.example"]},
                            "enable_image_understanding": False,
                        },
                        {
                            "type": "x_search",
                            "allowed_x_handles": ["xai"],
                            "from_date": "2026-11-01",
                            "to_date": "2026-11-22",
                            "enable_image_understanding": False,
                            "enable_video_understanding": False,
                        },
                    ],
                ),
                found("grok-4.7", USAGE),
            ),
            gives=answer(
                FOUND_TEXT,
                "grok-4.7",
                COUNTS,
                **FOUND,
                warnings=[
                    "This endpoint has no field for dates of web pages: passed on in words, best effort."
                ],
            ),
        ),
    ),
    refused_search(410, GONE, no_search(GONE)),
    refused_search(422, UNKNOWN_TOOL, no_search(UNKNOWN_TOOL)),
    refused_search(404, NOT_FOUND),
    row(
        "structured",
        structured(
            {"instructions": "Extract facts."},
            at_responses(
                asked(
                    {"role": "system", "content": "Extract facts."},
                    user("Which city?"),
                    text=JSON_SCHEMA,
                ),
                said_json('{"city":"Oslo"}'),
            ),
            gives=answer('{"city":"Oslo"}', "grok-4.7", data={"city": "Oslo"}),
        ),
        structured(
            {"search": True},
            at_responses(
                asked(
                    {"role": "system", "content": today()},
                    user("Which city?"),
                    include=["reasoning.encrypted_content", "web_search_call.action.sources"],
                    tool_choice="required",
                    tools=[{"type": "web_search"}, {"type": "x_search"}],
                    text=JSON_SCHEMA,
                ),
                response_stream(
                    "grok-4.7",
                    web_search("capital of Norway", "https://city.example/oslo"),
                    message('{"city":"Oslo"}'),
                ),
            ),
            gives=answer(
                '{"city":"Oslo"}',
                "grok-4.7",
                data={"city": "Oslo"},
                searched=True,
                search_queries=["capital of Norway"],
                citations=[cited(1, "https://city.example/oslo", "city.example/oslo")],
            ),
        ),
    ),
    row(
        "structured unsupported",
        structured(
            {},
            at_responses(
                asked(
                    user("Which city?"),
                    text=JSON_SCHEMA,
                ),
                body(
                    {
                        "code": "invalid-argument",
                        "error": "text.format json_schema is not supported on this model",
                    },
                    status=400,
                ),
            ),
            at_responses(
                asked(
                    {"role": "system", "content": SCHEMA_IN_WORDS},
                    user("Which city?"),
                    text={"format": {"type": "json_object"}},
                ),
                said_json('```json\n{"city":"Oslo"}\n```'),
            ),
            gives=answer(
                '```json\n{"city":"Oslo"}\n```', "grok-4.7", data={"city": "Oslo"}, warnings=[IN_WORDS]
            ),
        ),
    ),
    row(
        "functions",
        ask(
            {**OSLO_AND_BERGEN, "options": {"parallel_tool_calls": True}},
            at_responses(
                asked(
                    prompt="Weather in Oslo and Bergen?",
                    tools=FUNCTIONS,
                    parallel_tool_calls=True,
                ),
                response_stream(
                    "grok-4.7", reasoning("gAAA"), function_call(1, "Oslo"), function_call(2, "Bergen")
                ),
            ),
            gives=answer("", "grok-4.7", **CALLS),
        ),
        ask(
            RESULTS,
            at_responses(
                asked(
                    user("Weather in Oslo and Bergen?"),
                    THOUGHT,
                    {
                        "type": "function_call",
                        "call_id": "call_1",
                        "name": "get_weather",
                        "arguments": '{"city":"Oslo"}',
                    },
                    {
                        "type": "function_call",
                        "call_id": "call_2",
                        "name": "get_weather",
                        "arguments": '{"city":"Bergen"}',
                    },
                    {"type": "function_call_output", "call_id": "call_1", "output": '{"temp_c": 2}'},
                    {"type": "function_call_output", "call_id": "call_2", "output": "error: station offline"},
                    tools=FUNCTIONS,
                ),
                response_stream("grok-4.7", message("2 °C in Oslo.")),
            ),
            gives=answer("2 °C in Oslo.", "grok-4.7"),
            continues=0,
        ),
    ),
    row(
        "tool_choice",
        hello(asked(tools=FUNCTIONS, tool_choice="auto"), {"tools": TOOLS, "tool_choice": "auto"}),
        hello(asked(tools=FUNCTIONS, tool_choice="none"), {"tools": TOOLS, "tool_choice": "none"}),
        *(
            ask(
                {"tools": TOOLS, "tool_choice": choice},
                at_responses(
                    asked(tools=FUNCTIONS, tool_choice=sent),
                    response_stream("grok-4.7", function_call(1, "Oslo")),
                ),
                gives=answer("", "grok-4.7", **CALL),
            )
            for choice, sent in (
                ("required", "required"),
                ("get_weather", {"type": "function", "name": "get_weather"}),
            )
        ),
    ),
    row(
        "images",
        ask(
            {"images": [ADDRESS, DATA_URI]},
            at_responses(
                asked(
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_image", "image_url": ADDRESS},
                            {"type": "input_image", "image_url": DATA_URI},
                            {"type": "input_text", "text": "Hello?"},
                        ],
                    }
                ),
                HELLO,
            ),
            gives=HI,
        ),
    ),
    row("seed", XAI_CHAT.hello(XAI_CHAT.asked(seed=7), {"options": {"seed": 7}})),
    row(
        "n",
        ask(
            {"options": {"n": 2}},
            at_chat(XAI_CHAT.asked(n=2), xai_two_answers(XAI_CHAT)[0]),
            gives=answer("Yes.", "grok-4.7", alternatives=["No."]),
        ),
    ),
    row(
        "stop",
        hello(asked(), {"options": {"stop": ["END"]}}, "stop was left out: grok-4.7 does not take it."),
        XAI_CHAT.hello(
            XAI_CHAT.asked(model="grok-4.20-0309-non-reasoning", stop=["END"]),
            {"model": "grok-4.20-0309-non-reasoning", "options": {"stop": ["END"]}},
        ),
    ),
    row(
        "penalties",
        hello(
            asked(),
            {"options": {"presence_penalty": 0.5, "frequency_penalty": -0.5}},
            "presence_penalty was left out: grok-4.7 does not take it.",
            "frequency_penalty was left out: grok-4.7 does not take it.",
        ),
        XAI_CHAT.hello(
            XAI_CHAT.asked(
                model="grok-4.20-0309-non-reasoning", presence_penalty=0.5, frequency_penalty=-0.5
            ),
            {
                "model": "grok-4.20-0309-non-reasoning",
                "options": {"presence_penalty": 0.5, "frequency_penalty": -0.5},
            },
        ),
    ),
    row(
        "stream",
        ask(
            {},
            at_responses(
                asked(),
                torn(
                    response_stream(
                        "grok-4.7", message("Bl", "å ", "hval", "."), usage=USAGE, named_events=True
                    )
                ),
            ),
            gives=answer("Blå hval.", "grok-4.7", COUNTS),
        ),
    ),
    row(
        "effort",
        with_effort("grok-4.7", "xhigh"),
        with_effort("grok-4.6", "medium"),
        with_effort("grok-4.5", "high"),
        without_effort("grok-4.5", "none"),
        with_effort("grok-4.3", "none"),
        with_effort("grok-4.3", "xhigh"),
        without_effort("grok-4.20-0309-reasoning", "low"),
        without_effort("grok-4.20-0309-non-reasoning", "none"),
        with_effort("grok-4.20-multi-agent-0309", "high"),
        without_effort("grok-build-0.1", "high"),
        with_effort("grok-5", "low"),
    ),
    row(
        "parameter refused",
        ask(
            {"model": "grok-5", "reasoning_effort": "low"},
            at_responses({**asked(reasoning={"effort": "low"}), "model": "grok-5"}, UNSUPPORTED),
            at_responses(asked(model="grok-5"), response_stream("grok-5", message("Hi."))),
            gives=answer(
                "Hi.", "grok-5", warnings=["reasoning_effort was left out: the model does not take it."]
            ),
        ),
    ),
    row(
        "affinity",
        ask({}, at_responses(asked(), HELLO), gives=HI),
        ask(
            {"prompt": "And?"},
            at_responses(asked(user("Hello?"), THOUGHT, assistant("Hi."), user("And?")), HELLO),
            gives=HI,
            continues=0,
        ),
        ask(
            {"prompt": "Or?", "options": {"seed": 7}},
            at_chat(
                {
                    **XAI_CHAT.asked(seed=7),
                    "messages": [user("Hello?"), assistant("Hi."), user("Or?")],
                },
                CHAT_HELLO,
            ),
            gives=CHAT_HI,
            continues=0,
        ),
        ask({}, at_responses(asked(), HELLO), gives=HI),
    ),
    row(
        "usage",
        ask(
            {},
            at_responses(asked(), response_stream("grok-4.7", message("Hi."), usage=USAGE)),
            gives=answer("Hi.", "grok-4.7", COUNTS),
        ),
    ),
    row(
        "models",
        with_model("grok-4.7", "grok-4.7"),
        with_model("grok-4.6", "grok-4.6"),
        with_model("grok-4.5", "grok-4.5"),
        with_model("grok-4.5-latest", "grok-4.5"),
        with_model("grok-4.3", "grok-4.3"),
        with_model("grok-4.3-latest", "grok-4.3"),
        with_model("grok-latest", "grok-4.7"),
        with_model("grok-4.20-0309-reasoning", "grok-4.20-0309-reasoning"),
        with_model("grok-4.20", "grok-4.20-0309-reasoning"),
        with_model("grok-4.20-reasoning", "grok-4.20-0309-reasoning"),
        with_model("grok-4.20-0309-non-reasoning", "grok-4.20-0309-non-reasoning"),
        with_model("grok-4.20-non-reasoning", "grok-4.20-0309-non-reasoning"),
        with_model("grok-4.20-multi-agent-0309", "grok-4.20-multi-agent-0309"),
        with_model("grok-4.20-multi-agent", "grok-4.20-multi-agent-0309"),
        with_model("grok-build-0.1", "grok-build-0.1"),
        with_model("grok-4.7", "grok-4.6", "The model grok-4.7 was asked for; grok-4.6 answered."),
        *(
            with_model(
                retired,
                answers,
                f"The model {retired} was retired on 2026-05-15; {answers} answers and is billed.",
            )
            for retired, answers in (
                ("grok-4", "grok-4.3"),
                ("grok-4-1-fast-reasoning", "grok-4.3"),
                ("grok-4-fast-reasoning", "grok-4.3"),
                ("grok-4-0709", "grok-4.3"),
                ("grok-4-1-fast-non-reasoning", "grok-4.3"),
                ("grok-4-fast-non-reasoning", "grok-4.3"),
                ("grok-3", "grok-4.3"),
                ("grok-code-fast-1", "grok-build-0.1"),
            )
        ),
    ),
]

NOT_APPLICABLE = {
    "include_usage": "the Responses API tells its counts unasked",
    "index": "the Responses API gives one answer; where n takes a call to chat completions, see `xai chat`",
}
