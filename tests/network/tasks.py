"""A raw client of 2026-07-28 that has tasks: it declares the extension in each request.

client = TaskClient(url, token)
task = await client.call(prompt="Hi")
ended = await client.end_of(task["taskId"])
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2

from tests.network.server import modern
from tests.support.pace import within

EXTENSION = "io.modelcontextprotocol/tasks"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
POLL_S = 0.1
UNKNOWN = -32602
INTERNAL = -32603

Json = dict[str, Any]


class TaskError(Exception):
    """An error of the protocol in the place of a result."""

    def __init__(self, error: Json) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]


class TaskClient:
    """One client, each of whose requests has a connection of its own."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = f"{url}/mcp"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, tool: str = "ask_grok", **arguments: Any) -> Json:
        """The result of a call that the server takes for a slow one."""
        slow = {"reasoning_effort": "high"} if tool == "ask_grok" else {}
        return await self.ask("tools/call", name=tool, arguments={"prompt": "Hi", **slow, **arguments})

    async def get(self, task_id: str) -> Json:
        return await self.ask("tasks/get", taskId=task_id)

    async def cancel(self, task_id: str) -> Json:
        return await self.ask("tasks/cancel", taskId=task_id)

    async def update(self, task_id: str) -> Json:
        return await self.ask("tasks/update", taskId=task_id, inputResponses={})

    async def end_of(self, task_id: str, within_s: float = 20, *, patient: bool = False) -> Json:
        """The task once it has ended; a patient client asks again while the store can't be reached."""
        with within(within_s):
            while True:
                try:
                    task = await self.get(task_id)
                except TaskError as error:
                    if not patient or error.code != INTERNAL:
                        raise
                else:
                    if task["status"] != "working":
                        return task
                await anyio.sleep(POLL_S)

    async def ask(self, method: str, **params: Any) -> Json:
        """The result of one request; raises TaskError."""
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            response = await client.post(self._url, **self._request(method, params))
        return _result(response.json())

    @asynccontextmanager
    async def listening(self, *task_ids: str) -> AsyncIterator[AsyncIterator[Json]]:
        """The messages of a stream that tells of these tasks, the acknowledgement first."""
        sent = self._request("subscriptions/listen", {"notifications": {"taskIds": list(task_ids)}})
        async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
            async with client.stream("POST", self._url, **sent) as response:
                yield _messages(response)

    def _request(self, method: str, params: Json) -> Json:
        sent = modern(1, method, **params)
        sent["headers"] |= self._headers
        if "taskId" in params:
            sent["headers"]["Mcp-Name"] = params["taskId"]
        sent["json"]["params"]["_meta"][CAPABILITIES] = {"extensions": {EXTENSION: {}}}
        return sent


async def _messages(response: httpx2.Response) -> AsyncIterator[Json]:
    async for line in response.aiter_lines():
        if line.startswith("data:") and line.strip() != "data:":
            yield json.loads(line.removeprefix("data:"))


def _result(message: Json) -> Json:
    if "error" in message:
        raise TaskError(message["error"])
    found: Json = message["result"]
    return found
