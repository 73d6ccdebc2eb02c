"""What real endpoints do otherwise than they should: words of fault scripts beyond the sandbox's own.

A sandbox that knows them is `SandboxServer(faults=FAULTS)`. To add one, add its row, and its function beside
those of its kind. A word that means nothing in the dialect of a request finds nothing to change. The order is
that of the changes: first the order of a stream, then single fields, then its bytes.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from grok_mcp.sandbox.faults import Word
from tests.sandbox_faults import calls, chat, responses, sources, usage
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
    choice,
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


def _native(choice: JSON, reason: str) -> JSON:
    return choice | {"native_finish_reason": reason} if choice.get("finish_reason") else choice


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
        choice("itemids", "other item ids in each event, or at the end", responses.ITEM_IDS),
        choice("addedtext", "text in the added item, and in the deltas again", responses.ADDED_TEXT),
        word("veiled", "invisible characters in the final text only", responses.VEILED),
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
        word(
            "native",
            "this native_finish_reason beside the other",
            valued(lambda reason: at_choices(partial(_native, reason=reason))),
            "NAME",
        ),
        word("index1", "the only choice under the number 1", at_choices(chat.index_one)),
        choice("fullmessage", "a whole message in the chunks too", chat.MESSAGES),
        choice("thoughtparts", "content in parts, thoughts among them", chat.THOUGHTS),
        choice("callids", "tool calls numbered or named in this way", calls.IDENTITIES),
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
        choice("counts", "ones that do not add up, or absurd ones", usage.COUNTS),
        word("zerosbehind", "zeros behind the real ones", in_stream(usage.zeros_behind)),
        word("floatticks", "a price with a decimal point", at_usage(usage.float_ticks)),
        word("ticks", "this price", valued(usage.priced), "N"),
        choice("byok", "OpenRouter's bill for an own key", usage.OWN_KEY),
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
        choice(
            "refused",
            "a refusal for the text, on chat in this form",
            {
                "field": chain(chat.REFUSED_FIELD, responses.REFUSED),
                "part": chain(chat.REFUSED_PART, responses.REFUSED),
            },
        ),
        word("cutcalls", "arguments that end in their middle", calls.CUT),
        choice("oddcalls", "odd values in the arguments of calls", calls.ODD_ARGUMENTS),
        word("oddsources", "sources that are no pages", sources.ODD),
        word("untitled", "annotations without a title", sources.UNTITLED),
        word("unlisted", "sources in the text only", sources.UNLISTED),
        word("bare", "annotations without positions", at_notes(responses.bare)),
        word("repeatthoughts", "every piece of reasoning twice", in_stream(_thoughts_twice)),
        word("noobject", "no field `object`", at_envelope(lambda one: without(one, "object"))),
        word("wrapped", "AceData's envelope around a whole chat body", in_body(chat.wrap)),
    ),
}

_REPLIES = (row for group in REPLIES.values() for row in group)

FAULTS: tuple[Word, ...] = (*REFUSALS, *ANSWERS, *_REPLIES, *EXCHANGE)
