"""What `grok-mcp doctor` looks at."""
