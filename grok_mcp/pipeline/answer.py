"""Turns what was added up into an `Answer`: text, citations, calls, reason, usage and honest warnings."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import count, islice
from typing import cast

from grok_mcp import bounds, events
from grok_mcp.gateways import Gateway
from grok_mcp.messages import (
    Answer,
    ChatRequest,
    Citation,
    CodeRun,
    Evidence,
    FinishReason,
    FoundDocument,
    FunctionCall,
    Step,
)
from grok_mcp.models import MOVING, RETIRED, RETIRED_ON, find_model
from grok_mcp.pipeline.citations import NONE, Sources, cite, is_page
from grok_mcp.pipeline.fold import CodeParts, Fold
from grok_mcp.redaction import INVISIBLE, join_surrogates, one_line
from grok_mcp.usage import Usage, fees, normalise, with_cost_estimate


def build_answer(
    fold: Fold, request: ChatRequest, gateway: Gateway, *, broken: bool, cut: bool = False
) -> Answer:
    """The answer so far; `broken` marks one whose stream did not end properly, `cut` one that may lack what
    stands behind its end.
    """
    text = fold.text()
    kinds = request.search.sources if request.search else ()
    found = cite(fold, text, kinds, is_json=request.response_format is not None)
    calls, first = _calls(fold, request), fold.first
    nameless = any(call.arguments and not call.name for call in fold.tool_calls if call.choice == first)
    reason = _finish_reason(fold, calls, broken or (nameless and not calls))
    citations, evidence, steps = _provenance(found, fold, request, reason, cut=broken or cut)
    answer = Answer(
        text=text,
        alternatives=tuple(fold.text(choice) for choice in fold.choices if choice != first),
        citations=citations,
        search_queries=_queries(fold),
        pages_read=_pages(fold),
        documents=_documents(fold),
        code_runs=tuple(run for run in map(_code_run, fold.code.values()) if any(run)),
        tool_calls=calls if not broken else (),
        finish_reason=reason,
        model=one_line(fold.model) or request.model,
        response_id=_label(fold.response_id),
        usage=usage_of(fold, request, gateway),
        reasoning=tuple(item.item for item in fold.reasoning.values()),
        steps=steps,
        evidence=evidence,
    )
    warnings = _source_warnings(found, evidence)
    searched = None
    if request.search:
        counted = (answer.usage.sources_used, answer.usage.web_searches, answer.usage.x_searches)
        searching = fold.steps_of(events.SearchStep, events.PageStep)
        searched = bool(searching or any(counted) or not all(cited.from_text for cited in citations))
        warnings += _search_warnings(request, answer, searched)
    if request.tool_choice == "required" and reason == "stop" and not (calls or answer.code_runs):
        undone = ["called no function"] * bool(request.tools) + ["ran no code"] * request.code
        warnings.append(f"tool_choice was required, but the model {' and '.join(undone)}.")
    if beyond := len(fold.steps_of(events.CodeStep)) - len(fold.code):
        warnings.append(f"Of the runs of code {beyond} more are left out: {bounds.CODE_RUNS} are kept.")
    if nameless:
        warnings.append("A call of a function that the endpoint does not name was left out.")
    warnings += [gateway.notice] if gateway.notice else []
    if gateway.tools_notice and request.uses_server_tools:
        warnings.append(gateway.tools_notice)
    warnings += [
        f"The arguments of the call {one_line(call.name)} are not JSON: it was cut, or written badly."
        for call in answer.tool_calls
        if not call.is_valid
    ]
    warnings += _redirect(request.model, answer.model, gateway) + _finish_warnings(reason)
    if searched is None and not warnings:
        return answer
    return replace(answer, searched=searched, warnings=tuple(warnings))


def _provenance(
    found: Sources, fold: Fold, request: ChatRequest, reason: FinishReason, *, cut: bool
) -> tuple[tuple[Citation, ...], Evidence | None, tuple[Step, ...]]:
    """The citations, what holds of them, and the steps of the run."""
    if found is NONE and not fold.steps:
        return (), None, ()
    from grok_mcp.pipeline.evidence import weigh
    from grok_mcp.pipeline.same_page import page_key
    from grok_mcp.pipeline.steps import steps_of

    is_whole, key = reason in ("stop", "tool_calls"), cache(page_key)
    citations, evidence = weigh(found, fold, request, key, is_cut=cut, is_whole=is_whole)
    return citations, evidence, steps_of(fold, found, key)


def with_sources_of(first: Answer, second: Answer) -> Answer:
    """The second answer, which corrects the first one, with the sources and steps of both."""
    from grok_mcp.pipeline import evidence

    return evidence.with_sources_of(first, second)


def _source_warnings(found: Sources, evidence: Evidence | None) -> list[str]:
    warnings = []
    if found.refused:
        warnings.append(f"Sources that are not addresses of web pages were left out: {len(found.refused)}.")
    if evidence and evidence.note:
        warnings.append(evidence.note)
    return warnings


def _queries(fold: Fold) -> tuple[str, ...]:
    """What was searched on the web, on X and in files, each once."""
    steps = fold.steps_of(events.SearchStep, events.FileStep)
    return tuple(dict.fromkeys(one_line(query) for step in steps for query in step.queries if query))


def _pages(fold: Fold) -> tuple[str, ...]:
    """The addresses of the pages that were opened, each once."""
    opened = fold.steps_of(events.PageStep)
    return tuple(dict.fromkeys(one_line(step.url) for step in opened if is_page(step.url)))


def _documents(fold: Fold) -> tuple[FoundDocument, ...]:
    """The documents that searches of files met, each once with its best score."""
    found = (one for step in fold.steps_of(events.FileStep) for one in step.found if one.id or one.name)
    best: dict[str, FoundDocument] = {}
    for one in found:
        document = FoundDocument(_label(one.id), _label(one.name), one.score)
        known = best.setdefault(document.id or document.name, document)
        if (document.score or 0) > (known.score or 0):
            best[document.id or document.name] = document
    return tuple(islice(best.values(), bounds.ANSWER_ITEMS))


def _code_run(run: CodeParts) -> CodeRun:
    status = _label(run.status)
    return CodeRun(
        code=_clean(run.code),
        output=_clean(run.output),
        images=tuple(one_line(url) for url in run.images if is_page(url)),
        status="" if status == "completed" else status,
    )


def _clean(text: str) -> str:
    """Foreign text of several lines without what nobody sees."""
    return INVISIBLE.sub("", join_surrogates(text))


def _label(text: str) -> str:
    return one_line(text[: bounds.LABEL_CHARACTERS])


def _calls(fold: Fold, request: ChatRequest) -> tuple[FunctionCall, ...]:
    """The calls of the first alternative, each with an id that no other call of the conversation has."""
    taken = {call.id for message in request.messages for call in message.tool_calls}
    suffixes = defaultdict[str, Iterator[int]](lambda: count(2))
    calls, first = [], fold.first
    for call in fold.tool_calls:
        if call.choice != first or not call.name:
            continue
        wanted = call_id = join_surrogates(call.id) or f"call_{len(taken) + 1}"
        while call_id in taken:
            call_id = f"{wanted}_{next(suffixes[wanted])}"
        taken.add(call_id)
        arguments = join_surrogates("".join(call.arguments)) or "{}"
        calls.append(FunctionCall(call_id, join_surrogates(call.name), arguments))
    return tuple(calls)


def usage_of(fold: Fold, request: ChatRequest, gateway: Gateway) -> Usage:
    """What the endpoint has counted so far, with a cost where one is reported or can be estimated."""
    if fold.report is None:
        return Usage()
    usage = normalise(fold.report, reasoning_inside=gateway.reasoning_inside)
    tier = _label(fold.report.service_tier or fold.service_tier) or None
    usage = replace(usage, service_tier=tier)
    return with_cost_estimate(usage, fold.model or request.model, gateway.price_factor, fees(fold.report))


def _finish_reason(fold: Fold, calls: tuple[FunctionCall, ...], broken: bool) -> FinishReason:
    if broken:
        return "interrupted"
    reason = fold.finish_reason
    return "tool_calls" if calls and reason == "stop" else cast(FinishReason, reason)


def _search_warnings(request: ChatRequest, answer: Answer, searched: bool) -> list[str]:
    assert request.search is not None
    if request.search.mode == "off":
        return []
    if not searched:
        return ["The endpoint reported no search: this is the model's own knowledge."]
    if not answer.citations and answer.finish_reason == "stop":
        return ["The endpoint searched but named no sources."]
    return []


_VARIANT = re.compile(r"(-(\d{4,}|\d\d-\d\d|beta|build|latest|reasoning|non-reasoning)|:\w+)*")
"""What may follow the name of a model without making another model of it."""


def _redirect(requested: str, answered: str, gateway: Gateway) -> list[str]:
    """A sentence where another model answers than was asked for; an alias of it is the same model."""
    wanted, got = requested.rsplit("/", 1)[-1].partition("!")[0], answered.rsplit("/", 1)[-1]
    if gateway.serves_xai_models and wanted in RETIRED:
        serving = got if got != wanted else RETIRED[wanted]
        return [f"The model {wanted} was retired on {RETIRED_ON}; {one_line(serving)} answers and is billed."]
    if _same(wanted, got):
        return []
    return [f"The model {one_line(wanted)} was asked for; {one_line(answered)} answered."]


def _same(wanted: str, got: str) -> bool:
    """Whether two names mean one model; judged by the names alone."""
    if wanted in MOVING:
        return True
    model = find_model(wanted)
    if model is not None and find_model(got) is not None:
        return model == find_model(got)
    wanted = wanted.partition(":")[0].removesuffix("-latest")
    return wanted == "grok" or (got.startswith(wanted) and bool(_VARIANT.fullmatch(got, len(wanted))))


def _finish_warnings(reason: FinishReason) -> list[str]:
    if reason == "length":
        return ["The answer was cut at the token limit; raise max_output_tokens for more."]
    if reason == "content_filter":
        return ["The endpoint stopped the answer for safety."]
    return []
