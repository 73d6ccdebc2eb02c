"""Bends of chat completions: what gateways make of chunks, messages and tool calls."""

from collections.abc import Iterator

from grok_mcp.sandbox.bending import JSON, Events, without
from grok_mcp.sandbox.bends_usage import in_dollars, rebuilt

SPLIT_CHARACTERS = 5

_NEWAPI_FIELDS = ("id", "object", "created", "model", "choices", "usage")


def no_index(choice: JSON) -> JSON:
    """A choice that does not say its number."""
    return without(choice, "index")


def empty_finish(choice: JSON) -> JSON:
    """Said to be at its end, and not why."""
    return choice | {"finish_reason": ""} if "finish_reason" in choice else choice


def no_finish(choice: JSON) -> JSON:
    """Never said to be at its end."""
    return without(choice, "finish_reason")


def null_finish(choice: JSON) -> JSON:
    """Said not to be at its end while it is not, as in 2025."""
    return {"finish_reason": None} | choice


def null_content(said: JSON) -> JSON:
    """Content null where there is none: beside the role, thoughts, tool calls and the finish reason."""
    return said if said.get("content") else said | {"content": None}


def empty_content(said: JSON) -> JSON:
    """Content "" where there is none."""
    return said if said.get("content") else said | {"content": ""}


def split_calls(events: Events, *, named: bool) -> Iterator[JSON]:
    """Each tool call in many deltas, told apart by their index; `named` repeats the function's name."""
    for event in events:
        for choice in event.get("choices") or [{}]:
            calls = choice.get("delta", {}).get("tool_calls")
            if not calls:
                yield event
                continue
            for call in calls:
                for part in _parts(call, named=named):
                    yield event | {"choices": [choice | {"delta": choice["delta"] | {"tool_calls": [part]}}]}


def _parts(call: JSON, *, named: bool) -> Iterator[JSON]:
    """The first part has id, type and name, the others a piece of the arguments."""
    if "id" not in call:  # a part already
        yield call
        return
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    yield call | {"function": {"name": name, "arguments": ""}}
    for start in range(0, len(arguments), SPLIT_CHARACTERS):
        piece = {"arguments": arguments[start : start + SPLIT_CHARACTERS]}
        yield {"index": call["index"], "function": {"name": name} | piece if named else piece}


def rebuild(envelope: JSON) -> JSON:
    """new-api fills a struct of its own: sources are lost, and the counts are its own."""
    if "choices" not in envelope:
        return envelope
    kept = {name: envelope[name] for name in _NEWAPI_FIELDS if name in envelope}
    kept["choices"] = [_unsourced(choice) for choice in kept["choices"]]
    return kept | {"usage": rebuilt(kept["usage"])} if kept.get("usage") else kept


def _unsourced(choice: JSON) -> JSON:
    key = "delta" if "delta" in choice else "message"
    return choice | {key: without(choice[key], "annotations")}


def openrouter(envelope: JSON) -> JSON:
    """The fields of OpenRouter: who provides, why it ended in the provider's words, counts and price."""
    if "choices" not in envelope:
        return envelope
    changed = envelope | {"provider": "xAI", "choices": [_native(choice) for choice in envelope["choices"]]}
    return changed | {"usage": in_dollars(envelope["usage"])} if envelope.get("usage") else changed


def _native(choice: JSON) -> JSON:
    key = "delta" if "delta" in choice else "message"
    said = dict(choice[key])
    if "reasoning_content" in said:
        said["reasoning"] = said.pop("reasoning_content")
    reason = choice.get("finish_reason")
    return choice | {key: said, "finish_reason": reason, "native_finish_reason": reason}


def wrap(body: JSON) -> JSON:
    """AceData's envelope around a whole body."""
    return {"status": "success", "data": body} if "choices" in body else body
