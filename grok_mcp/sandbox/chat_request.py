"""Reads the body of a chat completions request."""

from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from grok_mcp.sandbox.errors import RefusalError, refusal
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

OPENROUTER_SEARCH = "openrouter:web_search"
OPENROUTER_RESULTS = 5
LIVE_RESULTS = 8

_DEFAULT_SOURCES = ({"type": "web"}, {"type": "x"})


class _Search(NamedTuple):
    """Whether to search, where, how much at most, and how sources are named."""

    mode: str = "off"
    scopes: tuple[Scope, ...] = ()
    limit: int = LIVE_RESULTS
    cites: str = "none"


def read_chat(body: dict[str, Any], conversation: str = "") -> Question:
    """What a chat completions request asks for."""
    model, default = find_model(body.get("model"))
    if body.get("deferred"):
        raise RefusalError(400, "The sandbox has no deferred completions: leave `deferred` out, or stream.")
    tools = body.get("tools") or []
    _check_tools(tools)
    refuse_parameters(model, body)
    functions = tuple(read_function(tool) for tool in tools if tool.get("type") == "function")
    kind, schema = read_format(body.get("response_format") or {})
    stop = body.get("stop") or ()
    search = _read_search(body)
    return Question(
        model,
        choose_effort(model, body.get("reasoning_effort"), default),
        _read_turns(body.get("messages")),
        functions,
        read_tool_choice(body.get("tool_choice"), functions),
        search.scopes,
        search.mode,
        max_sources=search.limit,
        cites=search.cites,
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
        turns.append(replace(turn, text=turn.text + calls))
    return tuple(turns)


def _check_tools(tools: list[dict[str, Any]]) -> None:
    if len(tools) > MAX_FUNCTIONS:
        raise RefusalError(400, f"At most {MAX_FUNCTIONS} tools may be given.")
    for place, tool in enumerate(tools):
        kind = tool.get("type")
        if kind == "live_search":
            raise refusal(410)
        if kind not in ("function", OPENROUTER_SEARCH):
            raise RefusalError(
                422,
                "Failed to deserialize the JSON body into the target type:"
                f" tools[{place}].type: unknown variant `{kind}`, expected `function` or"
                " `live_search` at line 1 column 118",
            )


def _read_search(body: dict[str, Any]) -> _Search:
    plugins = [plugin for plugin in body.get("plugins") or [] if plugin.get("id") == "web"]
    if plugins or str(body["model"]).endswith(":online"):
        return _openrouter("on", plugins[0] if plugins else {})
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") == OPENROUTER_SEARCH]
    if tools:
        return _openrouter("auto", tools[0].get("parameters") or {})
    return _read_live_search(body.get("search_parameters"))


def _openrouter(mode: str, options: dict[str, Any]) -> _Search:
    """OpenRouter's web plugin searches always, its server tool when the model wants to."""
    limit = read_whole(options, "max_results") or OPENROUTER_RESULTS
    scopes = (Scope(frozenset({"web", "news"})), Scope(frozenset({"x"})))
    return _Search(mode, scopes, limit, "plugin")


def _read_live_search(wanted: dict[str, Any] | None) -> _Search:
    if wanted is None:
        return _Search()
    mode = wanted.get("mode", "auto")
    if mode not in ("on", "off", "auto"):
        raise RefusalError(422, f"search_parameters.mode: unknown variant `{mode}`")
    first, last = read_dates(wanted)
    sources = wanted.get("sources") or _DEFAULT_SOURCES
    scopes = tuple(_read_scope(source, first, last) for source in sources)
    limit = read_whole(wanted, "max_search_results") or LIVE_RESULTS
    return _Search(mode, scopes, limit, "links" if wanted.get("return_citations", True) else "none")


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
