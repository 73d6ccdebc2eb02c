"""Builds what one process serves, whatever the transport: logs, telemetry, the endpoint, the server."""

import gc
from typing import Any

from mcp.server.lowlevel import Server

from grok_mcp.errors import GrokError
from grok_mcp.logs import configure_logging
from grok_mcp.pipeline import Grok
from grok_mcp.server import build_server
from grok_mcp.serving.pulse import watch_loop
from grok_mcp.serving.signals import take_signals_of_a_worker
from grok_mcp.serving.telemetry import close_telemetry, configure_telemetry
from grok_mcp.settings import Settings
from grok_mcp.streams import say

COLLECT_AFTER = (20_000, 10, 10)
"""Objects more than before, and collections of the younger ones, until the garbage collector runs."""


def build_process(settings: Settings) -> tuple[Server[Any], Grok] | None:
    """The server and its endpoint; where they can't be built, one line on stderr, and None."""
    take_signals_of_a_worker()
    configure_logging(settings)
    watch_loop(may_end=settings.transport == "stdio")
    configure_telemetry()
    try:
        grok = Grok(settings)
    except GrokError as error:
        say(f"{error.message} {error.advice}")
        return None
    return build_server(grok), grok


def settle_memory() -> None:
    """What is loaded by now stays: no collection need look at it, and the rest is looked at less often.

    Python's own limits suit small programs. With hundreds of calls in flight they cost a tenth of the time.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    gc.enable()


async def close_process(grok: Grok) -> None:
    """Close the endpoint, and report what telemetry has not reported yet."""
    await grok.aclose()
    close_telemetry()
