"""What a host can call. To add a tool, write its file and add its `ToolSpec` here, in published order."""

from collections.abc import Mapping

from grok_mcp.tools.ask import ASK
from grok_mcp.tools.result import RESULT
from grok_mcp.tools.search import SEARCH
from grok_mcp.tools.spec import ToolSpec
from grok_mcp.tools.structured import STRUCTURED

TOOLS: Mapping[str, ToolSpec] = {spec.name: spec for spec in (ASK, SEARCH, STRUCTURED, RESULT)}
