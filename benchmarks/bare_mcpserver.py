"""The second baseline of a cold start: the same echo tool on the SDK's high-level `MCPServer`."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("bare")


@server.tool()
def echo(prompt: str) -> str:
    """Say it again."""
    return prompt


if __name__ == "__main__":
    server.run()
