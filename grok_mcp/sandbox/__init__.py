"""A Grok-compatible endpoint to try the server without a key, and to test it over real sockets.

It speaks both dialects of the real endpoint (chat completions and responses), streams, searches a
small built-in corpus, calls functions, fits JSON to schemas and fails on demand. Nothing leaves the
machine, the same request gets the same answer, and every text says that it comes from the sandbox.
"""

from grok_mcp.sandbox.app import create_app
from grok_mcp.sandbox.server import SandboxServer

__all__ = ["SandboxServer", "create_app"]
