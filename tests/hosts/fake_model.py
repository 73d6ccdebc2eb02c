"""A model on loopback: calls the tools that a test tells it to, and keeps all that the host shows it.

    async with FakeModel(Call("ask_grok", {"prompt": "Hi"})) as model: ...

It speaks Anthropic Messages, chat completions, responses, and Gemini's generateContent, streamed or whole as
the host asks. Requests that offer no tool of ours (titles, summaries) are answered with a word.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.hosts.loopback import Served
from tests.hosts.model_wires import (
    MODEL,
    Anthropic,
    ChatCompletions,
    Gemini,
    Json,
    Offered,
    Responses,
    Turn,
    Wire,
)

SAYS = "The model is done."
NAMES = ("ask_grok", "grok_search", "grok_structured", "grok_result")
SEARCH = "ToolSearch"


@dataclass(frozen=True)
class Call:
    """A tool call that the model makes, by the name that our server, or the host, gives the tool."""

    tool: str
    arguments: Mapping[str, Any] | Callable[[str], Mapping[str, Any]]
    """The arguments, or how they follow from the last result."""


class FakeModel(Served):
    """Serves on a free loopback port while the `async with` block runs."""

    def __init__(self, *calls: Call) -> None:
        self._calls = calls
        self.offered: dict[str, Offered] = {}
        """The tools of our server as requests offered them, by our own names."""
        self.first_offered: list[str] | None = None
        """The same, of the first request that offered any tools at all."""
        self.received: list[str] = []
        """What the model was told of each call, in order."""
        self.requests: list[Json] = []
        """All that came, as it came."""
        self._looked: set[str] = set()
        self.read = ""
        """All that the latest request with tools of ours says, as JSON."""
        self.app = self._app()

    def _app(self) -> Starlette:
        def route(path: str, wire: Wire) -> Route:
            async def answer(request: Request) -> Response:
                body = await request.json()
                streamed = body.get("stream") is True or "streamGenerateContent" in request.url.path
                return self._answer(body, wire, streamed=streamed)

            return Route(path, answer, methods=["POST"])

        return Starlette(
            routes=[
                Route("/v1/messages/count_tokens", self._count, methods=["POST"]),
                route("/v1/messages", Anthropic()),
                route("/v1/chat/completions", ChatCompletions()),
                route("/v1/responses", Responses()),
                route("/v1beta/models/{method}", Gemini()),
                Route("/v1/models", self._models),
                Route("/{path:path}", self._nothing, methods=["GET", "POST", "HEAD"]),
            ]
        )

    async def _count(self, request: Request) -> Response:
        return JSONResponse({"input_tokens": 10})

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def _nothing(self, request: Request) -> Response:
        return JSONResponse({"error": {"message": "There is nothing here."}}, 404)

    def _answer(self, body: Json, wire: Wire, *, streamed: bool) -> Response:
        self.requests.append(body)
        turn = replace(self._turn(body, wire), number=len(self.requests))
        if not streamed:
            return JSONResponse(wire.whole(turn))
        return StreamingResponse(_lines(wire, turn), media_type="text/event-stream")

    def _turn(self, body: Json, wire: Wire) -> Turn:
        """The next call of the script: the first one whose result the request does not bring."""
        tools = {tool.name: tool for tool in wire.offered(body)}
        ours = {name: tool for tool in tools.values() for name in NAMES if tool.name.endswith(name)}
        self.offered |= ours
        if tools and self.first_offered is None:
            self.first_offered = list(ours)
        self.read = json.dumps(body, ensure_ascii=False) if ours else self.read
        results = wire.results(body)
        answered = [results[_call_id(n)] for n in range(len(self._calls)) if _call_id(n) in results]
        if len(answered) > len(self.received):
            self.received = answered
        if not ours or len(answered) == len(self._calls):
            return Turn(SAYS)
        call = self._calls[len(answered)]
        if found := self.offered.get(call.tool) or tools.get(call.tool):
            arguments = call.arguments(answered[-1]) if callable(call.arguments) else call.arguments
            return Turn(tool=found, arguments=arguments, call_id=_call_id(len(answered)))
        return self._look_for(call.tool, tools)

    def _look_for(self, tool: str, offered: Mapping[str, Offered]) -> Turn:
        """Fetch the tools that the host names only, as Claude Code does with most of them."""
        if SEARCH not in offered or tool in self._looked:
            return Turn(f"There is no {tool}.")
        missing = [tool]
        if tool in NAMES:
            name, known = next(iter(self.offered.items()))
            before = known.name.removesuffix(name)
            missing = [before + one for one in NAMES if one not in self.offered]
        self._looked |= {tool}
        wanted = {"query": f"select:{','.join(missing)}", "max_results": len(missing)}
        return Turn(tool=offered[SEARCH], arguments=wanted, call_id=f"look_for_{tool}")


def _call_id(number: int) -> str:
    return f"call_{number}_of_the_script"


def _lines(wire: Wire, turn: Turn) -> Iterator[str]:
    for name, data in wire.stream(turn):
        yield (f"event: {name}\n" if name else "") + f"data: {json.dumps(data)}\n\n"
    if isinstance(wire, ChatCompletions):
        yield "data: [DONE]\n\n"
