"""Applications on a loopback port, inside the tests' own event loop."""

import socket
from types import TracebackType
from typing import Self

import anyio
import uvicorn
from starlette.applications import Starlette


class Served:
    """An ASGI application on a free loopback port while the `async with` block runs."""

    app: Starlette
    url: str

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self.app, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        # not serve(), which takes the signals of this process for itself
        self._group.start_soon(self._server._serve, [listener])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = self._server.force_exit = True
        await self._group.__aexit__(None, None, None)
        await self.aclose()

    async def aclose(self) -> None:
        """Close what else is open."""
