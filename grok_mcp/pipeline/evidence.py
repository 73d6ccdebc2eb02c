"""Where the sources of an answer come from: what its run met, what its text cites, and what does not agree.

Provenance only: that a page was met does not say that it is right, nor that it says what the text does. Pure;
`answer.py` calls it. In doubt nothing is claimed, as a false note costs more than a missing one: addresses
are compared by `same_page.py`, steps that show no addresses prove nothing, and a list that a cut has taken
away is not missed.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

from grok_mcp import bounds, events
from grok_mcp.messages import Answer, BrokenMarker, ChatRequest, Citation, Evidence
from grok_mcp.pipeline.citations import Marker, Placed, Sources, is_page
from grok_mcp.pipeline.fold import Fold
from grok_mcp.pipeline.same_page import page_key, site

_NAMED = 20
"""Numbers that a note names."""
_ADDRESS = re.compile(
    r"https?://[^\s<>\"'`\]]+"
    r"|(?<![\w.@/-])(?:[\w-]{1,63}\.){1,20}[^\W\d_]{2,24}(?::\d{1,5})?(?:[/?#][^\s<>\"'`\]]*)?",
    re.IGNORECASE,
)
"""An address in a message, with or without its scheme."""
_BRACKETS = 3 * bounds.MARKERS
"""Pairs of brackets in a text that are looked at."""
_HOST_ENDS = re.compile(r"[/?#:]")
_COMPARED = 2_000
"""Addresses of a conversation that are compared with those of an answer, on the same hosts."""

Key = Callable[[str], str]


class _Faults:
    """The numbers that something is wrong with, by what it is."""

    def __init__(self) -> None:
        self.unseen: set[int] = set()
        self.no_source: set[int] = set()
        self.refused: set[int] = set()
        """Those without a source whose address another note speaks of."""
        self.renamed: set[int] = set()
        """A source has another number too."""
        self.shared: set[int] = set()
        """Several sources have this number."""
        self.misplaced: set[int] = set()

    def broken(self) -> Iterator[BrokenMarker]:
        """What is published of them but `unseen`."""
        for number in sorted(self.no_source):
            yield BrokenMarker(number, "no_source")
        for number in sorted(self.renamed | self.shared):
            yield BrokenMarker(number, "two_numbers")
        for number in sorted(self.misplaced):
            yield BrokenMarker(number, "span_outside")

    def note(self) -> str:
        """All of them in words, empty where there are none."""
        numbers_of = (
            (self.unseen, "The endpoint did not list {} as a source: the address is from the text."),
            (self.no_source - self.refused, "The answer points to {}, which is not the address of a page."),
            (self.renamed - self.shared, "The answer gives {} to a source that has another number."),
            (self.shared, "The answer gives {} to more than one source."),
            (self.misplaced, "The endpoint says that {} is cited where the text does not cite it."),
        )
        return " ".join(words.format(_named(numbers)) for numbers, words in numbers_of if numbers)


def _named(numbers: Iterable[int]) -> str:
    ordered = sorted(numbers)
    named = ", ".join(f"[{number}]" for number in ordered[:_NAMED])
    return f"{named} and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else named


def weigh(
    found: Sources, fold: Fold, request: ChatRequest, key: Key, *, is_cut: bool, is_whole: bool
) -> tuple[tuple[Citation, ...], Evidence | None]:
    """The citations, of which `from_text` marks only those that the endpoint lists in no spelling, and what
    holds of them; None where there are neither citations nor markers.

    `key` tells which addresses lead to one page; `is_cut`: the lists that come last may be missing;
    `is_whole`: no place in the text can have got lost.
    """
    if not (found.citations or found.markers):
        return (), None
    found = _in_code_points(found, key) if is_whole else found
    met = {key(url) for url in (*fold.sources, *(request.met or ()))}
    met.update(key(cited.url) for cited in fold.citations.values())
    met.update(key(step.url) for step in fold.steps_of(events.PageStep))
    citations = tuple(
        replace(cited, from_text=False) if cited.from_text and key(url) in met else cited
        for cited, url in zip(found.citations, found.urls, strict=True)
    )
    numbers = dict(zip(found.urls, (cited.index for cited in citations), strict=True))
    faults = _Faults()
    _compare_numbers(found, numbers, key, faults)
    named = {key(marker.url) for marker in found.markers if marker.url in numbers}
    named |= _compare_places(found, numbers, key, faults) if is_whole else _places(found, key)
    cited, met_only, unseen = list[int](), list[int](), dict[int, str]()
    for citation, url in zip(citations, found.urls, strict=True):
        if citation.from_text:
            unseen[citation.index] = url
        elif key(url) in named:
            cited.append(citation.index)
        else:
            met_only.append(citation.index)
    if unseen and not is_cut:
        named_before = _in_conversation(request, unseen.values(), key)
        faults.unseen = {number for number, url in unseen.items() if url not in named_before}
    return citations, Evidence(
        tuple(cited), tuple(met_only), tuple(sorted(faults.unseen)), tuple(faults.broken()), faults.note()
    )


def _compare_numbers(found: Sources, numbers: dict[str, int], key: Key, faults: _Faults) -> None:
    """Hold the markers of the text against each other; a page in two spellings may have a number each."""
    pages: dict[int, str] = {}
    numbers_of: dict[str, set[int]] = {}
    for url, number in numbers.items():
        numbers_of.setdefault(key(url), set()).add(number)
    for marker in found.markers:
        if marker.url not in numbers and is_page(marker.url):
            continue  # one too many to be kept
        if marker.url not in numbers:
            faults.no_source.add(marker.number)
            if marker.url in found.refused:
                faults.refused.add(marker.number)
            continue
        if marker.number not in numbers_of[key(marker.url)]:
            faults.renamed.add(marker.number)
        if pages.setdefault(marker.number, key(marker.url)) != key(marker.url):
            faults.shared.add(marker.number)


def _places(found: Sources, key: Key) -> set[str]:
    return {key(placed.url) for placed in found.placed if placed.span}


def _compare_places(found: Sources, numbers: dict[str, int], key: Key, faults: _Faults) -> set[str]:
    """Hold the places that the endpoint gives against the markers; returns the keys of the sources whose
    places hold.
    """
    markers = _Markers(found, key)
    held = set()
    for placed in found.placed:
        if placed.url not in numbers:
            continue
        fault, number = markers.fault_of(placed)
        if fault == "renamed":
            faults.renamed.add(number)
        elif fault == "shared":
            faults.shared.add(number)
        elif fault == "misplaced":
            faults.misplaced.add(numbers[placed.url])
        else:
            held.add(key(placed.url))
    return held


def _in_code_points(found: Sources, key: Key) -> Sources:
    """The sources with their places in code points, where the endpoint counts UTF-16 units or bytes.

    It does where a place would be wrong, and all are those of markers of their source in one such unit.
    """
    markers = None if found.text.isascii() else _Markers(found, key)
    if markers is None or all(markers.fault_of(placed)[0] != "misplaced" for placed in found.placed):
        return found
    for encoding, size in (("utf-16-le", 2), ("utf-8", 1)):
        spans, at, counted = dict[tuple[str, int, int], tuple[int, int]](), 0, 0
        for marker in found.markers:
            counted += len(found.text[at : marker.start].encode(encoding, "surrogatepass")) // size
            length = len(found.text[marker.start : marker.end].encode(encoding, "surrogatepass")) // size
            spans[marker.url, counted, counted + length] = marker.start, marker.end
            counted, at = counted + length, marker.end
        if all((placed.url, *placed.told) in spans for placed in found.placed):
            return _placed_at(found, [spans[placed.url, *placed.told] for placed in found.placed])
    return found


def _placed_at(found: Sources, spans: Iterable[tuple[int, int]]) -> Sources:
    """The sources, placed where they are by other spans."""
    placed, spans_of = list[Placed](), dict[str, set[tuple[int, int]]]()
    for one, span in zip(found.placed, spans, strict=True):
        placed.append(one._replace(span=span))
        spans_of.setdefault(one.url, set()).add(span)
    citations = (
        replace(cited, spans=tuple(sorted(spans_of[url]))) if url in spans_of else cited
        for cited, url in zip(found.citations, found.urls, strict=True)
    )
    return found._replace(placed=tuple(placed), citations=tuple(citations))


class _Markers:
    """The markers of a text in their order, to look up what stands at a place."""

    def __init__(self, found: Sources, key: Key) -> None:
        self._key = key
        self._markers = found.markers
        self._starts = [marker.start for marker in found.markers]
        self._by_key: dict[str, list[Marker]] = {}
        for marker in found.markers:
            self._by_key.setdefault(key(marker.url), []).append(marker)
        self._highest = max([len(found.urls), *(marker.number for marker in found.markers)])
        spans = [placed for placed in found.placed if placed.span]
        exact = [(placed, found_at) for placed in spans if (found_at := self._at(placed.span))]
        # xAI's titles are numbers, others those of pages; such as agree with no marker count something else.
        self._has_numbers = all(self._number(placed) for placed in spans) and any(
            self._number(placed) == marker.number for placed, marker in exact
        )
        # It places a source where its marker stands; others mark the passage.
        self._marks_markers = self._has_numbers or any(
            key(placed.url) == key(marker.url) for placed, marker in exact
        )
        brackets = re.finditer(r"\[(?=\[)", found.text) if spans else ()
        self._brackets = [bracket.start() for bracket in islice(brackets, _BRACKETS)]
        self._covered: dict[str, set[int]] = {}
        for placed in spans:
            self._covered.setdefault(key(placed.url), set()).update(
                marker.start for marker in self._inside(placed)
            )
        self._uncovered = {
            key
            for key, own in self._by_key.items()
            if not {marker.start for marker in own} <= self._covered.get(key, set())
        }

    def _number(self, placed: Placed) -> int:
        """The number that the endpoint gives a source, 0 where its title is none: `1984` is a book."""
        title = placed.title.strip()
        number = int(title) if title.isascii() and title.isdigit() and len(title) <= 4 else 0
        return number if number <= self._highest else 0

    def _at(self, span: tuple[int, int] | None) -> Marker | None:
        """The marker that is exactly there."""
        inside = self._inside_any(*span)[:1] if span else ()
        return next((marker for marker in inside if (marker.start, marker.end) == span), None)

    def _inside(self, placed: Placed) -> tuple[Marker, ...]:
        """The markers that stand in the place whole, at most two of them, those of its source first."""
        assert placed.span is not None
        start, end = placed.span
        own = self._by_key.get(self._key(placed.url), [])
        place = bisect_left(own, start, key=lambda marker: marker.start)
        if place < len(own) and own[place].end <= end:
            others = self._inside_any(start, end)
            return own[place], *(one for one in others if one is not own[place])
        return self._inside_any(start, end)

    def _inside_any(self, start: int, end: int) -> tuple[Marker, ...]:
        place = bisect_left(self._starts, start)
        return tuple(marker for marker in self._markers[place : place + 2] if marker.end <= end)

    def fault_of(self, placed: Placed) -> tuple[str, int]:
        """What is wrong with a place, and with which number; an empty word where nothing is."""
        if placed.span is None:
            return "misplaced", 0
        inside = self._inside(placed)
        key = self._key(placed.url)
        if inside and self._key(inside[0].url) == key:
            number = self._number(placed) if self._has_numbers and len(inside) == 1 else 0
            return ("renamed", inside[0].number) if number not in (0, inside[0].number) else ("", 0)
        start, end = placed.span
        if torn := self._around(start) or self._around(end):
            is_part = torn.start <= start and end <= torn.end and self._key(torn.url) == key
            return ("", 0) if is_part else ("misplaced", 0)
        if not self._marks_markers:
            return ("misplaced", 0) if self._at(placed.span) else ("", 0)
        if self._has_numbers and len(inside) == 1 and inside[0].number == self._number(placed):
            return "shared", inside[0].number
        return ("misplaced", 0) if self._is_missed(placed.span, key) else ("", 0)

    def _around(self, edge: int) -> Marker | None:
        """The marker in whose middle a text would be cut here."""
        place = bisect_left(self._starts, edge) - 1
        return self._markers[place] if place >= 0 and edge < self._markers[place].end else None

    def _is_missed(self, span: tuple[int, int], key: str) -> bool:
        """Whether a place without a marker of its source should have one: not where all that the text has
        are placed rightly too, nor where it holds a marker that could not be read.
        """
        if key in self._by_key and key not in self._uncovered:
            return False
        if self._inside_any(*span):
            return True
        start, end = span
        place = bisect_left(self._brackets, start)
        if place == len(self._brackets):
            return place < _BRACKETS
        return self._brackets[place] + 1 >= end


def _in_conversation(request: ChatRequest, urls: Iterable[str], key: Key) -> set[str]:
    """Those of the addresses that the conversation named before the answer: sources of an earlier turn, or
    what the caller gave. Where it names too many to compare, all of them.
    """
    urls = set(urls)
    sites = {_site(url) for url in urls}
    named = {address for text in _said(request) for address in _addresses(text, sites)}
    rest = urls - named
    if not rest or len(named) > _COMPARED:
        return urls
    known = {key(url) for url in named}
    return {url for url in urls if key(url) in known}


def _said(request: ChatRequest) -> Iterator[str]:
    """All that was said before the answer, without documents that go out as they are."""
    yield request.instructions
    for message in request.messages if request.met is None else request.messages[:-2]:
        yield message.text
        yield from (document.url for document in message.documents if not document.is_inline)
        yield from (url for url in message.images if not url.startswith("data:"))


def _addresses(text: str, sites: Container[str]) -> Iterator[str]:
    """The addresses on these hosts that a text names, each with its scheme.

    A long text is cut into words first: that takes a tenth of the time.
    """
    words = {word for word in text.replace("\\/", "/").split() if "." in word or "://" in word}
    for match in _ADDRESS.finditer(" ".join(words)):
        url = match[0] if "://" in match[0] else f"https://{match[0]}"
        if _site(url) in sites:
            yield _trimmed(url[: bounds.URL_CHARACTERS])


def _site(url: str) -> str:
    """The host of an address, as `same_page` compares it."""
    return site(_HOST_ENDS.split(url.partition("://")[2], maxsplit=1)[0])


def _trimmed(url: str) -> str:
    """The address without the sentence around it: up to a bracket that it did not open, and no full stop."""
    depth = 0
    for place, character in enumerate(url if ")" in url else ""):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            url = url[:place]
            break
    return url.rstrip(".,;:!?*_~|")


def with_sources_of(first: Answer, second: Answer) -> Answer:
    """The second answer with the sources and steps of the first one, which it corrects, and what then holds.

    It keeps its numbers; those of the first that are free stay too. An address that only the first text named
    is gone with it. The second request has to say by `met` what the first answer met.
    """
    key = cache(page_key)
    known = {key(cited.url): cited.index for cited in second.citations}
    taken = {cited.index for cited in second.citations}
    following = max([0, *taken, *(cited.index for cited in first.citations)])
    moved, added = dict[int, int](), list[Citation]()
    for cited in first.citations:
        number = known.get(key(cited.url))
        if number is None and not cited.from_text:
            number = cited.index
            if number in taken:
                number = following = following + 1
            taken.add(number)
            added.append(replace(cited, index=number, spans=()))
        if number is not None:
            moved[cited.index] = number
    steps = tuple(
        step._replace(met=tuple(moved[one] for one in step.met if one in moved)) for step in first.steps
    )
    evidence = second.evidence
    if added:
        evidence = evidence or Evidence()
        met_only = sorted((*evidence.met_only, *(cited.index for cited in added)))
        evidence = evidence._replace(met_only=tuple(met_only))
    citations = sorted((*second.citations, *added), key=lambda cited: cited.index)
    return replace(second, citations=tuple(citations), steps=steps + second.steps, evidence=evidence)
