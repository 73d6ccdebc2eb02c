"""Reads foreign JSON without trusting its types; shared by the dialects."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from grok_mcp.events import CitationFound, Place

_EMPTY: Mapping[str, Any] = {}

Reason = Literal["stop", "length", "tool_calls", "content_filter"]

_REASONS: Mapping[str, Reason] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects in a list; empty where the value is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """The value if it is a string, the text parts joined if it is a list of parts, else empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(part.get("text")) for part in mappings(value))
    return ""


def integer(value: Any, default: int) -> int:
    """The value if it is a whole number, else the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def finish_reason(value: Any) -> Reason | None:
    """One of the four reasons; None where the endpoint has not said one, `stop` for one we don't know."""
    if not isinstance(value, str) or not value or value == "error":
        return None
    return _REASONS.get(value, "stop")


def citations_in(annotations: Any, place: Place) -> Iterator[CitationFound]:
    """The URL citations among annotations, flat or nested one level as OpenRouter sends them."""
    for annotation in mappings(annotations):
        cited = mapping(annotation.get("url_citation")) or annotation
        url = text_of(cited.get("url"))
        if url:
            start, end = integer(cited.get("start_index"), 0), integer(cited.get("end_index"), 0)
            yield CitationFound(url, text_of(cited.get("title")), place, start, end)


def citation_list(citations: Any) -> Iterator[CitationFound]:
    """A top-level `citations` list: URLs, or objects with a URL and a title."""
    for cited in citations if isinstance(citations, list) else ():
        url = text_of(mapping(cited).get("url")) or text_of(cited)
        if url:
            yield CitationFound(url, text_of(mapping(cited).get("title")), Place())
