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
from grok_mcp.sandbox.errors import JSON
from grok_mcp.sandbox.sampling import sample

_WANTS_SEARCH = re.compile(r"\b(search|latest|today|news|find|current|currently)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Search:
    """A server-side search and its results; `tool` is "web" or "x"."""

    tool: str
    query: str
    from_date: str
    sources: tuple[Source, ...]

    @property
    def queries(self) -> list[str]:
        """All that is searched at once: the web in other words too."""
        return [self.query, f"{self.query} background"]

    @property
    def opened(self) -> Source | None:
        """The page that Grok reads after it; a post needs no reading."""
        return self.sources[0] if self.sources and self.tool == "web" else None


@dataclass(frozen=True)
class Run:
    """Python that Grok runs, and what it writes."""

    code: str
    logs: str

    @property
    def pieces(self) -> list[str]:
        """The code in the pieces in which it streams."""
        return self.code.splitlines(keepends=True)


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
    runs: tuple[Run, ...] = ()
    others: tuple[JSON, ...] = ()
    """Items of further server tools, which only a fault script asks for."""

    @property
    def reasoning_pieces(self) -> list[str]:
        """The thoughts in the pieces in which they stream."""
        return text.split_words(self.reasoning)


def make_reply(question: Question, cached_tokens: int) -> Reply:
    """Answer a question; raises RefusalError where a schema can't be met."""
    searches = _search(question)
    sources = tuple({source.url: source for search in searches for source in search.sources}.values())
    calls = _call(question)
    runs = _run(question)
    reasoning = text.think(question.effort, question.prompt, bool(searches))
    room = None if question.max_tokens is None else question.max_tokens * text.CHARACTERS_PER_TOKEN
    if room is not None and question.cap_includes_reasoning:
        reasoning = reasoning[:room]
        room -= count_tokens(reasoning) * text.CHARACTERS_PER_TOKEN
    answers = []
    for number in range(1, question.choices + 1):
        answer = Answer(()) if calls else _answer(question, sources, runs, bool(searches), number)
        answer = text.stop_at(answer, question.stop)
        answers.append(answer if room is None else text.cut_to(answer, room))
    texts = [answer.text for answer in answers] + [call.name + call.arguments for call in calls]
    texts += [run.code for run in runs]
    read = [question.overhead, *(source.text for source in sources), *(run.logs for run in runs)]
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
        code_calls=len(runs),
        posts=len([source for source in sources if source.handle and not live]),
        live_sources=len(sources) if live else 0,
    )
    return Reply(reasoning, searches, sources, calls, tuple(answers), usage, runs)


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


def _run(question: Question) -> tuple[Run, ...]:
    """The sum of the numbers in the prompt, else how many words it has."""
    if not question.code or question.tool_choice == "none" or question.results:
        return ()
    numbers = [int(number) for number in re.findall(r"\b\d{1,9}\b", question.prompt)][:20]
    if len(numbers) > 1:
        return (Run(f"numbers = {numbers}\nprint(sum(numbers))\n", f"{sum(numbers)}\n"),)
    words = question.prompt.split()[:100]
    return (Run(f"words = {words}\nprint(len(words))\n", f"{len(words)}\n"),)


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
    if choice == "required" and not called and not question.scopes and not question.code:
        called = [functions[0]]
    return tuple(Call(function.name, _dump(sample(function.parameters))) for function in called)


def _answer(
    question: Question, sources: tuple[Source, ...], runs: tuple[Run, ...], searched: bool, number: int
) -> Answer:
    data = _json(question)
    if data is not None:
        return text.write([Sentence(data)], sources, inline=False)
    sentences = [Sentence(text.introduce(question, number))]
    sentences += [Sentence(f" Its code wrote: {run.logs.strip()}.") for run in runs]
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
