"""What tools at the endpoint did, in the order of the run, each with the citations that it met."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from grok_mcp import bounds, events
from grok_mcp.messages import Step
from grok_mcp.pipeline.citations import Sources, is_page
from grok_mcp.pipeline.fold import Fold
from grok_mcp.redaction import one_line


def steps_of(fold: Fold, found: Sources, key: Callable[[str], str]) -> tuple[Step, ...]:
    """The steps, each once, as far as they are kept; `key` tells which addresses lead to one page."""
    return tuple(islice(_steps(fold, found, key), bounds.STEPS)) if fold.steps else ()


def _steps(fold: Fold, found: Sources, key: Callable[[str], str]) -> Iterator[Step]:
    numbers: dict[str, list[int]] = {}
    for cited, url in zip(found.citations, found.urls, strict=True):
        numbers.setdefault(key(url), []).append(cited.index)
    opened = {place for kind, place in fold.steps if kind is not events.SearchStep}
    begun = {place: number for number, (_, place) in reversed([*enumerate(fold.steps)])}
    for (_, place), event in sorted(fold.steps.items(), key=lambda step: begun[step[0][1]]):
        if isinstance(event, events.SearchStep) and place in opened and not event.queries:
            continue  # it turned out to be the opening of a page
        shown = [*fold.shown.get(place, ()), *([event.url] if isinstance(event, events.PageStep) else ())]
        met = {number for page in {key(url) for url in shown} for number in numbers.get(page, ())}
        yield _step(event)._replace(met=tuple(sorted(met)[: bounds.STEP_SOURCES]))


def _step(event: Any) -> Step:
    match event:
        case events.SearchStep(_, kind, queries):
            return Step(kind, tuple(_short(query) for query in queries if query))
        case events.PageStep(_, url, pattern):
            return Step("page", url=one_line(url) if is_page(url) else "", pattern=_short(pattern))
        case events.FileStep(_, queries):
            return Step("files", tuple(_short(query) for query in queries if query))
        case events.McpStep(_, server, name):
            return Step("tool", name=_short(".".join(filter(None, (server, name)))))
        case events.MediaStep(_, kind):
            return Step("media", name=kind)
    return Step("code")


def _short(text: str) -> str:
    limit = bounds.QUERY_CHARACTERS
    text = one_line(text[: 2 * limit])
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
