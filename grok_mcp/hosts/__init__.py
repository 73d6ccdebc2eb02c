"""The hosts that start MCP servers, and their files."""
