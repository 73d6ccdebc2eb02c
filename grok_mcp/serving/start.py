"""What a server says of itself when it begins: one line, for whoever runs it."""

from typing import Any

from grok_mcp import __version__
from grok_mcp.gateways import resolve
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS


def facts(settings: Settings) -> dict[str, Any]:
    """The fields of that line; none of them is secret."""
    ways = {"tokens": settings.token_file, "oauth": settings.oauth_issuer}
    made: dict[str, Any] = {"version": __version__, "gateway": resolve(settings).name}
    if settings.transport != "stdio":
        made["workers"] = settings.workers
        made["authentication"] = "+".join(way for way, value in ways.items() if value) or "none"
    return {**made, "tools": ",".join(TOOLS)}
