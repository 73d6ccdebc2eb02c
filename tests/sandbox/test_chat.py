import pytest

from .wire import IMAGE, Endpoint, joined, text_of


def test_an_answer_says_that_it_comes_from_the_sandbox_and_quotes_the_question(grok: Endpoint) -> None:
    body = grok.chat("Why is the\n sky blue?")
    message = body["choices"][0]["message"]
    assert message["content"].startswith("Sandbox answer: you asked “Why is the sky blue?”.")
    assert message["role"] == "assistant"
    assert "Why is the sky blue?" in message["reasoning_content"]
    assert (body["object"], body["model"]) == ("chat.completion", "grok-4.7")
    assert body["choices"][0]["finish_reason"] == "stop"


def test_a_stream_carries_the_same_answer_in_words_then_the_finish_then_the_usage(grok: Endpoint) -> None:
    whole = grok.chat("Why?")
    response = grok.send_chat("Why?", stream=True, stream_options={"include_usage": True})
    assert response.text.endswith("data: [DONE]\n\n")
    events = grok.chat_events("Why?")
    message = whole["choices"][0]["message"]
    assert joined(events) == message["content"]
    assert joined(events, "reasoning_content") == message["reasoning_content"]
    first, finish, last = events[0], events[-2], events[-1]
    assert first["choices"][0]["delta"] == {"role": "assistant", "reasoning_content": "The"}
    assert all("role" not in event["choices"][0]["delta"] for event in events[1:-1])
    assert all("finish_reason" not in event["choices"][0] for event in events[:-2])
    assert finish["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert {event["object"] for event in events} == {"chat.completion.chunk"}


def test_the_usage_sits_in_the_finish_chunk_unless_it_is_asked_for_apart(grok: Endpoint) -> None:
    last = grok.chat_events("Why?", stream_options=None)[-1]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"]["num_sources_used"] == 0


def test_the_same_request_gets_the_same_bytes(grok: Endpoint) -> None:
    first = grok.send_chat("Twice", stream=True)
    again = grok.send_chat("Twice", stream=True)
    other = grok.send_chat("Once", stream=True)
    assert first.content == again.content
    assert first.content != other.content


def test_a_long_stream_carries_keepalive_comments(grok: Endpoint) -> None:
    response = grok.send_chat("write 300 words", stream=True)
    assert response.text.count("\n: keepalive\n") > 3


def test_a_long_question_is_quoted_in_part(grok: Endpoint) -> None:
    text = grok.chat("why " * 100)["choices"][0]["message"]["content"]
    assert "…”" in text
    assert len(text) < 200


@pytest.mark.parametrize("count", [1, 50, 500])
def test_a_prompt_that_names_a_number_of_words_gets_about_so_many(grok: Endpoint, count: int) -> None:
    text = grok.chat(f"write {count} words")["choices"][0]["message"]["content"]
    assert abs(len(text.split()) - max(count, 7)) <= 1


def test_more_effort_thinks_more_and_none_not_at_all(grok: Endpoint) -> None:
    lengths = []
    for effort in ("none", "low", "medium", "high", "xhigh"):
        body = grok.chat("Why?", model="grok-4.3", reasoning_effort=effort)
        lengths.append(len(body["choices"][0]["message"].get("reasoning_content", "")))
    assert lengths[0] == 0
    assert lengths == sorted(set(lengths))


def test_a_model_that_does_not_reason_shows_no_thoughts(grok: Endpoint) -> None:
    body = grok.chat("Why?", model="grok-4.20-non-reasoning")
    assert "reasoning_content" not in body["choices"][0]["message"]
    assert body["model"] == "grok-4.20-0309-non-reasoning"


def test_the_output_cap_cuts_the_text_and_says_so(grok: Endpoint) -> None:
    choice = grok.chat("Why?", max_completion_tokens=3)["choices"][0]
    assert choice["message"]["content"] == "Sandbox answ"
    assert choice["finish_reason"] == "length"
    assert joined(grok.chat_events("Why?", max_tokens=3)) == "Sandbox answ"
    assert grok.chat("Why?", max_tokens=1000)["choices"][0]["finish_reason"] == "stop"
    whole = grok.chat("Why so?")["choices"][0]["message"]["content"]
    nearly = grok.chat("Why so?", max_tokens=len(whole) // 4)["choices"][0]["message"]["content"]
    assert whole.startswith(nearly) and 0 < len(whole) - len(nearly) < 4


def test_a_stop_mark_ends_the_text_without_it(grok: Endpoint) -> None:
    model = "grok-4.20-non-reasoning"
    choice = grok.chat("Why?", model=model, stop=["you", " answer"])["choices"][0]
    assert choice["message"]["content"] == "Sandbox"
    assert choice["finish_reason"] == "stop"
    whole = grok.chat("Why?", model=model, stop="not in it")["choices"][0]["message"]["content"]
    assert whole == grok.chat("Why?", model=model)["choices"][0]["message"]["content"]


def test_several_choices_are_told_apart_whole_and_streamed(grok: Endpoint) -> None:
    body = grok.chat("Why?", n=3)
    texts = [choice["message"]["content"] for choice in body["choices"]]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert "(choice 3)" in texts[2]
    events = grok.chat_events("Why?", n=3)
    assert [joined(events, index=index) for index in range(3)] == texts


@pytest.mark.parametrize("url", [IMAGE, "https://city.example/tram.jpg"])
def test_images_are_mentioned_and_counted(grok: Endpoint, url: str) -> None:
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    body = grok.chat(content)
    assert "1 image came with it" in body["choices"][0]["message"]["content"]
    assert body["usage"]["prompt_tokens_details"]["image_tokens"] == 256
    parts = [{"type": "input_image", "image_url": url}] * 2
    answer = grok.responses([{"role": "user", "content": [{"type": "input_text", "text": "Hi"}, *parts]}])
    assert "2 images came with it" in text_of(answer)


def test_a_retired_model_is_served_by_its_target(grok: Endpoint) -> None:
    body = grok.chat("Why?", model="grok-3")
    assert body["model"] == "grok-4.3"
    assert grok.chat("Why?", model="grok-code-fast-1")["model"] == "grok-build-0.1"
    assert grok.chat("Why?", model="x-ai/grok-4.3-latest")["model"] == "grok-4.3"
    assert grok.chat("Why?", model="x-ai/grok-latest")["model"] == "grok-4.6"


def test_the_service_tier_is_echoed(grok: Endpoint) -> None:
    events = grok.chat_events("Why?", service_tier="priority")
    assert {event["service_tier"] for event in events} == {"priority"}


def test_a_null_content_is_an_empty_message(grok: Endpoint) -> None:
    assert grok.chat(None)["usage"]["prompt_tokens"] == 0
