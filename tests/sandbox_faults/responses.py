"""Changes of the responses dialect: items, parts and ends as other versions of it sent them."""

import json
from collections.abc import Iterator

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
    return item | {"action": item["action"] | {"query": ""}} if "action" in item else item


def _old_item(item: JSON) -> JSON:
    if item["type"] == "web_search_call":
        query = item.get("action", {}).get("query")
        arguments = json.dumps({"query": query, "num_results": 5}) if query else ""
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
