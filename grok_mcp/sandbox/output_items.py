"""The output items of the responses dialect, as they are when they are complete."""

import json
from typing import Any

from grok_mcp.sandbox.answer import Answer
from grok_mcp.sandbox.plan import Call, Search

JSON = dict[str, Any]


def search_item(reply_id: str, number: int, search: Search, show_sources: bool) -> JSON:
    """A web search; its sources are shown only to who asked for them."""
    action: JSON = {"type": "search", "query": search.query}
    if show_sources:
        action["sources"] = [{"type": "url", "url": source.url} for source in search.sources]
    return {
        "id": f"ws_{reply_id}_call_{number:08}",
        "type": "web_search_call",
        "status": "completed",
        "action": action,
    }


def call_item(reply_id: str, number: int, search: Search) -> JSON:
    """A search on X, which the real wire shows as a custom tool call."""
    since = f" since:{search.from_date}" if search.from_date else ""
    call_id = f"xs_call_{number:08}"
    return {
        "id": f"ctc_{reply_id}_{call_id}",
        "type": "custom_tool_call",
        "call_id": call_id,
        "name": "x_keyword_search",
        "input": json.dumps({"query": search.query + since, "limit": 10, "mode": "Latest"}),
        "status": "completed",
    }


def function_item(reply_id: str, place: int, call: Call) -> JSON:
    """A function that the caller is asked to run."""
    return {
        "id": f"fc_{reply_id}_{place}",
        "type": "function_call",
        "call_id": f"call_{reply_id[:6]}{place:02}",
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


def annotations(answer: Answer, *, positions: bool) -> list[JSON]:
    """The citations; one that the text doesn't show has no span and its address as title."""
    notes: list[JSON] = []
    for citation in answer.citations:
        note: JSON = {"type": "url_citation", "url": citation.source.url}
        if positions:
            note["start_index"] = citation.start
            note["end_index"] = citation.end
            note["title"] = str(citation.number) if citation.number else citation.source.url
        notes.append(note)
    return notes
