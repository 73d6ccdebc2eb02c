"""What runs: the process and its transports. `serve` runs a server by its settings; `create_app` is for
ASGI servers.

Whatever needs the MCP SDK or a web framework is imported when it is asked for: no start waits for another's
transport.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from grok_mcp.serving.run import serve
from grok_mcp.serving.sdk import put_off

if TYPE_CHECKING:
    from grok_mcp.serving.http.app import create_app
    from grok_mcp.serving.http.token_lines import is_name, new_token, read_lines, with_line, without_name
    from grok_mcp.serving.telemetry import close_telemetry, configure_telemetry

__all__ = [
    "close_telemetry",
    "configure_telemetry",
    "create_app",
    "is_name",
    "new_token",
    "read_lines",
    "serve",
    "with_line",
    "without_name",
]

put_off()  # before any module of the SDK is imported

_HOMES = {
    "close_telemetry": "grok_mcp.serving.telemetry",
    "configure_telemetry": "grok_mcp.serving.telemetry",
    "create_app": "grok_mcp.serving.http.app",
    **dict.fromkeys(
        ("is_name", "new_token", "read_lines", "with_line", "without_name"),
        "grok_mcp.serving.http.token_lines",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
