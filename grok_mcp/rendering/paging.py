"""Cuts an answer that is too long for one result, and says how the rest is collected.

`server.py` shows the part of an answer that begins at `Answer.start`. Offsets count code points of the text;
further alternatives stand behind it as they do in the Markdown.
"""

import re
import unicodedata
from dataclasses import replace
from typing import NamedTuple

from grok_mcp.errors import InvalidArgumentError
from grok_mcp.messages import Answer
from grok_mcp.server.results import body, markdown

_ENDS = (
    re.compile(r"\n[ \t\r]*\n(?![ \t]*\r?\n)"),  # of a paragraph
    re.compile(r"\n"),
    re.compile(r"[.!?…][\"')\]”’]*\s+|[。！？]"),
    re.compile(r"\s+"),
)
"""Where a text is cut, best first."""
_JOINERS = "\u200d\ufe0e\ufe0f\u20e3"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)


class Part(NamedTuple):
    """What one result holds of an answer: as Markdown, and as data. `end` is where it stops."""

    shown: Answer
    published: Answer
    end: int

    @property
    def goes_on(self) -> bool:
        """Whether there is more to collect."""
        return self.published.finish_reason == "running" or self.shown.answer_id is not None


def whole(answer: Answer) -> Part:
    """All of an answer."""
    return Part(answer, answer, len(answer.text))


def is_too_long(answer: Answer, limit: int) -> bool:
    """Whether an answer does not fit into one result; JSON is never cut."""
    if not limit or answer.has_data:
        return False
    known = len(answer.text) + sum(map(len, answer.alternatives))
    return known > limit or (known > limit // 2 and len(markdown(answer)) > limit)


def part_of(answer: Answer, limit: int) -> Part:
    """The part from `answer.start` on; one that is not the last carries the answer's `answer_id`.

    Raises InvalidArgumentError where the text is shorter.
    """
    if answer.has_data:
        return _json(answer)
    text, running = body(answer), answer.finish_reason == "running"
    start = min(answer.start, len(text)) if running else answer.start
    if start > len(text):
        raise InvalidArgumentError(
            f"offset: the answer ends at character {len(text)}.", "Give the offset that the last part names."
        )
    end = _end(answer, text, start, limit)
    if end == len(text) and not running:
        rest = replace(answer, start=0, answer_id=None)
        return Part(
            replace(rest, text=text[start:], alternatives=()), replace(rest, text=answer.text[start:]), end
        )
    cited = tuple(one for one in answer.citations if any(start <= first < end for first, _ in one.spans))
    here = replace(answer, alternatives=(), citations=cited, tool_calls=(), start=0).with_warnings(
        [_more(answer, start, end, len(text))]
    )
    return Part(
        replace(here, text=text[start:end].rstrip("\r\n")), replace(here, text=answer.text[start:end]), end
    )


def _json(answer: Answer) -> Part:
    if answer.finish_reason == "running":
        sentence = (
            f'Grok is still working: call grok_result with answer_id "{answer.answer_id}" for the JSON.'
        )
        return whole(answer.with_warnings([sentence]))
    answer = replace(answer, answer_id=None)
    if answer.start:
        answer = answer.with_warnings(["JSON is always given whole: offset has no effect on it."])
    return whole(replace(answer, start=0))


def _more(answer: Answer, start: int, end: int, length: int) -> str:
    """How the rest is collected, in words."""
    if answer.finish_reason == "running":
        come = f"this is the text {_span(start, end)}" if end > start else "there is no new text yet"
        head = f"Grok is still writing; {come}."
    else:
        head = f"This is the text {_span(start, end)} of {length}."
    return f'{head} For the rest call grok_result with answer_id "{answer.answer_id}" and offset {end}.'


def _span(start: int, end: int) -> str:
    return f"from character {start} to {end}" if start else f"up to character {end}"


def _end(answer: Answer, text: str, start: int, limit: int) -> int:
    """Where the part from `start` on ends, so that the result keeps within the limit if it can."""
    if not limit:
        return len(text)
    around = len(markdown(replace(answer, text="", alternatives=()))) + _MORE
    room = max(limit - around, limit // 2, 1)
    if len(text) - start <= room:
        return len(text)
    end = _cut(text, start, start + room)
    for citation in answer.citations:
        for first, last in citation.spans:
            if start < first < end < last <= first + _MARKER:
                end = first
    return end


_MORE = 220
"""Characters of the sentence that says how to go on."""
_MARKER = 2_000
"""Citations that span more than this mark passages and may be cut."""


def _cut(text: str, start: int, latest: int) -> int:
    """The best place for a cut up to `latest`, not in the first quarter where that can be helped."""
    earliest = start + (latest - start) // 4
    for pattern in _ENDS:
        end = 0
        for found in pattern.finditer(text, earliest, latest):
            end = found.end()
        if end:
            return end
    end = latest
    while end > earliest and _is_inside(text, end):
        end -= 1
    return end if end > earliest else latest


def _is_inside(text: str, end: int) -> bool:
    """Whether a cut here would tear what is seen as one character."""
    before, after = text[end - 1], text[end]
    if after in _JOINERS or before == "\u200d" or unicodedata.combining(after) or ord(after) in _SKIN_TONES:
        return True
    if ord(after) not in _FLAG_LETTERS:
        return before == "\r" and after == "\n"
    letters = 0
    while letters < end and ord(text[end - 1 - letters]) in _FLAG_LETTERS:
        letters += 1
    return letters % 2 == 1
