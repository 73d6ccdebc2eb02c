"""The deviations of real endpoints, a row each: a word of the fault script, what it says, what it does.

To add one, add its row and the function beside those of its dialect; the row also makes the grammar. A word
that means nothing in the dialect that was asked finds nothing to change. The order is that of the changes:
those of the stream's order come first, those of single fields last.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from grok_mcp.sandbox import bends_chat as chat
from grok_mcp.sandbox import bends_responses as responses
from grok_mcp.sandbox import bends_usage as usage
from grok_mcp.sandbox.bending import (
    JSON,
    Bending,
    Events,
    at_choices,
    at_envelope,
    at_items,
    at_messages,
    at_notes,
    at_usage,
    chain,
    in_body,
    in_events,
    in_stream,
    valued,
    without,
)


class Bend(NamedTuple):
    """One deviation; `takes` names the value that it wants, in the grammar's words."""

    name: str
    says: str
    bending: Bending
    takes: str = ""


def _thoughts_twice(events: Events) -> Iterator[JSON]:
    for event in events:
        yield event
        delta = (event.get("choices") or [{}])[0].get("delta", {})
        if "reasoning_content" in delta or event.get("type") == "response.reasoning_summary_text.delta":
            yield event


def _finish(choice: JSON, reason: str) -> JSON:
    return choice | {"finish_reason": reason} if choice.get("finish_reason") else choice


def _serve(envelope: JSON, name: str) -> JSON:
    return envelope | {"model": name} if "model" in envelope else envelope


BENDS: Mapping[str, tuple[Bend, ...]] = {
    "Responses": (
        Bend("interleave", "an item opens and closes amid the text", in_stream(responses.interleave)),
        Bend("itemtext", "text only in the finished item, no deltas", in_stream(responses.item_text)),
        Bend("twice", "every item is done twice", in_stream(responses.items_twice)),
        Bend("olditems", "searches in the form of 2025", responses.OLD),
        Bend("noaction", "web searches without an action", at_items(responses.no_action)),
        Bend("emptyquery", "web searches with an empty query", at_items(responses.empty_query)),
        Bend("toplist", "a list `citations` in place of annotations", responses.LISTED),
        Bend("sealed", "encrypted reasoning without a summary", responses.SEALED),
        Bend("unknown", "events, items and parts of unknown types", responses.UNKNOWN),
        Bend("nooutput", "a last event without the items", in_stream(responses.no_output)),
        Bend("incomplete", "response.incomplete without details", responses.incomplete(None)),
        Bend("responsedone", "response.done for response.completed", in_events(responses.done)),
        Bend("failed", "response.failed after N events", responses.FAILED, "N"),
    ),
    "Chat completions": (
        Bend("splitcalls", "tool calls in many deltas", in_stream(partial(chat.split_calls, named=False))),
        Bend("namedcalls", "the same, the name in each", in_stream(partial(chat.split_calls, named=True))),
        Bend("rebuilt", "fields and counts of new-api, no sources", at_envelope(chat.rebuild)),
        Bend("openrouter", "fields, counts and comments of OpenRouter", at_envelope(chat.openrouter)),
        Bend("noindex", "choices without index", at_choices(chat.no_index)),
        Bend(
            "finish",
            "this finish_reason",
            valued(lambda reason: at_choices(partial(_finish, reason=reason))),
            "NAME",
        ),
        Bend("nofinish", "no finish_reason at all", at_choices(chat.no_finish)),
        Bend("emptyfinish", 'finish_reason ""', at_choices(chat.empty_finish)),
        Bend("nullfinish", "finish_reason null in running chunks", at_choices(chat.null_finish)),
        Bend("nullcontent", "content null where there is none", at_messages(chat.null_content)),
        Bend("emptycontent", 'content "" where there is none', at_messages(chat.empty_content)),
    ),
    "Usage": (
        Bend("inclusive", "reasoning inside completion_tokens", at_usage(usage.inclusive)),
        Bend("cachedbeside", "more cached tokens than prompt tokens", at_usage(usage.cached_beside)),
        Bend("misspelt", "completion_token_details", at_usage(usage.misspelt)),
        Bend("finishusage", "usage in the chunk with finish_reason", in_stream(usage.beside_finish)),
        Bend("runningusage", "usage so far in every chunk", in_stream(usage.running)),
        Bend("textusage", "counts as digit strings", at_usage(usage.as_text)),
        Bend("nullusage", "every field null", at_usage(usage.as_nulls)),
        Bend("nousage", "none", usage.DROPPED),
    ),
    "Both dialects": (
        Bend(
            "filtered",
            "stopped by the content filter",
            chain(
                responses.incomplete("content_filter"),
                at_choices(partial(_finish, reason="content_filter")),
            ),
        ),
        Bend("bare", "annotations without positions", at_notes(responses.bare)),
        Bend("repeatthoughts", "every piece of reasoning twice", in_stream(_thoughts_twice)),
        Bend("noobject", "no field `object`", at_envelope(lambda one: without(one, "object"))),
        Bend(
            "served",
            "another model answers than was asked",
            valued(lambda name: at_envelope(partial(_serve, name=name))),
            "NAME",
        ),
        Bend("wrapped", "AceData's envelope around a whole chat body", in_body(chat.wrap)),
    ),
}

_BENDINGS = {bend.name: bend.bending for group in BENDS.values() for bend in group}


def bend_events(bends: Mapping[str, str]) -> Callable[[Events], Events]:
    """What the words of a script, each with its value, make of the events of a stream."""

    def bent(events: Events) -> Events:
        for name, bending in _BENDINGS.items():
            if name in bends:
                events = bending.events(events, bends[name])
        return events

    return bent


def bend_body(bends: Mapping[str, str], body: JSON) -> JSON:
    """What they make of a whole body."""
    for name, bending in _BENDINGS.items():
        if name in bends:
            body = bending.body(body, bends[name])
    return body
