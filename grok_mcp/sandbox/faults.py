"""Fault scripts, which stand behind the model's name: how an exchange goes wrong on demand.

A script is a list of words, and each word fills in a `Fault`, the plan of one exchange. The words that
page docs/sandbox.md names are here. A sandbox takes further ones as `create_app(faults=...)`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

from grok_mcp.sandbox.answering import Question, Reply
from grok_mcp.sandbox.errors import JSON, NO_CREDIT, RefusalError, error_body, refusal, unknown_tool

T = TypeVar("T")

MAX_SCRIPTS = 1024


@dataclass
class Fault:
    """How one exchange goes wrong; by default it does not. The lists hold changes, in their order.

    Refusals get the dialect ("chat" or "responses") and the body. `events` and `bodies` change the content of
    a reply, `pieces` its bytes: server-sent events, or the halves of a body. After `ends_after` of these it
    ends, as `ending` says: "stall", "cut", "reset", or cleanly.
    """

    script: Mapping[str, str] = field(default_factory=dict)
    times: int | None = None
    delay: float = 0.0
    pace: float | None = None
    ends_after: int | None = None
    ending: str = ""
    headers: dict[str, str | None] = field(default_factory=dict)
    write_error: Callable[[RefusalError], tuple[bytes, str]] = error_body
    refusals: list[Callable[[str, JSON], RefusalError | None]] = field(default_factory=list)
    requests: list[Callable[[JSON], JSON]] = field(default_factory=list)
    replies: list[Callable[[Question, Reply], Reply]] = field(default_factory=list)
    events: list[Callable[[Iterable[JSON]], Iterable[JSON]]] = field(default_factory=list)
    bodies: list[Callable[[JSON], JSON]] = field(default_factory=list)
    pieces: list[Callable[[Iterable[bytes]], Iterable[bytes]]] = field(default_factory=list)

    def refuse(self, dialect: str, body: JSON) -> None:
        """Raise the first refusal that applies to the request."""
        for check in self.refusals:
            error = check(dialect, body)
            if error is not None:
                raise error

    def change_envelopes(self, change: Callable[[JSON], JSON]) -> None:
        """Change what holds model and usage: each chunk, each response in an event, and a whole body."""

        def event(event: JSON) -> JSON:
            if "response" in event:
                return event | {"response": change(event["response"])}
            return event if "type" in event else change(event)

        self.events.append(partial(map, event))
        self.bodies.append(change)


class Word(NamedTuple):
    """A word of the script: the kind of its value, its effect, and how it fills in a fault.

    The kind is "" (none), N (a whole number), S (seconds), STATUS, NAME, TEXT, or a choice such as "402|403".
    """

    name: str
    kind: str
    effect: str
    fill: Callable[[Fault, Any], None]


def changed(changes: Iterable[Callable[[T], T]], value: T) -> T:
    """The value after all changes."""
    for change in changes:
        value = change(value)
    return value


def _refusing(check: Callable[[Any, str, JSON], RefusalError | None]) -> Callable[[Fault, Any], None]:
    """Refuses the requests for which `check`, by the word's value, returns an error."""
    return lambda fault, value: fault.refusals.append(partial(check, value))


def _setting(name: str) -> Callable[[Fault, Any], None]:
    return lambda fault, value: setattr(fault, name, value)


def _ending(how: str) -> Callable[[Fault, Any], None]:
    def fill(fault: Fault, count: int) -> None:
        fault.ends_after, fault.ending = count, how

    return fill


def _ask_to_wait(fault: Fault, seconds: float) -> None:
    fault.headers["retry-after"] = f"{seconds:g}"


def _no_credits(status: str, *_: Any) -> RefusalError:
    return refusal(int(status), "" if status == "402" else NO_CREDIT)


def _unsafe(*_: Any) -> RefusalError:
    message = "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"
    return RefusalError(403, message, code="permission-denied")


