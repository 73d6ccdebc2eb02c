"""Reads the sources that an answer names, in every form that endpoints send; shared by both dialects."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from grok_mcp import bounds
from grok_mcp.events import CitationFound, Place
from grok_mcp.foreign import integer, mapping, mappings, text_of


def citations_in(annotations: Any, place: Place) -> Iterator[CitationFound]:
    """The URL citations among annotations, flat or nested one level as OpenRouter sends them."""
    for annotation in islice(mappings(annotations), bounds.CITATIONS_AT_ONCE):
        cited = mapping(annotation.get("url_citation")) or annotation
        url = text_of(cited.get("url")).strip()
        if url:
            start, end = integer(cited.get("start_index"), 0), integer(cited.get("end_index"), 0)
            yield CitationFound(url, text_of(cited.get("title")), place, start, end)


def citation_list(citations: Any) -> Iterator[CitationFound]:
    """A top-level `citations` list: URLs, or objects with a URL and a title."""
    for cited in islice(citations if isinstance(citations, list) else (), bounds.CITATIONS_AT_ONCE):
        url = (text_of(mapping(cited).get("url")) or text_of(cited)).strip()
        if url:
            yield CitationFound(url, text_of(mapping(cited).get("title")), Place())
