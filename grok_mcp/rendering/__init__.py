"""An answer for eyes, no MCP in it: Markdown, pages, progress while it comes, and text on a terminal.

Hosts and the command line render by the same functions, so that both show the same.
"""

from grok_mcp.rendering.markdown import alternatives, facts, markdown, supplements, usage_facts
from grok_mcp.rendering.paging import Page, is_too_long, page_of, whole
from grok_mcp.rendering.progress import DeltaProgress, Progress, StatusProgress
from grok_mcp.rendering.terminal import StatusLine, TerminalText, clean

__all__ = [
    "DeltaProgress",
    "Page",
    "Progress",
    "StatusLine",
    "StatusProgress",
    "TerminalText",
    "alternatives",
    "clean",
    "facts",
    "is_too_long",
    "markdown",
    "page_of",
    "supplements",
    "usage_facts",
    "whole",
]
