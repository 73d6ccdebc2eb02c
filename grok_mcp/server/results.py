"""The MCP result of a call: an answer or an error as the block of text, the data and the small machine part.

The shapes follow from what hosts show their model: most drop either the text or the structured part, so
everything that matters stands in the text.
"""

import json
from itertools import accumulate, takewhile
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ResourceLink, TextContent

from grok_mcp import bounds
from grok_mcp.errors import GrokError
from grok_mcp.foreign import depth_of
from grok_mcp.messages import Answer
from grok_mcp.redaction import join_surrogates
from grok_mcp.rendering import Page, as_markdown, is_too_long, page_of, whole
from grok_mcp.settings import Settings

ANSWER_META = "grok-mcp/answer"
ERROR_META = "grok-mcp/error"
RESTART_META = "grok-mcp/restart"
ANSWERS = "grok://answers/"
"""How the address of an answer begins, as a resource; its `answer_id` follows."""
MARKDOWN_TYPE = "text/markdown"


_UNSOUND = "The data of this answer is no JSON that every host could read, so it is only in the text."

_META_FIELDS = ("usage", "model", "finish_reason", "conversation_id", "answer_id", "searched")
_DATA_FIELDS = (
    *("data", "model", "usage", "conversation_id", "finish_reason", "answer_id"),
    *("citations", "warnings"),
)
_CARD_FIELDS = (
    *("text", "alternatives", "citations", "evidence", "search_queries", "pages_read", "documents"),
    *("code_runs", "tool_calls", "warnings"),
)
"""What the card shows besides."""


def render_answer(answer: Answer, answer_id: str, settings: Settings, *, with_card: bool) -> CallToolResult:
    """An answer that is stored: all of it, or its first page where it is too long for one result."""
    limit = settings.max_result_chars
    page = page_of(answer, answer_id, 0, limit) if is_too_long(answer, limit) else whole(answer)
    structured = settings.results == "structured"
    return render_page(page, structured=structured, with_card=with_card, with_link=True)


def render_page(
    page: Page, *, structured: bool, with_card: bool, keep_data: bool = True, with_link: bool = False
) -> CallToolResult:
    """One page of an answer; where it is not all, `with_link` adds a link to all of it.

    Text is one Markdown block, with the whole answer as data where `structured`. JSON that was
    requested is compact JSON in the text, and the same as data where `keep_data` or `structured`. The machine
    part has all that the card shows where the host shows it (`with_card`).
    """
    published = page.published
    facts = {name: published[name] for name in _META_FIELDS if name in published}
    meta = {ANSWER_META: facts | _for_card(page) if with_card else facts}
    is_data = "data" in published
    if is_data and not structured:
        published = {name: published[name] for name in _DATA_FIELDS if name in published}
    data = published if structured or (is_data and keep_data) else None
    if not is_sound([published if is_data else data, meta]):  # all that was paid for is in the text
        text, meta = f"{as_markdown(page.rendered)}Note: {_UNSOUND}\n", {}
        data = {"data": None, "warnings": [_UNSOUND]} if data and is_data else None
    else:
        text = compact(published) if is_data else as_markdown(page.rendered)
    content: list[ContentBlock] = [TextContent(text=join_surrogates(text))]
    if with_link and "answer_id" in page.published:
        content.append(link_to(page.published["answer_id"]))
    return CallToolResult(content=content, structured_content=data, _meta=meta)


def _for_card(page: Page) -> dict[str, Any]:
    """What the card shows of a page, as far as it draws it: spans are offsets into the text beside them."""
    fields = {name: page.published[name] for name in _CARD_FIELDS if name in page.published}
    if "text" in fields:
        fields["text"] = join_surrogates(fields["text"][: bounds.CARD_CHARACTERS])
    if "alternatives" in fields:
        fields["alternatives"] = [text[: bounds.CARD_CHARACTERS] for text in fields["alternatives"]]
    if "citations" in fields:
        fields["citations"] = [
            cited | {"spans": cited["spans"][: bounds.CARD_SPANS]} for cited in fields["citations"]
        ]
    if page.rendered.steps:
        fields["steps"] = [step.to_dict() for step in page.rendered.steps]
    return {name: _first(value) if isinstance(value, list) else value for name, value in fields.items()}


def _first(items: list[Any]) -> list[Any]:
    """As many of the first items as the card gets."""
    sizes = accumulate(len(compact(item)) for item in items)
    return [
        item for item, _ in zip(items, takewhile(bounds.CARD_LIST_CHARACTERS.__ge__, sizes), strict=False)
    ]


def link_to(answer_id: str) -> ResourceLink:
    """A link to all of an answer, as a resource; two hosts show it, the others leave it out or show JSON."""
    return ResourceLink(
        uri=f"{ANSWERS}{answer_id}",
        name=answer_id,
        title="The whole answer",
        mime_type=MARKDOWN_TYPE,
    )


def is_sound(value: Any) -> bool:
    """Whether a value is JSON that every host can read: finite, not too deep, valid Unicode."""
    if depth_of(value, bounds.RESULT_DEPTH) > bounds.RESULT_DEPTH:
        return False
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True


def render_error(error: GrokError, gateway: str) -> CallToolResult:
    """A failure as text that the model can act on; never with structured content, which hides the text."""
    return CallToolResult(
        content=[TextContent(text=error.text)],
        is_error=True,
        _meta={ERROR_META: {**error.to_dict(), "gateway": gateway}},
    )


def compact(value: Any) -> str:
    """JSON without white space, as hosts serialise it themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
