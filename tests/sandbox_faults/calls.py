"""Changes of tool calls: how chunks number and name them, where they are cut, and what is no JSON in them."""

from collections.abc import Callable, Iterator

from tests.sandbox_faults.changes import (
    JSON,
    Change,
    Deviation,
    Events,
    at_arguments,
    at_messages,
    in_stream,
    without,
)


def _calls(event: JSON) -> list[JSON]:
    choices = event.get("choices") or [{}]
    found: list[JSON] = choices[0].get("delta", {}).get("tool_calls", [])
    return found


def _with_calls(event: JSON, *calls: JSON) -> JSON:
    choice = event["choices"][0]
    return event | {"choices": [choice | {"delta": choice["delta"] | {"tool_calls": [*calls]}}]}


def _one_by_one(change: Change) -> Callable[[Events], Iterator[JSON]]:
    """Each call in a chunk of its own, changed."""

    def events(events: Events) -> Iterator[JSON]:
        for event in events:
            yield from (_with_calls(event, change(call)) for call in _calls(event))
            if not _calls(event):
                yield event

    return events


def _again(events: Events) -> Iterator[JSON]:
    """Each call in two pieces, and once more whole when all are there."""
    for event in events:
        calls = _calls(event)
        for call in calls:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            middle = len(arguments) // 2
            yield _with_calls(event, call | {"function": {"name": name, "arguments": arguments[:middle]}})
            rest = {"arguments": arguments[middle:]}
            yield _with_calls(event, {"index": call["index"], "function": rest})
        yield _with_calls(event, *calls) if calls else event


def _each(change: Callable[[JSON, int], JSON]) -> Deviation:
    """Changes the calls of a message by their number, in a stream and in a body."""

    def changed(message: JSON) -> JSON:
        calls = message.get("tool_calls")
        if not calls:
            return message
        return message | {"tool_calls": [change(call, number) for number, call in enumerate(calls, 1)]}

    return at_messages(changed)


def _unnamed(call: JSON, _: int) -> JSON:
    return call | {"function": without(call["function"], "name")}


IDENTITIES = {
    "oneindex": in_stream(_one_by_one(lambda call: call | {"index": 0})),
    "noindex": in_stream(_one_by_one(lambda call: without(call, "index"))),
    "again": in_stream(_again),
    "oneid": _each(lambda call, _: call | {"id": "call_1"}),
    "counted": _each(lambda call, number: call | {"id": f"call_{number}"}),
    "unnamed": _each(_unnamed),
}

CUT = at_arguments(lambda arguments: arguments[: len(arguments) // 2])

ODD = {
    "nan": "NaN",
    "infinity": "-Infinity",
    "huge": "1e999",
    "deep": "[" * 3000 + "]" * 3000,
    "surrogate": '"\\ud83d"',
}
"""What some JSON libraries write, or read, and others do not."""


def odd_json(text: str, value: str) -> str:
    """A JSON object with an odd value before its own."""
    return f'{{"odd": {ODD[value]}, {text[1:]}' if text.startswith("{") else text


def _odd(value: str) -> Deviation:
    return at_arguments(lambda arguments: odd_json(arguments, value))


ODD_ARGUMENTS = {value: _odd(value) for value in ODD}
