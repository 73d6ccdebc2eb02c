"""Replies in the Responses dialect: stream payloads and whole responses become events.

Dispatches on the `type` inside the data, as an `event:` line may be missing. Event facts: docs.x.ai
(tools, citations) and recorded streams. Unknown events, items and parts are skipped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from grok_mcp import events
from grok_mcp.dialects import server_tools
from grok_mcp.dialects.citations import citation_list, citations_in
from grok_mcp.events import Event, Place
from grok_mcp.foreign import (
    FAILURE_FIELDS,
    integer,
    is_thought,
    json_text,
    mapping,
    mappings,
    text_of,
)
from grok_mcp.usage import UsageReport, count, reported_cost


def parse(payload: Mapping[str, Any]) -> Iterable[Event]:
    """The events in one stream payload, or in a whole body."""
    kind = payload.get("type")
    handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
    if handler:
        return handler(payload)
    if payload.get("object") == "response" or "output" in payload:
        return _whole(payload)
    known = isinstance(kind, str) and kind.startswith("response.")
    failed = payload.get("error") or (not known and any(map(payload.get, FAILURE_FIELDS)))
    return (events.Failed(payload),) if failed else ()


def _started(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _head(mapping(payload.get("response")))


def _head(response: Mapping[str, Any]) -> Iterator[Event]:
    model = text_of(response.get("model"))
    if model:
        yield events.Started(model, text_of(response.get("id")), text_of(response.get("service_tier")))


def _text_delta(payload: Mapping[str, Any]) -> Iterable[Event]:
    return (events.TextDelta(text_of(payload.get("delta")), _place(payload)),)


def _refusal_delta(payload: Mapping[str, Any]) -> Iterable[Event]:
    return (
        events.TextDelta(text_of(payload.get("delta")), _place(payload)),
        events.Finished("content_filter"),
    )


def _refusal_done(payload: Mapping[str, Any]) -> Iterable[Event]:
    return (
        events.TextDone(text_of(payload.get("refusal")), _place(payload)),
        events.Finished("content_filter"),
    )


def _text_done(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield events.TextDone(text_of(payload.get("text")), _place(payload))


def _part_done(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _part(mapping(payload.get("part")), _place(payload))


def _place(payload: Mapping[str, Any]) -> Place:
    item, part = payload.get("output_index"), payload.get("content_index")
    if type(item) is int and type(part) is int and item >= 0:  # nearly always, and for each piece of text
        return _numbered(item, part)
    return Place(0, _item_key(payload), integer(payload.get("content_index"), 0))


@lru_cache(maxsize=256)
def _numbered(item: int, part: int) -> Place:
    return Place(0, f"#{item}", part)


def _annotation_added(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from citations_in([payload.get("annotation")], _place(payload))


def _reasoning_delta(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield events.ReasoningDelta(text_of(payload.get("delta")))


def _arguments_delta(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield events.ToolCallDelta(_place(payload).item, arguments=text_of(payload.get("delta")))


def _arguments_done(payload: Mapping[str, Any]) -> Iterator[Event]:
    arguments = json_text(payload.get("arguments"))
    if type(payload.get("output_index")) is int:  # else nobody can tell whose they are
        yield events.ToolCallDelta(_place(payload).item, arguments=arguments, complete=True)


def _item_added(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _item(mapping(payload.get("item")), _item_key(payload), done=False)


def _item_done(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _item(mapping(payload.get("item")), _item_key(payload), done=True)


def _item_key(payload: Mapping[str, Any]) -> str:
    """Where an item stands in the output. Its id counts only without a number: some endpoints change it."""
    number = payload.get("output_index")
    if type(number) is int and number >= 0:
        return f"#{number}"
    return text_of(payload.get("item_id")) or text_of(mapping(payload.get("item")).get("id")) or "#0"


def _step_in_progress(payload: Mapping[str, Any]) -> Iterator[Event]:
    kind = text_of(payload.get("type")).split(".")[1]
    yield server_tools.begun(kind, _place(payload).item)


def _code_delta(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield events.CodeDelta(_place(payload).item, text_of(payload.get("delta")))


def _code_done(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield events.CodeStep(_place(payload).item, code=text_of(payload.get("code")))


def _item(item: Mapping[str, Any], key: str, *, done: bool) -> Iterator[Event]:
    """What one output item says; items of other types are skipped."""
    kind = text_of(item.get("type"))
    if kind == "message":
        for number, part in enumerate(mappings(item.get("content"))):
            yield from _part(part, Place(0, key, number))
        if done:
            yield events.ItemDone(key)
    elif kind == "function_call":
        yield events.ToolCallDelta(
            key,
            text_of(item.get("call_id")) or text_of(item.get("id")),
            text_of(item.get("name")),
            json_text(item.get("arguments")),
            complete=done,
        )
    elif kind == "reasoning":
        if item.get("encrypted_content"):
            yield events.EncryptedReasoning(text_of(item["encrypted_content"]) or key, item)
    else:
        yield from server_tools.steps(item, kind, key, done=done)


def _part(part: Mapping[str, Any], place: Place) -> Iterator[Event]:
    if is_thought(part):
        return
    text, refusal = text_of(part.get("text")), text_of(part.get("refusal"))
    if text or refusal:
        yield events.TextDone(text or refusal, place)
    if refusal:
        yield events.Finished("content_filter")
    yield from citations_in(part.get("annotations"), place)


def _completed(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _whole(mapping(payload.get("response")))


def _incomplete(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _whole({**mapping(payload.get("response")), "status": "incomplete"})


def _cancelled(payload: Mapping[str, Any]) -> Iterator[Event]:
    yield from _whole({**mapping(payload.get("response")), "status": "cancelled"})


_STOPPED = ("cancelled", "canceled")


def _whole(response: Mapping[str, Any]) -> Iterator[Event]:
    """A complete response object; what deltas have brought before stands here again and counts once."""
    yield from _head(response)
    output = response.get("output")
    for number, item in enumerate(output if isinstance(output, list) else ()):  # null where one was dropped
        yield from _item(mapping(item), f"#{number}", done=True)
    yield from citation_list(response.get("citations"))
    usage = mapping(response.get("usage"))
    if usage:
        report = read_usage(usage)._replace(service_tier=text_of(response.get("service_tier")))
        yield events.UsageReported(report)
    status, reason = response.get("status"), mapping(response.get("incomplete_details")).get("reason")
    if status == "failed" or response.get("error"):
        yield events.Failed(response)
        return
    if status in _STOPPED:
        yield events.Failed({"error": {"message": f"the response is {status}", "code": 502}})
        return
    if status == "incomplete" or reason:
        yield events.Finished("content_filter" if reason == "content_filter" else "length")
    yield events.Ended()


def _failed(payload: Mapping[str, Any]) -> Iterator[Event]:
    if "response" in payload:
        yield from _whole({**mapping(payload["response"]), "status": "failed"})
    else:
        yield events.Failed(payload)


def read_usage(usage: Mapping[str, Any]) -> UsageReport:
    """Responses usage; reasoning is inside the output."""
    report = UsageReport(
        input_tokens=count(usage.get("input_tokens")),
        cached_tokens=count(mapping(usage.get("input_tokens_details")).get("cached_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
        total_tokens=count(usage.get("total_tokens")),
        sources_used=count(usage.get("num_sources_used")),
        cost_usd=reported_cost(usage),
        reasoning_inside=True,
    )
    return server_tools.with_counts(report, usage)


_HANDLERS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[Event]]] = {
    "response.created": _started,
    "response.in_progress": _started,
    "response.output_text.delta": _text_delta,
    "response.refusal.delta": _refusal_delta,
    "response.refusal.done": _refusal_done,
    "response.output_text.done": _text_done,
    "response.content_part.added": _part_done,
    "response.content_part.done": _part_done,
    "response.output_text.annotation.added": _annotation_added,
    "response.reasoning_summary_text.delta": _reasoning_delta,
    "response.reasoning_text.delta": _reasoning_delta,
    "response.function_call_arguments.delta": _arguments_delta,
    "response.function_call_arguments.done": _arguments_done,
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    **{
        f"response.{kind}.{phase}": _step_in_progress
        for kind, phases in server_tools.PHASES.items()
        for phase in phases
    },
    "response.code_interpreter_call_code.delta": _code_delta,
    "response.code_interpreter_call_code.done": _code_done,
    "response.code_execution_call_code.delta": _code_delta,
    "response.code_execution_call_code.done": _code_done,
    "response.completed": _completed,
    "response.done": _completed,
    "response.incomplete": _incomplete,
    "response.cancelled": _cancelled,
    "response.failed": _failed,
    "error": _failed,
}
