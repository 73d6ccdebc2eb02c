"""Requests in the Responses dialect: `POST {base}/responses`, xAI's preferred one and the one that searches.

Field facts: docs.x.ai (REST reference, tools, structured outputs). Replies: `responses_events.py`.
"""

from collections.abc import Iterator
from typing import Any

from grok_mcp import bounds
from grok_mcp.dialects.policy import guidelines
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, Document, Message, Search

PATH = "/responses"

CODE_OUTPUTS = "code_interpreter_call.outputs"
"""What `include` has to name for the output of code to come back."""

_OPTIONS = ("top_p", "parallel_tool_calls", "service_tier", "user")

# What `omit` calls by its chat name, and where it stands in this dialect.
_OMIT_ALIASES = {"reasoning_effort": "reasoning", "max_tokens": "max_output_tokens"}


def build_body(request: ChatRequest, gateway: Gateway) -> dict[str, Any]:
    """The JSON body of a streamed request; nothing is stored upstream."""
    turns = [{"role": "system", "content": request.instructions}] if request.instructions else []
    body: dict[str, Any] = {
        "model": request.model,
        "input": turns + [item for message in request.messages for item in _items(message)],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "temperature": request.temperature,
        "max_output_tokens": request.max_output_tokens,
        "reasoning": {"effort": request.reasoning_effort} if request.reasoning_effort else None,
        "prompt_cache_key": request.cache_key,
        "guidelines": guidelines(request),
        "safety_identifier": request.safety_identifier,
        **{name: request.options.get(name) for name in _OPTIONS},
    }
    tools: list[dict[str, Any]] = [{"type": "function", **tool} for tool in request.tools]
    if request.tools or request.code:
        body["tool_choice"] = _tool_choice(request.tool_choice)
    if request.code:
        tools.append({"type": "code_interpreter"})
        body["include"].append(CODE_OUTPUTS)
    if request.search and request.search.mode != "off":
        tools += _server_tools(request.search)
        body["include"].append("web_search_call.action.sources")
        body["max_turns"] = request.search.max_turns
        if request.search.mode == "on":
            body["tool_choice"] = "required"
    if request.collections:
        tools.append(_file_search(request.collections))
        body["include"].append("file_search_call.results")
    body["tools"] = tools or None
    if request.response_format:
        body["text"] = {"format": _text_format(request)}
    body["include"] = [value for value in body["include"] if value not in request.omit] or None
    omitted = {_OMIT_ALIASES.get(name, name) for name in request.omit}
    return {name: value for name, value in body.items() if value is not None and name not in omitted}


def _items(message: Message) -> Iterator[dict[str, Any]]:
    """The input items of one turn."""
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    yield from (dict(item) for item in message.reasoning)
    if message.images or message.documents:
        images = [{"type": "input_image", "image_url": url} for url in message.images]
        files = [_file(document) for document in message.documents]
        text = {"type": "input_text", "text": message.text}
        yield {"role": message.role, "content": [*images, *files, text]}
    elif message.text or not message.tool_calls:
        yield {"role": message.role, "content": message.text}
    for call in message.tool_calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _file(document: Document) -> dict[str, Any]:
    if document.is_inline:
        return {"type": "input_file", "filename": document.name, "file_data": document.url}
    return {"type": "input_file", "file_url": document.url}


def _tool_choice(choice: str | None) -> Any:
    if choice in (None, "auto", "none", "required"):
        return choice
    return {"type": "function", "name": choice}


def _text_format(request: ChatRequest) -> dict[str, Any]:
    assert request.response_format is not None
    if request.response_format.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": request.response_format.name,
        "strict": True,
        "schema": request.response_format.schema,
    }


def _server_tools(search: Search) -> list[dict[str, Any]]:
    """`web_search` and `x_search` with the filters that they know."""
    tools = []
    if set(search.sources) - {"x"}:
        filters = {
            "allowed_domains": list(search.allowed_domains) or None,
            "excluded_domains": list(search.excluded_domains) or None,
        }
        filters = {name: value for name, value in filters.items() if value}
        tools.append(
            _without_none(
                type="web_search",
                filters=filters or None,
                enable_image_understanding=search.image_understanding,
                enable_image_search=search.image_search,
            )
        )
    if "x" in search.sources:
        tools.append(
            _without_none(
                type="x_search",
                allowed_x_handles=list(search.allowed_x_handles) or None,
                excluded_x_handles=list(search.excluded_x_handles) or None,
                from_date=search.from_date,
                to_date=search.to_date,
                enable_image_understanding=search.image_understanding,
                enable_video_understanding=search.video_understanding,
            )
        )
    return tools


def _file_search(collections: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "file_search",
        "vector_store_ids": list(collections),
        "max_num_results": bounds.DOCUMENTS_FOUND,
    }


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
