"""Runs the server: reads settings, builds everything once, hands it to a transport.

Settings are read before the SDK is imported, so that wrong ones are reported at once.
"""

import gc
import sys
from importlib.util import find_spec

from grok_mcp.environment import read_settings
from grok_mcp.settings import Settings

EXIT_BAD_SETTINGS = 2


def serve() -> int:
    """Serve until the client leaves or a signal comes; returns the exit status."""
    settings = read_settings()
    if settings is None:
        return EXIT_BAD_SETTINGS
    if settings.transport != "stdio":
        from grok_mcp.serving.http.listen import serve_http  # no part of a start on stdio

        gc.enable()
        return serve_http(settings)
    if sys.__stdin__ is None or sys.__stdout__ is None:
        sys.stderr.write("grok-mcp: a server on stdio needs an open stdin and stdout\n")
        return EXIT_BAD_SETTINGS
    import anyio

    return anyio.run(_serve_stdio, settings, backend_options={"use_uvloop": find_spec("uvloop") is not None})


async def _serve_stdio(settings: Settings) -> int:
    from grok_mcp.serving.process import build_process, close_process, settle_memory
    from grok_mcp.serving.stdio.session import serve_stdio

    built = build_process(settings)
    if built is None:
        return EXIT_BAD_SETTINGS
    server, grok = built
    settle_memory()
    try:
        await serve_stdio(server, grok.in_flight, settings.grace)
    finally:
        await close_process(grok)
    return 0
