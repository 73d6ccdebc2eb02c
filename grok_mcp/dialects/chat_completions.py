"""The Chat Completions dialect: `POST {base}/chat/completions`.

All gateways speak it; xAI calls it legacy. Field facts: docs.x.ai REST reference and the gateways' pages.
"""

from collections.abc import Mapping
from typing import Any

from grok_mcp import events
from grok_mcp.dialects.citations import citation_list, citations_in
from grok_mcp.events import FIRST, Event, Place
from grok_mcp.foreign import integer, mapping, mappings, text_of
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
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


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
    if message.images:
        images = [{"type": "image_url", "image_url": {"url": url}} for url in message.images]
        return {"role": message.role, "content": [*images, {"type": "text", "text": message.text}]}
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
        parsed.append(events.Started(model))
    for position, choice in enumerate(choices):
        _choice(choice, position, parsed)
    if "citations" in payload:
        parsed.extend(citation_list(payload["citations"]))
    usage = payload.get("usage")
    if usage and isinstance(usage, dict):
        parsed.append(events.UsageReported(read_usage(usage)))
    if payload.get("error") or ("choices" not in payload and {"code", "detail", "message"} & payload.keys()):
        parsed.append(events.Failed(payload))
    elif choices and "message" in choices[0]:
        parsed.append(events.Ended())
    return parsed


def _choice(choice: Mapping[str, Any], position: int, parsed: list[Event]) -> None:
    delta = mapping(choice.get("delta")) or mapping(choice.get("message"))
    index = integer(choice.get("index"), position)
    place = Place(index) if index else FIRST
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    if reasoning and isinstance(reasoning, str):
        parsed.append(events.ReasoningDelta(reasoning))
    text = text_of(delta.get("content")) or text_of(delta.get("refusal"))
    if text:
        parsed.append(events.TextDelta(text, place))
    if index == 0 and "tool_calls" in delta:
        parsed.extend(_tool_call(call, order) for order, call in enumerate(mappings(delta["tool_calls"])))
    if "annotations" in delta:
        parsed.extend(citations_in(delta["annotations"], place))
    reason = _finish_reason(choice.get("finish_reason"))
    if reason:
        parsed.append(events.Finished(reason, index))


def _finish_reason(value: Any) -> events.Reason | None:
    """One of the four reasons; None where the endpoint has not given one, `stop` for one we don't know."""
    if not isinstance(value, str) or not value or value == "error":
        return None
    return _REASONS.get(value, "stop")


def _tool_call(call: Mapping[str, Any], order: int) -> Event:
    function = mapping(call.get("function"))
    return events.ToolCallDelta(
        key=str(integer(call.get("index"), order)),
        id=text_of(call.get("id")),
        name=text_of(function.get("name")),
        arguments=text_of(function.get("arguments")),
    )


def read_usage(usage: Mapping[str, Any]) -> UsageReport:
    """Chat usage; Nebula's page spells one details key without its plural."""
    prompt = mapping(usage.get("prompt_tokens_details"))
    details = usage.get("completion_tokens_details") or usage.get("completion_token_details")
    searches = mapping(usage.get("server_tool_use"))
    return UsageReport(
        input_tokens=count(usage.get("prompt_tokens")),
        cached_tokens=count(prompt.get("cached_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        reasoning_tokens=count(mapping(details).get("reasoning_tokens")),
        total_tokens=count(usage.get("total_tokens")),
        image_tokens=count(prompt.get("image_tokens")),
        sources_used=count(usage.get("num_sources_used")),
        web_searches=count(searches.get("web_search_requests")),
        cost_usd=reported_cost(usage),
    )
