"""The sandbox's routes: the key, the fault script, the dialect, and how the answer leaves."""

import json
from collections.abc import Iterable
from functools import partial
from hashlib import sha256
from uuid import UUID

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from grok_mcp.sandbox.answering import PromptCache, make_reply
from grok_mcp.sandbox.answering.models import language_model_list, model_list
from grok_mcp.sandbox.chat import ChatCompletion
from grok_mcp.sandbox.errors import JSON, TEAM, WRONG_BODY, WRONG_KEY, RefusalError, refusal
from grok_mcp.sandbox.faults import Fault, FaultBook, Word, changed
from grok_mcp.sandbox.responses import ResponsesReply
from grok_mcp.sandbox.sending import PacedResponse, body_pieces, stream_pieces

KEY = {
    "name": "sandbox",
    "acls": ["api-key:endpoint:*", "api-key:model:*"],
    "team_id": TEAM,
    "redacted_api_key": "xai-...box",
    **dict.fromkeys(("team_blocked", "api_key_blocked", "api_key_disabled"), False),
}

_Dialect = type[ChatCompletion] | type[ResponsesReply]


def create_app(*, pace: float = 0.03, faults: Iterable[Word] = ()) -> Starlette:
    """The sandbox as an ASGI application.

    `pace` is the seconds between two streamed events; `faults` are words of fault scripts beyond its own.
    """
    sandbox = _Sandbox(pace, FaultBook(faults))
    return Starlette(
        routes=[
            Route("/v1/chat/completions", partial(sandbox.answer, ChatCompletion), methods=["POST"]),
            Route("/v1/responses", partial(sandbox.answer, ResponsesReply), methods=["POST"]),
            Route("/v1/models", partial(sandbox.look_up, model_list())),
            Route("/v1/language-models", partial(sandbox.look_up, language_model_list())),
            Route("/v1/api-key", partial(sandbox.look_up, KEY)),
        ]
    )


class _Sandbox:
    def __init__(self, pace: float, faults: FaultBook) -> None:
        self._pace = pace
        self._faults = faults
        self._cache = PromptCache()

    async def look_up(self, body: JSON, request: Request) -> ASGIApp:
        try:
            _check_key(request)
        except RefusalError as error:
            return _refuse(error, Fault())
        return JSONResponse(body)

    async def answer(self, dialect: _Dialect, request: Request) -> ASGIApp:
        fault = Fault()
        try:
            _check_key(request)
            body = await _read_body(request)
            model, _, script = str(body.get("model") or "").partition("!")
            fault = self._faults.take(script)
            conversation = request.headers.get("x-grok-conv-id", "")
            return self._reply(body | {"model": model}, conversation, fault, dialect)
        except RefusalError as error:
            return _refuse(error, fault)

    def _reply(self, body: JSON, conversation: str, fault: Fault, dialect: _Dialect) -> ASGIApp:
        reply_id = _reply_id(body)
        body = changed(fault.requests, body)
        try:
            fault.refuse(dialect.name, body)
            question = dialect.read(body, conversation)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise refusal(422, f"{WRONG_BODY}: a field is of a wrong form") from None
        reply = make_reply(question, self._cache.cached_tokens(question))
        for change in fault.replies:
            reply = change(question, reply)
        wire = dialect(body, question, reply, reply_id)
        if body.get("stream"):
            pieces = stream_pieces(wire.events(), fault)
            return PacedResponse(pieces, fault, "text/event-stream", pace=self._pace)
        return PacedResponse(body_pieces(wire.body(), fault), fault, "application/json")


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
        raise refusal(422, f"{WRONG_BODY}: expected a struct")
    return body


def _reply_id(body: JSON) -> str:
    """The same request gets the same id, so that whole answers can be compared."""
    digest = sha256(json.dumps(body, sort_keys=True).encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


def _refuse(error: RefusalError, fault: Fault) -> PacedResponse:
    body, media_type = fault.write_error(error)
    fault.headers.setdefault("content-length", str(len(body)))
    return PacedResponse([body], fault, media_type, status=error.status)
