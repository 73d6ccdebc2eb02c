"""Tasks, an extension of the protocol: a slow call goes on in the background, and its host comes back for it.

A task is a call that was handed over (`pipeline/runs.py`), and its id is the `answer_id`. Facts: the
extension `io.modelcontextprotocol/tasks` at 2026-07-28 (SEP-2663). The server alone decides which call
becomes one, and only where the request declared the extension.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, cast

import anyio
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    Notification,
    NotificationParams,
    RequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ConfigDict, Field
from starlette.requests import Request

from grok_mcp.errors import AnswerNotFoundError, CancelledCallError, OverloadedError
from grok_mcp.messages import Answer, Running, owner_of
from grok_mcp.pipeline import Grok
from grok_mcp.redaction import one_line
from grok_mcp.server.connection import Context, caller_of, extensions_of, key_of, shows_cards
from grok_mcp.server.results import render_answer, render_error
from grok_mcp.stores import LIFETIME_S, Held, given_at

TASKS_EXTENSION = "io.modelcontextprotocol/tasks"

_SHORTEST_POLL_MS, _LONGEST_POLL_MS = 1_000, 5_000
_LOOK_S = 1.0
"""How often a stream looks at the tasks that its client listens to."""
_MOST_STREAMS = 32
"""Streams of one caller."""
_MOST_TASKS = 100
"""Tasks of one stream."""
_ID_CHARACTERS = 100


class TaskParams(RequestParams):
    """The parameters of `tasks/get` and `tasks/cancel`, and what we read of those of `tasks/update`."""

    task_id: str = Field(max_length=_ID_CHARACTERS)


class TaskNotificationParams(NotificationParams):
    """A task, as `tasks/get` would return it."""

    model_config = ConfigDict(extra="allow")


class TaskNotification(Notification[TaskNotificationParams, Literal["notifications/tasks"]]):
    """Says how a task is that the client listens to."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: TaskNotificationParams


