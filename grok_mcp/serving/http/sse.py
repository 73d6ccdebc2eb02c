"""The older transport, HTTP with SSE: one stream for all answers, and the address that messages are sent to.

The stream and the sessions are the SDK's. What it does not know is kept here: who has how many streams open,
the prefix that a proxy has taken off a path, and the answer to a message that is none.
"""

import re
from typing import Any
from urllib.parse import urlsplit

import anyio
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.shared.message import SessionMessage
from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from grok_mcp.serving.http.sessions import Session, Sessions, caller_of
from grok_mcp.serving.messages import RefusedMessageError
from grok_mcp.settings import Settings

MESSAGES = "/messages/"
REFUSAL_S = 5.0
"""How long a client that reads slowly is waited for with the answer to what was no message."""

_SESSION = re.compile(rb"session_id=([0-9a-f]{32})")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]{1,100}){1,10}/?")


def public_prefix(settings: Settings) -> str:
    """What stands before our own paths in the address that clients see: `/grok` in https://host/grok/mcp."""
    path = urlsplit(settings.public_url or "").path.rstrip("/")
    return path.removesuffix("/mcp").removesuffix("/sse").rstrip("/")


class SseTransport:
    """Both ends of the transport, each an ASGI application: `stream` for GET, `messages` for POST."""

    def __init__(self, server: Server[Any], sessions: Sessions, settings: Settings) -> None:
        self._server = server
        self._sessions = sessions
        self._prefix = public_prefix(settings)
        self._sse = SseServerTransport(MESSAGES, max_request_body_size=settings.max_body_bytes)
        self._answers: dict[str, Any] = {}  # where the SDK takes the messages of each session

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it leaves, or has to."""
        if scope["method"] == "OPTIONS":  # the SDK would open a stream for it
            return await PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET"})(
                scope, receive, send
            )
        leaving = anyio.Event()
        session_id: str | None = None

        async def end() -> None:
            leaving.set()

        async def noting(message: Message) -> None:
            nonlocal session_id
            if session_id is None and (found := _SESSION.search(message.get("body", b""))):
                session_id = found[1].decode()
                self._answers[session_id] = outgoing
                await self._sessions.add(session_id, Session(caller_of(scope), end, requests=1))
            await send(message)

        scope = {**scope, "root_path": self._root(scope)}
        try:
            connection = self._sse.connect_sse(scope, _until(leaving, receive), noting)
            async with connection as (incoming, outgoing):
                await self._server.run(incoming, outgoing, self._server.create_initialization_options())
        finally:
            if session_id is not None:
                self._sessions.forget(session_id)
                del self._answers[session_id]

    def _root(self, scope: Scope) -> str:
        """The prefix of our paths as the client sees them: what the proxy says, else the public address."""
        mounted: str = scope.get("root_path", "").rstrip("/")
        said = Headers(scope=scope).get("x-forwarded-prefix", "").strip()
        prefix = said.rstrip("/") if _PREFIX.fullmatch(said) else self._prefix
        return mounted if f"{mounted}/".startswith(f"{prefix}/") else prefix + mounted

    async def messages(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message; its answer goes out on the stream."""
        session_id = _session_id(scope)
        session = self._sessions.get(session_id)
        if scope["method"] == "POST" and (session is None or session_id not in self._answers):
            return await _no_session(scope, session_id)(scope, receive, send)
        if session is not None:
            session.use()
        await self._sse.handle_post_message(scope, receive, send)

    async def refuse(self, scope: Scope, refusal: RefusedMessageError) -> None:
        """Tell a client on its stream as well what was wrong with its message, where it waits for that."""
        session_id = _session_id(scope)
        session = self._sessions.get(session_id)
        if session is None or session.caller != caller_of(scope) or session_id not in self._answers:
            return
        with anyio.move_on_after(REFUSAL_S):
            for error in refusal.errors:
                await self._answers[session_id].send(SessionMessage(error))


def _until(leaving: anyio.Event, receive: Receive) -> Receive:
    """What the client sends, until it is made to leave: the one end after which the SDK cleans up."""

    async def received() -> Message:
        message: Message = {"type": "http.disconnect"}
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                await leaving.wait()
                group.cancel_scope.cancel()

            group.start_soon(leave)
            message = await receive()
            group.cancel_scope.cancel()
        return message

    return received


def _no_session(scope: Scope, session_id: str) -> Response:
    if not re.fullmatch("[0-9a-f]{32}", session_id):
        return PlainTextResponse("session_id is missing or invalid", 400)
    if not scope["path"].endswith("/"):  # an address that we never gave away: the right one has the last word
        return RedirectResponse(f"{MESSAGES.strip('/')}/?session_id={session_id}", 307)
    return PlainTextResponse("Could not find session", 404)


def _session_id(scope: Scope) -> str:
    named = QueryParams(scope["query_string"]).get("session_id", "")
    return named.replace("-", "").lower()
