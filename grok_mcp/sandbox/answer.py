"""An answer's text in pieces, with the places where it cites its sources."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from grok_mcp.sandbox.corpus import Source

CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Sentence:
    """A part of an answer and the source that backs it."""

    text: str
    source: Source | None = None


@dataclass(frozen=True)
class Citation:
    """Where the text cites a source; `number` 0 and no span for one that it doesn't cite."""

    source: Source
    number: int
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Answer:
    """A text, the pieces in which it streams, and its citations; offsets count code points."""

    pieces: tuple[str, ...]
    citations: tuple[Citation, ...] = ()
    cut: bool = False

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def write(sentences: Iterable[Sentence], uncited: Iterable[Source], *, inline: bool) -> Answer:
    """Join sentences; `inline` puts a `[[1]](url)` mark behind each one that has a source."""
    pieces: list[str] = []
    citations: list[Citation] = []
    numbers: dict[str, int] = {}
    length = 0
    for sentence in sentences:
        start = length
        pieces += split_words(sentence.text)
        length += len(sentence.text)
        if sentence.source is None:
            continue
        number = numbers.setdefault(sentence.source.url, len(numbers) + 1)
        if inline:
            mark = f"[[{number}]]({sentence.source.url})"
            pieces.append(mark)
            start, length = length, length + len(mark)
        citations.append(Citation(sentence.source, number, start, length))
    citations += [Citation(source, 0) for source in uncited]
    return Answer(tuple(pieces), tuple(citations))


def cut_to(answer: Answer, limit: int) -> Answer:
    """The answer's first `limit` characters, with the citations that still stand in them."""
    text = answer.text
    if len(text) <= limit:
        return answer
    pieces, room = [], limit
    for piece in answer.pieces:
        if room <= 0:
            break
        pieces.append(piece[:room])
        room -= len(piece)
    kept = tuple(citation for citation in answer.citations if citation.end <= limit)
    return Answer(tuple(pieces), kept, cut=True)


def stop_at(answer: Answer, marks: Sequence[str]) -> Answer:
    """The answer up to the first of some marks; that is no cut, the model ended there."""
    text = answer.text
    places = [text.find(mark) for mark in marks if mark and mark in text]
    return replace(cut_to(answer, min(places)), cut=False) if places else answer


def echoed(answer: Answer, words: str) -> Answer:
    """The answer with some words before it, in a piece of their own."""
    if not words or not answer.pieces:
        return answer
    moved = (
        replace(one, start=one.start + len(words), end=one.end + len(words)) if one.number else one
        for one in answer.citations
    )
    return replace(answer, pieces=(words, *answer.pieces), citations=tuple(moved))


def split_words(text: str) -> list[str]:
    """A text in pieces of one word, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def count_tokens(text: str) -> int:
    """The tokens of a text: one for each four characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
