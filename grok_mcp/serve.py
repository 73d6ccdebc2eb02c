"""Runs the server: reads settings, builds everything once, hands it to a transport.

Settings are read before the SDK is imported, so that wrong ones are told at once.
"""

import gc
import logging
import sys

from grok_mcp.settings import Settings, SettingsError, load_settings, unknown_variables

EXIT_BAD_SETTINGS = 2


def serve() -> int:
    """Serve one client on stdin and stdout until it leaves; returns the exit status."""
    settings = read_settings()
    if settings is None:
        return EXIT_BAD_SETTINGS
    if sys.__stdin__ is None or sys.__stdout__ is None:
        sys.stderr.write("grok-mcp: a server on stdio needs an open stdin and stdout\n")
        return EXIT_BAD_SETTINGS
    import anyio

    anyio.run(_serve_stdio, settings)
    return 0


def read_settings() -> Settings | None:
    """The settings; where they are wrong, one line for each fault on stderr, and None."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for fault in error.faults:
            sys.stderr.write(f"grok-mcp: {fault}\n")
        return None
    for name in unknown_variables():
        sys.stderr.write(f"grok-mcp: {name} is no setting of this version and has no effect\n")
    return settings


async def _serve_stdio(settings: Settings) -> None:
    from grok_mcp.grok import Grok
    from grok_mcp.server import build_server
    from grok_mcp.stdio import serve_stdio

    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format="grok-mcp: %(levelname)s %(message)s"
    )
    for library in ("httpx2", "httpcore2", "mcp"):  # they log requests and headers below this level
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("stamina").setLevel(logging.ERROR)  # a retry is told as progress
    grok = Grok(settings)
    server = build_server(grok)
    gc.freeze()
    gc.enable()
    try:
        await serve_stdio(server, grok.calls, settings.grace)
    finally:
        await grok.aclose()
