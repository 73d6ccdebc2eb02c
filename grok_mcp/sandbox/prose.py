"""The sandbox's own words."""

import re
from collections.abc import Iterable

from grok_mcp.sandbox.answer import Sentence
from grok_mcp.sandbox.question import Question

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
    " The sandbox has no model behind it, so this sentence only fills the space that was asked for.",
    " It streams word by word, as a real answer would, and it is the same each time.",
    " A host that shows these words well will show the words of Grok well too.",
    " Nothing here was looked up, thought over or checked by anybody.",
)


def quote(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else f"{line[:QUOTED].rstrip()}…"


def think(effort: str, prompt: str, searches: bool) -> str:
    """The thoughts before an answer; more effort gives more of them."""
    thoughts = [one.format(quote=quote(prompt)) for one in _THOUGHTS[: _DEPTH[effort]]]
    if thoughts and searches:
        thoughts.append("It needs a search first.")
    return " ".join(thoughts)


def describe(question: Question, number: int) -> str:
    """The first sentences of an answer: whose it is and what it got."""
    parts = ["Sandbox answer"]
    if number > 1:
        parts.append(f" (choice {number})")
    parts.append(f": you asked “{quote(question.prompt)}”.")
    for count, kind in ((question.images, "image"), (question.files, "file")):
        if count:
            parts.append(f" {count} {kind}{'s' if count > 1 else ''} came with it.")
    if question.results:
        parts.append(f" Your functions returned: {'; '.join(question.results)}.")
    return "".join(parts)


def fill(prompt: str, before: Iterable[Sentence]) -> str:
    """A closing sentence, or as many words as a prompt like "write 500 words" still lacks."""
    wanted = re.search(r"\b(\d{1,6}) words?\b", prompt)
    if wanted is None:
        return " No model wrote this."
    have = sum(len(sentence.text.split()) for sentence in before)
    lacking = min(int(wanted[1]), MAX_WORDS) - have
    words = [word for sentence in _FILLER for word in sentence.split()]
    return "".join(f" {words[place % len(words)]}" for place in range(lacking))
