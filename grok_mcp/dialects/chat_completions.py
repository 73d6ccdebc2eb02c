"""The Chat Completions dialect: `POST {base}/chat/completions`.

All gateways speak it; xAI calls it legacy. Field facts: docs.x.ai REST reference and the gateways' pages.
"""

from collections.abc import Mapping
from typing import Any

from grok_mcp import events
from grok_mcp.dialects import server_tools
from grok_mcp.dialects.citations import citation_list, citations_in
from grok_mcp.dialects.policy import guidelines
from grok_mcp.events import FIRST, Event, Place
from grok_mcp.foreign import FAILURE_FIELDS, integer, is_thought, json_text, mapping, mappings, text_of
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, Message, Search, SourceKind
from grok_mcp.usage import UsageReport, count, reported_cost

PATH = "/chat/completions"

_OPTIONS = (
    "top_p",
    "seed",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "parallel_tool_calls",
    "service_tier",
    "user",
)

_REASONS: Mapping[str, events.Reason] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_completion_tokens": "length",
    "model_length": "length",
    "pause_turn": "length",
    "model_context_window_exceeded": "length",
    "context_length_exceeded": "length",
    "max_length": "length",
    "max_len": "length",
    "max_context": "length",
    "max_context_length": "length",
    "length_limit": "length",
    "token_limit": "length",
    "error_limit": "length",
    "incomplete": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "refusal": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "blocked": "content_filter",
    "spii": "content_filter",
    "image_safety": "content_filter",
    "language": "content_filter",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "error_toxic": "content_filter",
}
"""Words for why a model stopped, as OpenAI, xAI, Anthropic, Google, Mistral, Amazon, Cohere, Zhipu and their
gateways write them.
"""

_FAILURES: Mapping[str, int] = {
    "error": 502,
    "network_error": 502,
    "insufficient_system_resource": 503,
    "abort": 502,
    "aborted": 502,
    "cancelled": 502,
    "canceled": 502,
    "failed": 502,
    "connection_error": 502,
    "internal_error": 502,
    "server_error": 502,
    "upstream_error": 502,
    "malformed_function_call": 502,
    "unexpected_tool_call": 502,
    "overloaded": 503,
    "engine_overloaded": 503,
    "timeout": 504,
    "time_limit": 504,
    "rate_limit": 429,
}
"""Finish reasons that mean that the endpoint failed, and the status that stands for each."""


