"""The `search_parameters` object: live search on chat completions.

Switched off at xAI itself (HTTP 410); some gateways still document it, and of it only `mode` and
`return_citations`. So everything else is sent only where the caller asked for it.
"""

from collections.abc import Mapping
from typing import Any

from grok_mcp.messages import Search, SourceKind


def build(search: Search) -> dict[str, Any]:
    """The object for one search."""
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
