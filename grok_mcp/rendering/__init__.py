"""An answer for eyes, no MCP in it: Markdown, pages, progress while it comes, and text on a terminal.

Hosts and the command line render by the same functions, so that both show the same.
"""

from grok_mcp.rendering.markdown import (
    alternatives as alternatives,
    as_markdown as as_markdown,
    facts as facts,
    supplements as supplements,
    usage_facts as usage_facts,
)
from grok_mcp.rendering.paging import (
    Page as Page,
    is_too_long as is_too_long,
    page_of as page_of,
    whole as whole,
)
from grok_mcp.rendering.progress import (
    DeltaProgress as DeltaProgress,
    PhaseLine as PhaseLine,
    Progress as Progress,
    StatusProgress as StatusProgress,
)
from grok_mcp.rendering.terminal import (
    StatusLine as StatusLine,
    TerminalText as TerminalText,
    clean as clean,
    fit as fit,
)
