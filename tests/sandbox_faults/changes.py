"""How a change reaches its place in a reply: in every event of a stream, and in a whole body.

Nothing is changed in place: events share their parts with each other and with the body.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from grok_mcp.sandbox.faults import Fault, Word

JSON = dict[str, Any]
Events = Iterable[JSON]
Change = Callable[[JSON], JSON]


class Deviation(NamedTuple):
    """What a deviation makes of a stream and of a body; both also get its value in the fault script."""

    events: Callable[[Events, str], Events]
    body: Callable[[JSON, str], JSON]


def word(name: str, effect: str, deviation: Deviation, value: str = "") -> Word:
    """The word of the fault script for a change of the reply's content."""
    return Word(name, value, effect, partial(_fill, deviation))


def _fill(deviation: Deviation, fault: Fault, value: str) -> None:
    fault.events.append(lambda events: deviation.events(events, value))
    fault.bodies.append(lambda body: deviation.body(body, value))


def choice(name: str, effect: str, deviations: Mapping[str, Deviation]) -> Word:
    """The word for a change that has several forms, each named by a value."""
    return word(name, effect, valued(deviations.__getitem__), "|".join(deviations))


def in_stream(change: Callable[[Events], Events]) -> Deviation:
    """Changes which events there are, or their order; a whole body stays as it is."""
    return Deviation(lambda events, _: change(events), lambda body, _: body)


def in_events(change: Change) -> Deviation:
    """Changes every event by itself; a whole body stays as it is."""
    return in_stream(lambda events: map(change, events))


def in_body(change: Change) -> Deviation:
    """Changes whole bodies only."""
    return Deviation(lambda events, _: events, lambda body, _: change(body))


def valued(make: Callable[[str], Deviation]) -> Deviation:
    """A deviation that depends on the value in the script."""
    return Deviation(
        lambda events, value: make(value).events(events, value),
        lambda body, value: make(value).body(body, value),
    )


def chain(*deviations: Deviation) -> Deviation:
    """One after the other."""

    def events(stream: Events, value: str) -> Events:
        for deviation in deviations:
            stream = deviation.events(stream, value)
        return stream

    def body(whole: JSON, value: str) -> JSON:
        for deviation in deviations:
            whole = deviation.body(whole, value)
        return whole

    return Deviation(events, body)


def at_envelope(change: Change) -> Deviation:
    """Changes what holds model and usage: a chunk, a body, or the response that an event carries."""
    return Deviation(
        lambda events, _: (_enveloped(event, change) for event in events), lambda body, _: change(body)
    )


def _enveloped(event: JSON, change: Change) -> JSON:
    if "response" in event:
        return event | {"response": change(event["response"])}
    return event if "type" in event else change(event)


def at_usage(change: Change) -> Deviation:
    """Changes the usage wherever it is reported."""
    return at_envelope(lambda one: one | {"usage": change(one["usage"])} if one.get("usage") else one)


def at_choices(change: Change) -> Deviation:
    """Changes every choice of a chat reply."""

    def in_choices(one: JSON) -> JSON:
        return one | {"choices": [*map(change, one["choices"])]} if "choices" in one else one

    return at_envelope(in_choices)


def at_messages(change: Change) -> Deviation:
    """Changes what a choice of a chat reply says: a delta or a message."""
    return at_choices(
        lambda choice: choice | {key: change(choice[key]) for key in ("delta", "message") if key in choice}
    )


def at_items(change: Change) -> Deviation:
    """Changes every output item of a responses reply, open or done."""

    def output(response: JSON) -> JSON:
        if "output" not in response:
            return response
        return response | {"output": [change(item) for item in response["output"]]}

    def event(one: JSON) -> JSON:
        return one | {"item": change(one["item"])} if "item" in one else _enveloped(one, output)

    return Deviation(lambda events, _: map(event, events), lambda body, _: output(body))


def at_arguments(change: Callable[[str], str]) -> Deviation:
    """Changes the arguments of calls: of functions in both dialects, and of searches that have some."""

    def called(message: JSON) -> JSON:
        return (
            message | {"tool_calls": [*map(function, message["tool_calls"])]}
            if "tool_calls" in message
            else message
        )

    def function(call: JSON) -> JSON:
        return call | {"function": fields(call["function"], "arguments")}

    def fields(one: JSON, *names: str) -> JSON:
        return one | {name: change(one[name]) for name in names if one.get(name)}

    def event(one: JSON) -> JSON:
        about = one.get("type", "").partition(".")[2].startswith(_ARGUMENT_EVENTS)
        return fields(one, "delta", "arguments", "input") if about else one

    items = at_items(lambda item: fields(item, "arguments", "input") if item["type"] in _CALLS else item)
    return chain(in_events(event), items, at_messages(called))


_ARGUMENT_EVENTS = ("function_call_arguments.", "custom_tool_call_input.")
_CALLS = ("function_call", "custom_tool_call")


def at_notes(change: Callable[[list[JSON]], list[JSON]]) -> Deviation:
    """Changes the annotations of a text; an event that only reports a removed one goes too."""

    def annotated(part: JSON) -> JSON:
        return part | {"annotations": change(part["annotations"])} if "annotations" in part else part

    def item(one: JSON) -> JSON:
        return one | {"content": [annotated(part) for part in one["content"]]} if "content" in one else one

    def events(stream: Events) -> Iterator[JSON]:
        for event in stream:
            if "annotation" in event:
                yield from (event | {"annotation": note} for note in change([event["annotation"]]))
            else:
                yield event | {"part": annotated(event["part"])} if "part" in event else event

    return chain(in_stream(events), at_items(item), at_messages(annotated))


def without(one: JSON, *names: str) -> JSON:
    """The object less some of its fields."""
    return {name: value for name, value in one.items() if name not in names}
