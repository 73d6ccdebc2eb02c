"""MCP over the network: Streamable HTTP and legacy SSE, who may call, and the checks before them."""
