"""A raw client of 2026-07-28, on pipes or over HTTP, that declares the extensions it is told to.

Answers are the bare JSON of `result` or `error`; notifications are kept as they came.
"""

import json
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import httpx2

from tests.support.stdio import COMMAND

VERSION = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
APPS = "io.modelcontextprotocol/ui"
NAMED = {
    "tools/call": "name",
    "resources/read": "uri",
    **dict.fromkeys(("tasks/get", "tasks/update", "tasks/cancel"), "taskId"),
}


def message(number: int, method: str, params: Any, extensions: Sequence[str], token: str | None) -> Any:
    declared: dict[str, Any] = {"extensions": {name: {} for name in extensions}} if extensions else {}
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": declared,
        **({"progressToken": token} if token else {}),
    }
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}


class Modern:
    """What both have."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []
        self._number = 0

    async def request(
        self, method: str, *, extensions: Sequence[str] = (TASKS,), token: str | None = None, **params: Any
    ) -> Any:
        """The result or the error of one request."""
        self._number += 1
        sent = message(self._number, method, params, extensions, token)
        return await self._answer(self._number, sent)

    async def _answer(self, number: int, sent: Any) -> Any:
        raise NotImplementedError

    async def call(self, tool: str, *, extensions: Sequence[str] = (TASKS,), **arguments: Any) -> Any:
        """The result of one tool call."""
        return await self.request("tools/call", extensions=extensions, name=tool, arguments=arguments)

    async def ended(self, task_id: str) -> Any:
        """The task once it works no more."""
        while (task := await self.request("tasks/get", taskId=task_id))["status"] == "working":
            await anyio.sleep(0.05)
        return task


class OnPipes(Modern):
    """On the pipes of a server process; answers may come in any order."""

    def __init__(self, process: anyio.abc.Process) -> None:
        super().__init__()
        self._process = process
        self._answers: dict[int, dict[str, Any]] = {}
        self._came = anyio.Condition()

    async def read(self) -> None:
        rest = b""
        assert self._process.stdout is not None
        async for chunk in self._process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in map(json.loads, lines):
                async with self._came:
                    if "id" in line and "method" not in line:
                        self._answers[line["id"]] = line
                    else:
                        self.notes.append(line)
                    self._came.notify_all()

    async def _answer(self, number: int, sent: Any) -> Any:
        assert self._process.stdin is not None
        await self._process.stdin.send(json.dumps(sent).encode() + b"\n")
        async with self._came:
            while number not in self._answers:
                await self._came.wait()
        answer = self._answers.pop(number)
        return answer["result"] if "result" in answer else answer["error"]


class OverHttp(Modern):
    """Over Streamable HTTP, one POST for each request."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        super().__init__()
        self.http = http

    async def _answer(self, number: int, sent: Any) -> Any:
        method, params = sent["method"], sent["params"]
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
            **({"Mcp-Name": str(params[NAMED[method]])} if NAMED.get(method, "") in params else {}),
        }
        found: dict[str, Any] = {}
        async with self.http.stream("POST", "/mcp", json=sent, headers=headers) as response:
            if "json" in response.headers["content-type"]:
                answer = json.loads(await response.aread())
                return answer["result"] if "result" in answer else answer["error"]
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    answer = json.loads(line.removeprefix("data: "))
                    if answer.get("id") == number and "method" not in answer:
                        found = answer["result"] if "result" in answer else answer["error"]
                    else:
                        self.notes.append(answer)
        return found


@asynccontextmanager
async def on_pipes(url: str, **variables: str) -> AsyncIterator[OnPipes]:
    environment = {**os.environ, "XAI_BASE_URL": url, "XAI_API_KEY": "xai-test-key-1234567890", **variables}
    async with await anyio.open_process(COMMAND, env=environment, stderr=subprocess.DEVNULL) as process:
        client = OnPipes(process)
        async with anyio.create_task_group() as group:
            group.start_soon(client.read)
            try:
                yield client
            finally:
                assert process.stdin is not None
                await process.stdin.aclose()
                with anyio.move_on_after(10):
                    await process.wait()
                group.cancel_scope.cancel()


@asynccontextmanager
async def over_http(base_url: str, token: str = "") -> AsyncIterator[OverHttp]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(base_url=base_url, timeout=60, headers=headers) as http:
        yield OverHttp(http)
