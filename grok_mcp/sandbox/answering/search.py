"""Searches a small corpus, pages and X posts about an invented city and around it, as filters say."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

FILE = Path(__file__).with_name("corpus.txt")

_COMMON_WORDS = """
the and for are was what when where who how why with that this from about has have not you your all any
news new latest today search find current say there
"""


@dataclass(frozen=True)
class Source:
    """A page or a post; only a post has a handle, likes and views."""

    kind: str
    date: str
    url: str
    title: str
    text: str
    handle: str = ""
    likes: int = 0
    views: int = 0

    @property
    def names(self) -> set[str]:
        """What a filter can name it by: its author, or its domain and those above."""
        labels = (urlsplit(self.url).hostname or "").split(".")
        return {self.handle} if self.handle else {".".join(labels[n:]) for n in range(len(labels))}


def _read_source(block: str) -> Source:
    head, title, text = block.strip().split("\n")
    kind, date, url, *counts = head.split()
    handle = title.split()[0].removeprefix("@") if counts else ""
    return Source(kind, date, url, title, text, handle, *map(int, counts))


NEWS = frozenset({"news"})
PAGES = NEWS | {"web"}
POSTS = frozenset({"x"})

MAX_DOMAINS = 5
MAX_HANDLES = 20

CORPUS = tuple(map(_read_source, FILE.read_text(encoding="utf-8").split("\n\n")))


@dataclass(frozen=True)
class Scope:
    """What one search may return, by the domains of pages or the handles of posts; empty sets allow all."""

    kinds: frozenset[str]
    allowed: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    from_date: str = ""
    to_date: str = "9999"
    min_likes: int = 0
    min_views: int = 0

    @property
    def tool(self) -> str:
        """The server tool that this search belongs to."""
        return "x" if self.kinds == POSTS else "web"

    def allows(self, source: Source) -> bool:
        """Whether a source passes every filter."""
        return (
            source.kind in self.kinds
            and self.from_date <= source.date <= self.to_date
            and source.likes >= self.min_likes
            and source.views >= self.min_views
            and (not self.allowed or bool(self.allowed & source.names))
            and not self.excluded & source.names
        )


def find(query: str, scope: Scope, limit: int) -> tuple[Source, ...]:
    """The sources that match best; the newest ones where no word of the query matches."""
    candidates = [source for source in CORPUS if scope.allows(source)]
    words = _words(query)
    scored = [(len(words & _words(f"{source.title} {source.text}")), source) for source in candidates]
    matching = [pair for pair in scored if pair[0]] or scored
    best = sorted(matching, key=lambda pair: (pair[0], pair[1].date), reverse=True)
    return tuple(source for _, source in best[:limit])


def matches(query: str) -> bool:
    """Whether the corpus holds something on the query."""
    words = _words(query)
    return any(len(words & _words(source.title)) >= 2 for source in CORPUS)


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w{3,}", text.lower()) if word not in _COMMON_WORDS.split()}