def _server_tools(status: str, dialect: str, body: JSON) -> RefusalError | None:
    for place, tool in enumerate(body.get("tools") or []):
        if dialect == "responses" and tool.get("type") != "function":
            return refusal(404, "Not Found") if status == "404" else unknown_tool(place, tool.get("type"))
    return None


def _json_formats(_: None, dialect: str, body: JSON) -> RefusalError | None:
    described = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    name = "response_format" if dialect == "chat" else "text.format"
    supported = described.get("type", "text") == "text"
    return None if supported else refusal(400, f"{name} is not supported by this model.")


def _fail(fault: Fault, count: int) -> None:
    error = {"code": "server_error", "message": "Internal server error"}

    def failed(response: JSON) -> JSON:
        if response.get("object") != "response":
            return response
        return response | {"status": "failed", "completed_at": None, "error": error, "output": []}

    def events(events: Iterable[JSON]) -> Iterator[JSON]:
        """The usage is that of the whole answer."""
        *before, end = events
        if "response" not in end:
            yield from [*before, end]
            return
        yield from before[:count]
        yield {"type": "response.failed", "response": failed(end["response"])}

    fault.events.append(events)
    fault.bodies.append(failed)


def _split_calls(events: Iterable[JSON]) -> Iterator[JSON]:
    """Each tool call in many deltas: the first has id, type and name, each further one five characters."""
    for event in events:
        choices = event.get("choices") or [{}]
        calls = choices[0].get("delta", {}).get("tool_calls", ())
        for call in calls:
            arguments = call["function"]["arguments"]
            pieces = [arguments[start : start + 5] for start in range(0, len(arguments), 5)]
            parts = [{"index": call["index"], "function": {"arguments": piece}} for piece in pieces]
            for part in [call | {"function": call["function"] | {"arguments": ""}}, *parts]:
                delta = choices[0]["delta"] | {"tool_calls": [part]}
                yield event | {"choices": [choices[0] | {"delta": delta}]}
        if not calls:
            yield event


_NEWAPI_FIELDS = ("id", "object", "created", "model", "choices", "usage")


def _rebuild(envelope: JSON) -> JSON:
    """new-api fills a struct of its own: sources are lost, and it counts reasoning inside the completion."""
    if "choices" not in envelope:
        return envelope
    rebuilt = {name: envelope[name] for name in _NEWAPI_FIELDS if name in envelope}
    rebuilt["choices"] = [
        choice | {key: {name: value for name, value in choice[key].items() if name != "annotations"}}
        for choice in envelope["choices"]
        for key in ("delta", "message")
        if key in choice
    ]
    if usage := rebuilt.get("usage"):
        completion = usage["total_tokens"] - usage["prompt_tokens"]
        details = usage["completion_tokens_details"]
        rebuilt["usage"] = {name: value for name, value in usage.items() if "tokens" in name} | {
            "completion_tokens": completion,
            "completion_tokens_details": details | {"text_tokens": completion - details["reasoning_tokens"]},
        }
    return rebuilt


_FOUND = {"file_id": "file_7", "filename": "minutes.pdf", "score": 0.82, "text": "The council approved it."}
_OTHERS: Mapping[str, tuple[JSON, ...]] = {
    "files": ({"type": "file_search_call", "queries": ["council minutes"], "results": [_FOUND]},),
    "mcp": (
        {
            "type": "mcp_call",
            "server_label": "city",
            "name": "timetable",
            "arguments": "{}",
            "output": "4 min",
        },
    ),
    "media": (
        {"type": "view_image_call", "arguments": "{}"},
        {"type": "view_x_video_call", "arguments": "{}"},
        {"type": "image_generation_call", "prompt": "a tram", "result": "aGVkZ2Vob2c="},
    ),
}


def _also(fault: Fault, tool: str) -> None:
    fault.replies.append(lambda _, reply: replace(reply, others=reply.others + _OTHERS[tool]))


def _serve_as(fault: Fault, name: str) -> None:
    fault.change_envelopes(lambda envelope: envelope | {"model": name} if "model" in envelope else envelope)


