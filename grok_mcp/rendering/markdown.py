"""An answer as Markdown: the text, sources, tool calls, notes, and one line of facts.

Long lines are broken so that every host shows them; `paging.py` cuts what is too long for one result.
"""

import json
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from grok_mcp.messages import Answer, Citation, CodeRun, FoundDocument
from grok_mcp.usage import Usage

MAX_LINE = 2_000
SHOWN_CODE = 4_000
SHOWN_OUTPUT = 2_000
SHOWN_RUNS = 12_000
"""Characters that are shown of the code of one run, of its output, and of all runs together."""
SHOWN_DOCUMENTS = 20
_COUNTED = re.compile(r"\n(?:# )?… ([\d,]+) more characters$")
_MORE = 30
"""Characters of the line that counts the rest."""


def as_markdown(answer: Answer) -> str:
    """The answer first, then sources, tool calls, warnings, and one line of facts."""
    sections = [broken_lines(body(answer)), *supplements(answer)]
    if answer.warnings:
        sections.append("\n".join(f"Note: {warning}" for warning in answer.warnings))
    sections.append(facts(answer))
    return "\n\n".join(section for section in sections if section) + "\n"


def supplements(answer: Answer) -> list[str]:
    """What stands behind the texts and belongs to the answer: code that ran, sources and tool calls."""
    sections = [section for run in shown_runs(answer.code_runs) for section in _code(run)]
    if answer.citations:
        sections.append("\n".join(["Sources:", *map(_source, answer.citations)]))
    if answer.documents:
        sections.append("\n".join(["Files:", *_files(answer.documents)]))
    if answer.tool_calls:
        calls = [call.to_dict() for call in answer.tool_calls]
        block = json.dumps({"tool_calls": calls}, ensure_ascii=False, indent=2)
        sections.append(f"```json\n{block}\n```")
    return sections


def shown_runs(runs: Iterable[CodeRun], room: int = SHOWN_RUNS) -> tuple[CodeRun, ...]:
    """The runs with their texts as far as they are shown, which count what is left; doing it twice cuts no
    more.
    """
    shown = []
    for run in runs:
        code = _cut(run.code, min(SHOWN_CODE, room))
        room = max(room - len(code), 0)
        output = _cut(run.output, min(SHOWN_OUTPUT, room))
        room = max(room - len(output), 0)
        images = []
        for url in run.images:
            room -= len(url)
            if room > 0:
                images.append(url)
        room = max(room, 0)
        shown.append(run._replace(code=code, output=output, images=tuple(images)))
    return tuple(shown)


def _cut(text: str, limit: int) -> str:
    """The text up to a line end near the limit, and how much more there is."""
    if len(text) <= max(limit, _MORE):
        return text
    counted = _COUNTED.search(text, max(len(text) - 2 * _MORE, 0))  # it was cut before
    length = counted.start() + int(counted[1].replace(",", "")) if counted else len(text)
    kept = text[: max(limit - _MORE, 0)]
    end = kept.rfind("\n")
    kept = kept[:end] if end > len(kept) // 2 else kept
    return f"{kept}\n… {length - len(kept):,} more characters".lstrip("\n")


def _code(run: CodeRun) -> Iterator[str]:
    """The blocks of one run: its code, what it wrote, and where pictures are."""
    if run.code:
        yield _fenced(run.code, "python")
    if run.output:
        yield _fenced(broken_lines(run.output), "text")
    if run.images:
        yield "\n".join(f"Picture: {url}" for url in run.images)
    if run.status:
        yield f"This code did not complete: {run.status}."


def _fenced(text: str, language: str) -> str:
    """A block whose fence is longer than any in the text."""
    text = text.rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _files(documents: tuple[FoundDocument, ...]) -> Iterator[str]:
    for document in documents[:SHOWN_DOCUMENTS]:
        named = f"{document.name} ({document.id})" if document.name and document.id else ""
        yield f"- {named or document.name or document.id}"
    if len(documents) > SHOWN_DOCUMENTS:
        yield f"- {len(documents) - SHOWN_DOCUMENTS} more"


def _source(cited: Citation) -> str:
    """One line: the address, behind a title where that says more than the address does."""
    titled = cited.title.rstrip("…") not in cited.url
    return f"{cited.index}. {cited.title} — {cited.url}" if titled else f"{cited.index}. {cited.url}"


def body(answer: Answer) -> str:
    """The text, and the alternatives behind it."""
    return "\n\n".join(text for text in (answer.text, *alternatives(answer)) if text)


def alternatives(answer: Answer) -> list[str]:
    """The further answers, each below its number."""
    return [f"Alternative {number}:\n\n{text}" for number, text in enumerate(answer.alternatives, 2)]


def broken_lines(text: str) -> str:
    """The text with lines over the limit broken at white space; each character keeps its place."""
    if not _has_long_line(text):
        return text
    return "\n".join(line if len(line) <= MAX_LINE else "\n".join(_break(line)) for line in text.split("\n"))


def _has_long_line(text: str) -> bool:
    """Whether any line is over the limit, without a copy of the text."""
    start = 0
    while len(text) - start > MAX_LINE:
        start = text.rfind("\n", start, start + MAX_LINE + 1) + 1
        if not start:
            return True
    return False


def _break(line: str) -> Iterator[str]:
    """The pieces of a long line; a word that is longer than the limit stays whole."""
    start = 0
    while len(line) - start > MAX_LINE:
        space = line.rfind(" ", start + 1, start + MAX_LINE + 1)
        if space < 0:
            space = line.find(" ", start + MAX_LINE)
        if space < 0:
            break
        yield line[start:space]
        start = space + 1
    yield line[start:]


def facts(answer: Answer) -> str:
    """One line: model, tokens, cost, seconds, and the handle to continue from."""
    parts = [answer.model, *usage_facts(answer.usage)]
    if answer.conversation_id:
        parts.append(f"conversation_id {answer.conversation_id}")
    return " · ".join(part for part in parts if part)


def usage_facts(usage: Usage) -> list[str]:
    """Tokens, cost and seconds in words; what the endpoint did not report is left out."""
    parts = []
    if usage.input_tokens is not None and usage.output_tokens is not None:
        cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
        thought = f" ({usage.reasoning_tokens:,} reasoning)" if usage.reasoning_tokens else ""
        parts.append(f"{usage.input_tokens:,} in{cached} + {usage.output_tokens:,} out{thought} tokens")
    if usage.cost_usd is not None:
        estimated = " estimated" if usage.cost_source == "estimated" else ""
        parts.append(f"{_dollars(usage.cost_usd)} USD{estimated}")
    if usage.service_tier == "priority":
        parts.append("priority")
    if usage.duration_s is not None:
        parts.append(f"{usage.duration_s:.1f} s")
    return parts


def _dollars(cost: Decimal) -> str:
    """Six decimals; of less than a millionth its first two digits."""
    decimals = 1 - cost.adjusted() if 0 < cost < Decimal("0.000001") else 6
    return f"{cost:.{decimals}f}"
