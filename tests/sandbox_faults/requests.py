"""Words that change what is decided: which requests are refused, and what an answer is made of."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from grok_mcp.sandbox.answering import Question, Reply
from grok_mcp.sandbox.answering.text import Answer
from grok_mcp.sandbox.errors import WRONG_KEY, RefusalError, no_model, refusal
from grok_mcp.sandbox.faults import Fault, Word
from tests.sandbox_faults.calls import ODD, odd_json
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


WORDINGS: Mapping[str, str] = {
    "model": "Argument not supported on this model: {}",
    "bare": "Argument not supported: {}",
    "openai": "Unrecognized request argument supplied: {}",
    "path": "Validation error at #/{}: Extra inputs are not permitted",
    "groq": "property '{}' is unsupported",
    "newapi": "Model grok-4.7 does not support parameter {}.",
    "fastapi": "Extra inputs are not permitted",
}
"""How endpoints say that they do not take a field; `fastapi` names it by its place."""


def _without_fields(fault: Fault, names: str) -> None:
    """Refuses one field after the other, in the words that the script names."""
    wording = fault.script.get("wording", "model")

    def check(dialect: str, body: JSON) -> RefusalError | None:
        name = next((name for name in names.split("+") if name in body), None)
        if name is None:
            return None
        if wording == "fastapi":
            fault.write_error = partial(_at_its_place, name)
        return refusal(422 if wording == "fastapi" else 400, WORDINGS[wording].format(name))

    fault.refusals.append(check)


def _at_its_place(name: str, error: RefusalError) -> tuple[bytes, str]:
    detail = [{"type": "extra_forbidden", "loc": ["body", name], "msg": error.message}]
    return json.dumps({"detail": detail}).encode(), "application/json"


NO_MODEL: Mapping[str, tuple[int, str]] = {
    "absent": (404, "The model {} does not exist or your team does not have access to it."),
    "retired": (404, "The model {} was deprecated and is no longer accessible via the API."),
    "noid": (400, "{} is not a valid model ID"),
    "passedin": (400, "Invalid model name passed in model={}."),
}


def _without_model(fault: Fault, wording: str) -> None:
    status, words = NO_MODEL[wording]
    fault.refusals.append(lambda dialect, body: refusal(status, words.format(body.get("model"))))


def _with_unread_thoughts(dialect: str, body: JSON) -> RefusalError | None:
    items = body.get("input")
    sealed = isinstance(items, list) and any(item.get("type") == "reasoning" for item in items)
    return refusal(400, "Could not decrypt the provided encrypted_content.") if sealed else None


def _too_long(dialect: str, body: JSON) -> RefusalError:
    return refusal(
        400, "This model's maximum prompt length is 131072 but the request contains 200000 tokens."
    )


def _no_images(dialect: str, body: JSON) -> RefusalError | None:
    held = json.dumps(body)
    image = '"image_url"' in held or '"input_image"' in held
    return RefusalError(500, "image input is not supported", code="internal_error") if image else None


def _no_empty_output(dialect: str, body: JSON) -> RefusalError | None:
    turns = [turn for turn in body.get("messages") or body.get("input") or () if isinstance(turn, dict)]
    outputs = [turn.get("output", turn.get("content")) for turn in turns if _is_output(turn)]
    return refusal(400, "Content of a tool result must not be empty.") if "" in outputs else None


def _is_output(turn: JSON) -> bool:
    return turn.get("role") == "tool" or turn.get("type") == "function_call_output"


_LOOK_AROUND = ("(?=", "(?!", "(?<")


def _no_look_around(dialect: str, body: JSON) -> RefusalError | None:
    described = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    found = any(sign in json.dumps(described) for sign in _LOOK_AROUND)
    return refusal(400, "Invalid schema: look-around in a pattern is not supported.") if found else None


_SAMPLING = ("temperature", "top_p", "n", "max_tokens", "max_completion_tokens", "max_output_tokens")
_FORMS = ("response_format", "text", "stream", "stream_options", "include", "store")
_SEARCHES = ("tools", "tool_choice", "parallel_tool_calls", "search_parameters", "plugins")
_OTHERS = ("model", "messages", "input", "reasoning", "reasoning_effort", "prompt_cache_key", "user")
_FIELDS = {*_SAMPLING, *_FORMS, *_SEARCHES, *_OTHERS}


def _only_known(dialect: str, body: JSON) -> RefusalError | None:
    other = next((name for name in body if name not in _FIELDS), None)
    if other is None and 0 not in (body.get("max_tokens"), body.get("max_output_tokens")):
        return None
    return refusal(400, f"Unrecognized request argument supplied: {other or 'max_tokens of 0'}")


def _without_search(fault: Fault, _: None) -> None:
    """Answers from what the model knows, though it was let search."""

    def unsearched(body: JSON) -> JSON:
        tools = [tool for tool in body.get("tools") or () if tool.get("type") == "function"]
        kept = {name: body[name] for name in body if name not in ("plugins", "search_parameters", "tools")}
        return kept | {"tools": tools} if tools else kept

    fault.requests.append(unsearched)


def _odd_data(fault: Fault, value: str) -> None:
    """JSON answers that hold what is no JSON, or more of it than is read."""

    def odd(question: Question, reply: Reply) -> Reply:
        if question.format == "text" and question.schema_in_words is None:
            return reply
        answers = [replace(one, pieces=(odd_json(one.text, value),)) for one in reply.answers]
        return replace(reply, answers=tuple(answers))

    fault.replies.append(odd)


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
    Word("refuses", "NAME", "refuse these fields, joined by +", _without_fields),
    Word("wording", "|".join(WORDINGS), "how `refuses` says it", lambda fault, _: None),
    Word("nomodel", "|".join(NO_MODEL), "refuse the model, in these words", _without_model),
    _reason("undecryptable", "refuse encrypted reasoning, with 400", _with_unread_thoughts),
    _reason("toolong", "refuse the prompt as too long, with 400", _too_long),
    _reason("noimages", "refuse images, with 500", _no_images),
    _reason("noemptyoutput", "refuse empty tool results, with 400", _no_empty_output),
    _reason("nolookaround", "refuse look-around in patterns, with 400", _no_look_around),
    _reason("onlyknown", "refuse other fields, and limits of 0, with 400", _only_known),
)

ANSWERS = (
    Word("prose", "", "prose where a JSON format was requested", _in_prose),
    Word("fenced", "", "JSON in a code fence", _in_a_fence),
    Word("nosearch", "", "no search though one was allowed", _without_search),
    Word("odddata", "|".join(ODD), "odd values in JSON answers", _odd_data),
    Word("echo", "", "Grok's last words once more before the answer", _with_echo),
)
