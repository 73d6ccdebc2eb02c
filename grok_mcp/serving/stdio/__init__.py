"""MCP on this process's stdin and stdout: one client, one JSON-RPC message a line."""
