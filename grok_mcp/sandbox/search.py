"""Searches the corpus as the filters of a request say."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from grok_mcp.sandbox.corpus import CORPUS, Source

_COMMON = """
the and for are was were what when where who how why with that this from about into has have had not
you your all any can did does its news new latest today search find current say says will there their
they them his her our out now one two tell give write words please
"""
_COMMON_WORDS = frozenset(_COMMON.split())


@dataclass(frozen=True)
class Scope:
    """What one search may return; an empty filter filters nothing."""

    kinds: frozenset[str]
    allowed_domains: frozenset[str] = frozenset()
    excluded_domains: frozenset[str] = frozenset()
    allowed_handles: frozenset[str] = frozenset()
    excluded_handles: frozenset[str] = frozenset()
    from_date: str = ""
    to_date: str = "9999"
    min_likes: int = 0
    min_views: int = 0

    @property
    def tool(self) -> str:
        """The server tool that this search belongs to."""
        return "x" if "x" in self.kinds else "web"

    def holds(self, source: Source) -> bool:
        """Whether a source passes every filter."""
        return (
            source.kind in self.kinds
            and self.from_date <= source.date <= self.to_date
            and source.likes >= self.min_likes
            and source.views >= self.min_views
            and (self._holds_handle(source) if source.handle else self._holds_domain(source))
        )

    def _holds_domain(self, source: Source) -> bool:
        if self.allowed_domains and not _under(source.domain, self.allowed_domains):
            return False
        return not _under(source.domain, self.excluded_domains)

    def _holds_handle(self, source: Source) -> bool:
        handle = source.handle.lower()
        if self.allowed_handles and handle not in self.allowed_handles:
            return False
        return handle not in self.excluded_handles


def find(query: str, scope: Scope, limit: int) -> tuple[Source, ...]:
    """The sources that match best; the newest ones where no word of the query matches."""
    held = [source for source in CORPUS if scope.holds(source)]
    words = _words(query)
    scored = [(len(words & _words(f"{one.title} {one.text}")), one) for one in held]
    matching = [pair for pair in scored if pair[0]] or scored
    best = sorted(matching, key=lambda pair: (pair[0], pair[1].date), reverse=True)
    return tuple(source for _, source in best[:limit])


def matches(query: str) -> bool:
    """Whether the corpus holds something on the query."""
    words = _words(query)
    return any(len(words & _words(source.title)) >= 2 for source in CORPUS)


def _under(domain: str, parents: Iterable[str]) -> bool:
    return any(domain == parent or domain.endswith(f".{parent}") for parent in parents)


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w{3,}", text.lower()) if word not in _COMMON_WORDS}
