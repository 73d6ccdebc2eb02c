"""Changes of chat completions: what gateways make of chunks, messages and tool calls."""

from collections.abc import Callable, Iterable, Iterator

from grok_mcp.sandbox.faults import Fault
from tests.sandbox_faults.changes import JSON, Deviation, Events, at_messages, in_stream, without
from tests.sandbox_faults.usage import in_dollars

SPLIT_CHARACTERS = 5


def no_index(choice: JSON) -> JSON:
    """A choice without its number."""
    return without(choice, "index")


def empty_finish(choice: JSON) -> JSON:
    """An empty reason in the last chunk."""
    return choice | {"finish_reason": ""} if "finish_reason" in choice else choice


def no_finish(choice: JSON) -> JSON:
    """No reason in any chunk."""
    return without(choice, "finish_reason")


def null_finish(choice: JSON) -> JSON:
    """A null reason in running chunks, as in 2025."""
    return {"finish_reason": None} | choice


def null_content(message: JSON) -> JSON:
    """Content null where there is none: beside the role, thoughts, tool calls and the finish reason."""
    return message if message.get("content") else message | {"content": None}


def empty_content(message: JSON) -> JSON:
    """Content "" where there is none."""
    return message if message.get("content") else message | {"content": ""}


def name_calls(events: Events) -> Iterator[JSON]:
    """Each tool call in many deltas, and the function's name in each of them."""
    for event in events:
        choices = event.get("choices") or [{}]
        calls = choices[0].get("delta", {}).get("tool_calls")
        for call in calls or ():
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            starts = range(0, len(arguments), SPLIT_CHARACTERS)
            pieces = [arguments[start : start + SPLIT_CHARACTERS] for start in starts]
            parts = [{"index": call["index"], "function": {"name": name, "arguments": one}} for one in pieces]
            for part in [call | {"function": {"name": name, "arguments": ""}}, *parts]:
                delta = choices[0]["delta"] | {"tool_calls": [part]}
                yield event | {"choices": [choices[0] | {"delta": delta}]}
        if not calls:
            yield event


def as_openrouter(fault: Fault, _: None) -> None:
    """What OpenRouter makes of a reply, and the comment that it sends while it waits for one."""
    fault.change_envelopes(openrouter)
    fault.pieces.append(processing)


def processing(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A comment before the first event."""
    for number, piece in enumerate(pieces):
        if number == 0 and piece.startswith(b"data: "):
            yield b": OPENROUTER PROCESSING\n\n"
        yield piece


def openrouter(envelope: JSON) -> JSON:
    """The fields of OpenRouter: who provides, why it ended in the provider's words, counts and price."""
    if "choices" not in envelope:
        return envelope
    changed = envelope | {"provider": "xAI", "choices": [_native(choice) for choice in envelope["choices"]]}
    return changed | {"usage": in_dollars(envelope["usage"])} if envelope.get("usage") else changed


def _native(choice: JSON) -> JSON:
    key = "delta" if "delta" in choice else "message"
    message = dict(choice[key])
    if "reasoning_content" in message:
        message["reasoning"] = message.pop("reasoning_content")
    reason = choice.get("finish_reason")
    return choice | {key: message, "finish_reason": reason, "native_finish_reason": reason}


def wrap(body: JSON) -> JSON:
    """AceData's envelope around a whole body."""
    return {"status": "success", "data": body} if "choices" in body else body


def index_one(choice: JSON) -> JSON:
    """The only choice under the number 1."""
    return choice | {"index": 1}


def _messages(place: Callable[[JSON, JSON], JSON]) -> Deviation:
    """A `message` that holds what has come so far in each chunk, placed into its choice."""

    def events(events: Events) -> Iterator[JSON]:
        so_far: JSON = {"role": "assistant", "content": ""}
        for event in events:
            if event.get("choices"):
                (choice,) = event["choices"]
                delta = choice["delta"]
                so_far = so_far | {"content": so_far["content"] + (delta.get("content") or "")}
                if "tool_calls" in delta:
                    so_far = so_far | {"tool_calls": delta["tool_calls"]}
                event = event | {"choices": [place(choice, so_far)]}
            yield event

    return in_stream(events)


def _behind(choice: JSON, message: JSON) -> JSON:
    return without(choice, "delta") | {"message": message} if choice.get("finish_reason") else choice


def _instead(choice: JSON, message: JSON) -> JSON:
    return choice | {"delta": without(choice["delta"], "content"), "message": message}


MESSAGES = {
    "beside": _messages(lambda choice, message: choice | {"message": message}),
    "behind": _messages(_behind),
    "instead": _messages(_instead),
    "null": _messages(lambda choice, message: choice | {"message": None}),
}


def _in_parts(thought: Callable[[str], JSON]) -> Deviation:
    """Content as a list of parts, the thoughts among them."""

    def parts(message: JSON) -> JSON:
        thoughts, text = message.get("reasoning_content"), message.get("content")
        if not thoughts and not text:
            return message
        found = [
            *([thought(thoughts)] if thoughts else []),
            *([{"type": "text", "text": text}] if text else []),
        ]
        return without(message, "reasoning_content") | {"content": found}

    return at_messages(parts)


THOUGHTS = {
    "reasoning": _in_parts(lambda text: {"type": "reasoning", "text": text}),
    "thinking": _in_parts(lambda text: {"type": "thinking", "thinking": [{"type": "text", "text": text}]}),
    "redacted": _in_parts(lambda text: {"type": "redacted_thinking", "data": text}),
}


def _refused(refusal: Callable[[str], JSON]) -> Deviation:
    return at_messages(
        lambda message: message | refusal(message["content"]) if message.get("content") else message
    )


REFUSED_FIELD = _refused(lambda text: {"content": None, "refusal": text})
REFUSED_PART = _refused(lambda text: {"content": [{"type": "refusal", "refusal": text}]})
