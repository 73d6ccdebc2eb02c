"""Cuts an answer that is too long for one result, and says how the rest is collected.

Offsets count code points of the text; further alternatives stand behind it as they do in the Markdown.
"""

import re
import unicodedata
from dataclasses import replace
from typing import Any, NamedTuple

from grok_mcp.errors import InvalidArgumentError
from grok_mcp.messages import CITATION_MARKER, Answer, Data, Evidence, Running
from grok_mcp.rendering.markdown import SHOWN_RUNS, as_markdown, body, shown_runs

_ENDS = (
    r"\n[ \t\r]*\n(?![ \t]*\r?\n)",  # of a paragraph
    r"\n",
    r"[.!?…][\"')\]”’]*\s+|[。！？]",
    r"\s+",
)
"""Where a text is cut, best first; compiled when first needed."""
_JOINERS = "\u200d\ufe0e\ufe0f\u20e3"
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS = range(0x1F1E6, 0x1F200)


class Page(NamedTuple):
    """What one result holds of an answer: `rendered` as Markdown, `published` as data, up to `end`."""

    rendered: Answer
    published: dict[str, Any]
    end: int
    """Where in the text it stops."""


def whole(answer: Answer) -> Page:
    """All of an answer on one page."""
    return Page(answer, answer.to_dict(), len(answer.text))


def is_too_long(answer: Answer, limit: int) -> bool:
    """Whether an answer does not fit into one result; JSON is never cut."""
    if not limit or answer.data:
        return False
    length = len(answer.text) + sum(map(len, answer.alternatives))
    long = length > limit // 2 or bool(answer.code_runs)
    return length > limit or (long and len(as_markdown(answer)) > limit)


def page_of(outcome: Answer | Running, answer_id: str, offset: int, limit: int) -> Page:
    """The page from `offset` on; one that is not the last says how to collect the rest by `answer_id`.

    Raises InvalidArgumentError where the text is shorter.
    """
    if isinstance(outcome, Running):
        return _running_page(outcome, offset, limit)
    if outcome.data:
        notes = ["JSON always comes whole: offset has no effect on it."] if offset else []
        return whole(outcome.with_warnings(notes))
    text = body(outcome)
    if offset > len(text):
        raise InvalidArgumentError(
            f"offset: the answer ends at character {len(text)}.", "Give the offset that the last part names."
        )
    shown = _with_short_code(outcome, limit)
    end = _end(shown, text, offset, limit)
    if end == len(text):
        published = _published(outcome, outcome, offset, end)
        return Page(replace(shown, text=text[offset:], alternatives=()), published, end)
    head = f"This is the text {_span(offset, end)} of {len(text)}."
    cited = tuple(
        citation
        for citation in outcome.citations
        if any(offset <= first < end for first, _ in citation.spans)
    )
    page = replace(outcome, alternatives=(), citations=cited, tool_calls=(), code_runs=(), documents=())
    page = replace(page, evidence=_evidence_on(page, outcome.text[offset:end]))
    page = page.with_warnings([_more(head, answer_id, end)])
    published = _published(page, outcome, offset, end) | {"answer_id": answer_id}
    return Page(replace(page, text=text[offset:end].rstrip("\r\n")), published, end)


def _published(page: Answer, outcome: Answer, start: int, end: int) -> dict[str, Any]:
    """A page as data: its part of the text, and the spans of its citations in that."""
    text = outcome.text[start:end]
    citations = tuple(
        replace(
            cited,
            spans=tuple(
                (first - start, min(last, end) - start) for first, last in cited.spans if start <= first < end
            ),
        )
        for cited in page.citations
    )
    return replace(page, text=text, citations=citations).to_dict()


def _evidence_on(page: Answer, text: str) -> Evidence | None:
    """The evidence of a page that is not the last: what concerns its citations and the markers in it."""
    if page.evidence is None:
        return None
    listed = {cited.index for cited in page.citations}
    marked = {int(match[1]) for match in CITATION_MARKER.finditer(text)}
    evidence = page.evidence._replace(
        cited=tuple(number for number in page.evidence.cited if number in listed),
        met_only=tuple(number for number in page.evidence.met_only if number in listed),
        unseen=tuple(number for number in page.evidence.unseen if number in listed),
        broken=tuple(one for one in page.evidence.broken if one.marker in marked | listed),
    )
    return evidence if any(evidence[:4]) else None


def _with_short_code(answer: Answer, limit: int) -> Answer:
    """The answer with its code as far as that leaves room for a page of text."""
    if not limit or not answer.code_runs:
        return answer
    return replace(answer, code_runs=shown_runs(answer.code_runs, min(SHOWN_RUNS, limit // 4)))


def _running_page(running: Running, offset: int, limit: int) -> Page:
    """What has been written from `offset` on of a call that goes on."""
    rest = {"finish_reason": "running", "answer_id": running.answer_id}
    page = Answer(model=running.model, warnings=running.warnings)
    if running.as_data:
        note = f'Grok is still working: call grok_result with answer_id "{running.answer_id}" for the JSON.'
        page = replace(page, text=running.text, data=Data(None)).with_warnings([note])
        return Page(page, page.to_dict() | rest, len(running.text))
    text = running.text
    start = min(offset, len(text))
    end = _end(page, text, start, limit)
    come = f"this is the text {_span(start, end)}" if end > start else "there is no new text yet"
    page = page.with_warnings([_more(f"Grok is still writing; {come}.", running.answer_id, end)])
    published = replace(page, text=text[start:end]).to_dict() | rest
    return Page(replace(page, text=text[start:end].rstrip("\r\n")), published, end)


def _more(head: str, answer_id: str, end: int) -> str:
    """How the rest is collected, in words."""
    return f'{head} For the rest call grok_result with answer_id "{answer_id}" and offset {end}.'


def _span(start: int, end: int) -> str:
    return f"from character {start} to {end}" if start else f"up to character {end}"


def _end(answer: Answer, text: str, start: int, limit: int) -> int:
    """Where the page from `start` on ends, so that the result keeps within the limit if it can."""
    if not limit:
        return len(text)
    around = len(as_markdown(replace(answer, text="", alternatives=()))) + _MORE
    room = max(limit - around, limit // 2, 1)
    if len(text) - start <= room:
        return len(text)
    end = _cut(text, start, start + room)
    for citation in answer.citations:
        for first, last in citation.spans:
            if start < first < end < last <= first + _LONGEST_MARKER:
                end = first
    return end


_MORE = 220
"""Characters of the sentence that says how to go on."""
_LONGEST_MARKER = 2_000
"""Citations that span more than this mark passages and may be cut."""


def _cut(text: str, start: int, latest: int) -> int:
    """The best place for a cut up to `latest`, not in the first quarter where that can be avoided."""
    earliest = start + (latest - start) // 4
    for pattern in _ENDS:
        end = 0
        for match in re.compile(pattern).finditer(text, earliest, latest):
            end = match.end()
        if end:
            return end
    end = latest
    while end > earliest and _is_inside(text, end):
        end -= 1
    return end if end > earliest else latest


def _is_inside(text: str, end: int) -> bool:
    """Whether a cut here would tear what readers see as one character."""
    before, after = text[end - 1], text[end]
    if after in _JOINERS or before == "\u200d" or unicodedata.combining(after) or ord(after) in _SKIN_TONES:
        return True
    if ord(after) not in _FLAG_LETTERS:
        return before == "\r" and after == "\n"
    letters = 0
    while letters < end and ord(text[end - 1 - letters]) in _FLAG_LETTERS:
        letters += 1
    return letters % 2 == 1
