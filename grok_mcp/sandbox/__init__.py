"""A Grok-compatible endpoint to try the server without a key, and to test it over real sockets.

It speaks both dialects, streams, searches a small corpus, calls functions, fits JSON to schemas and fails on
demand. Nothing leaves the machine, and the same request gets the same answer.
"""

from grok_mcp.sandbox.app import create_app as create_app
from grok_mcp.sandbox.server import SandboxServer as SandboxServer
