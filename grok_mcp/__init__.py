"""An MCP server that lets any MCP host ask Grok, search with Grok and get JSON from Grok."""

__version__ = "0.1.0"