def takes_tasks(ctx: Context) -> bool:
    """Whether this request declares the extension, in a version of the protocol that has it."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS and TASKS_EXTENSION in extensions_of(ctx)


def created(running: Running) -> dict[str, Any]:
    """The result of a tool call that has become a task."""
    return {"resultType": "task", **_working(running, given_at(running.answer_id))}


def _working(running: Running, at: float) -> dict[str, Any]:
    status = {"statusMessage": running.status} if running.status else {}  # no task when it was handed over
    return {**_common(running.answer_id, at), "status": "working", **status}


def _common(task_id: str, at: float) -> dict[str, Any]:
    """What every state of a task has; it was in this one since `at`, in seconds since the epoch."""
    now = time.time()
    began = min(given_at(task_id), now)
    at = min(max(at, began), now)
    poll_ms = int((now - began) * 100)  # a tenth of the time that it has taken so far
    return {
        "taskId": task_id,
        "createdAt": _iso(began),
        "lastUpdatedAt": _iso(at),
        "ttlMs": int((at - began + LIFETIME_S) * 1000),
        "pollIntervalMs": min(max(poll_ms, _SHORTEST_POLL_MS), _LONGEST_POLL_MS),
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tasks:
    """The handlers of the extension, on one endpoint."""

    def __init__(self, grok: Grok) -> None:
        self._grok = grok
        self._streams: dict[str, int] = {}

    async def get(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """Answer `tasks/get`: the task as it is now, and its result once it has ended."""
        return await self._state(ctx, _checked(ctx, params))

    async def update(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """Answer `tasks/update`: acknowledged for a task that there is, and nothing changes."""
        await self._look(ctx, _checked(ctx, params), delivers=False)
        return {}

    async def cancel(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """Answer `tasks/cancel`: the call ends upstream, wherever it runs."""
        task_id = _checked(ctx, params)
        with _as_protocol_errors(task_id):
            await self._grok.runs.cancel(task_id, self._owner(ctx))
        return {}

    def _owner(self, ctx: Context) -> str:
        return owner_of(caller_of(ctx), key_of(ctx, self._grok.settings))

    async def _look(self, ctx: Context, task_id: str, *, delivers: bool = True) -> Held:
        with _as_protocol_errors(task_id):
            return await self._grok.runs.look(task_id, self._owner(ctx), delivers=delivers)

    async def _state(self, ctx: Context, task_id: str) -> dict[str, Any]:
        """The task with what its status brings."""
        outcome, at = await self._look(ctx, task_id)
        common = _common(task_id, at)
        match outcome:
            case Running():
                return _working(outcome, at)
            case Answer():
                settings = self._grok.settings
                result = render_answer(outcome, task_id, settings, with_card=shows_cards(ctx, settings))
                return {**common, "status": "completed", "result": _whole(result)}
            case CancelledCallError():
                return {**common, "status": "cancelled", "statusMessage": outcome.message}
        result = render_error(outcome, self._grok.gateway.name)
        return {**common, "status": "completed", "statusMessage": outcome.message, "result": _whole(result)}

    async def listen(
        self, ctx: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Answer `subscriptions/listen`: tell how the named tasks go on, until all of them have ended."""
        pending = await self._requested(ctx, params)
        caller = caller_of(ctx)
        if self._streams.get(caller, 0) >= _MOST_STREAMS:
            raise MCPError(
                INTERNAL_ERROR, f"You listen on {_MOST_STREAMS} streams already: close one of them."
            )
        self._streams[caller] = self._streams.get(caller, 0) + 1
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        try:
            honoured = SubscriptionFilter.model_validate({"taskIds": list(pending)})
            acknowledged = SubscriptionsAcknowledgedNotificationParams(notifications=honoured, _meta=meta)
            await ctx.session.send_notification(
                SubscriptionsAcknowledgedNotification(params=acknowledged), ctx.request_id
            )
            while pending and not self._grok.in_flight.closing:
                for task_id, known in list(pending.items()):
                    pending[task_id] = await self._report(ctx, task_id, known, meta)
                    if pending[task_id] == _ENDED:
                        del pending[task_id]
                if pending:
                    await anyio.sleep(_LOOK_S)
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]
        return SubscriptionsListenResult(_meta=meta)

    async def _requested(self, ctx: Context, params: SubscriptionsListenRequestParams) -> dict[str, str]:
        """The tasks that the client may listen to, of those that it names; nothing is known of them yet."""
        wanted = (params.notifications.model_extra or {}).get("taskIds")
        if not wanted:
            raise MCPError(METHOD_NOT_FOUND, "Method not found: this server reports tasks only (taskIds)")
        _check_declared(ctx)
        if not isinstance(wanted, list) or not all(isinstance(task_id, str) for task_id in wanted):
            raise MCPError(INVALID_PARAMS, "taskIds is not a list of task ids")
        if len(wanted) > _MOST_TASKS:
            raise MCPError(INVALID_PARAMS, f"taskIds has more than {_MOST_TASKS} entries")
        found = {}
        for task_id in dict.fromkeys(task_id[: _ID_CHARACTERS + 1] for task_id in wanted):
            try:
                await self._look(ctx, task_id, delivers=False)
            except MCPError as error:
                if error.error.code != INVALID_PARAMS:  # the store is away: nobody knows what there is
                    raise
                continue
            found[task_id] = ""
        return found

    async def _report(self, ctx: Context, task_id: str, known: str, meta: dict[str, Any]) -> str:
        """Send the state of a task if it is another than the known one; returns it in a word or a line."""
        try:
            state = await self._state(ctx, task_id)
        except MCPError as error:  # it has expired, or the store is away for a while
            return _ENDED if error.error.code == INVALID_PARAMS else known
        now = f"{state['status']} {state.get('statusMessage', '')}"
        if now != known:
            params = TaskNotificationParams.model_validate({**state, "_meta": meta})
            await ctx.session.send_notification(cast(Any, TaskNotification(params=params)), ctx.request_id)
        return now if state["status"] == "working" else _ENDED


_ENDED = "ended"


def _whole(result: CallToolResult) -> dict[str, Any]:
    """A result as the answer to `tools/call` would have it."""
    return {**result.model_dump(by_alias=True, mode="json", exclude_none=True), "resultType": "complete"}


def _checked(ctx: Context, params: TaskParams) -> str:
    """The id, of a request that may ask for a task."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(METHOD_NOT_FOUND, "Method not found", data=ctx.method)
    _check_declared(ctx)
    if isinstance(ctx.request, Request):
        named = ctx.request.headers.get(MCP_NAME_HEADER)
        if named != params.task_id:
            what = "is missing" if named is None else "is not the taskId of the request"
            raise MCPError(HEADER_MISMATCH, f"The header Mcp-Name {what}")
    return params.task_id


def _check_declared(ctx: Context) -> None:
    if TASKS_EXTENSION not in extensions_of(ctx):
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"This request needs the client capability {TASKS_EXTENSION}",
            data={"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}},
        )


@contextmanager
def _as_protocol_errors(task_id: str) -> Iterator[None]:
    """What the runs raise, in the words of the protocol."""
    try:
        yield
    except AnswerNotFoundError:
        raise MCPError(
            INVALID_PARAMS,
            f"Unknown task: {one_line(task_id)[:80]} (it may have expired: call the tool again)",
        ) from None
    except OverloadedError as error:
        raise MCPError(INTERNAL_ERROR, f"{error.message} {error.advice}") from None
