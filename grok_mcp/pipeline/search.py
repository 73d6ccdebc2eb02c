"""How a search is requested: which search dialects to try, and what they can't express.

A filter that a dialect has no field for goes into the instructions, with a warning that it is best effort.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, Search

WIRE = {
    "responses": "responses",
    "search_parameters": "chat_completions",
    "openrouter": "chat_completions",
}
"""The wire dialect that each search dialect is spoken in."""


def search_dialects(gateway: Gateway, first: str | None) -> tuple[str, ...]:
    """The search dialects to try, in order; `first` is the one that the settings name."""
    if first == "none":
        return ()
    return tuple(dict.fromkeys(filter(None, (first, *gateway.search_dialects))))


def prepare(request: ChatRequest, dialect: str | None) -> tuple[ChatRequest, list[str]]:
    """The request in one search dialect (None: without searching), and warnings about what it can't
    express.
    """
    search = request.search
    if search is None:
        return request, []
    today = f"Today is {datetime.now(UTC):%A, %Y-%m-%d} (UTC)."
    inexpressible: list[tuple[str, str]] = []
    if dialect and search.mode != "off":
        inexpressible = list(_INEXPRESSIBLE[dialect](search))
    sentences = [request.instructions, today, *(sentence for _, sentence in inexpressible)]
    named = ", ".join(name for name, _ in inexpressible)
    warnings = [f"This endpoint has no field for {named}: passed on in words, best effort."] if named else []
    return (
        replace(
            request,
            search_dialect=dialect,
            instructions="\n\n".join(filter(None, sentences)),
        ),
        warnings,
    )


def _not_in_responses(search: Search) -> Iterator[tuple[str, str]]:
    kinds = set(search.sources)
    if (search.from_date or search.to_date) and kinds != {"x"}:
        yield "dates of web pages", _dates(search, "web pages")
    if kinds & {"news", "rss"} and "web" not in kinds:
        yield "news and RSS sources", f"On the web, use only {_kinds(search)}."
    if search.image_search and kinds == {"x"}:
        yield from _images(search)
    yield from _country(search)
    if search.max_results:
        yield "max_results", f"Use at most {search.max_results} sources."
    yield from _safety(search)
    yield from _popularity(search)
    yield from _feeds(search)


def _not_in_search_parameters(search: Search) -> Iterator[tuple[str, str]]:
    kinds = set(search.sources)
    if search.allowed_domains and ("news" in kinds or "web" not in kinds):
        yield "allowed_domains", f"Use only pages of {', '.join(search.allowed_domains)}."
    if "rss" not in kinds:
        yield from _feeds(search)
    if search.image_understanding or search.video_understanding:
        yield "image and video understanding", "Look at images and videos where they matter."
    yield from _images(search)
    if search.max_turns:
        yield "max_turns", f"Search at most {search.max_turns} times."


def _not_in_openrouter(search: Search) -> Iterator[tuple[str, str]]:
    if set(search.sources) != {"web", "x"}:
        yield "sources", f"Use only these kinds of source: {_kinds(search)}."
    if search.from_date or search.to_date:
        yield "dates", _dates(search, "sources")
    lists = (
        ("allowed_domains", "Use only pages of", search.allowed_domains),
        ("excluded_domains", "Use no page of", search.excluded_domains),
        ("allowed_x_handles", "On X, use only posts by", search.allowed_x_handles),
        ("excluded_x_handles", "On X, use no post by", search.excluded_x_handles),
    )
    for name, words, values in lists:
        if values:
            yield name, f"{words} {', '.join(values)}."
    yield from _country(search)
    yield from _safety(search)
    yield from _popularity(search)
    yield from _feeds(search)
    if search.image_understanding or search.video_understanding:
        yield "image and video understanding", "Look at images and videos where they matter."
    yield from _images(search)
    if search.max_turns:
        yield "max_turns", f"Search at most {search.max_turns} times."


def _kinds(search: Search) -> str:
    return ", ".join({"x": "X posts", "rss": "RSS feeds"}.get(kind, kind) for kind in search.sources)


def _dates(search: Search, what: str) -> str:
    since = f" from {search.from_date}" if search.from_date else ""
    until = f" until {search.to_date}" if search.to_date else ""
    return f"Use only {what} dated{since}{until}, both days included."


def _country(search: Search) -> Iterator[tuple[str, str]]:
    if search.country:
        yield "country", f"Search as from the country {search.country}."


def _images(search: Search) -> Iterator[tuple[str, str]]:
    if search.image_search:
        yield "image_search", "Look for images too, and put the best ones into the answer as Markdown images."


def _safety(search: Search) -> Iterator[tuple[str, str]]:
    if search.safe_search:
        yield "safe_search", "Leave out pages with adult content."


def _popularity(search: Search) -> Iterator[tuple[str, str]]:
    if search.min_likes:
        yield "min_likes", f"On X, use only posts with at least {search.min_likes} likes."
    if search.min_views:
        yield "min_views", f"On X, use only posts with at least {search.min_views} views."


def _feeds(search: Search) -> Iterator[tuple[str, str]]:
    if search.rss_links:
        yield "rss_links", f"Read these feeds: {' '.join(search.rss_links)}."


_INEXPRESSIBLE = {
    "responses": _not_in_responses,
    "search_parameters": _not_in_search_parameters,
    "openrouter": _not_in_openrouter,
}
