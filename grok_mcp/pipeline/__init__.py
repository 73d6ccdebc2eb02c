"""From a request to an answer: attempts, the form of each, events added up, and calls that outlive their
request.

`Grok` is one endpoint for the whole process; whoever serves callers holds one and asks it.
"""

from grok_mcp.pipeline.answer import with_sources_of as with_sources_of
from grok_mcp.pipeline.fold import StreamedText as StreamedText
from grok_mcp.pipeline.grok import Grok as Grok
from grok_mcp.pipeline.in_flight import InFlight as InFlight
from grok_mcp.pipeline.pace import Kind as Kind
from grok_mcp.pipeline.reporting import report_of as report_of
from grok_mcp.pipeline.search import WIRE as WIRE, search_dialects as search_dialects
from grok_mcp.pipeline.telemetry import is_real as is_real, record_operation as record_operation
