"""Words that change what is decided: which requests are refused, and what an answer is made of."""

from collections.abc import Callable
from dataclasses import replace

from grok_mcp.sandbox.answering import Question, Reply
from grok_mcp.sandbox.answering.text import Answer
from grok_mcp.sandbox.errors import WRONG_KEY, RefusalError, no_model, refusal
from grok_mcp.sandbox.faults import Fault, Word
from tests.sandbox_faults.changes import JSON

Check = Callable[[str, JSON], RefusalError | None]


def _reason(name: str, effect: str, check: Check) -> Word:
    return Word(name, "", effect, lambda fault, _: fault.refusals.append(check))


def _no_live_search(dialect: str, body: JSON) -> RefusalError | None:
    return refusal(410) if body.get("search_parameters") is not None else None


def _chat_only(dialect: str, body: JSON) -> RefusalError | None:
    return no_model(body.get("model")) if dialect == "responses" else None


def _no_schema(dialect: str, body: JSON) -> RefusalError | None:
    described = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    name = "response_format" if dialect == "chat" else "text.format"
    if described.get("type") != "json_schema":
        return None
    return refusal(400, f"{name} of type json_schema is not supported by this model.")


def _timed_out(dialect: str, body: JSON) -> RefusalError:
    return RefusalError(200, "Timed out waiting for first token", code="The service is currently unavailable")


def _in_prose(fault: Fault, _: None) -> None:
    formats = ("response_format", "text")
    fault.requests.append(lambda body: {name: body[name] for name in body if name not in formats})


def _in_a_fence(fault: Fault, _: None) -> None:
    def fenced(question: Question, reply: Reply) -> Reply:
        if question.format == "text" and question.schema_in_words is None:
            return reply
        answers = [replace(one, pieces=("```json\n", *one.pieces, "\n```\n")) for one in reply.answers]
        return replace(reply, answers=tuple(answers))

    fault.replies.append(fenced)


def _with_echo(fault: Fault, _: None) -> None:
    def echoed(question: Question, reply: Reply) -> Reply:
        earlier = [turn.text for turn in question.turns if turn.role == "assistant" and turn.text]
        return (
            replace(reply, answers=tuple(_after(earlier[-1], one) for one in reply.answers))
            if earlier
            else reply
        )

    fault.replies.append(echoed)


def _after(words: str, answer: Answer) -> Answer:
    """The answer with some words before it, in a piece of their own."""
    citations = (
        replace(one, start=one.start + len(words), end=one.end + len(words)) if one.number else one
        for one in answer.citations
    )
    return replace(answer, pieces=(words, *answer.pieces), citations=tuple(citations))


REFUSALS = (
    _reason("error200", "answer with status 200 and an error body", _timed_out),
    _reason("wrongkey", "refuse the key, with 400", lambda dialect, body: refusal(400, WRONG_KEY)),
    _reason("nolivesearch", "refuse search_parameters, with 410", _no_live_search),
    _reason("chatonly", "refuse the model on responses, with 404", _chat_only),
    _reason("noschema", "refuse JSON schemas, with 400", _no_schema),
)

ANSWERS = (
    Word("prose", "", "prose where a JSON format was requested", _in_prose),
    Word("fenced", "", "JSON in a code fence", _in_a_fence),
    Word("echo", "", "Grok's last words once more before the answer", _with_echo),
)
