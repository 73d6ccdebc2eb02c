"""Decides what Grok does with a question: thinks, searches, calls functions, answers."""

import json
import re
from dataclasses import dataclass
from typing import Any

from grok_mcp.sandbox.answer import (
    CHARACTERS_PER_TOKEN,
    Answer,
    Sentence,
    count_tokens,
    cut_to,
    echoed,
    split_words,
    stop_at,
    write,
)
from grok_mcp.sandbox.corpus import Source
from grok_mcp.sandbox.prose import describe, fill, think
from grok_mcp.sandbox.question import TOKENS_PER_IMAGE, Function, Question
from grok_mcp.sandbox.samples import sample
from grok_mcp.sandbox.search import find, matches
from grok_mcp.sandbox.usage import Usage, count_turn

MAX_UNCITED = 1

_WANTS_SEARCH = re.compile(r"\b(search|latest|today|news|find|current|currently)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Search:
    """A server-side search and what it found."""

    tool: str
    query: str
    from_date: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Call:
    """A function that the caller is asked to run."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Reply:
    """All that one request is answered with, in the words of neither dialect."""

    reasoning: str
    searches: tuple[Search, ...]
    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    usage: Usage

    @property
    def reasoning_pieces(self) -> list[str]:
        """The thoughts in the pieces in which they stream."""
        return split_words(self.reasoning)


def make_reply(question: Question, cached_tokens: int) -> Reply:
    """Answer a question; raises RefusalError where a schema can't be met."""
    searches = _search(question)
    calls = _call(question)
    reasoning = think(question.effort, question.prompt, bool(searches))
    room = None if question.max_tokens is None else question.max_tokens * CHARACTERS_PER_TOKEN
    if room is not None and question.cap_holds_reasoning:
        reasoning = reasoning[:room]
        room -= count_tokens(reasoning) * CHARACTERS_PER_TOKEN
    answers = []
    for number in range(1, question.choices + 1):
        answer = Answer(()) if calls else _answer(question, searches, number)
        answer = stop_at(echoed(answer, question.echo), question.stop)
        answers.append(answer if room is None else cut_to(answer, room))
    usage = _count(question, searches, calls, reasoning, answers, cached_tokens)
    return Reply(reasoning, searches, calls, tuple(answers), usage)


def _search(question: Question) -> tuple[Search, ...]:
    prompt = question.prompt
    wanted = question.search == "on" or (
        question.search == "auto" and bool(_WANTS_SEARCH.search(prompt) or matches(prompt))
    )
    if not wanted or question.results:
        return ()
    query = " ".join(prompt.split())[:80]
    searches, room = [], question.max_sources
    for scope in question.scopes:
        sources = find(query, scope, min(room, 3))
        room -= len(sources)
        searches.append(Search(scope.tool, query, scope.from_date, sources))
    return tuple(searches)


def _call(question: Question) -> tuple[Call, ...]:
    choice, functions = question.tool_choice, question.functions
    if not functions or choice == "none" or question.results:
        return ()
    named = [one for one in functions if _names(question.prompt, one)]
    if choice == "required" and not named and not question.scopes:
        named = [functions[0]]
    elif choice not in ("auto", "required"):
        named = [one for one in functions if one.name == choice]
    return tuple(Call(one.name, _dump(sample(one.parameters))) for one in named)


def _names(prompt: str, function: Function) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(function.name)}(?!\w)", prompt))


def _answer(question: Question, searches: tuple[Search, ...], number: int) -> Answer:
    sources = list({source.url: source for one in searches for source in one.sources}.values())
    inline = question.cites == "inline"
    wanted = _json(question)
    if wanted is not None:
        sentences = [Sentence(wanted)]
        if question.fenced:
            sentences = [Sentence("```json\n"), *sentences, Sentence("\n```\n")]
        return write(sentences, sources, inline=False)
    sentences = [Sentence(describe(question, number))]
    pages = [source for source in sources if not source.handle]
    uncited = pages[-MAX_UNCITED:] if len(pages) > 1 else []
    cited = [source for source in sources if source not in uncited]
    for source in cited:
        sentences += [Sentence(f" {source.text}", source), Sentence(".")]
    if len(cited) > 1:
        sentences += [Sentence(" The first source says most about it", cited[0]), Sentence(".")]
    if searches and not sources:
        sentences.append(Sentence(" The search found no source."))
    sentences.append(Sentence(fill(question.prompt, sentences)))
    return write(sentences, uncited, inline=inline)


def _json(question: Question) -> str | None:
    """The JSON that is asked for, by its format or in words; None where prose is."""
    schema = question.schema if question.format == "json_schema" else question.told_schema
    if schema is not None:
        return _dump(sample(schema))
    if question.format == "text":
        return None
    return _dump({"from": "sandbox", "prompt": question.prompt[:80]})


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _count(
    question: Question,
    searches: tuple[Search, ...],
    calls: tuple[Call, ...],
    reasoning: str,
    answers: list[Answer],
    cached_tokens: int,
) -> Usage:
    found = [source for one in searches for source in one.sources]
    written = sum(count_tokens(answer.text) for answer in answers)
    called = sum(count_tokens(call.name + call.arguments) for call in calls)
    server_side = question.cites in ("inline", "bare", "plugin")
    tools = [one.tool for one in searches] if server_side else []
    return Usage(
        input_tokens=sum(map(count_turn, question.turns))
        + count_tokens(question.overhead)
        + sum(count_tokens(source.text) for source in found),
        cached_tokens=cached_tokens,
        image_tokens=question.images * TOKENS_PER_IMAGE,
        reasoning_tokens=count_tokens(reasoning),
        text_tokens=written + called,
        web_calls=tools.count("web"),
        x_calls=tools.count("x"),
        posts=sum(bool(source.handle) for source in found) if server_side else 0,
        live_sources=0 if server_side else len(found),
        attachments=question.files,
    )
