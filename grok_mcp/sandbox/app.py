"""The sandbox's routes: who may come in, which model answers, and how the answer leaves."""

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from grok_mcp.sandbox.chat_completions import CREATED, ChatCompletion
from grok_mcp.sandbox.chat_request import read_chat
from grok_mcp.sandbox.errors import TEAM, RefusalError, default_error, error_body, error_json
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

_Reader = Callable[[JSON, str], Question]
_Writer = Callable[[JSON, Question, Reply, str], ChatCompletion | ResponsesReply]


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
        return await self._answer(request, read_chat, ChatCompletion)

    async def responses(self, request: Request) -> ASGIApp:
        return await self._answer(request, read_responses, ResponsesReply)

    async def models(self, request: Request) -> ASGIApp:
        return self._look_up(request, list_models(CREATED))

    async def language_models(self, request: Request) -> ASGIApp:
        return self._look_up(request, list_language_models(CREATED))

    async def api_key(self, request: Request) -> ASGIApp:
        return self._look_up(request, _KEY)

    def _look_up(self, request: Request, body: JSON) -> ASGIApp:
        try:
            _check_key(request)
            fault = self._faults.take(request.headers.get(HEADER, ""))
        except RefusalError as refusal:
            return _refuse(refusal)
        return _fail(fault) or self._paced(body_pieces(body, fault), fault, "application/json")

    async def _answer(self, request: Request, read: _Reader, write: _Writer) -> ASGIApp:
        try:
            _check_key(request)
            body = await _read_body(request)
            model, _, script = str(body.get("model") or "").partition("!")
            fault = self._faults.take(script or request.headers.get(HEADER, ""))
            failure = _fail(fault)
            if failure is not None:
                return failure
            return self._reply(request, body | {"model": model}, fault, read, write)
        except RefusalError as refusal:
            return _refuse(refusal)

    def _reply(self, request: Request, body: JSON, fault: Fault, read: _Reader, write: _Writer) -> ASGIApp:
        try:
            question = read(body, request.headers.get("x-grok-conv-id", ""))
        except (AttributeError, KeyError, TypeError, ValueError):
            text = "Failed to deserialize the JSON body into the target type"
            raise RefusalError(422, f"{text}: a field is of a wrong form") from None
        reply = make_reply(question, self._cache.cached_tokens(question))
        wire = write(body, question, reply, _reply_id(body))
        if not body.get("stream") or fault.json:
            return self._paced(body_pieces(wire.body(), fault), fault, "application/json")
        pieces = stream_pieces(wire.events(), fault, lambda: wire.error_event(_error(fault)))
        return self._paced(pieces, fault, "text/event-stream")

    def _paced(self, pieces: Iterable[bytes], fault: Fault, media_type: str) -> PacedResponse:
        pace = self._pace if media_type == "text/event-stream" else 0
        if fault.pace is not None:
            pace = fault.pace
        return PacedResponse(pieces, pace=pace, fault=fault, media_type=media_type)


def _check_key(request: Request) -> None:
    key = request.headers.get("authorization", "").removeprefix("Bearer").strip()
    if not key:
        code, message = default_error(401)
        raise RefusalError(401, message, code=code)
    if key == "invalid" or "wrong" in key:
        raise RefusalError(
            400,
            "Incorrect API key provided: wr***ng. You can obtain an API key from https://console.x.ai.",
        )


async def _read_body(request: Request) -> JSON:
    raw = await request.body()
    if not raw or "json" not in request.headers.get("content-type", ""):
        raise RefusalError(415, "Expected request with `Content-Type: application/json`")
    try:
        body = json.loads(raw)
    except ValueError:
        message = "Failed to parse the request body as JSON"
        raise RefusalError(400, message) from None
    if not isinstance(body, dict):
        raise RefusalError(422, "Failed to deserialize the JSON body into the target type: expected a struct")
    return body


def _reply_id(body: JSON) -> str:
    """The same request gets the same id, so that whole answers can be compared."""
    digest = sha256(json.dumps(body, sort_keys=True).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


def _refuse(refusal: RefusalError) -> Response:
    shape = "text" if refusal.status == 422 else "xai"
    body, kind = error_body(shape, refusal.status, refusal.code, refusal.message)
    return Response(body, refusal.status, media_type=kind)


def _fail(fault: Fault) -> PacedResponse | None:
    """The answer of a fault script that refuses the whole request."""
    status = fault.status or (200 if fault.error200 else None)
    if status is None:
        return None
    code, message = default_error(fault.status or 503)
    message = fault.message or (message if fault.status else TIMED_OUT)
    shape = "text" if (status, fault.body) == (422, "xai") else fault.body
    body, kind = error_body(shape, status, code, message)
    headers = [(b"content-length", str(len(body)).encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", f"{fault.retry_after:g}".encode()))
    return PacedResponse([body], pace=0, fault=fault, media_type=kind, headers=headers, status=status)


def _error(fault: Fault) -> JSON:
    code, message = default_error(503)
    return error_json(fault.body, 503, code, fault.message or message)


_KEY = {
    "name": "sandbox",
    "acls": ["api-key:endpoint:*", "api-key:model:*"],
    "team_id": TEAM,
    "redacted_api_key": "xai-...box",
    "team_blocked": False,
    "api_key_blocked": False,
    "api_key_disabled": False,
}
