"""An answer for eyes, no MCP in it."""
