"""Runs the server: reads settings, and hands them to the transport that they choose.

Settings are read before the SDK is imported, so that wrong ones are reported at once. To add a transport,
write a module with `serve(settings)`, which returns the exit status, and name it in `SERVED_BY`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

from grok_mcp.environment import EXIT_BAD_SETTINGS, read_settings
from grok_mcp.instant import Begun
from grok_mcp.serving.signals import take_signals
from grok_mcp.streams import hurry_stderr, say

_LISTEN = "grok_mcp.serving.http.listen"

SERVED_BY: Mapping[str, str] = {
    "stdio": "grok_mcp.serving.stdio.run",
    "streamable-http": _LISTEN,
    "sse": _LISTEN,
    "http": _LISTEN,
}
"""The module whose `serve` runs each value of `transport`: a start loads this one only."""


def serve(begun: Begun | None = None) -> int:
    """Serve until the client leaves or a signal comes; returns the exit status.

    `begun` is what has passed on stdin and stdout already.
    """
    hurry_stderr()
    take_signals()
    settings = read_settings()
    if settings is None:
        return EXIT_BAD_SETTINGS
    if settings.transport == "stdio" and settings.audit == "stdout":
        say("GROK_MCP_AUDIT: stdout belongs to JSON-RPC on stdio: name stderr or a file")
        return EXIT_BAD_SETTINGS
    run: Callable[..., int] = import_module(SERVED_BY[settings.transport]).serve
    return run(settings) if begun is None else run(settings, begun)
