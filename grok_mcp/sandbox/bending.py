"""How a bend reaches its place in a reply: in every event of a stream, and in a whole body.

Nothing is changed in place: events share their parts with each other and with the body.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

JSON = dict[str, Any]
Events = Iterable[JSON]
Change = Callable[[JSON], JSON]


class Bending(NamedTuple):
    """What a deviation makes of a stream and of a body; both also get its value in the fault script."""

    events: Callable[[Events, str], Events]
    body: Callable[[JSON, str], JSON]


def in_stream(change: Callable[[Events], Events]) -> Bending:
    """Changes which events there are, or their order; a whole body stays as it is."""
    return Bending(lambda events, _: change(events), lambda body, _: body)


def in_events(change: Change) -> Bending:
    """Changes every event by itself; a whole body stays as it is."""
    return in_stream(lambda events: map(change, events))


def in_body(change: Change) -> Bending:
    """Changes whole bodies only."""
    return Bending(lambda events, _: events, lambda body, _: change(body))


def valued(make: Callable[[str], Bending]) -> Bending:
    """A bending that follows from the value in the script."""
    return Bending(
        lambda events, value: make(value).events(events, value),
        lambda body, value: make(value).body(body, value),
    )


def chain(*bendings: Bending) -> Bending:
    """One after the other."""

    def events(given: Events, value: str) -> Events:
        for bending in bendings:
            given = bending.events(given, value)
        return given

    def body(given: JSON, value: str) -> JSON:
        for bending in bendings:
            given = bending.body(given, value)
        return given

    return Bending(events, body)


def at_envelope(change: Change) -> Bending:
    """Changes what holds model and usage: a chunk, a body, or the response that an event carries."""
    return Bending(
        lambda events, _: (_enveloped(event, change) for event in events), lambda body, _: change(body)
    )


def _enveloped(event: JSON, change: Change) -> JSON:
    if "response" in event:
        return event | {"response": change(event["response"])}
    return event if "type" in event else change(event)


def at_usage(change: Change) -> Bending:
    """Changes the usage wherever it is told."""
    return at_envelope(lambda one: one | {"usage": change(one["usage"])} if one.get("usage") else one)


def at_choices(change: Change) -> Bending:
    """Changes every choice of a chat reply."""

    def chosen(one: JSON) -> JSON:
        return one | {"choices": [*map(change, one["choices"])]} if "choices" in one else one

    return at_envelope(chosen)


def at_messages(change: Change) -> Bending:
    """Changes what a choice of a chat reply says: a delta or a message."""
    return at_choices(
        lambda choice: choice | {key: change(choice[key]) for key in ("delta", "message") if key in choice}
    )


def at_items(change: Change) -> Bending:
    """Changes every output item of a responses reply, open or done."""

    def output(response: JSON) -> JSON:
        if "output" not in response:
            return response
        return response | {"output": [change(item) for item in response["output"]]}

    def event(one: JSON) -> JSON:
        return one | {"item": change(one["item"])} if "item" in one else _enveloped(one, output)

    return Bending(lambda events, _: map(event, events), lambda body, _: output(body))


def at_notes(change: Callable[[list[JSON]], list[JSON]]) -> Bending:
    """Changes the annotations of a text; an event that told only one which is gone goes too."""

    def noted(part: JSON) -> JSON:
        return part | {"annotations": change(part["annotations"])} if "annotations" in part else part

    def item(one: JSON) -> JSON:
        return one | {"content": [noted(part) for part in one["content"]]} if "content" in one else one

    def events(given: Events) -> Iterator[JSON]:
        for event in given:
            if "annotation" in event:
                yield from (event | {"annotation": note} for note in change([event["annotation"]]))
            else:
                yield event | {"part": noted(event["part"])} if "part" in event else event

    return chain(in_stream(events), at_items(item), at_messages(noted))


def without(one: JSON, *names: str) -> JSON:
    """The object less some of its fields."""
    return {name: value for name, value in one.items() if name not in names}
