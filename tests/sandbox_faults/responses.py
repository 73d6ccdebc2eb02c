"""Changes of the responses dialect: items, parts and ends as other versions of it sent them."""

import json
from collections.abc import Callable, Iterator
from functools import partial

from tests.sandbox_faults.changes import (
    JSON,
    Deviation,
    Events,
    at_envelope,
    at_items,
    at_notes,
    chain,
    in_events,
    in_stream,
    without,
)

_TEXT_EVENTS = ("response.output_text.", "response.content_part.")
_SUMMARY_EVENTS = ("response.reasoning_summary_",)
_ENDS = ("response.completed", "response.incomplete")


def _less(events: Events, beginnings: tuple[str, ...]) -> Iterator[JSON]:
    return (event for event in events if not event.get("type", "").startswith(beginnings))


def item_text(events: Events) -> Iterator[JSON]:
    """The text of a message only in its finished item."""
    return _less(events, _TEXT_EVENTS)


def no_output(events: Events) -> Iterator[JSON]:
    """A last event that does not repeat the items."""
    for event in events:
        ended = event.get("type") in _ENDS
        yield event | {"response": event["response"] | {"output": []}} if ended else event


def items_twice(events: Events) -> Iterator[JSON]:
    """Every item done twice."""
    for event in events:
        yield event
        if event.get("type") == "response.output_item.done":
            yield event


def interleave(events: Events) -> Iterator[JSON]:
    """The item before the message opens and closes in the middle of its text."""
    stream = list(events)
    places = [event["output_index"] for event in stream if "output_index" in event]
    if not places or not max(places):
        return iter(stream)
    last = max(places)
    before = [_moved(event, last) for event in stream if event.get("output_index") == last - 1]
    message = [_moved(event, last) for event in stream if event.get("output_index") == last]
    rest = [event for event in stream if event.get("output_index", -1) < last - 1]
    middle = len(message) // 2
    *opening, end = rest
    return iter([*opening, *message[:middle], *before, *message[middle:], _swapped(end)])


def _moved(event: JSON, last: int) -> JSON:
    return event | {"output_index": 2 * last - 1 - event["output_index"]}


def _swapped(end: JSON) -> JSON:
    *first, before, message = end["response"]["output"]
    return end | {"response": end["response"] | {"output": [*first, message, before]}}


def no_action(item: JSON) -> JSON:
    """A web search without its action."""
    return without(item, "action") if item["type"] == "web_search_call" else item


def empty_query(item: JSON) -> JSON:
    """A web search with an empty query."""
    action = item.get("action", {})
    return item | {"action": without(action, "queries") | {"query": ""}} if "query" in action else item


def _old_item(item: JSON) -> JSON:
    if item["type"] == "web_search_call":
        action = item.get("action", {})
        if "url" in action:
            return _old(item, "web_search_call", "browse_page", json.dumps({"url": action["url"]}))
        arguments = json.dumps({"query": action["query"], "num_results": 5}) if action.get("query") else ""
        return _old(item, "web_search_call", "web_search", arguments)
    if item["type"] == "custom_tool_call":
        return _old(item, "x_search_call", item["name"], item["input"])
    return item


def _old(item: JSON, kind: str, name: str, arguments: str) -> JSON:
    call = {"id": _old_id(item["id"]), "type": kind, "status": item["status"]}
    return call | {"name": name, "arguments": arguments, "call_id": ""}


def _old_id(name: str) -> str:
    return f"fc_{name.partition('_')[2]}" if name.startswith(("ws_", "ctc_")) else name


_OLD_EVENTS = {
    "response.custom_tool_call_input.delta": "response.x_search_call.in_progress",
    "response.custom_tool_call_input.done": "response.x_search_call.completed",
}


def _old_event(event: JSON) -> JSON:
    if "item_id" not in event:
        return event
    kind = event["type"]
    event = event | {"type": _OLD_EVENTS.get(kind, kind), "item_id": _old_id(event["item_id"])}
    return without(event, "delta", "input") if kind in _OLD_EVENTS else event


OLD = chain(at_items(_old_item), in_events(_old_event))


def bare(notes: list[JSON]) -> list[JSON]:
    """Annotations that name a page and no place; chat holds them one level deeper."""
    return [_bare(note) for note in notes]


def _bare(note: JSON) -> JSON:
    if "url_citation" in note:
        return note | {"url_citation": without(note["url_citation"], "start_index", "end_index")}
    return {"type": note["type"], "url": note["url"]}


def _listed(response: JSON) -> JSON:
    parts = [part for item in response.get("output", ()) for part in item.get("content", ())]
    urls = [note["url"] for part in parts for note in part.get("annotations", ())]
    return response | {"citations": list(dict.fromkeys(urls))} if urls else response


def _nested(notes: list[JSON]) -> list[JSON]:
    """The annotations of chat, which has no such list."""
    return [note for note in notes if "url_citation" in note]


LISTED = chain(at_envelope(_listed), at_notes(_nested))


def _sealed(item: JSON) -> JSON:
    if item["type"] != "reasoning":
        return item
    name = item["id"].replace("rs_", "tco_")
    return {"encrypted_content": "c2VhbGVk"} | item | {"id": name, "summary": [], "status": "completed"}


SEALED = chain(in_stream(lambda events: _less(events, _SUMMARY_EVENTS)), at_items(_sealed))


_PART: JSON = {"type": "output_hologram", "hologram": {"angle": 30}}
_ITEM: JSON = {"type": "hologram_call", "status": "completed", "projector": ["left", None]}


