"""Stands between a host and a server on the network and writes down what passes, as `tap.py` does on stdio.

With `handshake_only` it refuses what comes without a handshake, as servers before 2026-07-28 did, so that a
host that speaks both falls back to the handshake.
"""

import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODERN = "2026-07-28"
NO_SESSION = {"code": -32600, "message": "Bad Request: Missing session ID"}
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


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


class Relay(Served):
    """Passes requests on to the server at `upstream`."""

    def __init__(self, upstream: str, folder: Path, *, handshake_only: bool = False) -> None:
        self._upstream = upstream
        self._folder = folder
        self._handshake_only = handshake_only
        self._client = httpx2.AsyncClient(timeout=None, trust_env=False)
        methods = ["GET", "POST", "DELETE"]
        self.app = Starlette(routes=[Route("/{path:path}", self._pass_on, methods=methods)])

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _pass_on(self, request: Request) -> Response:
        body = await request.body()
        if self._handshake_only and request.headers.get("mcp-protocol-version") == MODERN:
            error = {"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": NO_SESSION}
            return JSONResponse(error, 400)
        self._write("to_server", body)
        headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP]
        target = f"{self._upstream}{request.url.path}{'?' if request.url.query else ''}{request.url.query}"
        sent = self._client.build_request(request.method, target, headers=headers, content=body)
        answer = await self._client.send(sent, stream=True)
        given = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        return StreamingResponse(self._pieces(answer), answer.status_code, given)

    async def _pieces(self, answer: httpx2.Response) -> AsyncIterator[bytes]:
        seen = b""
        try:
            async for piece in answer.aiter_raw():
                seen += piece
                yield piece
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()
            for message in re.findall(rb"^(?:data: ?)?(\{.*\})\r?$", seen, re.MULTILINE):
                self._write("from_server", message)

    def _write(self, name: str, message: bytes) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(message.strip() + b"\n")
