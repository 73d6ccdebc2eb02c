"""Turns the sources that the endpoint named into numbered citations that fit the text.

Numbers are those of the markers `[[1]](url)` in the text where it has any; sources that were read but not
cited follow. A source that stands in such a marker alone is taken from there, and a warning says so.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from urllib.parse import urlsplit

from grok_mcp import bounds
from grok_mcp.messages import CITATION_MARKER, Citation, SourceKind
from grok_mcp.pipeline.fold import Fold
from grok_mcp.redaction import one_line

_X_HOSTS = ("x.com", "twitter.com")
_MAX_TITLE = 120


def cite(fold: Fold, text: str, sources: Iterable[SourceKind]) -> tuple[tuple[Citation, ...], list[str]]:
    """The citations of the first alternative, and warnings about markers that point nowhere.

    `sources` is what was searched: a page counts as news or RSS only where nothing else was.
    """
    # One bracket is found ten times as fast as two, and most long texts have none.
    if not (fold.citations or fold.sources or ("[" in text and "[[" in text)):
        return (), []
    spans, titles = _collect(fold)
    refused = {url for url in spans if not is_page(url)}
    for url in refused:
        del spans[url]
    markers: dict[str, int] = {}
    unlisted: dict[str, set[tuple[int, int]]] = {}
    for match in CITATION_MARKER.finditer(text):
        url = match[2]
        markers.setdefault(url, int(match[1]))
        if url not in spans and is_page(url):
            unlisted.setdefault(url, set()).add(match.span())
    spans |= unlisted
    numbers = _number(list(spans), markers, text, spans)
    page_kind = _page_kind(sources)
    cited = [
        Citation(
            index=number,
            url=one_line(url),
            title=display_title(titles.get(url, ""), one_line(url)),
            source="x" if _is_x(url) else page_kind,
            spans=tuple(sorted(spans[url])),
            from_text=url in unlisted,
        )
        for url, number in sorted(numbers.items(), key=lambda one: one[1])
    ]
    missing = {number for url, number in markers.items() if url not in spans and url not in refused}
    warnings = []
    if refused:
        warnings.append(f"Sources that are not addresses of web pages were left out: {len(refused)}.")
    if unlisted:
        named = _named(numbers[url] for url in unlisted)
        warnings.append(f"The endpoint did not list {named} as a source: the address is from the text.")
    if missing := missing - set(numbers.values()):
        warnings.append(f"The answer points to {_named(missing)}, which is not the address of a page.")
    return tuple(cited), warnings


def _named(numbers: Iterable[int]) -> str:
    return ", ".join(f"[{number}]" for number in sorted(numbers))


def is_page(url: str) -> bool:
    """Whether a source is an address that a person may open: not a script, a file or data."""
    return (
        len(url) <= bounds.URL_CHARACTERS
        and re.match(r"https?://[^\s/]\S*\Z", url, re.IGNORECASE) is not None
    )


def _collect(fold: Fold) -> tuple[dict[str, set[tuple[int, int]]], dict[str, str]]:
    """Spans in the joined text, and a title, of every source URL in the order it came."""
    offsets, at = {}, 0
    for place, piece in fold.layout():
        if place is not None:
            offsets[place] = at
        at += len(piece)
    spans: dict[str, set[tuple[int, int]]] = {}
    titles: dict[str, str] = {}
    for citation in fold.citations.values():
        url_spans = spans.setdefault(citation.url, set())
        titles.setdefault(citation.url, citation.title)
        part = fold.parts.get(citation.place)
        if part and citation.place in offsets and 0 <= citation.start < citation.end <= part.length:
            start = citation.start - bisect_left(part.removed, citation.start)
            end = citation.end - bisect_left(part.removed, citation.end)
            url_spans.add((offsets[citation.place] + start, offsets[citation.place] + end))
    for url in fold.sources:
        spans.setdefault(url, set())
    return spans, titles


def _number(
    urls: list[str], markers: dict[str, int], text: str, spans: dict[str, set[tuple[int, int]]]
) -> dict[str, int]:
    """One number a source: its marker's, else the next free one, cited sources before those only read."""
    numbers: dict[str, int] = {}
    for url in urls:
        number = markers.get(url)
        if number is not None and number not in numbers.values():
            numbers[url] = number
    rest = [url for url in urls if url not in numbers]
    rest.sort(key=lambda url: min(spans[url], default=(len(text) + 1, 0)))
    following = max([*numbers.values(), *markers.values()], default=0)
    return numbers | {url: number for number, url in enumerate(rest, following + 1)}


def _is_x(url: str) -> bool:
    host = _host(url)
    return any(host == known or host.endswith(f".{known}") for known in _X_HOSTS)


def _page_kind(sources: Iterable[SourceKind]) -> SourceKind:
    pages = [kind for kind in sources if kind != "x"]
    return pages[0] if len(pages) == 1 else "web"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def display_title(title: str, url: str) -> str:
    """The page's title, or its host and path where the endpoint gives only a number or the URL."""
    title = one_line(title)
    if not title or title.isdigit() or title == url:
        try:
            path = urlsplit(url).path.rstrip("/")
        except ValueError:
            path = ""
        title = f"{_host(url)}{path}" or one_line(url)
    return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1]}…"
