"""What tools at the endpoint did, in every form that endpoints send: items of a response, and counts.

Facts: docs.x.ai (tools), recorded streams, and clients' schemas until 2026-11-29. Shared by both dialects.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from grok_mcp import bounds, events
from grok_mcp.events import Event
from grok_mcp.foreign import load_json, mapping, mappings, text_of
from grok_mcp.usage import UsageReport, count

_SEARCHING = ("in_progress", "searching")
PHASES: Mapping[str, tuple[str, ...]] = {
    "web_search_call": _SEARCHING,
    "x_search_call": _SEARCHING,
    "code_interpreter_call": ("in_progress", "interpreting"),
    "code_execution_call": ("in_progress", "interpreting"),
    "file_search_call": _SEARCHING,
    "mcp_call": ("in_progress",),
    "image_generation_call": ("in_progress", "generating"),
    "view_image_call": ("in_progress",),
    "view_x_video_call": ("in_progress",),
}
"""Kinds of item, and the phases that a stream tells before such an item is done."""

_Steps = Iterator[Event]


def begun(kind: str, key: str, item: str = "") -> Event:
    """The step of a kind in `PHASES` of which nothing else is known yet."""
    return _BEGUN[kind](key, item)


def steps(item: Mapping[str, Any], kind: str, key: str, *, done: bool) -> _Steps:
    """What one output item says of a tool at the endpoint; nothing for items of other kinds."""
    item_id = text_of(item.get("id"))
    if kind in ("web_search_call", "x_search_call", "custom_tool_call"):
        yield from _search(item, key, kind, item_id)
    elif kind in ("code_interpreter_call", "code_execution_call"):
        yield _code(item, key, "completed" if done else "")
    elif kind == "file_search_call":
        yield events.FileStep(key, _queries(item), tuple(map(_found, _some(item.get("results")))), item_id)
    elif kind == "mcp_call":
        yield events.McpStep(key, text_of(item.get("server_label")), text_of(item.get("name")), item_id)
    elif kind in PHASES:  # its result may be megabytes of base64: nobody reads it
        yield begun(kind, key, item_id)


def _search(item: Mapping[str, Any], key: str, kind: str, item_id: str) -> _Steps:
    """A search, or a page that it opens; x_search comes as a custom tool call whose input is JSON text."""
    name, action = text_of(item.get("name")), mapping(item.get("action"))
    on_x = kind == "x_search_call" or name.startswith(("x_", "view_x"))
    if kind == "custom_tool_call" and not on_x:
        return
    arguments = _loaded(text_of(item.get("arguments")) or text_of(item.get("input")))
    url = text_of(action.get("url")) or text_of(arguments.get("url"))
    if name == "view_x_video":
        yield begun("view_x_video_call", key, item_id)
    elif url and not on_x:
        pattern = text_of(action.get("pattern")) or text_of(arguments.get("pattern"))
        yield events.PageStep(key, url, pattern, item_id)
    else:
        queries = _queries(action) or _queries(arguments)
        yield events.SearchStep(key, "x" if on_x else "web", queries, item_id)
    urls = tuple(filter(None, (text_of(source.get("url")) for source in mappings(action.get("sources")))))
    if urls:
        yield events.SourcesFound(urls, key, item_id)


def _queries(action: Mapping[str, Any]) -> tuple[str, ...]:
    """`query` and `queries` together, each once."""
    several = action.get("queries")
    texts = [action.get("query"), *(several if isinstance(several, list) else ())]
    return tuple(islice(dict.fromkeys(filter(None, map(text_of, texts))), bounds.QUERIES))


def _code(item: Mapping[str, Any], key: str, status: str) -> Event:
    """Code and what it wrote; `outputs` come only where the request includes them."""
    arguments = _loaded(text_of(item.get("arguments")) or text_of(item.get("input")))
    outputs = mappings(item.get("outputs"))
    return events.CodeStep(
        key,
        text_of(item.get("id")),
        text_of(item.get("code")) or text_of(arguments.get("code")),
        tuple(filter(None, (text_of(output.get("logs")) for output in outputs))),
        tuple(filter(None, (text_of(output.get("url")) for output in outputs))),
        text_of(item.get("status")) or status,
    )


def _some(results: Any) -> list[Mapping[str, Any]]:
    return mappings(results)[: bounds.FOUND_FILES]


def _found(result: Mapping[str, Any]) -> events.FoundFile:
    score = result.get("score")
    name = text_of(result.get("filename")) or text_of(result.get("name"))
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        score = None
    return events.FoundFile(text_of(result.get("file_id")), name, score)


def _loaded(text: str) -> Mapping[str, Any]:
    try:
        return mapping(load_json(text))
    except ValueError:
        return {}


_BEGUN: Mapping[str, Callable[[str, str], Event]] = {
    "web_search_call": lambda key, item: events.SearchStep(key, "web", item=item),
    "x_search_call": lambda key, item: events.SearchStep(key, "x", item=item),
    "code_interpreter_call": events.CodeStep,
    "code_execution_call": events.CodeStep,
    "file_search_call": lambda key, item: events.FileStep(key, item=item),
    "mcp_call": lambda key, item: events.McpStep(key, item=item),
    "image_generation_call": lambda key, item: events.MediaStep(key, "drawing", item),
    "view_image_call": lambda key, item: events.MediaStep(key, "image", item),
    "view_x_video_call": lambda key, item: events.MediaStep(key, "video", item),
}

_COUNTED: Mapping[str, tuple[str, ...]] = {
    "web_searches": ("web_search_calls", "web_search"),
    "x_searches": ("x_search_calls", "x_search"),
    "x_posts_fetched": ("x_posts_fetched",),
    "x_users_fetched": ("x_users_fetched",),
    "code_runs": ("code_interpreter_calls", "code_execution_calls", "code_interpreter", "code_execution"),
    "collection_searches": (
        "file_search_calls",
        "collections_search_calls",
        "collections_search",
        "file_search",
    ),
    "attachment_searches": (
        "document_search_calls",
        "attachment_search_calls",
        "attachment_search",
        "document_search",
    ),
}
"""Our counts, and what endpoints call each."""


def with_counts(report: UsageReport, usage: Mapping[str, Any]) -> UsageReport:
    """The report with how often each tool ran, where the endpoint says so.

    xAI gives an object of counts; its SDK's names (`SERVER_SIDE_TOOL_WEB_SEARCH`) come as an object of counts
    too, or as a list with one entry for each call.
    """
    details = dict(mapping(usage.get("server_side_tool_usage_details")))
    other = usage.get("server_side_tool_usage", usage.get("server_side_tools_used"))
    if isinstance(other, list):
        names = [_plain(text_of(name)) for name in other[: bounds.ANSWER_ITEMS]]
        details = {name: names.count(name) for name in names} | details
    else:
        details = {_plain(str(name)): value for name, value in mapping(other).items()} | details
    told = {name: [count(details.get(one)) for one in names] for name, names in _COUNTED.items()}
    known: dict[str, Any] = {name: max(filter(None, values)) for name, values in told.items() if any(values)}
    return report._replace(**known)


def _plain(name: str) -> str:
    return name.lower().removeprefix("server_side_tool_")
