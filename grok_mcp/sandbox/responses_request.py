"""Reads the body of a responses request."""

from typing import Any

from grok_mcp.sandbox.errors import RefusalError, refusal
from grok_mcp.sandbox.models import choose_effort, find_model, no_model, refuse_parameters
from grok_mcp.sandbox.question import (
    MAX_DOMAINS,
    MAX_FUNCTIONS,
    MAX_HANDLES,
    Question,
    Turn,
    joined,
    read_dates,
    read_format,
    read_function,
    read_names,
    read_tool_choice,
    read_turn,
    read_whole,
)
from grok_mcp.sandbox.search import Scope


def read_responses(body: dict[str, Any], conversation: str = "") -> Question:
    """What a responses request asks for."""
    model, default = find_model(body.get("model"))
    if model.chat_only:
        raise no_model(model.id)
    refuse_parameters(model, body)
    if body.get("previous_response_id") is not None:
        message = f"Response {body['previous_response_id']} does not exist: nothing is stored here."
        raise refusal(404, message)
    tools = body.get("tools") or []
    if len(tools) > MAX_FUNCTIONS:
        raise RefusalError(400, f"At most {MAX_FUNCTIONS} tools may be given.")
    functions = tuple(read_function(tool) for tool in tools if tool.get("type") == "function")
    scopes = tuple(_read_scope(tool) for tool in tools if tool.get("type") != "function")
    choice = read_tool_choice(body.get("tool_choice"), functions)
    kind, schema = read_format((body.get("text") or {}).get("format") or {})
    bare = "no_inline_citations" in (body.get("include") or [])
    return Question(
        model,
        choose_effort(model, (body.get("reasoning") or {}).get("effort"), default),
        _read_turns(body.get("instructions"), body.get("input")),
        functions,
        choice,
        scopes,
        {"required": "on", "none": "off"}.get(choice, "auto"),
        cites="bare" if bare else "inline",
        format=kind,
        schema=schema,
        max_tokens=read_whole(body, "max_output_tokens"),
        cap_holds_reasoning=True,
        conversation=str(body.get("prompt_cache_key") or conversation),
        overhead=joined(tools, schema),
    )


def _read_scope(tool: dict[str, Any]) -> Scope:
    kind = tool.get("type")
    if kind == "x_search":
        allowed, excluded = read_names(tool, "allowed_x_handles", "excluded_x_handles", MAX_HANDLES)
        first, last = read_dates(tool)
        return Scope(
            frozenset({"x"}),
            allowed_handles=allowed,
            excluded_handles=excluded,
            from_date=first,
            to_date=last,
        )
    if kind != "web_search":
        raise RefusalError(422, f"tools: the sandbox does not run the server tool `{kind}`")
    filters = tool.get("filters") or {}
    allowed, excluded = read_names(filters, "allowed_domains", "excluded_domains", MAX_DOMAINS)
    return Scope(frozenset({"web", "news"}), allowed, excluded)


def _read_turns(instructions: str | None, given: object) -> tuple[Turn, ...]:
    turns = [Turn("system", instructions)] if instructions else []
    if isinstance(given, str):
        return (*turns, Turn("user", given))
    if not isinstance(given, list) or not given:
        raise RefusalError(400, "input must be a text or a list of at least one item.")
    return (*turns, *map(_read_item, given))


def _read_item(item: dict[str, Any]) -> Turn:
    kind = item.get("type", "message")
    if kind == "message":
        return read_turn(str(item.get("role")), item.get("content"))
    if kind == "function_call_output":
        return Turn("tool", str(item.get("output")))
    # reasoning and calls that are sent back count as tokens and say nothing new
    return Turn("assistant", joined(item))
