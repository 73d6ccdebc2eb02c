"""Stands between a host and a server on the network and writes down what passes, as `tap.py` does on stdio.

With `handshake_only` it refuses what comes without a handshake, as servers before 2026-07-28 did, so that a
host that speaks both falls back to the handshake.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.hosts.loopback import Served

MODERN = "2026-07-28"
NO_SESSION = {"code": -32600, "message": "Bad Request: Missing session ID"}
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


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
