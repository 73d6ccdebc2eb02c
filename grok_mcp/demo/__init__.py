"""What `grok-mcp demo` shows."""
