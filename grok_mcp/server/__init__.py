"""The MCP side."""
