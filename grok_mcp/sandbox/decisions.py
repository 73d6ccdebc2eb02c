"""Faults that change what is decided: which requests are refused, and what an answer is made of.

To add one, add its row and its function; the row also makes the grammar.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from grok_mcp.sandbox.errors import NO_CREDIT, WRONG_KEY, RefusalError, refusal
from grok_mcp.sandbox.models import no_model
from grok_mcp.sandbox.question import Question

JSON = dict[str, Any]


class Asked(NamedTuple):
    """A request: its dialect ("chat" or "responses"), its body, and the value that the fault has."""

    dialect: str
    body: JSON
    value: str


class Reason(NamedTuple):
    """A reason to refuse some requests; `takes` names the values that it wants."""

    name: str
    says: str
    check: Callable[[Asked], RefusalError | None]
    takes: str = ""


class Twist(NamedTuple):
    """Another understanding of what is asked."""

    name: str
    says: str
    change: Callable[[Question], Question]


def _no_live_search(asked: Asked) -> RefusalError | None:
    tools = asked.body.get("tools") or []
    wanted = asked.body.get("search_parameters") is not None
    return refusal(410) if wanted or any(tool.get("type") == "live_search" for tool in tools) else None


def _no_server_tools(asked: Asked) -> RefusalError | None:
    kinds = [tool.get("type") for tool in asked.body.get("tools") or []]
    unknown = [kind for kind in kinds if kind != "function"]
    if asked.dialect == "chat" or not unknown:
        return None
    if asked.value == "404":
        return RefusalError(404, "Not Found", code="not-found")
    return refusal(
        422,
        "Failed to deserialize the JSON body into the target type:"
        f" tools[{kinds.index(unknown[0])}].type: unknown variant `{unknown[0]}`, expected `function`"
        " at line 1 column 118",
    )


def _chat_only(asked: Asked) -> RefusalError | None:
    return no_model(asked.body.get("model")) if asked.dialect == "responses" else None


def _no_format(asked: Asked) -> RefusalError | None:
    return _unsupported(asked) if _format(asked.body) != "text" else None


def _no_schema(asked: Asked) -> RefusalError | None:
    return _unsupported(asked, " of type json_schema") if _format(asked.body) == "json_schema" else None


def _unsupported(asked: Asked, which: str = "") -> RefusalError:
    name = "response_format" if asked.dialect == "chat" else "text.format"
    return refusal(400, f"{name}{which} is not supported by this model.")


def _format(body: JSON) -> str:
    wanted = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    return str(wanted.get("type", "text"))


def _no_credit(asked: Asked) -> RefusalError:
    status = int(asked.value)
    return refusal(status) if status == 402 else refusal(status, NO_CREDIT)


def _unsafe(_: Asked) -> RefusalError:
    message = "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"
    return RefusalError(403, message, code="permission-denied")


def _in_prose(question: Question) -> Question:
    return replace(question, format="text", schema=None)


def _in_a_fence(question: Question) -> Question:
    return replace(question, fenced=True)


def _with_echo(question: Question) -> Question:
    said = [turn.text for turn in question.turns if turn.role == "assistant" and turn.text]
    return replace(question, echo=said[-1]) if said else question


REFUSALS = (
    Reason("wrongkey", "the key, with 400", lambda _: refusal(400, WRONG_KEY)),
    Reason("credits", "everything, as credits are used up", _no_credit, "402|403|429"),
    Reason("unsafe", "everything, for safety, with 403", _unsafe),
    Reason("nolivesearch", "search_parameters, with 410", _no_live_search),
    Reason("notools", "server tools on responses", _no_server_tools, "404|422"),
    Reason("chatonly", "the model on responses, with 404", _chat_only),
    Reason("noformat", "JSON formats, with 400", _no_format),
    Reason("noschema", "JSON schemas, with 400", _no_schema),
)

TWISTS = (
    Twist("prose", "prose where a JSON format was asked for", _in_prose),
    Twist("fenced", "JSON in a code fence", _in_a_fence),
    Twist("echo", "Grok's last words once more before the answer", _with_echo),
)


def refuse(decisions: Mapping[str, str], dialect: str, body: JSON) -> None:
    """Raise the first refusal that a fault script asks for and that this request meets."""
    for row in REFUSALS:
        if row.name in decisions:
            error = row.check(Asked(dialect, body, decisions[row.name]))
            if error is not None:
                raise error


def twist(decisions: Mapping[str, str], question: Question) -> Question:
    """The question as a fault script understands it."""
    for row in TWISTS:
        if row.name in decisions:
            question = row.change(question)
    return question
