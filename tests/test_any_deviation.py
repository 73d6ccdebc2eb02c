"""Any answer, with any of the deviations of real endpoints in it at random, comes back whole, or is told.

The answer is drawn first, and the stream is written from it. What has to come back follows from the answer.
Nothing is drawn while a loop runs: what Hypothesis raises to give an example up would be lost in it.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.support.endpoint import Endpoint, Reply
from tests.support.host import Result, host_on

JSON = dict[str, Any]
Payloads = list[JSON]
Change = Callable[[Payloads, "Drawn"], Payloads]

FUNCTIONS = [{"name": name, "parameters": {"type": "object"}} for name in ("read", "write")]
INVISIBLE = "\u200b\u2060\ufeff"


@dataclass(frozen=True)
class Drawn:
    """An answer: the pieces of its text, its calls as (name, arguments), its counts, and why it ended."""

    pieces: tuple[str, ...]
    calls: tuple[tuple[str, str], ...]
    counts: tuple[int, int]
    finish: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)


words = st.text(st.sampled_from('ab é”🚋\n"\\'), min_size=1, max_size=6)
calls = st.tuples(
    st.sampled_from(["read", "write"]),
    st.dictionaries(st.sampled_from("xyz"), st.integers() | words, max_size=2).map(json.dumps),
)
answers = st.builds(
    Drawn,
    pieces=st.lists(words, min_size=1, max_size=6).map(tuple),
    calls=st.lists(calls, max_size=3).map(tuple),
    counts=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    finish=st.sampled_from(["stop", "length", "content_filter"]),
)


# ------------------------------------------------------------------------------------- chat completions


def chunk(delta: JSON, **choice: Any) -> JSON:
    return {"model": "grok-4.7", "choices": [{"index": 0, "delta": delta, **choice}]}


def chat_of(answer: Drawn) -> Payloads:
    """The plain stream: a role, the text, the calls in two pieces each, the end, the usage."""
    stream = [chunk({"role": "assistant"}), *(chunk({"content": piece}) for piece in answer.pieces)]
    for index, (name, arguments) in enumerate(answer.calls):
        function = {"name": name, "arguments": arguments[:1]}
        stream.append(chunk({"tool_calls": [{"index": index, "id": f"call_{index}", "function": function}]}))
        rest = {"index": index, "function": {"arguments": arguments[1:]}}
        stream.append(chunk({"tool_calls": [rest]}))
    finish = "tool_calls" if answer.calls and answer.finish == "stop" else answer.finish
    given, written = answer.counts
    usage = {"prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written}
    return [*stream, chunk({}, finish_reason=finish), {"choices": [], "usage": usage}]


def each_choice(change: Callable[[JSON], JSON]) -> Change:
    def changed(stream: Payloads, answer: Drawn) -> Payloads:
        return [one | {"choices": list(map(change, one["choices"]))} for one in stream]

    return changed


def message_of(answer: Drawn) -> JSON:
    calls = [
        {"id": f"call_{index}", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(answer.calls)
    ]
    return {"role": "assistant", "content": answer.text, "tool_calls": calls}


def growing_message(stream: Payloads, answer: Drawn) -> Payloads:
    """A message beside each delta that holds all the text so far."""
    so_far, changed = "", []
    for one in stream:
        for choice in one["choices"]:
            so_far += choice["delta"].get("content") or ""
            one = one | {"choices": [choice | {"message": {"content": so_far}}]}
        changed.append(one)
    return changed


def message_at_the_end(stream: Payloads, answer: Drawn) -> Payloads:
    return [
        one | {"choices": [choice | {"message": message_of(answer)} for choice in one["choices"]]}
        if any(choice.get("finish_reason") for choice in one["choices"])
        else one
        for one in stream
    ]


def whole_calls_again(stream: Payloads, answer: Drawn) -> Payloads:
    again = [
        chunk({"tool_calls": [{"index": index, **call}]})
        for index, call in enumerate(message_of(answer)["tool_calls"])
    ]
    return [*stream[:-2], *again, *stream[-2:]]


def calls_in_one_piece(stream: Payloads, answer: Drawn, *, index: bool) -> Payloads:
    """One delta for each call: all under the index 0, or without one."""
    made = [
        chunk({"tool_calls": [{**({"index": 0} if index else {}), **call}]})
        for call in message_of(answer)["tool_calls"]
    ]
    rest = [one for one in stream if not any("tool_calls" in choice["delta"] for choice in one["choices"])]
    return [*rest[:-2], *made, *rest[-2:]]


def parts_with_thoughts(choice: JSON) -> JSON:
    content = choice["delta"].get("content")
    if not content:
        return choice
    parts = [{"type": "thinking", "thinking": "SECRET"}, {"type": "text", "text": content}]
    return choice | {"delta": choice["delta"] | {"content": parts}}


FINISH_WORDS = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "stop": "eos_token_found"}


def other_finish_words(choice: JSON) -> JSON:
    reason = choice.get("finish_reason")
    return choice | {"finish_reason": FINISH_WORDS.get(reason, reason)} if reason else choice


def zeros_at_the_end(stream: Payloads, answer: Drawn) -> Payloads:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return [*stream, {"choices": [], "usage": zeros}]


CHAT: dict[str, dict[str, Change]] = {
    "calls": {
        "again behind their pieces": whole_calls_again,
        "under one index": lambda stream, answer: calls_in_one_piece(stream, answer, index=True),
        "without index": lambda stream, answer: calls_in_one_piece(stream, answer, index=False),
    },
    "message": {
        "that grows": growing_message,
        "at the end": message_at_the_end,
        "that is null": each_choice(lambda choice: choice | {"message": None}),
    },
    "choice": {
        "number 1": each_choice(lambda choice: choice | {"index": 1}),
        "without index": each_choice(
            lambda choice: {name: value for name, value in choice.items() if name != "index"}
        ),
    },
    "thoughts": {"among the parts": each_choice(parts_with_thoughts)},
    "end": {"in other words": each_choice(other_finish_words)},
    "usage": {"zeros at the end": zeros_at_the_end},
    "chunks": {
        "empty ones": lambda stream, answer: [more for one in stream for more in (chunk({}), one)],
    },
}
"""What deviates, and the ways in which it does; an endpoint has one of each at most."""


# ------------------------------------------------------------------------------------- responses


def items_of(answer: Drawn) -> Payloads:
    content = [{"type": "output_text", "text": answer.text}]
    items: Payloads = [{"type": "message", "id": "m", "content": content}]
    for index, (name, arguments) in enumerate(answer.calls):
        call = {"type": "function_call", "id": f"f{index}", "call_id": f"call_{index}"}
        items.append({**call, "name": name, "arguments": arguments})
    return items


def at(name: str, place: int, kind: str, **more: Any) -> JSON:
    return {"type": f"response.{kind}", "item_id": name, "output_index": place, **more}


def responses_of(answer: Drawn) -> Payloads:
    """The plain stream: created, each item announced, in deltas and done, completed."""
    message, *functions = items_of(answer)
    stream = [
        {"type": "response.created", "response": {"model": "grok-4.7"}},
        at("m", 0, "output_item.added", item=message | {"content": []}),
        *(at("m", 0, "output_text.delta", content_index=0, delta=piece) for piece in answer.pieces),
        at("m", 0, "output_text.done", content_index=0, text=answer.text),
        at("m", 0, "output_item.done", item=message),
    ]
    for place, item in enumerate(functions, 1):
        arguments = item["arguments"]
        stream.append(at(item["id"], place, "output_item.added", item=item | {"arguments": ""}))
        stream += [
            at(item["id"], place, "function_call_arguments.delta", delta=piece)
            for piece in (arguments[:1], arguments[1:])
        ]
        stream.append(at(item["id"], place, "output_item.done", item=item))
    given, written = answer.counts
    usage = {"input_tokens": given, "output_tokens": written, "total_tokens": given + written}
    whole: JSON = {"object": "response", "model": "grok-4.7", "status": "completed", "usage": usage}
    if answer.finish != "stop":
        reason = "max_output_tokens" if answer.finish == "length" else "content_filter"
        whole |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return [
        *stream,
        {"type": f"response.{whole['status']}", "response": whole | {"output": items_of(answer)}},
    ]


def only(*kinds: str) -> Callable[[JSON], bool]:
    return lambda event: event["type"].removeprefix("response.") in kinds


def dropped(*kinds: str) -> Change:
    return lambda stream, answer: [event for event in stream if not only(*kinds)(event)]


def rotating_ids(stream: Payloads, answer: Drawn) -> Payloads:
    """Another item id in each event, and in the whole response."""
    return [
        json.loads(json.dumps(event).replace('"id": "m"', f'"id": "m{number}"'))
        | ({"item_id": f"{event['item_id']}_{number}"} if "item_id" in event else {})
        for number, event in enumerate(stream)
    ]


def announced_with_text(stream: Payloads, answer: Drawn) -> Payloads:
    message = items_of(answer)[0]
    return [
        event | {"item": message}
        if only("output_item.added")(event) and event["output_index"] == 0
        else event
        for event in stream
    ]


def invisible_at_the_end(stream: Payloads, answer: Drawn) -> Payloads:
    """Invisible characters in the whole text that were not in its deltas."""
    dotted = INVISIBLE.join((answer.text[:1], answer.text[1:]))
    return [_with_text(event, answer.text, dotted) if "delta" not in event else event for event in stream]


def _with_text(value: Any, text: str, other: str) -> Any:
    if isinstance(value, list):
        return [_with_text(one, text, other) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: other if name == "text" and one == text else _with_text(one, text, other)
        for name, one in value.items()
    }


def without_the_first_delta(stream: Payloads, answer: Drawn) -> Payloads:
    """A delta that never comes: the whole text stands behind."""
    deltas = [place for place, event in enumerate(stream) if only("output_text.delta")(event)]
    return [event for place, event in enumerate(stream) if place != deltas[0]]


RESPONSES: dict[str, dict[str, Change]] = {
    "text": {
        "no deltas": dropped("output_text.delta", "function_call_arguments.delta"),
        "announced whole": announced_with_text,
        "a delta that never comes": without_the_first_delta,
    },
    "items": {
        "none": dropped("output_item.added", "output_item.done"),
        "none that are done": dropped("output_item.done", "output_text.done"),
        "each done twice": lambda stream, answer: [
            more for one in stream for more in ((one, one) if only("output_item.done")(one) else (one,))
        ],
    },
    "the end": {"with other invisible characters": invisible_at_the_end},
    "ids": {"that change": rotating_ids},
}


# ------------------------------------------------------------------------------------- bytes


def plain_bytes(stream: Iterable[JSON]) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in stream) + b"data: [DONE]\n\n"


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "carriage returns": lambda content: content.replace(b"\n", b"\r\n"),
    "no blank lines": lambda content: content.replace(b"\n\n", b"\n"),
    "[DONE] glued to the last event": lambda content: content.replace(b"\n\ndata: [DONE]", b"\ndata: [DONE]"),
    "comments": lambda content: content.replace(b"\n\n", b"\n\n: working\n\n"),
    "a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "keep-alive words": lambda content: content.replace(b"\n\n", b"\n\ndata: ping\n\n", 2),
}

FAULTS: dict[str, Callable[[Payloads, int], bytes]] = {
    "cut": lambda stream, place: plain_bytes(stream[:place]).removesuffix(b"data: [DONE]\n\n"),
    "a hole": lambda stream, place: plain_bytes(
        [*stream[:place], {"hole": "hole"}, *stream[place + 1 :]]
    ).replace(b'{"hole": "hole"}', b'{"choices": [{"del'),
    "an error in its place": lambda stream, place: plain_bytes(
        [*stream[:place], {"error": {"message": "Provider disconnected", "code": 502}}, *stream[place:]]
    ),
}


# ------------------------------------------------------------------------------------- what comes back


async def told(content: bytes, dialect: str) -> Result:
    reply = Reply(pieces=(content,))
    async with Endpoint(reply) as endpoint:
        settings: JSON = {"results": "structured", "dialect": dialect, "max_retries": 0}
        async with host_on(endpoint, gateway="openrouter", **settings) as host:
            return await host.ask(tools=FUNCTIONS)


def assert_is(result: Result, answer: Drawn) -> None:
    """The answer has come back as it was drawn."""
    came = result.structured
    assert came.get("text", "").translate(dict.fromkeys(map(ord, INVISIBLE))) == answer.text
    made = [(call["name"], call["arguments"]) for call in came.get("tool_calls", ())]
    assert made == [(name, json.loads(arguments)) for name, arguments in answer.calls]
    ids = [call["id"] for call in came.get("tool_calls", ())]
    assert len(set(ids)) == len(ids)
    assert (came["usage"]["input_tokens"], came["usage"]["output_tokens"]) == answer.counts
    assert came["finish_reason"] == (
        "tool_calls" if answer.calls and answer.finish == "stop" else answer.finish
    )
    assert "alternatives" not in came and "SECRET" not in json.dumps(came)


DIALECTS = {
    "chat_completions": (chat_of, CHAT),
    "responses": (responses_of, RESPONSES),
}
checked = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def deviating(data: st.DataObject, dialect: str, answer: Drawn) -> Payloads:
    write, changes = DIALECTS[dialect]
    stream = write(answer)
    for ways in changes.values():
        way = data.draw(st.sampled_from(["", *ways]))
        stream = ways[way](stream, answer) if way else stream
    return stream


@checked
@given(data=st.data(), answer=answers)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_any_deviations_together_give_the_answer_that_was_meant(
    dialect: str, data: st.DataObject, answer: Drawn
) -> None:
    content = plain_bytes(deviating(data, dialect, answer))
    for name in data.draw(st.lists(st.sampled_from(sorted(BYTES)), unique=True, max_size=2)):
        content = BYTES[name](content)
    assert_is(anyio.run(told, content, dialect), answer)


@checked
@given(data=st.data(), answer=answers)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_fault_amid_any_deviations_is_told_and_nothing_less_counts_as_whole(
    dialect: str, data: st.DataObject, answer: Drawn
) -> None:
    stream = deviating(data, dialect, answer)
    fault = FAULTS[data.draw(st.sampled_from(sorted(FAULTS)))]
    content = fault(stream, data.draw(st.integers(0, len(stream) - 1)))
    result = anyio.run(told, content, dialect)
    if result.raw.is_error:
        assert result.error["code"] in ("interrupted", "connection", "upstream", "overloaded", "length") or (
            result.error["code"] == "content_filter" and answer.finish == "content_filter"
        )
        return
    came = result.structured
    if came["finish_reason"] == "interrupted":
        assert any("incomplete" in warning for warning in came["warnings"])
    else:
        assert came["text"].translate(dict.fromkeys(map(ord, INVISIBLE))) == answer.text
