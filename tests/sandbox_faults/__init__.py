"""What real endpoints do otherwise than they should: words of fault scripts beyond the sandbox's own.

A sandbox that knows them is `SandboxServer(faults=FAULTS)`. To add one, add its row, and its function beside
those of its kind. A word that means nothing in the dialect of a request finds nothing to change. The order is
that of the changes: first the order of a stream, then single fields, then its bytes.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from grok_mcp.sandbox.faults import Word
from tests.sandbox_faults import chat, responses, usage
from tests.sandbox_faults.changes import (
    JSON,
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
    word,
)
from tests.sandbox_faults.exchange import EXCHANGE
from tests.sandbox_faults.requests import ANSWERS, REFUSALS


def _thoughts_twice(events: Events) -> Iterator[JSON]:
    for event in events:
        yield event
        delta = (event.get("choices") or [{}])[0].get("delta", {})
        if "reasoning_content" in delta or event.get("type") == "response.reasoning_summary_text.delta":
            yield event


def _finish(choice: JSON, reason: str) -> JSON:
    return choice | {"finish_reason": reason} if choice.get("finish_reason") else choice


REPLIES: Mapping[str, tuple[Word, ...]] = {
    "Responses": (
        word("interleave", "an item opens and closes amid the text", in_stream(responses.interleave)),
        word("itemtext", "text only in the finished item, no deltas", in_stream(responses.item_text)),
        word("twice", "every item is done twice", in_stream(responses.items_twice)),
        word("olditems", "searches in the form of 2025", responses.OLD),
        word("noaction", "web searches without an action", at_items(responses.no_action)),
        word("emptyquery", "web searches with an empty query", at_items(responses.empty_query)),
        word("toplist", "a list `citations` in place of annotations", responses.LISTED),
        word("sealed", "encrypted reasoning without a summary", responses.SEALED),
        word("unknown", "events, items and parts of unknown types", responses.UNKNOWN),
        word("nooutput", "a last event without the items", in_stream(responses.no_output)),
        word("incomplete", "response.incomplete without details", responses.incomplete(None)),
        word("responsedone", "response.done for response.completed", in_events(responses.done)),
    ),
    "Chat completions": (
        word("namedcalls", "tool calls in many deltas, the name in each", in_stream(chat.name_calls)),
        Word("openrouter", "", "fields, counts and comments of OpenRouter", chat.as_openrouter),
        word("noindex", "choices without index", at_choices(chat.no_index)),
        word(
            "finish",
            "this finish_reason",
            valued(lambda reason: at_choices(partial(_finish, reason=reason))),
            "NAME",
        ),
        word("nofinish", "no finish_reason at all", at_choices(chat.no_finish)),
        word("emptyfinish", 'finish_reason ""', at_choices(chat.empty_finish)),
        word("nullfinish", "finish_reason null in running chunks", at_choices(chat.null_finish)),
        word("nullcontent", "content null where there is none", at_messages(chat.null_content)),
        word("emptycontent", 'content "" where there is none', at_messages(chat.empty_content)),
    ),
    "Usage": (
        word("inclusive", "reasoning inside completion_tokens", at_usage(usage.inclusive)),
        word("cachedbeside", "more cached tokens than prompt tokens", at_usage(usage.cached_beside)),
        word("misspelt", "completion_token_details", at_usage(usage.misspelt)),
        word("finishusage", "usage in the chunk with finish_reason", in_stream(usage.beside_finish)),
        word("runningusage", "usage so far in every chunk", in_stream(usage.running)),
        word("textusage", "counts as digit strings", at_usage(usage.as_text)),
        word("nullusage", "every field null", at_usage(usage.as_nulls)),
        word("nousage", "none", usage.DROPPED),
    ),
    "Both dialects": (
        word(
            "filtered",
            "stopped by the content filter",
            chain(
                responses.incomplete("content_filter"),
                at_choices(partial(_finish, reason="content_filter")),
            ),
        ),
        word("bare", "annotations without positions", at_notes(responses.bare)),
        word("repeatthoughts", "every piece of reasoning twice", in_stream(_thoughts_twice)),
        word("noobject", "no field `object`", at_envelope(lambda one: without(one, "object"))),
        word("wrapped", "AceData's envelope around a whole chat body", in_body(chat.wrap)),
    ),
}

_REPLIES = (row for group in REPLIES.values() for row in group)

FAULTS: tuple[Word, ...] = (*REFUSALS, *ANSWERS, *_REPLIES, *EXCHANGE)