def build_body(request: ChatRequest, gateway: Gateway) -> dict[str, Any]:
    """The JSON body of a streamed request."""
    messages = [{"role": "system", "content": request.instructions}] if request.instructions else []
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages + [_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": request.temperature,
        gateway.max_tokens_field: request.max_output_tokens,
        "reasoning_effort": request.reasoning_effort,
        "prompt_cache_key": request.cache_key if gateway.prompt_cache_key else None,
        "guidelines": guidelines(request),
        "safety_identifier": request.safety_identifier,
        **{name: request.options.get(name) for name in _OPTIONS},
    }
    if request.tools:
        body["tools"] = [{"type": "function", "function": dict(tool)} for tool in request.tools]
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.response_format:
        body["response_format"] = _response_format(request)
    if request.search_dialect == "search_parameters" and request.search:
        body["search_parameters"] = _search_parameters(request.search)
    elif request.search_dialect == "openrouter" and request.search and request.search.mode != "off":
        body["plugins"] = [_web_plugin(request)]
    return {name: value for name, value in body.items() if value is not None and name not in request.omit}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.text}
    if message.images or message.documents:
        images = [{"type": "image_url", "image_url": {"url": url}} for url in message.images]
        files = [
            {"type": "file", "file": {"filename": document.name, "file_data": document.url}}
            for document in message.documents
        ]
        text = {"type": "text", "text": message.text}
        return {"role": message.role, "content": [*images, *files, text]}
    built: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        built["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    return built


def _tool_choice(choice: str | None) -> Any:
    if choice in (None, "auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


def _response_format(request: ChatRequest) -> dict[str, Any]:
    assert request.response_format is not None
    if request.response_format.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "json_schema": {
            "name": request.response_format.name,
            "strict": True,
            "schema": request.response_format.schema,
        },
    }


def _web_plugin(request: ChatRequest) -> dict[str, Any]:
    """OpenRouter's web plugin; for Grok it searches the web and X (openrouter.ai/docs, web search)."""
    plugin: dict[str, Any] = {"id": "web"}
    if request.search and request.search.max_results:
        plugin["max_results"] = request.search.max_results
    return plugin


def _search_parameters(search: Search) -> dict[str, Any]:
    """Live search on chat completions.

    Switched off at xAI itself (HTTP 410); some gateways still document it, and of it only `mode` and
    `return_citations`. So everything else is sent only where the caller asked for it.
    """
    built: dict[str, Any] = {
        "mode": search.mode,
        "return_citations": True,
        "from_date": search.from_date,
        "to_date": search.to_date,
        "max_search_results": search.max_results,
    }
    if search.mode != "off":
        sources = [source for kind in search.sources for source in _sources(kind, search)]
        if any(len(source) > 1 for source in sources) or set(search.sources) != {"web", "x"}:
            built["sources"] = sources
    return {name: value for name, value in built.items() if value is not None}


def _sources(kind: SourceKind, search: Search) -> list[dict[str, Any]]:
    if kind == "rss":
        return [{"type": "rss", "links": [link]} for link in search.rss_links]
    source: Mapping[str, Any]
    if kind == "x":
        source = {
            "included_x_handles": list(search.allowed_x_handles),
            "excluded_x_handles": list(search.excluded_x_handles),
            "post_favorite_count": search.min_likes,
            "post_view_count": search.min_views,
        }
    else:
        source = {
            "country": search.country,
            "allowed_websites": list(search.allowed_domains) if kind == "web" else None,
            "excluded_websites": list(search.excluded_domains),
            "safe_search": search.safe_search,
        }
    return [{"type": kind, **{name: value for name, value in source.items() if value not in (None, [])}}]


def parse(payload: Mapping[str, Any], known_model: str = "") -> list[Event]:
    """The events in one chunk, or in a whole body; a model that is known already is not reported again."""
    parsed: list[Event] = []
    choices = mappings(payload.get("choices"))
    model = payload.get("model")
    if model != known_model and isinstance(model, str) and model:
        named = text_of(payload.get("id")), text_of(payload.get("service_tier"))
        parsed.append(events.Started(model, *named))
    if payload.get("error") or ("choices" not in payload and any(map(payload.get, FAILURE_FIELDS))):
        parsed.append(events.Failed(payload))
    for position, choice in enumerate(choices):
        _choice(choice, position, parsed)
    if "citations" in payload:
        parsed.extend(citation_list(payload["citations"]))
    usage = payload.get("usage")
    if usage and isinstance(usage, dict):
        report = read_usage(usage)._replace(service_tier=text_of(payload.get("service_tier")))
        parsed.append(events.UsageReported(report))
    if payload.get("object") == "chat.completion" and any(map(_is_whole, choices)):
        parsed.append(events.Ended())
    return parsed


def _is_whole(choice: Mapping[str, Any]) -> bool:
    """Whether this is a choice of a body, not of a chunk: some endpoints send a `message` with each chunk,
    of which only the last one has a reason.
    """
    is_chunk = isinstance(choice.get("delta"), dict) or not choice.get("finish_reason")
    return bool(mapping(choice.get("message"))) and not is_chunk


def _choice(choice: Mapping[str, Any], position: int, parsed: list[Event]) -> None:
    """What one choice says: in a `delta`, in a `message` that holds all there is so far, or in both."""
    index = integer(choice.get("index"), position)
    place = Place(index) if index else FIRST
    delta, message = choice.get("delta"), choice.get("message")
    if isinstance(delta, dict):
        _words(delta, index, place, parsed, events.TextDelta)
        if "tool_calls" in delta:
            calls = mappings(delta["tool_calls"])
            parsed.extend(_tool_call(call, order, index) for order, call in enumerate(calls))
    if isinstance(message, dict):  # of its text counts what has not come, of its calls each whole
        _words(message, index, place, parsed, events.TextDone)
        calls = mappings(message.get("tool_calls"))
        parsed.extend(_tool_call(call, order, index, complete=True) for order, call in enumerate(calls))
    error = choice.get("error") or mapping(delta).get("error") or mapping(message).get("error")
    if error or choice.get("finish_reason") or choice.get("native_finish_reason"):
        _ending(choice, error, index, parsed)


def _words(
    message: Mapping[str, Any],
    index: int,
    place: Place,
    parsed: list[Event],
    event: type[events.TextDelta] | type[events.TextDone],
) -> None:
    """The text, thoughts, refusal and citations of a delta or a message."""
    content, refusal = message.get("content"), message.get("refusal")
    if not isinstance(content, str):
        content, refusal = _parts(content, text_of(refusal), parsed)
    if content and "extra_content" in message and _is_googles_thought(message):
        parsed.append(events.ReasoningDelta(content))
    elif content:
        parsed.append(event(content, place))
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if reasoning and isinstance(reasoning, str):
        parsed.append(events.ReasoningDelta(reasoning))
    if refusal and isinstance(refusal, str):
        parsed.append(event(refusal, place))
        parsed.append(events.Finished("content_filter", index))
    if "annotations" in message:
        parsed.extend(citations_in(message["annotations"], place))


def _is_googles_thought(message: Mapping[str, Any]) -> bool:
    """Whether the content is marked as a thought (ai.google.dev, OpenAI compatibility)."""
    return is_thought(mapping(mapping(message["extra_content"]).get("google")))


def _parts(content: Any, refusal: str, parsed: list[Event]) -> tuple[str, str]:
    """Text and refusal among the parts of a content; thoughts are events of their own."""
    texts = []
    for part in mappings(content):
        kind = text_of(part.get("type"))
        if is_thought(part):
            parsed.append(events.ReasoningDelta(text_of(part.get("text")) or kind))
        elif kind == "refusal":
            refusal += text_of(part.get("refusal")) or text_of(part.get("text"))
        else:
            texts.append(text_of(part.get("text")))
    return "".join(texts), refusal


def _ending(choice: Mapping[str, Any], error: Any, index: int, parsed: list[Event]) -> None:
    """Why the choice ended, where it says so: well, or as a failure that some endpoints only name here."""
    words = [_reason_word(choice.get(name)) for name in ("finish_reason", "native_finish_reason")]
    failed = [word for word in words if word in _FAILURES]
    if isinstance(error, dict | str) and error:
        parsed.append(events.Failed({"error": error}))
    elif failed:
        message = f"the model's answer ended with {failed[-1]}"
        parsed.append(events.Failed({"error": {"message": message, "code": _FAILURES[failed[-1]]}}))
    elif words[0] or _REASONS.get(words[1], "stop") in _SHORT:
        told = [_REASONS.get(word, "stop") for word in words]
        parsed.append(events.Finished(told[1] if told[1] in _SHORT else told[0], index))


_SHORT = ("length", "content_filter")
"""Reasons for less text than there would have been; a gateway's own word for it counts where the other one
says `stop`.
"""


def _reason_word(value: Any) -> str:
    """A word for why a model stopped as the tables have it, less the name of the enumeration it is from."""
    word = value.lower() if isinstance(value, str) else ""
    return word.removeprefix("finish_").removeprefix("reason_")


def _tool_call(call: Mapping[str, Any], order: int, choice: int, *, complete: bool = False) -> Event:
    function = mapping(call.get("function"))
    return events.ToolCallDelta(
        key=str(integer(call.get("index"), order)),
        id=text_of(call.get("id")),
        name=text_of(function.get("name")),
        arguments=json_text(function.get("arguments")),
        complete=complete,
        choice=choice,
    )


def read_usage(usage: Mapping[str, Any]) -> UsageReport:
    """Chat usage; Nebula's page spells one details key without its plural."""
    prompt = mapping(usage.get("prompt_tokens_details"))
    details = usage.get("completion_tokens_details") or usage.get("completion_token_details")
    searches = mapping(usage.get("server_tool_use"))
    report = UsageReport(
        input_tokens=count(usage.get("prompt_tokens", usage.get("input_tokens"))),
        cached_tokens=count(prompt.get("cached_tokens")),
        output_tokens=count(usage.get("completion_tokens", usage.get("output_tokens"))),
        reasoning_tokens=count(mapping(details).get("reasoning_tokens")),
        total_tokens=count(usage.get("total_tokens")),
        image_tokens=count(prompt.get("image_tokens")),
        sources_used=count(usage.get("num_sources_used")),
        web_searches=count(searches.get("web_search_requests")),
        cost_usd=reported_cost(usage),
    )
    return server_tools.with_counts(report, usage)
