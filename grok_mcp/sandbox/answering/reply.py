"""Decides what Grok does with a question: thinks, searches, calls functions, answers."""

import json
import re
from dataclasses import dataclass
from typing import Any

from grok_mcp.sandbox.answering import text
from grok_mcp.sandbox.answering.question import Question
from grok_mcp.sandbox.answering.search import Source, find, matches
from grok_mcp.sandbox.answering.text import Answer, Sentence, count_tokens
from grok_mcp.sandbox.answering.usage import TOKENS_PER_IMAGE, Usage, count_turn
from grok_mcp.sandbox.sampling import sample

_WANTS_SEARCH = re.compile(r"\b(search|latest|today|news|find|current|currently)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Search:
    """A server-side search and its results; `tool` is "web" or "x"."""

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
    """The whole answer to one request, in the words of neither dialect."""

    reasoning: str
    searches: tuple[Search, ...]
    sources: tuple[Source, ...]
    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    usage: Usage

    @property
    def reasoning_pieces(self) -> list[str]:
        """The thoughts in the pieces in which they stream."""
        return text.split_words(self.reasoning)


def make_reply(question: Question, cached_tokens: int) -> Reply:
    """Answer a question; raises RefusalError where a schema can't be met."""
    searches = _search(question)
    sources = tuple({source.url: source for search in searches for source in search.sources}.values())
    calls = _call(question)
    reasoning = text.think(question.effort, question.prompt, bool(searches))
    room = None if question.max_tokens is None else question.max_tokens * text.CHARACTERS_PER_TOKEN
    if room is not None and question.cap_includes_reasoning:
        reasoning = reasoning[:room]
        room -= count_tokens(reasoning) * text.CHARACTERS_PER_TOKEN
    answers = []
    for number in range(1, question.choices + 1):
        answer = Answer(()) if calls else _answer(question, sources, bool(searches), number)
        answer = text.stop_at(answer, question.stop)
        answers.append(answer if room is None else text.cut_to(answer, room))
    texts = [answer.text for answer in answers] + [call.name + call.arguments for call in calls]
    read = [question.overhead, *(source.text for source in sources)]
    live = question.cites in ("links", "none")
    tools = [search.tool for search in searches if not live]
    usage = Usage(
        input_tokens=sum(map(count_turn, question.turns)) + sum(map(count_tokens, read)),
        cached_tokens=cached_tokens,
        image_tokens=question.images * TOKENS_PER_IMAGE,
        reasoning_tokens=count_tokens(reasoning),
        text_tokens=sum(map(count_tokens, texts)),
        web_calls=tools.count("web"),
        x_calls=tools.count("x"),
        posts=len([source for source in sources if source.handle and not live]),
        live_sources=len(sources) if live else 0,
    )
    return Reply(reasoning, searches, sources, calls, tuple(answers), usage)


def _search(question: Question) -> tuple[Search, ...]:
    prompt = question.prompt
    useful = bool(_WANTS_SEARCH.search(prompt)) or matches(prompt)
    if question.results or question.search == "off" or (question.search == "auto" and not useful):
        return ()
    query = " ".join(prompt.split())[:80]
    searches, room = [], question.max_sources
    for scope in question.scopes:
        sources = find(query, scope, min(room, 3))
        room -= len(sources)
        searches.append(Search(scope.tool, query, scope.from_date, sources))
    return tuple(searches)


def _call(question: Question) -> tuple[Call, ...]:
    """The functions that the prompt names, or the one that the tool choice asks for."""
    choice, functions = question.tool_choice, question.functions
    if not functions or choice == "none" or question.results:
        return ()
    if choice not in ("auto", "required"):
        called = [function for function in functions if function.name == choice]
    else:
        words = re.findall(r"[\w-]+", question.prompt)
        called = [function for function in functions if function.name in words]
    if choice == "required" and not called and not question.scopes:
        called = [functions[0]]
    return tuple(Call(function.name, _dump(sample(function.parameters))) for function in called)


def _answer(question: Question, sources: tuple[Source, ...], searched: bool, number: int) -> Answer:
    data = _json(question)
    if data is not None:
        return text.write([Sentence(data)], sources, inline=False)
    sentences = [Sentence(text.introduce(question, number))]
    pages = [source for source in sources if not source.handle]
    uncited = pages[-1:] if len(pages) > 1 else []
    cited = [source for source in sources if source not in uncited]
    for source in cited:
        sentences += [Sentence(f" {source.text}", source), Sentence(".")]
    if len(cited) > 1:
        sentences += [Sentence(" The first source says most about it", cited[0]), Sentence(".")]
    if searched and not sources:
        sentences.append(Sentence(" The search found no source."))
    sentences.append(Sentence(text.fill(question.prompt, sentences)))
    return text.write(sentences, uncited, inline=question.cites == "inline")


def _json(question: Question) -> str | None:
    """The JSON that is asked for, by its format or in words; None where prose is."""
    schema = question.schema if question.format == "json_schema" else question.schema_in_words
    if schema is not None:
        return _dump(sample(schema))
    if question.format == "text":
        return None
    return _dump({"from": "sandbox", "prompt": question.prompt[:80]})


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
