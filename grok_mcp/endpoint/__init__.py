"""The upstream endpoint: HTTP to it, one reply while it comes, what its failures mean, and its models.

Bytes and statuses end here: the pipeline gets payloads and one `GrokError` for whatever goes wrong.
"""

from grok_mcp.endpoint.catalog import Catalog
from grok_mcp.endpoint.error_bodies import read_error_payload
from grok_mcp.endpoint.failures import Endpoint, classify
from grok_mcp.endpoint.readiness import BLOCKED, Readiness, report
from grok_mcp.endpoint.upstream import Timeouts, Upstream

__all__ = [
    "BLOCKED",
    "Catalog",
    "Endpoint",
    "Readiness",
    "Timeouts",
    "Upstream",
    "classify",
    "read_error_payload",
    "report",
]
