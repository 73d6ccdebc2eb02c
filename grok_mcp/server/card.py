"""The card: the page that hosts of the extension `io.modelcontextprotocol/ui` (MCP Apps) show beside answers.

`card.html` is built from the sources in `card/` by `make card`. It shows the result that its host gives it.
Hosts that show no cards get lists and results without a word of it.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mcp_types import ReadResourceResult, TextResourceContents, Tool

from grok_mcp.server.connection import CARD_TYPE

CARD_URI = "ui://grok/answer"
TTL_MS = 3_600_000
CARD_FILE = Path(__file__).with_name("card.html")

_SHOWN = ("ask_grok", "grok_search", "grok_result")
"""The tools whose answers have sources, or are collected."""
_ON_ITS_OWN: Mapping[str, Any] = {"ui": {"csp": {}, "prefersBorder": True}}
"""No address that the page may fetch from or be framed with, and no permission: its host allows none then."""


def with_card(tool: Tool) -> Tool:
    """A tool as hosts that show cards get it.

    The list stays within its bound: the title does not stand there twice, nor what says nothing of a tool
    that only reads. VS Code first knew the flat key; it waits for answers, so what collects them has none.
    """
    meta: dict[str, Any] = dict(tool.meta or {})
    if tool.name in _SHOWN:
        meta["ui"] = {"resourceUri": CARD_URI}
        if tool.name != "grok_result":
            meta["ui/resourceUri"] = CARD_URI
    annotations = tool.annotations and tool.annotations.model_copy(
        update={"title": None, "idempotent_hint": None}
    )
    return tool.model_copy(update={"meta": meta, "annotations": annotations})


def read_card() -> ReadResourceResult:
    """The page, for whoever asks: it holds nothing of anybody."""
    page = TextResourceContents(uri=CARD_URI, mime_type=CARD_TYPE, text=_page(), _meta=dict(_ON_ITS_OWN))
    return ReadResourceResult(contents=[page], ttl_ms=TTL_MS, cache_scope="public")


@cache
def _page() -> str:
    return CARD_FILE.read_text(encoding="utf-8")
