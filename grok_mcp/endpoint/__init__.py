"""The upstream endpoint: HTTP to it, one reply while it comes, what its failures mean, and its models.

Bytes and statuses end here: the pipeline gets payloads and one `GrokError` for whatever goes wrong.
"""

from grok_mcp.endpoint.catalog import Catalog as Catalog
from grok_mcp.endpoint.client import (
    open_client as open_client,
    proxy_for as proxy_for,
    tls_context as tls_context,
)
from grok_mcp.endpoint.error_bodies import read_error_payload as read_error_payload
from grok_mcp.endpoint.failures import Endpoint as Endpoint, classify as classify
from grok_mcp.endpoint.keys import RESTS_S as RESTS_S, Keys as Keys
from grok_mcp.endpoint.readiness import (
    BLOCKED as BLOCKED,
    KeyState as KeyState,
    Readiness as Readiness,
    report as report,
)
from grok_mcp.endpoint.upstream import Timeouts as Timeouts, Upstream as Upstream
