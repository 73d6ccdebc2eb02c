"""From a request to an answer: attempts, the form of each, events added up, and calls that outlive their
request.

`Grok` is one endpoint for the whole process; whoever serves callers holds one and asks it.
"""

from grok_mcp.pipeline.fold import StreamedText
from grok_mcp.pipeline.grok import Grok
from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.pipeline.search import WIRE, search_dialects
from grok_mcp.pipeline.telemetry import is_real

__all__ = ["WIRE", "Grok", "InFlight", "StreamedText", "is_real", "search_dialects"]
