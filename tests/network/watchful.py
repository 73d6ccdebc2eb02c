"""Our application where open streams are ended at the very moment they may be: sse-starlette looks for that
moment twice a second, here at every turn of the event loop.

`python -m uvicorn --factory tests.network.watchful:create_app`
"""

from typing import Any

import anyio
import sse_starlette.sse
from starlette.applications import Starlette

import grok_mcp.http

POLL_S = 0.5
"""Of its watcher; its other pauses stay."""


class _Hasty:
    """What sse-starlette knows as `anyio`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(anyio, name)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(0 if seconds == POLL_S else seconds)


def create_app() -> Starlette:
    vars(sse_starlette.sse)["anyio"] = _Hasty()
    return grok_mcp.http.create_app()
