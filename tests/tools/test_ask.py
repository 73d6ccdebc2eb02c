"""`ask_grok` through a real client: the answer's shape, images, function tools, conversations."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from dirty_equals import IsPartialDict, IsStr

from grok_mcp.errors import ConversationNotFoundError
from tests.support.endpoint import Endpoint, Reply, body, chat, events
from tests.support.host import host_on
from tests.support.pace import within
from tests.support.payloads import PAYLOADS, payload_reply

pytestmark = pytest.mark.anyio

USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 300,
    "total_tokens": 1600,
    "prompt_tokens_details": {"cached_tokens": 1000},
    "completion_tokens_details": {"reasoning_tokens": 100},
    "cost_in_usd_ticks": 33_000_000,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current temperature",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


async def test_an_answer_is_one_markdown_block_with_one_line_of_facts() -> None:
    async with Endpoint(chat("Blue light ", "scatters more.", usage=USAGE)) as endpoint:
        async with host_on(endpoint) as host:
            result = await host.ask("Why is the sky blue?")
    assert result.raw.structured_content is None
    assert result.text == IsStr(
        regex=r"Blue light scatters more\.\n\n"
        r"grok-4\.7 · 1,200 in \(1,000 cached\) \+ 400 out \(100 reasoning\) tokens · 0\.003300 USD · 0\.\d s"
        r" · conversation_id conv_\S+\n"
    )
    assert result.answer == IsPartialDict(
        model="grok-4.7", finish_reason="stop", conversation_id=IsStr(regex=r"conv_[\w-]{20,}")
    )
    assert "searched" not in result.answer


async def test_a_cost_that_the_endpoint_does_not_tell_is_marked_as_an_estimate() -> None:
    told = {name: value for name, value in USAGE.items() if name != "cost_in_usd_ticks"}
    async with Endpoint(chat("Hi.", usage=told)) as endpoint, host_on(endpoint) as host:
        result = await host.ask()
    assert result.answer["usage"] == IsPartialDict(cost_usd=0.0033, cost_source="estimated")
    assert "0.003300 USD estimated" in result.text


async def test_every_plain_argument_reaches_a_chat_endpoint_under_its_wire_name() -> None:
    options = {
        "top_p": 0.9,
        "seed": 7,
        "stop": "END",
        "n": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "parallel_tool_calls": False,
        "service_tier": "priority",
        "user": "u-1",
    }
    async with Endpoint(chat("Yes.")) as endpoint, host_on(endpoint, gateway="nebula") as host:
        await host.ask(
            "Is it?",
            instructions="Be brief.",
            model="grok-3",
            reasoning_effort="high",
            max_output_tokens=50,
            temperature=0.5,
            options=options,
        )
    (request,) = endpoint.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer xai-test-key-1234567890"
    assert request.body == {
        "model": "grok-3",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Is it?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 50,
        "reasoning_effort": "high",
        **options,
        "stop": ["END"],
    }


async def test_xai_is_asked_by_the_responses_api_and_told_to_store_nothing() -> None:
    async with Endpoint(payload_reply("10a_responses_stream_incomplete.sse")) as endpoint:
        async with host_on(endpoint, gateway="xai") as host:
            await host.ask("Is it?", reasoning_effort="low", max_output_tokens=64, options={"top_p": 0.5})
    (request,) = endpoint.requests
    assert request.path == "/v1/responses"
    assert request.body == {
        "model": "grok-4.7",
        "input": [{"role": "user", "content": "Is it?"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 64,
        "reasoning": {"effort": "low"},
        "prompt_cache_key": IsStr(regex=r"[0-9a-f]{32}"),
        "top_p": 0.5,
    }
    assert request.headers["x-grok-conv-id"] == request.body["prompt_cache_key"]


async def test_an_option_that_only_chat_completions_has_takes_the_call_there() -> None:
    async with Endpoint(chat("One.")) as endpoint, host_on(endpoint, gateway="xai") as host:
        await host.ask(options={"seed": 1})
    assert endpoint.requests[0].path == "/v1/chat/completions"
    assert endpoint.requests[0].body["seed"] == 1


async def test_further_answers_are_shown_behind_the_first() -> None:
    first = {"choices": [{"index": 0, "delta": {"content": "Yes."}}]}
    second = {"choices": [{"index": 1, "delta": {"content": "No."}}]}
    async with Endpoint(events(first, second)) as endpoint, host_on(endpoint) as host:
        result = await host.ask(options={"n": 2})
    assert result.text.startswith("Yes.\n\nAlternative 2:\n\nNo.\n")


async def test_a_model_that_is_redirected_is_named() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint) as host:
        text = (await host.ask(model="grok-4-0709")).text
    assert "Note: The model grok-4-0709 was asked for; grok-4.7 answered." in text


async def test_a_long_line_is_broken_and_nothing_is_lost() -> None:
    long = "word " * 1_000
    async with Endpoint(chat(long)) as endpoint, host_on(endpoint) as host:
        text = (await host.ask()).text
    assert max(len(line) for line in text.splitlines()) <= 2_000
    assert text.split()[:1_000] == long.split()


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 8


async def test_images_reach_both_dialects_in_their_forms(tmp_path: Path) -> None:
    (tmp_path / "shot.bin").write_bytes(PNG)
    images = [
        "https://pictures.example/a.jpg",
        "data:image/jpeg;base64," + base64.b64encode(JPEG).decode(),
        str(tmp_path / "shot.bin"),
    ]
    urls = [*images[:2], "data:image/png;base64," + base64.b64encode(PNG).decode()]
    async with Endpoint(chat("Seen.")) as endpoint:
        async with host_on(endpoint, image_roots=(tmp_path,)) as host:
            await host.ask("What is it?", images=images)
        async with host_on(endpoint, image_roots=(tmp_path,), gateway="xai") as host:
            await host.ask("What is it?", images=images)
    chat_request, responses_request = endpoint.requests
    assert chat_request.body["messages"][0]["content"] == [
        *({"type": "image_url", "image_url": {"url": url}} for url in urls),
        {"type": "text", "text": "What is it?"},
    ]
    assert responses_request.body["input"][0]["content"] == [
        *({"type": "input_image", "image_url": url} for url in urls),
        {"type": "input_text", "text": "What is it?"},
    ]


@pytest.mark.parametrize(
    "image",
    [
        "/etc/passwd",
        "{root}/missing.png",
        "{root}/secret.key",
        "{root}/link.png",
        "{root}/../outside.png",
        "{root}/text.png",
        "http://pictures.example/a.png",
        "data:image/png;base64,@@@",
        "data:text/plain,hi",
        "data:image/png;base64,aGVsbG8=",
    ],
)
async def test_an_image_that_may_not_or_can_not_be_read_is_refused_before_any_request(
    image: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    (root / "secret.key").write_bytes(PNG)
    (root / "text.png").write_text("no picture")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    async with Endpoint() as endpoint, host_on(endpoint, image_roots=(root,)) as host:
        result = await host.ask(images=[image.format(root=root)])
    assert result.error["code"] == "invalid_argument"
    assert "images[0]" in result.text
    assert endpoint.requests == []


async def test_without_roots_no_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await host.ask(images=str(tmp_path / "a.png"))
    assert "GROK_MCP_IMAGE_ROOTS" in result.text


async def test_tool_calls_are_shown_as_json_and_their_results_complete_the_conversation() -> None:
    first, second = payload_reply("08a_chat_stream_tool_calls_xai.sse"), chat("2 °C in Oslo.")
    async with Endpoint(first, second) as endpoint, host_on(endpoint) as host:
        asked = await host.ask("Weather in Oslo and Bergen?", tools=[WEATHER], model="grok-4.3")
        shown = json.loads(asked.text.split("```json\n")[1].split("\n```")[0])
        told = await host.ask(
            "",
            conversation_id=asked.answer["conversation_id"],
            model="grok-4.3",
            tool_results=[
                {"tool_call_id": shown["tool_calls"][1]["id"], "output": '{"error":"station offline"}'},
                {"tool_call_id": shown["tool_calls"][0]["id"], "output": '{"temp_c":2}'},
            ],
        )
    assert "2 °C in Oslo." in told.text
    assert asked.answer["finish_reason"] == "tool_calls"
    expected = json.loads((PAYLOADS / "08c_tool_phase2_request.json").read_text())
    assert endpoint.requests[1].body == expected


async def test_tool_results_go_to_the_responses_api_in_its_form() -> None:
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": '{"city":"Oslo"}',
    }
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b64=="}
    item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "2 °C."}]}
    replies = [
        body({"object": "response", "status": "completed", "output": output})
        for output in ([thought, call], [item])
    ]
    async with Endpoint(*replies) as endpoint, host_on(endpoint, gateway="xai") as host:
        asked = await host.ask("Weather?", tools=[WEATHER], tool_choice="get_weather")
        await host.ask(
            "Short, please.",
            conversation_id=asked.answer["conversation_id"],
            tool_results={"tool_call_id": "call_1", "output": {"temp_c": 2}},
        )
    first, second = (request.body for request in endpoint.requests)
    assert first["tools"] == [{"type": "function", **WEATHER["function"]}]  # type: ignore[dict-item]
    assert first["tool_choice"] == {"type": "function", "name": "get_weather"}
    assert second["input"] == [
        {"role": "user", "content": "Weather?"},
        thought,
        {name: call[name] for name in ("type", "call_id", "name", "arguments")},
        {"type": "function_call_output", "call_id": "call_1", "output": '{"temp_c": 2}'},
        {"role": "user", "content": "Short, please."},
    ]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"tool_choice": "get_time"}, "tool_choice"),
        ({"tool_choice": "required", "tools": []}, "tool_choice"),
        ({"tool_results": [{"tool_call_id": "x", "output": ""}]}, "tool_results"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [{"name": "a b"}]}, "tools"),
        ({"tools": [{"name": "f", "parameters": []}]}, "tools"),
        ({"tools": [{"name": "f"}] * 129}, "tools"),
        ({"options": {"n": 9}}, "options.n"),
        ({"temperature": 3}, "temperature"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"max_output_tokens": -1}, "max_output_tokens"),
        ({"prompt": " "}, "prompt"),
    ],
)
async def test_a_wrong_argument_is_named_before_any_request(arguments: dict[str, Any], named: str) -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await host.ask(**{"prompt": "Hi", "tools": [WEATHER], **arguments})
    assert result.error["code"] == "invalid_argument"
    assert named in result.text
    assert endpoint.requests == []


async def test_a_missing_prompt_is_named() -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await host.call("ask_grok")
    assert result.text.startswith("[invalid_argument] prompt: ")


async def test_arguments_are_taken_in_the_forms_that_hosts_send_them() -> None:
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint) as host:
        await host.ask(
            prompt='{"looks": "like JSON"}',
            tools=json.dumps([WEATHER]),
            tool_choice=None,
            options='{"seed": "7", "stop": "END"}',
            temperature="0.5",
            max_output_tokens="50",
            reasoning_effort="HIGH",
            instructions=None,
            wait_for_previous=True,
        )
    sent = endpoint.requests[0].body
    assert sent["messages"] == [{"role": "user", "content": '{"looks": "like JSON"}'}]
    assert sent["tools"] == [WEATHER]
    assert (sent["seed"], sent["stop"], sent["temperature"]) == (7, ["END"], 0.5)
    assert (sent["max_tokens"], sent["reasoning_effort"]) == (50, "high")


async def test_a_misspelt_argument_is_told_and_does_not_fail_the_call() -> None:
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint) as host:
        text = (await host.ask(temprature=0.1)).text
    assert "Note: The argument 'temprature' is unknown; 'temperature' may have been meant." in text


async def test_one_handle_continued_twice_makes_two_branches() -> None:
    replies = [chat("Hello."), chat("Left it is."), chat("Right it is.")]
    async with Endpoint(*replies) as endpoint, host_on(endpoint) as host:
        handle = (await host.ask("Hi", instructions="Be kind.")).answer["conversation_id"]
        left = await host.ask("Left", conversation_id=handle)
        right = await host.ask("Right", conversation_id=handle)
    shared = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
    ]
    sent = [request.body["messages"] for request in endpoint.requests]
    assert sent[1] == [*shared, {"role": "user", "content": "Left"}]
    assert sent[2] == [*shared, {"role": "user", "content": "Right"}]
    assert left.answer["conversation_id"] != right.answer["conversation_id"] != handle


async def test_an_unknown_conversation_is_a_clear_error() -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        result = await host.ask(conversation_id="conv_nobody")
    assert result.error["code"] == "conversation_not_found"


async def test_calls_that_wait_for_results_can_not_be_passed_over() -> None:
    async with Endpoint(payload_reply("08a_chat_stream_tool_calls_xai.sse")) as endpoint:
        async with host_on(endpoint) as host:
            handle = (await host.ask(tools=[WEATHER])).answer["conversation_id"]
            skipped = await host.ask("Never mind", conversation_id=handle)
            searched = await host.search(conversation_id=handle)
    assert "call_55117580" in skipped.text and skipped.error["code"] == "invalid_argument"
    assert searched.error["code"] == "invalid_argument"


async def test_a_cancelled_call_closes_the_connection_to_the_endpoint() -> None:
    import anyio

    async with Endpoint(Reply(chat("So far").pieces[:1], end="hang")) as endpoint:
        async with host_on(endpoint) as host:
            with anyio.move_on_after(0.3):
                await host.client.call_tool("ask_grok", {"prompt": "Hi"})
            with within(1):
                await endpoint.closed.wait()
    assert len(endpoint.requests) == 1


async def test_a_path_that_is_not_there_switches_the_dialect_once_and_is_remembered() -> None:
    gone = body("Not Found", status=404, content_type="text/plain")
    item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Hi."}]}
    good = body({"object": "response", "status": "completed", "output": [item]})
    async with Endpoint(gone, good) as endpoint, host_on(endpoint, max_retries=0) as host:
        first = await host.ask()
        second = await host.ask()
    assert "The endpoint does not speak chat_completions; responses was used." in first.text
    assert "Note:" not in second.text
    assert [request.path.rpartition("/v1")[2] for request in endpoint.requests] == [
        "/chat/completions",
        "/responses",
        "/responses",
    ]


async def test_a_dialect_that_the_settings_name_is_tried_first() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint, dialect="responses") as host:
        await host.ask()
    assert endpoint.requests[0].path == "/v1/responses"


async def test_functions_outlive_a_search_in_their_conversation() -> None:
    async with Endpoint(
        chat("Ok."), payload_reply("06_responses_web_search_nonstream.json"), chat("Ok.")
    ) as endpoint:
        async with host_on(endpoint) as host:
            handle = (await host.ask(tools=[WEATHER])).answer["conversation_id"]
            handle = (await host.search(conversation_id=handle)).answer["conversation_id"]
            await host.ask("And?", conversation_id=handle)
    assert "function" not in [tool["type"] for tool in endpoint.requests[1].body["tools"]]
    assert endpoint.requests[2].body["tools"] == [WEATHER]


async def test_a_flat_function_definition_is_taken_and_arguments_that_are_no_json_are_shown_as_text() -> None:
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{oops"}}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    async with Endpoint(events(chunk)) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            answer = (await host.ask(tools={"name": "f"}, tool_choice="f")).structured
    sent = endpoint.requests[0].body
    assert sent["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert answer["tool_calls"] == [{"id": "c", "name": "f", "arguments": "{oops"}]


async def test_half_an_emoji_in_the_stream_is_joined_or_replaced_and_never_an_error() -> None:
    halves = ["smile \ud83d", "\ude00 and ", "\ud83d", "half", " \ud83d"]
    async with Endpoint(chat(*halves)) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.ask()).structured
    assert answer["text"] == "smile 😀 and \ufffdhalf \ufffd"


async def test_an_image_file_may_be_named_by_its_uri_and_one_that_is_too_large_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "a b.png").write_bytes(PNG)
    (tmp_path / "big.png").write_bytes(PNG + b"\0" * (20 * 1024 * 1024))
    async with Endpoint(chat("Seen.")) as endpoint, host_on(endpoint, image_roots=(tmp_path,)) as host:
        seen = await host.ask(images=(tmp_path / "a b.png").as_uri())
        refused = await host.ask(images=str(tmp_path / "big.png"))
    assert "Seen." in seen.text
    assert refused.error["code"] == "invalid_argument" and "20 MiB" in refused.text


async def test_the_text_of_a_refusal_is_shown() -> None:
    refusal = {
        "choices": [
            {"message": {"content": None, "refusal": "I will not."}, "finish_reason": "content_filter"}
        ]
    }
    async with Endpoint(body(refusal)) as endpoint, host_on(endpoint) as host:
        result = await host.ask()
    assert result.text.startswith("I will not.\n\nNote: The endpoint stopped the answer for safety.")
    assert result.answer["finish_reason"] == "content_filter"


async def test_a_wrapped_body_is_unwrapped() -> None:
    inner = {"choices": [{"message": {"content": "Inside."}, "finish_reason": "stop"}]}
    async with Endpoint(body({"status": "success", "data": inner})) as endpoint, host_on(endpoint) as host:
        assert (await host.ask()).text.startswith("Inside.")


async def test_usage_of_strange_types_is_dropped_and_digits_are_read() -> None:
    usage = {
        "prompt_tokens": "12",
        "completion_tokens": 3.0,
        "total_tokens": -1,
        "completion_tokens_details": {"reasoning_tokens": True},
        "cost_in_usd_ticks": -5,
        "cost": "free",
    }
    async with Endpoint(chat("Hi.", usage=usage)) as endpoint, host_on(endpoint) as host:
        counted = (await host.ask(model="grok-unheard-of")).answer["usage"]
    assert counted == IsPartialDict(input_tokens=12, output_tokens=3, total_tokens=15)
    assert "reasoning_tokens" not in counted
    assert counted["cost_source"] == "estimated"


async def test_a_model_without_a_known_price_has_no_cost_rather_than_zero() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}
    message = {"choices": [{"message": {"content": "Hi."}}], "usage": usage}
    async with Endpoint(body(message)) as endpoint, host_on(endpoint) as host:
        result = await host.ask(model="grok-unheard-of")
    assert "cost_usd" not in result.answer["usage"]
    assert "USD" not in result.text


async def test_reasoning_beyond_the_completion_is_counted_beside_it() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 9}}
    async with Endpoint(chat("Hi.", usage=usage)) as endpoint, host_on(endpoint) as host:
        counted = (await host.ask()).answer["usage"]
    assert counted == IsPartialDict(output_tokens=13, text_tokens=4, reasoning_tokens=9, total_tokens=18)


async def test_cached_tokens_that_the_total_says_are_inside_are_never_more_than_the_input() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 4,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 50},
    }
    async with Endpoint(chat("Hi.", usage=usage)) as endpoint, host_on(endpoint) as host:
        counted = (await host.ask()).answer["usage"]
    assert counted == IsPartialDict(input_tokens=5, cached_tokens=5)


async def test_a_function_name_that_every_delta_repeats_is_taken_once() -> None:
    pieces = [
        {"name": "get_weather", "arguments": '{"city":'},
        {"name": "get_weather", "arguments": '"Oslo"}'},
    ]
    chunks = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c", "function": piece}]}}]}
        for piece in pieces
    ]
    async with Endpoint(events(*chunks)) as endpoint:
        async with host_on(endpoint, results="structured") as host:
            (call,) = (await host.ask(tools=[WEATHER])).structured["tool_calls"]
    assert call == {"id": "c", "name": "get_weather", "arguments": {"city": "Oslo"}}


async def test_a_last_event_without_a_blank_line_behind_it_counts() -> None:
    stream = b"".join(chat("Hi ", "there.", done=False).pieces).rstrip(b"\n")
    async with Endpoint(Reply((stream,))) as endpoint, host_on(endpoint, results="structured") as host:
        answer = (await host.ask()).structured
    assert (answer["text"], answer["finish_reason"]) == ("Hi there.", "stop")


async def test_a_handle_is_worth_nothing_to_another_caller() -> None:
    async with Endpoint(chat("Hi.")) as endpoint, host_on(endpoint) as host:
        handle = (await host.ask()).answer["conversation_id"]
        assert (await host.grok.conversations.open(handle, "local")).messages
        with pytest.raises(ConversationNotFoundError):
            await host.grok.conversations.open(handle, "somebody else")


@pytest.mark.parametrize(
    ("model", "arguments", "left_out"),
    [
        (
            "grok-4.7",
            {"options": {"presence_penalty": 0.1, "stop": ["x"], "seed": 1}},
            ["presence_penalty", "stop"],
        ),
        ("grok-4.20", {"reasoning_effort": "low"}, ["reasoning_effort"]),
        ("grok-4.5", {"reasoning_effort": "none"}, ["reasoning_effort"]),
        ("grok-4.5-latest", {"reasoning_effort": "high"}, []),
        ("grok-4.20-non-reasoning", {"options": {"stop": ["x"]}}, []),
        ("grok-9", {"options": {"stop": ["x"]}, "reasoning_effort": "none"}, []),
    ],
)
async def test_what_xai_s_models_are_known_to_refuse_is_not_sent_and_told(
    model: str, arguments: dict[str, Any], left_out: list[str]
) -> None:
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint, gateway="xai") as host:
        result = await host.ask(model=model, **arguments)
    (request,) = endpoint.requests
    sent = {**request.body, **({"reasoning_effort": ...} if "reasoning" in request.body else {})}
    given = {*arguments.get("options", {}), *(arguments.keys() - {"options"})}
    assert given - sent.keys() == set(left_out)
    for name in left_out:
        assert f"Note: {name} was left out: grok-4." in result.text


async def test_a_gateway_that_may_serve_other_weights_is_sent_everything() -> None:
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint, gateway="theturbo") as host:
        await host.ask(model="grok-4.7", options={"stop": ["x"]})
    assert endpoint.requests[0].body["stop"] == ["x"]


async def test_a_retired_model_works_and_is_said_to_be_served_by_another() -> None:
    async with Endpoint(chat("Ok.")) as endpoint, host_on(endpoint, gateway="xai") as host:
        text = (await host.ask(model="grok-3")).text
    assert "Note: The model grok-3 was retired on 2026-05-15; grok-4.7 answers and is billed." in text
    assert endpoint.requests[0].body["model"] == "grok-3"


async def test_a_model_that_does_not_exist_is_answered_with_those_that_look_like_it() -> None:
    missing = body({"code": "not-found", "error": "The model grok-4-5 does not exist"}, status=404)
    async with Endpoint(missing) as endpoint, host_on(endpoint, gateway="xai") as host:
        text = (await host.ask(model="grok-4-5")).text
    assert text.startswith("[model_not_found]") and "Did you mean grok-4.5" in text


@pytest.mark.parametrize("deep", ["[" * 50_000, '{"a":' * 2_000 + "1" + "}" * 2_000, "[" * 300 + "]" * 300])
@pytest.mark.parametrize("name", ["tools", "options", "images", "tool_results"])
async def test_json_text_that_nests_too_deeply_is_a_wrong_argument(name: str, deep: str) -> None:
    async with Endpoint() as endpoint, host_on(endpoint) as host:
        assert (await host.ask(**{name: deep})).error["code"] == "invalid_argument"
    assert endpoint.requests == []
