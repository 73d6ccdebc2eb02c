"""Runs the stdio transport in this process: builds what it serves, and closes it at the end."""

import logging
import sys
from importlib.util import find_spec

import anyio

from grok_mcp.environment import EXIT_BAD_SETTINGS
from grok_mcp.instant import Begun
from grok_mcp.logs import FIELDS
from grok_mcp.serving.process import build_process, close_process, settle_memory
from grok_mcp.serving.start import facts
from grok_mcp.serving.stdio.session import serve_stdio
from grok_mcp.settings import Settings
from grok_mcp.streams import say

logger = logging.getLogger(__name__)


def serve(settings: Settings, begun: Begun | None = None) -> int:
    """Serve until the client leaves or a signal comes; returns the exit status.

    `begun` is what has passed between the client and this process already.
    """
    if sys.__stdin__ is None or sys.__stdout__ is None:
        say("a server on stdio needs an open stdin and stdout")
        return EXIT_BAD_SETTINGS
    sys.stdout = sys.stderr  # what a library prints is for nobody to wait for either
    return anyio.run(
        _serve, settings, begun or Begun(), backend_options={"use_uvloop": find_spec("uvloop") is not None}
    )


async def _serve(settings: Settings, begun: Begun) -> int:
    built = build_process(settings)
    if built is None:
        return EXIT_BAD_SETTINGS
    server, grok = built
    logger.debug("serving stdio", extra={FIELDS: facts(settings)})
    settle_memory()
    try:
        await serve_stdio(server, grok.in_flight, settings.grace, begun)
    finally:
        await close_process(grok)
    return 0
