"""What a POST passes last before the SDK: its headers and its message, as the SDK takes them.

The SDK wants both forms of response in `Accept`, its content type in small letters, and reads a message
otherwise in each of its transports. Here all are read as on stdio.
"""

import json
from collections.abc import Awaitable, Callable

import anyio
import mcp_types as types
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grok_mcp.serving.messages import Decoded, RefusedMessageError, decode

JSON = "application/json"
EVENTS = "text/event-stream"
_RANGES = {JSON: (JSON, "application/*", "*/*"), EVENTS: (EVENTS, "text/*", "*/*")}

_LARGE_BYTES = 1024 * 1024
"""A message whose reading takes milliseconds: it is read on a thread, while others are served."""

_NO_ANSWER = (
    types.JSONRPCError(
        jsonrpc="2.0",
        id=None,
        error=types.ErrorData(code=types.INTERNAL_ERROR, message="The server ended before it had an answer."),
    )
    .model_dump_json(by_alias=True, exclude_unset=True)
    .encode()
)

OnRefusal = Callable[[Scope, RefusedMessageError], Awaitable[None]]


class ReadableMessages:
    """Hands each message on in the form that the SDK reads, and refuses what is none with 400.

    `on_refusal` is told as well, where the answer to a message does not leave with its response.
    """

    def __init__(
        self, app: ASGIApp, *, needs_session: bool = False, on_refusal: OnRefusal | None = None
    ) -> None:
        self._app = app
        self._needs_session = needs_session
        self._on_refusal = on_refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body read and its headers as they are meant."""
        headers = MutableHeaders(raw=list(scope["headers"]))
        scope = {**scope, "headers": headers.raw}
        if not headers.get("accept", "").strip():
            headers["accept"] = "*/*"
        if scope["method"] != "POST":
            return await self._app(scope, receive, send)
        accepted = _accepted(headers.getlist("accept"))
        if refusal := _refusal(headers, accepted):
            return await refusal(scope, receive, send)
        headers["content-type"] = JSON
        headers["accept"] = f"{JSON}, {EVENTS}"
        try:
            receive = await self._read(scope, receive, headers)
        except RefusedMessageError as error:
            await Response(error.answer, 400, media_type=JSON)(scope, receive, send)
            if self._on_refusal:
                await self._on_refusal(scope, error)
            return None
        await self._app(scope, receive, _in_form(accepted, send))

    async def _read(self, scope: Scope, receive: Receive, headers: MutableHeaders) -> Receive:
        """The message as the SDK is to receive it; nothing of a large one is held here meanwhile."""
        body = await Request(scope, receive).body()
        if len(body) > _LARGE_BYTES:
            decoded = await anyio.to_thread.run_sync(decode, body)
        else:
            decoded = decode(body)
        self._check_session(headers, decoded.message)
        if not decoded.as_sent:
            body = _dumped(decoded)
            headers["content-length"] = str(len(body))
        return _first(body, receive)

    def _check_session(self, headers: Headers, message: types.JSONRPCMessage) -> None:
        """Raise where a request of the older protocol comes before the session that it needs."""
        version = headers.get(MCP_PROTOCOL_VERSION_HEADER)
        if (
            not self._needs_session
            or MCP_SESSION_ID_HEADER in headers
            or (version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS)
            or (isinstance(message, types.JSONRPCRequest) and message.method == "initialize")
        ):
            return
        raise RefusedMessageError(
            types.INVALID_REQUEST,
            "Bad Request: no session; send an initialize request first, then the Mcp-Session-Id of its "
            "response with each request",
            getattr(message, "id", None),
        )


def _refusal(headers: Headers, accepted: set[str]) -> Response | None:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return PlainTextResponse(f"Invalid Content-Type header: a message is {JSON}\n", 400)
    if not accepted:
        return PlainTextResponse(f"Not Acceptable: the response is {JSON} or {EVENTS}\n", 406)
    return None


def _dumped(decoded: Decoded) -> bytes:
    return types.jsonrpc_message_adapter.dump_json(decoded.message, by_alias=True, exclude_unset=True)


def _first(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then whatever comes."""
    waiting = [body]

    async def replayed() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replayed


def _in_form(accepted: set[str], send: Send) -> Send:
    """Where the client takes one form only, the response is put into that."""
    if accepted == {JSON}:
        return _AsJson(send)
    return _AsEvents(send) if accepted == {EVENTS} else send


def _accepted(values: list[str]) -> set[str]:
    """Which of our two forms a client takes."""
    ranges = set()
    for entry in ",".join(values).split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        if not any(part.replace(" ", "").rstrip("0") in ("q=", "q=0.") for part in parameters):
            ranges.add(name)
    return {form for form, names in _RANGES.items() if not ranges.isdisjoint(names)}


def _form(message: Message) -> str:
    return Headers(raw=message["headers"]).get("content-type", "").partition(";")[0]


def _with_form(message: Message, form: str) -> Message:
    headers = MutableHeaders(raw=list(message["headers"]))
    headers["content-type"] = form
    del headers["content-length"]
    return {**message, "headers": headers.raw}


class _AsJson:
    """Sends the one answer of an event stream as JSON: notes are dropped, pings become white space."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._streamed = False
        self._answered = False
        self._rest = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _form(message) == EVENTS:
            self._streamed = True
            message = _with_form(message, JSON)
        elif message["type"] == "http.response.body" and self._streamed:
            body = self._json(message.get("body", b""))
            if not message.get("more_body") and not self._answered:
                body += _NO_ANSWER
            message = {**message, "body": body}
        await self._send(message)

    def _json(self, chunk: bytes) -> bytes:
        *events, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
        return b"".join(map(self._of_event, events))

    def _of_event(self, event: bytes) -> bytes:
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines)
        if self._answered or not data:
            return b"" if self._answered else b" "
        if b'"method"' in data and "method" in json.loads(data):
            return b" "
        self._answered = True
        return data


class _AsEvents:
    """Sends an answer that came as JSON as the one event of a stream."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._wrapped = False
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._wrapped = message["status"] == 200 and _form(message) == JSON
            if self._wrapped:
                message = _with_form(message, EVENTS)
        elif message["type"] == "http.response.body" and self._wrapped:
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            message = {**message, "body": b"event: message\r\ndata: %s\r\n\r\n" % self._body}
        await self._send(message)
