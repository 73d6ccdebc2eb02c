"""The text of an answer: its sentences, the pieces in which it streams, and where it cites its sources."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from grok_mcp.sandbox.answering.question import Question
from grok_mcp.sandbox.answering.search import Source

CHARACTERS_PER_TOKEN = 4
MAX_WORDS = 20_000
QUOTED = 80

_THOUGHTS = (
    "The user asks: {quote}.",
    "This is the sandbox, so the answer has to say that it is made up.",
    "A short answer in plain words is the best one here.",
    "Nothing in it may look like a fact that somebody checked.",
)
_DEPTH = {"none": 0, "low": 1, "medium": 2, "high": 3, "xhigh": 4}

_FILLER = (
    "The sandbox has no model behind it, so this sentence only fills the space that was asked for. It streams"
    " word by word, as a real answer would, and it is the same each time. A host that shows these words well"
    " will show the words of Grok well too. Nothing here was looked up, thought over or checked by anybody."
)


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
    """A text in the pieces in which it streams, and its citations; offsets count code points."""

    pieces: tuple[str, ...]
    citations: tuple[Citation, ...] = ()
    cut: bool = False

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)


def think(effort: str, prompt: str, searches: bool) -> str:
    """The thoughts before an answer; more effort gives more of them."""
    thoughts = [thought.format(quote=_quote(prompt)) for thought in _THOUGHTS[: _DEPTH[effort]]]
    if thoughts and searches:
        thoughts.append("It needs a search first.")
    return " ".join(thoughts)


def introduce(question: Question, number: int) -> str:
    """The first sentences of an answer: where it comes from and what the question was."""
    parts = [f"Sandbox answer{f' (choice {number})' if number > 1 else ''}"]
    parts.append(f": you asked “{_quote(question.prompt)}”.")
    if question.images:
        parts.append(f" {question.images} image{'s' if question.images > 1 else ''} came with it.")
    if question.files:
        parts.append(f" It came with {'; '.join(question.files)}.")
    if question.results:
        parts.append(f" Your functions returned: {'; '.join(question.results)}.")
    return "".join(parts)


def fill(prompt: str, before: Iterable[Sentence]) -> str:
    """A closing sentence, or as many words as a prompt like "write 500 words" still lacks."""
    match = re.search(r"\b(\d{1,6}) words?\b", prompt)
    if match is None:
        return " No model wrote this."
    lacking = min(int(match[1]), MAX_WORDS) - sum(len(sentence.text.split()) for sentence in before)
    words = _FILLER.split()
    return "".join(f" {words[place % len(words)]}" for place in range(lacking))


def _quote(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else f"{line[:QUOTED].rstrip()}…"


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
    if len(answer.text) <= limit:
        return answer
    remaining = tuple(citation for citation in answer.citations if citation.end <= limit)
    return Answer(tuple(split_words(answer.text[:limit])), remaining, cut=True)


def stop_at(answer: Answer, marks: Sequence[str]) -> Answer:
    """The answer up to the first of some marks; that is not a cut, the model ended there."""
    places = [answer.text.find(mark) for mark in marks if mark and mark in answer.text]
    return replace(cut_to(answer, min(places)), cut=False) if places else answer


def split_words(text: str) -> list[str]:
    """A text in pieces of one word, each with the space before it."""
    return re.findall(r"\s*\S+|\s+$", text)


def count_tokens(text: str) -> int:
    """The tokens of a text: one for each four characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
