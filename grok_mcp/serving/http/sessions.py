"""Who has which sessions open, on Streamable HTTP and SSE: a bounded number for each caller and for all.

Where there are too many, the caller who has most loses the one that was left alone for longest. The SDK only
has a bound for all together, at which it refuses whoever comes next.
"""

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLERS = 10
"""How many callers may use their whole share at once."""

NOBODY = ""
"""The caller of requests that carry no name: all of them share one share."""


@dataclass(eq=False)
class Session:
    """One session: whose it is, how it is ended, the requests that are being served (a stream is one), and
    when it was last used.
    """

    caller: str
    end: Callable[[], Awaitable[None]]
    requests: int = 0
    used_at: float = field(default_factory=time.monotonic)

    def use(self) -> None:
        """It is not idle."""
        self.used_at = time.monotonic()


class Sessions:
    """All sessions of this process."""

    def __init__(self, per_caller: int, idle_s: float) -> None:
        self._per_caller = per_caller
        self._idle_s = idle_s
        self._open: dict[str, Session] = {}

    def get(self, session_id: str) -> Session | None:
        """The session of this id."""
        return self._open.get(session_id)

    def forget(self, session_id: str) -> None:
        """A session has ended."""
        self._open.pop(session_id, None)

    async def add(self, session_id: str, session: Session) -> None:
        """A session was opened; those for which there is no room any more are ended."""
        self._open[session_id] = session
        self._drop_expired()
        while victim := self._too_many(session_id):
            await self._open.pop(victim).end()

    def _drop_expired(self) -> None:
        """Forget what the SDK has ended by itself."""
        before = time.monotonic() - self._idle_s
        for session_id in [
            one for one, session in self._open.items() if not session.requests and session.used_at < before
        ]:
            del self._open[session_id]

    def _too_many(self, newest: str) -> str | None:
        """The session to end next; never the one that was just opened, or its client would come again."""
        caller, most = Counter(session.caller for session in self._open.values()).most_common(1)[0]
        if most <= self._per_caller and len(self._open) <= self._per_caller * CALLERS:
            return None
        return min(
            (one for one, session in self._open.items() if session.caller == caller and one != newest),
            default=None,
            key=lambda one: (self._open[one].requests > 0, self._open[one].used_at),
        )


def caller_of(scope: Scope) -> str:
    """Who sends a request, as authentication has established it."""
    user = scope.get("user")
    if not isinstance(user, AuthenticatedUser):
        return NOBODY
    return user.access_token.subject or user.access_token.client_id


class BoundedSessions:
    """Keeps count of the sessions that the SDK's manager of Streamable HTTP opens and ends."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and note what becomes of its session."""
        named = Headers(scope=scope).get(MCP_SESSION_ID_HEADER)
        session = self._sessions.get(named) if named else None
        opened: str | None = None

        async def noting(message: Message) -> None:
            nonlocal opened
            if message["type"] == "http.response.start":
                status = message["status"]
                if named is None and status < 400:
                    opened = Headers(raw=message["headers"]).get(MCP_SESSION_ID_HEADER)
                    if opened:
                        await self._sessions.add(opened, self._session(opened, scope))
                elif named and (status == 404 or scope["method"] == "DELETE"):
                    self._sessions.forget(named)
            await send(message)

        if session is None:
            await self._app(scope, receive, noting)
            return
        session.requests += 1
        try:
            await self._app(scope, receive, noting)
        finally:
            session.requests -= 1
            session.use()

    def _session(self, session_id: str, scope: Scope) -> Session:
        header = (MCP_SESSION_ID_HEADER.encode(), session_id.encode())
        goodbye = {**scope, "method": "DELETE", "headers": [header]}

        async def end() -> None:
            """As its owner would: the way that the SDK offers."""
            await self._app(goodbye, _empty, _nowhere)

        return Session(caller_of(scope), end)


async def _empty() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(message: Message) -> None:
    """Nobody waits for the answer."""
