"""The MCP side: tools, resources and prompts as the protocol has them, and one tool call from request to
result.

With `serving` the only room that knows the MCP SDK.
"""

from grok_mcp.server.connection import STREAMED as STREAMED
from grok_mcp.server.server import build_server as build_server