WORDS = (
    Word("status", "STATUS", "an error body with this status", _refusing(lambda n, *_: refusal(n))),
    Word("credits", "402|403|429", "refuse, as credits are used up", _refusing(_no_credits)),
    Word("unsafe", "", "refuse for safety, with 403", _refusing(_unsafe)),
    Word("notools", "404|422", "refuse server tools on responses", _refusing(_server_tools)),
    Word("noformat", "", "refuse JSON formats, with 400", _refusing(_json_formats)),
    Word("retry-after", "S", "a Retry-After header", _ask_to_wait),
    Word("times", "N", "only the first N requests with this script", _setting("times")),
    Word("delay", "S", "wait before the first byte", _setting("delay")),
    Word("stall", "N", "send nothing more after N events", _ending("stall")),
    Word("cut", "N", "break the connection off after N events", _ending("cut")),
    Word("reset", "N", "the same with a TCP reset", _ending("reset")),
    Word("failed", "N", "response.failed after N events", _fail),
    Word("splitcalls", "", "tool calls in many deltas, on chat", lambda f, _: f.events.append(_split_calls)),
    Word("also", "files|mcp|media", "items of these server tools too, on responses", _also),
    Word("rebuilt", "", "new-api's fields and counts, on chat", lambda f, _: f.change_envelopes(_rebuild)),
    Word("served", "NAME", "another model answers than was requested", _serve_as),
)

_RANGES: Mapping[str, tuple[Callable[[str], float], int, int]] = {
    "N": (int, 0, 86_400),
    "S": (float, 0, 86_400),
    "STATUS": (int, 400, 600),
}


def grammar(words: Iterable[Word]) -> str:
    """The answer to a script that breaks the grammar."""
    signs = [(f"{word.name}={word.kind}" if word.kind else word.name, word.effect) for word in words]
    lines = [f"  {sign:<20} {effect}" for sign, effect in signs]
    return "\n".join(["A fault script is a list of words separated by ';' or ',':", *lines])


def read_fault(script: str, words: Iterable[Word] = WORDS) -> Fault:
    """Read a fault script; a script that breaks the grammar is refused with the grammar."""
    words = tuple(words)
    order = {word.name: place for place, word in enumerate(words)}
    parts = {}
    for part in filter(None, map(str.strip, script.replace(",", ";").split(";"))):
        parts[part.partition("=")[0].strip().lower().replace("_", "-")] = part
    fault = Fault({name: part.partition("=")[2].strip() for name, part in parts.items()})
    for name in sorted(parts, key=lambda name: order.get(name, -1)):
        try:
            word = words[order[name]]
            word.fill(fault, _read(word.kind, fault.script[name]))
        except (KeyError, ValueError):
            message = f"Not understood in the fault script: {parts[name]!r}\n{grammar(words)}"
            raise refusal(400, message) from None
    return fault


def _read(kind: str, text: str) -> Any:
    """The value of a word; ValueError where it is not of its kind."""
    if kind in _RANGES:
        number, least, end = _RANGES[kind][0](text), *_RANGES[kind][1:]
        if least <= number < end:
            return number
    elif (kind in ("NAME", "TEXT") and text) or text in kind.split("|"):
        return text
    raise ValueError(f"not of the kind {kind}")


class FaultBook:
    """The words that a sandbox knows, and how often each script with `times` has run."""

    def __init__(self, faults: Iterable[Word] = ()) -> None:
        self._words = (*WORDS, *faults)
        self._runs: Counter[str] = Counter()

    def take(self, script: str) -> Fault:
        """The fault for one more request with this script."""
        fault = read_fault(script, self._words)
        if fault.times is None:
            return fault
        self._runs[script] += 1
        if len(self._runs) > MAX_SCRIPTS:
            del self._runs[next(iter(self._runs))]
        return fault if self._runs[script] <= fault.times else Fault()
