import pytest

from grok_mcp.models import find_model
from grok_mcp.sandbox.answering.usage import MAX_CONVERSATIONS, Usage

from .wire import Endpoint


def ticks(model: str, **counts: int) -> int:
    none = {"input_tokens": 0, "cached_tokens": 0, "image_tokens": 0, "reasoning_tokens": 0, "text_tokens": 0}
    known = find_model(model)
    assert known
    return Usage(**{**none, **counts}).ticks(known)


def test_ticks_are_those_of_recorded_bills() -> None:
    assert ticks("grok-4.20-non-reasoning", input_tokens=21, text_tokens=9) == 487_500
    reasoned = {"input_tokens": 214, "cached_tokens": 128, "reasoning_tokens": 143, "text_tokens": 8}
    assert ticks("grok-4.7", **reasoned) == 11_420_000
    tokens = {"input_tokens": 6120, "cached_tokens": 2048, "reasoning_tokens": 265, "text_tokens": 137}
    assert ticks("grok-4.7", **tokens, web_calls=1, x_calls=1, posts=8) == 565_800_000


def test_long_prompts_double_the_token_prices_only() -> None:
    assert ticks("grok-4.3", input_tokens=199_999) == 199_999 * 12_500
    assert ticks("grok-4.3", input_tokens=200_000, web_calls=1) == 200_000 * 25_000 + 50_000_000


def test_chat_counts_reasoning_outside_the_completion(grok: Endpoint) -> None:
    body = grok.chat("12345678 9", model="grok-4.3")
    usage, message = body["usage"], body["choices"][0]["message"]
    prompt, text = 3, -(-len(message["content"]) // 4)
    thoughts = -(-len(message["reasoning_content"]) // 4)
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt, text)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == thoughts
    assert usage["total_tokens"] == prompt + text + thoughts
    assert usage["cost_in_usd_ticks"] == prompt * 12_500 + (text + thoughts) * 25_000


def test_responses_counts_reasoning_inside_the_output(grok: Endpoint) -> None:
    tools = [{"type": "web_search"}, {"type": "x_search"}]
    usage = grok.responses("latest tram extension", tools=tools)["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert 0 < usage["output_tokens_details"]["reasoning_tokens"] < usage["output_tokens"]
    details = usage["server_side_tool_usage_details"]
    counts = (details["web_search_calls"], details["x_search_calls"], details["x_posts_fetched"])
    assert counts == (1, 1, 2)
    assert usage["num_server_side_tools_used"] == 2
    tokens = usage["input_tokens"] * 20_000 + usage["output_tokens"] * 60_000
    assert usage["cost_in_usd_ticks"] == tokens + 3 * 50_000_000


def test_system_messages_tools_and_schemas_count_as_input(grok: Endpoint) -> None:
    plain = grok.chat("Hello")["usage"]["prompt_tokens"]
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert grok.chat("Hello", tools=tools)["usage"]["prompt_tokens"] > plain
    messages = [{"role": "system", "content": "12345"}, {"role": "user", "content": "Hello"}]
    assert grok.chat(messages=messages)["usage"]["prompt_tokens"] == plain + 2


@pytest.mark.parametrize("as_header", [True, False])
def test_a_continued_conversation_is_cached_as_far_as_it_repeats(grok: Endpoint, as_header: bool) -> None:
    key = f"conversation-{as_header}"
    first = {"role": "user", "content": "a" * 40}
    more = [first, {"role": "assistant", "content": "b" * 20}, {"role": "user", "content": "c"}]

    def cached(messages: list[dict[str, str]], key: str) -> int:
        fields = {"model": "grok-4.7", "messages": messages}
        headers = {"x-grok-conv-id": key} if as_header else {}
        body = fields if as_header else {**fields, "prompt_cache_key": key}
        reply = grok.client.post("chat/completions", json=body, headers=headers).json()
        count: int = reply["usage"]["prompt_tokens_details"]["cached_tokens"]
        return count

    assert cached([first], key) == 0
    assert cached(more, key) == 10
    assert cached(more, key) == 16
    assert cached([{"role": "user", "content": "other"}, *more], key) == 0
    assert cached(more, f"{key}-other") == 0


def test_responses_caches_by_its_key_and_bills_less(grok: Endpoint) -> None:
    first = grok.responses("d" * 400, prompt_cache_key="responses-cache")["usage"]
    again = grok.responses("d" * 400, prompt_cache_key="responses-cache")["usage"]
    assert again["input_tokens_details"] == {"cached_tokens": 100}
    assert first["cost_in_usd_ticks"] - again["cost_in_usd_ticks"] == 100 * 15_000


def test_the_oldest_conversation_is_forgotten(grok: Endpoint) -> None:
    for number in range(MAX_CONVERSATIONS + 1):
        grok.chat("Hello", prompt_cache_key=f"bounded-{number}")
    details = grok.chat("Hello", prompt_cache_key="bounded-0")["usage"]["prompt_tokens_details"]
    assert details["cached_tokens"] == 0
