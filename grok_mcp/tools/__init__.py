"""What a host can call, without a word of MCP. To add a tool, write its file and add its `ToolSpec` here.

The order is the published one.
"""

from collections.abc import Mapping

from grok_mcp.tools.ask import ASK
from grok_mcp.tools.attached import file_names as file_names
from grok_mcp.tools.counted import report_end as report_end, run_counted as run_counted, run_tool as run_tool
from grok_mcp.tools.dry_run import DryRun as DryRun, run_dry as run_dry
from grok_mcp.tools.images import read_named_image as read_named_image
from grok_mcp.tools.published import PUBLISHED as PUBLISHED
from grok_mcp.tools.result import RESULT
from grok_mcp.tools.search import SEARCH
from grok_mcp.tools.spec import ToolSpec as ToolSpec
from grok_mcp.tools.structured import STRUCTURED
from grok_mcp.tools.turns import state_of_files as state_of_files

TOOLS: Mapping[str, ToolSpec] = {spec.name: spec for spec in (ASK, SEARCH, STRUCTURED, RESULT)}
