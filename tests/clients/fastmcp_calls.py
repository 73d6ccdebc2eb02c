"""FastMCP's client on our servers: `fastmcp_calls.py PACKAGES TARGETS CALLS`; prints as JSON what it saw.

PACKAGES is the folder that FastMCP is installed in, TARGETS names URLs and commands, CALLS lists tools and
arguments. Run by `python -S`, so that it has nothing of our own environment, whose SDK is another.
"""

import asyncio
import json
import os
import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

from fastmcp import Client  # type: ignore[import-not-found]
from fastmcp.client.transports import StdioTransport  # type: ignore[import-not-found]


async def look(target: str, calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    transport = target if target.startswith("http") else StdioTransport(target, [], env=dict(os.environ))
    seen: dict[str, Any] = {"results": [], "notes": []}

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen["notes"].append(message)

    async with Client(transport, progress_handler=note) as client:
        seen["protocol"] = client.initialize_result.protocolVersion
        seen["tools"] = [tool.name for tool in await client.list_tools()]
        for name, arguments in calls:
            result = await client.call_tool(name, arguments, raise_on_error=False)
            texts = [block.text for block in result.content]
            structured = result.structured_content
            seen["results"].append({"texts": texts, "structured": structured, "is_error": result.is_error})
    return seen


async def main(targets: dict[str, str], calls: list[tuple[str, dict[str, Any]]]) -> None:
    seen = await asyncio.gather(*(look(target, calls) for target in targets.values()))
    sys.stdout.write(json.dumps(dict(zip(targets, seen, strict=True))))


asyncio.run(main(json.loads(sys.argv[2]), json.loads(sys.argv[3])))
