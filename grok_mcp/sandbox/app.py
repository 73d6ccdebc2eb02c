"""The sandbox's routes: who may come in, which model answers, and how the answer leaves."""

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from grok_mcp.sandbox.bends import bend_body, bend_events
from grok_mcp.sandbox.chat_completions import CREATED, ChatCompletion
from grok_mcp.sandbox.chat_request import read_chat
from grok_mcp.sandbox.decisions import refuse, twist
from grok_mcp.sandbox.errors import TEAM, UNAVAILABLE, WRONG_KEY, RefusalError, error_body, refusal
from grok_mcp.sandbox.faults import HEADER, Fault, FaultBook
from grok_mcp.sandbox.models import list_language_models, list_models
from grok_mcp.sandbox.plan import Reply, make_reply
from grok_mcp.sandbox.question import Question
from grok_mcp.sandbox.responses import ResponsesReply
from grok_mcp.sandbox.responses_request import read_responses
from grok_mcp.sandbox.sending import PacedResponse, body_pieces, stream_pieces
from grok_mcp.sandbox.usage import PromptCache

JSON = dict[str, Any]

TIMED_OUT = "Timed out waiting for first token"


class _Dialect(NamedTuple):
    name: str
    read: Callable[[JSON, str], Question]
    write: Callable[[JSON, Question, Reply, str], ChatCompletion | ResponsesReply]


_CHAT = _Dialect("chat", read_chat, ChatCompletion)
_RESPONSES = _Dialect("responses", read_responses, ResponsesReply)


def create_app(*, pace: float = 0.03) -> Starlette:
    """The sandbox as an ASGI application; `pace` is the seconds between two streamed events."""
    sandbox = _Sandbox(pace)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", sandbox.chat, methods=["POST"]),
            Route("/v1/responses", sandbox.responses, methods=["POST"]),
            Route("/v1/models", sandbox.models),
            Route("/v1/language-models", sandbox.language_models),
            Route("/v1/api-key", sandbox.api_key),
        ]
    )


class _Sandbox:
    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._cache = PromptCache()
        self._faults = FaultBook()

    async def chat(self, request: Request) -> ASGIApp:
        return await self._answer(request, _CHAT)

    async def responses(self, request: Request) -> ASGIApp:
        return await self._answer(request, _RESPONSES)

    async def models(self, request: Request) -> ASGIApp:
        return self._look_up(request, list_models(CREATED))

    async def language_models(self, request: Request) -> ASGIApp:
        return self._look_up(request, list_language_models(CREATED))

    async def api_key(self, request: Request) -> ASGIApp:
        return self._look_up(request, _KEY)

    def _look_up(self, request: Request, body: JSON) -> ASGIApp:
        fault = Fault()
        try:
            _check_key(request)
            fault = self._faults.take(request.headers.get(HEADER, ""))
        except RefusalError as error:
            return _refuse(error, fault)
        return _fail(fault) or self._paced(body_pieces(body, fault), fault, "application/json")

    async def _answer(self, request: Request, dialect: _Dialect) -> ASGIApp:
        fault = Fault()
        try:
            _check_key(request)
            body = await _read_body(request)
            model, _, script = str(body.get("model") or "").partition("!")
            fault = self._faults.take(script or request.headers.get(HEADER, ""))
            return _fail(fault) or self._reply(request, body | {"model": model}, fault, dialect)
        except RefusalError as error:
            return _refuse(error, fault)

    def _reply(self, request: Request, body: JSON, fault: Fault, dialect: _Dialect) -> ASGIApp:
        try:
            refuse(fault.decisions, dialect.name, body)
            question = dialect.read(body, request.headers.get("x-grok-conv-id", ""))
        except (AttributeError, KeyError, TypeError, ValueError):
            text = "Failed to deserialize the JSON body into the target type"
            raise refusal(422, f"{text}: a field is of a wrong form") from None
        question = twist(fault.decisions, question)
        reply = make_reply(question, self._cache.cached_tokens(question))
        wire = dialect.write(body, question, reply, _reply_id(body))
        if not body.get("stream") or fault.json:
            pieces = body_pieces(bend_body(fault.bends, wire.body()), fault)
            return self._paced(pieces, fault, "application/json")
        events = wire.events(bend_events(fault.bends))
        error = refusal(503, fault.message)
        pieces = stream_pieces(events, fault, lambda: wire.error_event(fault.body, error))
        return self._paced(pieces, fault, "text/event-stream")

    def _paced(self, pieces: Iterable[bytes], fault: Fault, media_type: str) -> PacedResponse:
        pace = self._pace if media_type == "text/event-stream" else 0
        if fault.pace is not None:
            pace = fault.pace
        return PacedResponse(pieces, pace=pace, fault=fault, media_type="" if fault.notype else media_type)


def _check_key(request: Request) -> None:
    key = request.headers.get("authorization", "").removeprefix("Bearer").strip()
    if not key:
        raise refusal(401)
    if key == "invalid" or "wrong" in key:
        raise refusal(400, WRONG_KEY)


async def _read_body(request: Request) -> JSON:
    raw = await request.body()
    if not raw or "json" not in request.headers.get("content-type", ""):
        raise RefusalError(415, "Expected request with `Content-Type: application/json`")
    try:
        body = json.loads(raw)
    except ValueError:
        raise refusal(400, "Failed to parse the request body as JSON") from None
    if not isinstance(body, dict):
        raise refusal(422, "Failed to deserialize the JSON body into the target type: expected a struct")
    return body


def _reply_id(body: JSON) -> str:
    """The same request gets the same id, so that whole answers can be compared."""
    digest = sha256(json.dumps(body, sort_keys=True).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


def _refuse(error: RefusalError, fault: Fault) -> PacedResponse:
    """The answer to a refused request, in the words, shape and time of the fault script."""
    if fault.message:
        error = RefusalError(error.status, fault.message, code=error.code)
    body, kind = error_body(fault.body, error)
    headers = [(b"content-length", str(len(body)).encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", f"{fault.retry_after:g}".encode()))
    return PacedResponse([body], pace=0, fault=fault, media_type=kind, headers=headers, status=error.status)


def _fail(fault: Fault) -> PacedResponse | None:
    """The answer of a fault script that refuses the whole request."""
    if fault.status:
        return _refuse(refusal(fault.status), fault)
    return _refuse(RefusalError(200, TIMED_OUT, code=UNAVAILABLE), fault) if fault.error200 else None


_KEY = {
    "name": "sandbox",
    "acls": ["api-key:endpoint:*", "api-key:model:*"],
    "team_id": TEAM,
    "redacted_api_key": "xai-...box",
    "team_blocked": False,
    "api_key_blocked": False,
    "api_key_disabled": False,
}
