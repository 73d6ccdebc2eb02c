"""Reads the body of a chat completions request."""

from typing import Any
from urllib.parse import urlsplit

from grok_mcp.sandbox.errors import RefusalError, default_error
from grok_mcp.sandbox.models import choose_effort, find_model, refuse_parameters
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

MAX_CHOICES = 8

_DEFAULT_SOURCES = ({"type": "web"}, {"type": "x"})


def read_chat(body: dict[str, Any], conversation: str = "") -> Question:
    """What a chat completions request asks for."""
    model, default = find_model(body.get("model"))
    tools = body.get("tools") or []
    _check_tools(tools)
    refuse_parameters(model, body)
    functions = tuple(map(read_function, tools))
    kind, schema = read_format(body.get("response_format") or {})
    stop = body.get("stop") or ()
    search, scopes, cites = _read_search(body)
    return Question(
        model,
        choose_effort(model, body.get("reasoning_effort"), default),
        _read_turns(body.get("messages")),
        functions,
        read_tool_choice(body.get("tool_choice"), functions),
        scopes,
        search,
        max_sources=read_whole(body.get("search_parameters") or {}, "max_search_results") or 8,
        cites=cites,
        format=kind,
        schema=schema,
        max_tokens=read_whole(body, "max_completion_tokens", "max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        choices=min(read_whole(body, "n") or 1, MAX_CHOICES),
        conversation=str(body.get("prompt_cache_key") or conversation),
        overhead=joined(tools, schema),
    )


def _read_turns(messages: object) -> tuple[Turn, ...]:
    if not isinstance(messages, list):
        raise RefusalError(422, "Failed to deserialize the JSON body: missing field `messages`")
    if not messages:
        raise RefusalError(400, "messages must not be empty.")
    turns = []
    for message in messages:
        turn = read_turn(str(message.get("role")), message.get("content"))
        calls = joined(message.get("tool_calls"))
        turns.append(Turn(turn.role, turn.text + calls, turn.images))
    return tuple(turns)


def _check_tools(tools: list[dict[str, Any]]) -> None:
    if len(tools) > MAX_FUNCTIONS:
        raise RefusalError(400, f"At most {MAX_FUNCTIONS} tools may be given.")
    for place, tool in enumerate(tools):
        kind = tool.get("type")
        if kind == "live_search":
            code, message = default_error(410)
            raise RefusalError(410, message, code=code)
        if kind != "function":
            raise RefusalError(
                422,
                "Failed to deserialize the JSON body into the target type:"
                f" tools[{place}].type: unknown variant `{kind}`, expected `function` or"
                " `live_search` at line 1 column 118",
            )


def _read_search(body: dict[str, Any]) -> tuple[str, tuple[Scope, ...], str]:
    plugins = [plugin.get("id") for plugin in body.get("plugins") or []]
    if "web" in plugins or str(body["model"]).endswith(":online"):
        return "on", (Scope(frozenset({"web", "news"})), Scope(frozenset({"x"}))), "plugin"
    wanted = body.get("search_parameters")
    if wanted is None:
        return "off", (), "none"
    mode = wanted.get("mode", "auto")
    if mode not in ("on", "off", "auto"):
        raise RefusalError(422, f"search_parameters.mode: unknown variant `{mode}`")
    first, last = read_dates(wanted)
    sources = wanted.get("sources") or _DEFAULT_SOURCES
    cites = "links" if wanted.get("return_citations", True) else "none"
    return mode, tuple(_read_scope(source, first, last) for source in sources), cites


def _read_scope(source: dict[str, Any], first: str, last: str) -> Scope:
    kind = source.get("type")
    if kind == "x":
        source = {"included_x_handles": source.get("x_handles"), **source}
        allowed, excluded = read_names(source, "included_x_handles", "excluded_x_handles", MAX_HANDLES)
        return Scope(
            frozenset({"x"}),
            allowed_handles=allowed,
            excluded_handles=excluded,
            from_date=first,
            to_date=last,
            min_likes=source.get("post_favorite_count") or 0,
            min_views=source.get("post_view_count") or 0,
        )
    if kind == "rss":
        hosts = frozenset(urlsplit(link).hostname or "" for link in source.get("links") or [])
        return Scope(frozenset({"web", "news"}), hosts, from_date=first, to_date=last)
    if kind not in ("web", "news"):
        raise RefusalError(422, f"search_parameters.sources: unknown variant `{kind}`")
    allowed, excluded = read_names(source, "allowed_websites", "excluded_websites", MAX_DOMAINS)
    kinds = frozenset({"web", "news"} if kind == "web" else {"news"})
    return Scope(kinds, allowed, excluded, from_date=first, to_date=last)