def unknown_events(events: Events) -> Iterator[JSON]:
    """Events, items and parts of types that nobody has heard of."""
    for event in events:
        kind = event.get("type")
        if kind in _ENDS:
            response = unknown_body(event["response"])
            place = {"output_index": len(response["output"]) - 1, "item": response["output"][-1]}
            yield {"type": "response.output_item.added", **place}
            yield {"type": "response.output_item.done", **place}
            yield event | {"response": response}
        elif kind == "response.output_item.done":
            yield event | {"item": _with_part(event["item"])}
        else:
            yield event
        if kind == "response.created":
            yield {"type": "response.hologram.delta", "item_id": "hg_0", "delta": "unheard of"}
        elif kind == "response.content_part.done":
            yield event | {"content_index": 1, "part": _PART}


def unknown_body(response: JSON) -> JSON:
    """A body with an item and a part of unknown types."""
    if "output" not in response:
        return response
    item = {"id": f"hg_{response['id']}"} | _ITEM
    return response | {"output": [*map(_with_part, response["output"]), item]}


def _with_part(item: JSON) -> JSON:
    return item | {"content": [*item["content"], _PART]} if item.get("content") else item


UNKNOWN = Deviation(lambda events, _: unknown_events(events), lambda body, _: unknown_body(body))


def done(event: JSON) -> JSON:
    """The other name of the last event."""
    return event | {"type": "response.done"} if event.get("type") == "response.completed" else event


def incomplete(reason: str | None) -> Deviation:
    """A response that ended before its end, with or without a reason."""
    details = {"reason": reason} if reason else None

    def cut(response: JSON) -> JSON:
        if response.get("object") != "response":
            return response
        return response | {"status": "incomplete", "completed_at": None, "incomplete_details": details}

    def events(stream: Events, _: str) -> Iterator[JSON]:
        for event in stream:
            if event.get("type") in _ENDS:
                event = event | {"type": "response.incomplete", "response": cut(event["response"])}
            yield event

    return Deviation(events, lambda body, _: cut(body))


def _with_ids(response: JSON, sign: object) -> JSON:
    return response | {
        "output": [item | {"id": f"{item['id']}_{sign}"} for item in response.get("output", ())]
    }


def _other_ids(events: Events, *, rotate: bool) -> Iterator[JSON]:
    """Other item ids in the last event, and with `rotate` in each one."""
    for number, event in enumerate(events):
        if event.get("type") in _ENDS:
            yield event | {"response": _with_ids(event["response"], "end")}
        elif rotate and "item" in event:
            yield event | {"item": event["item"] | {"id": f"{event['item']['id']}_{number}"}}
        elif rotate and "item_id" in event:
            yield event | {"item_id": f"{event['item_id']}_{number}"}
        else:
            yield event


def _item_ids(*, rotate: bool) -> Deviation:
    def body(response: JSON, _: str) -> JSON:
        return _with_ids(response, "end") if "output" in response else response

    return Deviation(lambda events, _: _other_ids(events, rotate=rotate), body)


ITEM_IDS = {"rotate": _item_ids(rotate=True), "completed": _item_ids(rotate=False)}


def _text_of(event: JSON) -> str:
    item = event.get("item", {})
    return "".join(part.get("text", "") for part in item.get("content", ()) if item["type"] == "message")


def _added_text(events: Events, how: Callable[[str], str]) -> Iterator[JSON]:
    """Text in the item that is added, which the deltas then bring again."""
    stream = list(events)
    text = how(
        "".join(_text_of(event) for event in stream if event.get("type") == "response.output_item.done")
    )
    for event in stream:
        item = event.get("item", {})
        if event.get("type") == "response.output_item.added" and item["type"] == "message":
            part = {"type": "output_text", "text": text, "logprobs": [], "annotations": []}
            event = event | {"item": item | {"content": [part]}}
        yield event


ADDED_TEXT = {
    "whole": in_stream(partial(_added_text, how=lambda text: text)),
    "start": in_stream(partial(_added_text, how=lambda text: text[:9])),
}

INVISIBLE = "\u200b"


def _veiled(one: JSON) -> JSON:
    """Something with a finished text, which now has characters that nobody sees."""
    return one | {"text": one["text"].replace(" ", f" {INVISIBLE}")} if one.get("text") else one


def _veiled_event(event: JSON) -> JSON:
    kind = event.get("type", "")
    if kind == "response.output_text.done":
        return _veiled(event)
    return event | {"part": _veiled(event["part"])} if kind == "response.content_part.done" else event


def _veiled_item(item: JSON) -> JSON:
    return item | {"content": [*map(_veiled, item["content"])]} if item["type"] == "message" else item


VEILED = chain(in_events(_veiled_event), at_items(_veiled_item))


def _refusing(part: JSON) -> JSON:
    return {"type": "refusal", "refusal": part["text"]} if part["type"] == "output_text" else part


def _refused_item(item: JSON) -> JSON:
    return item | {"content": [*map(_refusing, item["content"])]} if item["type"] == "message" else item


def _refused_events(events: Events) -> Iterator[JSON]:
    for event in events:
        kind = event.get("type", "")
        if kind == "response.output_text.annotation.added":
            continue
        if kind.startswith("response.output_text."):
            event = event | {"type": kind.replace("output_text", "refusal")}
            event = without(event, "text") | {"refusal": event["text"]} if "text" in event else event
        elif kind.startswith("response.content_part."):
            event = event | {"part": _refusing(event["part"])}
        yield event


REFUSED = chain(in_stream(_refused_events), at_items(_refused_item))
