"""Turns the sources that the endpoint named into numbered citations that fit the text.

Numbers are those of the markers `[[1]](url)` in the text where it has any; sources that were read but not
cited follow. A source that stands in such a marker alone is taken from there. `evidence.py` says what holds.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from grok_mcp import bounds
from grok_mcp.foreign import load_json, text_of
from grok_mcp.messages import CITATION_MARKER, Citation, SourceKind
from grok_mcp.pipeline.fold import Fold
from grok_mcp.redaction import one_line

_X_HOSTS = ("x.com", "twitter.com")
_MAX_TITLE = 120


class Marker(NamedTuple):
    """A citation in the text: its number and address, and where it stands."""

    number: int
    url: str
    start: int
    end: int


class Placed(NamedTuple):
    """Where the endpoint says that a source is cited, as it `told` it; `span` is None for a place outside the
    text.
    """

    url: str
    title: str
    span: tuple[int, int] | None
    told: tuple[int, int]


class Sources(NamedTuple):
    """The citations of the first alternative, and what they were made from.

    `text` is its text, `urls` are the addresses of the citations as they came, `refused` those that are not
    of a web page.
    """

    citations: tuple[Citation, ...] = ()
    urls: tuple[str, ...] = ()
    markers: tuple[Marker, ...] = ()
    placed: tuple[Placed, ...] = ()
    refused: frozenset[str] = frozenset()
    text: str = ""


NONE = Sources()


def cite(fold: Fold, text: str, kinds: Iterable[SourceKind], *, is_json: bool) -> Sources:
    """The sources of the first alternative.

    `kinds` is what was searched: a page counts as news or RSS only where nothing else was.
    """
    # One bracket is found ten times as fast as two, and most long texts have none.
    if not (fold.citations or fold.sources or ("[" in text and "[[" in text)):
        return NONE
    spans, titles, placed = _collect(fold)
    refused = {url for url in spans if not is_page(url)}
    for url in refused:
        del spans[url]
    markers: list[Marker] = []
    numbers: dict[str, int] = {}
    unlisted: dict[str, set[tuple[int, int]]] = {}
    for match in CITATION_MARKER.finditer(text):
        url = _unescaped(match[2]) if is_json else match[2]
        numbers.setdefault(url, int(match[1]))
        if len(markers) < bounds.MARKERS:
            markers.append(Marker(int(match[1]), url, *match.span()))
        if url in unlisted or (url not in spans and len(unlisted) < bounds.ANSWER_ITEMS and is_page(url)):
            unlisted.setdefault(url, set()).add(match.span())
    spans |= unlisted
    numbers = _number(list(spans), numbers, text, spans)
    page_kind = _page_kind(kinds)
    ordered = sorted(numbers.items(), key=lambda one: one[1])
    citations = tuple(
        Citation(
            index=number,
            url=one_line(url),
            title=display_title(titles.get(url, ""), one_line(url)),
            source="x" if _is_x(url) else page_kind,
            spans=tuple(sorted(spans[url])),
            from_text=url in unlisted,
        )
        for url, number in ordered
    )
    urls = tuple(url for url, _ in ordered)
    return Sources(citations, urls, tuple(markers), tuple(placed), frozenset(refused), text)


def _unescaped(url: str) -> str:
    """An address that stands in a JSON text, where `/` and `&` may be escaped."""
    if "\\" not in url:
        return url
    try:
        return text_of(load_json(f'"{url}"')) or url
    except ValueError:
        return url


def is_page(url: str) -> bool:
    """Whether a source is an address that a person may open: not a script, a file or data."""
    return (
        len(url) <= bounds.URL_CHARACTERS
        and re.match(r"https?://[^\s/]\S*\Z", url, re.IGNORECASE) is not None
    )


def _collect(fold: Fold) -> tuple[dict[str, set[tuple[int, int]]], dict[str, str], list[Placed]]:
    """Spans in the joined text, and a title, of every source URL in the order it came; and each place that
    the endpoint gives.
    """
    offsets, at, came = {}, 0, 0
    for place, piece in fold.layout():
        if place is not None:
            offsets[place] = at
            came += fold.parts[place].length
        at += len(piece)
    spans: dict[str, set[tuple[int, int]]] = {}
    titles: dict[str, str] = {}
    placed: list[Placed] = []
    for citation in fold.citations.values():
        url_spans = spans.setdefault(citation.url, set())
        titles.setdefault(citation.url, citation.title)
        part = fold.parts.get(citation.place)
        if not part or citation.place not in offsets:
            continue
        told = citation.start, citation.end
        if 0 <= citation.start < citation.end <= part.length:
            start = citation.start - bisect_left(part.removed, citation.start)
            end = citation.end - bisect_left(part.removed, citation.end)
            span = offsets[citation.place] + start, offsets[citation.place] + end
            url_spans.add(span)
            placed.append(Placed(citation.url, citation.title, span, told))
        elif (
            citation.start < 0 <= citation.end
            or citation.end > max(came, at)
            or 0 < citation.end < citation.start
        ):
            placed.append(Placed(citation.url, citation.title, None, told))
    for url in fold.sources:
        spans.setdefault(url, set())
    return spans, titles, placed


def _number(
    urls: list[str], markers: dict[str, int], text: str, spans: dict[str, set[tuple[int, int]]]
) -> dict[str, int]:
    """One number a source: its marker's, else the next free one, cited sources before those only read."""
    numbers: dict[str, int] = {}
    taken: set[int] = set()
    for url in urls:
        number = markers.get(url)
        if number is not None and number not in taken:
            numbers[url] = number
            taken.add(number)
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
