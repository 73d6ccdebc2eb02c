"""The one pipeline of all tools: request → dialect → upstream → events → fold → answer.

Here stand the decisions that need more than one of these: retries, deadlines, what is sent again in another
form, and what to do with an answer that broke.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from grok_mcp import errors, events
from grok_mcp.calls import Calls
from grok_mcp.conversations import Conversations
from grok_mcp.dialects import DIALECTS, parse
from grok_mcp.error_bodies import read_error_payload
from grok_mcp.errors import GrokError
from grok_mcp.fold import Fold
from grok_mcp.gateways import GATEWAYS, endpoint_url, find_gateway
from grok_mcp.messages import Answer, ChatRequest
from grok_mcp.outcome import build_answer, usage_of
from grok_mcp.plan import Plan
from grok_mcp.settings import Settings
from grok_mcp.taxonomy import Endpoint, classify
from grok_mcp.upstream import Timeouts, Upstream

if TYPE_CHECKING:
    from grok_mcp.sandbox import SandboxServer

Observer = Callable[[events.Event, str], None]
"""Is told every event, and the text that it added; must not block."""


def ignore(event: events.Event, added: str) -> None:
    """The observer of a call that nobody watches."""


class Turn:
    """One request to the endpoint and what has come of it, over all attempts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.fold = Fold()
        self.failure: GrokError | None = None
        self.unreadable = 0
        self.started = time.monotonic()
        self.first_content: float | None = None

    def restart(self) -> None:
        """Begin an attempt with nothing received."""
        self.fold = Fold(clean=self.plan.request.search is not None)

    def receive(self, event: events.Event, observe: Observer) -> None:
        """Take one event in and tell the observer."""
        observe(event, self.fold.add(event))
        if self.first_content is None and self.fold.has_content:
            self.first_content = time.monotonic()


class Grok:
    """One endpoint, its conversations and limits; built once a process, shared by all callers."""

    def __init__(self, settings: Settings, calls: Calls | None = None) -> None:
        self.settings = settings
        self.calls = calls or Calls()
        self.conversations = Conversations()
        named = GATEWAYS.get(settings.gateway or "")
        self.gateway = named or (find_gateway(settings.base_url) if settings.base_url else GATEWAYS["xai"])
        self._base_url = settings.base_url or self.gateway.base_url
        key = self.gateway.own_key or settings.key()
        endpoint = Endpoint(self.gateway.title, secrets=(key,) if key else ())
        self._upstream = Upstream(endpoint, key, Timeouts(settings.connect_timeout, settings.idle_timeout))
        self._endpoint = endpoint
        self._has_key = key is not None
        self._places = anyio.Semaphore(settings.max_concurrency)
        self._starting = anyio.Lock()
        self._refused: set[str] = set()
        self._sandbox: SandboxServer | None = None

    @property
    def default_model(self) -> str:
        """The model for calls that name none."""
        return self.settings.model or self.gateway.default_model

    async def complete(self, request: ChatRequest, observe: Observer = ignore) -> Answer:
        """Send one request and return its answer, partial and marked where it broke after some text.

        Raises GrokError where there is nothing to return; its `usage` says what was spent.
        """
        self._check_key()
        turn = Turn(Plan(request, self.gateway, self.settings, self._refused))
        timeout = anyio.move_on_after(self.settings.timeout)
        with self.calls.track() as scope, timeout, scope:
            async with self._place(observe):
                await self._run(turn, observe)
        if scope.cancelled_caught:
            turn.failure = errors.InterruptedAnswerError(
                "This server was told to end before the answer was complete.", "Ask again.", retryable=True
            )
        elif timeout.cancelled_caught:
            turn.failure = errors.UpstreamTimeoutError(
                f"{self.gateway.title} did not finish within {self.settings.timeout:g} s.",
                "Raise GROK_MCP_TIMEOUT or ask for less; the same call would take as long again.",
            )
        return self._conclude(turn)

    def _check_key(self) -> None:
        if not self._has_key:
            raise errors.ConfigurationError(
                f"{self.settings.missing_key_reason()}: nothing was sent to {self.gateway.title}.",
                "Set XAI_API_KEY (or GROK_MCP_API_KEY) in the host's configuration of this server and "
                "restart it, or set GROK_MCP_GATEWAY=sandbox to try it without a key.",
            )

    @asynccontextmanager
    async def _place(self, observe: Observer) -> AsyncIterator[None]:
        """One of the places upstream; where none is free, wait in order and say so."""
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            observe(events.Waiting("waiting for a free place: too many calls at once"), "")
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()

    async def _run(self, turn: Turn, observe: Observer) -> None:
        """Attempts until one ends well, fails for good, or has brought content."""
        while True:
            turn.failure = None
            try:
                await self._attempts(turn, observe)
                return
            except GrokError as error:
                turn.failure = error
                if turn.fold.has_content or not turn.plan.mend(error):
                    return

    async def _attempts(self, turn: Turn, observe: Observer) -> None:
        import stamina  # not needed before the first call

        def may_retry(error: Exception) -> bool | float:
            if not isinstance(error, GrokError) or not error.retryable or turn.fold.has_content:
                return False
            if error.retry_after_s is None:
                return True
            left_s = anyio.current_effective_deadline() - anyio.current_time()
            return error.retry_after_s if error.retry_after_s < left_s else False

        attempts = stamina.retry_context(
            on=may_retry,
            attempts=1 + self.settings.max_retries,
            timeout=None,
            wait_initial=0.5,
            wait_max=8,
            wait_jitter=0.5,
        )
        async for attempt in attempts:
            with attempt:
                await self._attempt(turn, observe)

    async def _attempt(self, turn: Turn, observe: Observer) -> None:
        turn.restart()
        dialect = DIALECTS[turn.plan.dialect]
        url = endpoint_url(await self._address(), dialect.path)
        body = dialect.build_body(turn.plan.request, self.gateway)
        async with self._upstream.stream(url, body, self._headers(turn.plan.request)) as reply:
            async with aclosing(reply.payloads()) as payloads:
                async for payload in payloads:
                    for event in parse(payload):
                        turn.receive(event, observe)
                    if turn.fold.ended or turn.fold.failure:
                        break
            turn.unreadable = reply.unreadable
            await reply.drain()
        self._check_end(turn, done=reply.done)

    def _check_end(self, turn: Turn, *, done: bool) -> None:
        """Raise for an answer that failed, stopped without a sign of its end, or holds nothing."""
        fold = turn.fold
        if fold.failure:
            raise classify(read_error_payload(fold.failure.payload), self._endpoint)
        if not (done or fold.ended or fold.finish_reasons) and fold.has_content:
            raise errors.InterruptedAnswerError(
                f"{self.gateway.title} ended its answer before it was complete.", "Ask again."
            )
        if fold.tool_calls or any(part.length for part in fold.parts.values()):
            return
        reason = fold.finish_reasons.get(0)
        if reason == "length":
            raise errors.LengthError(
                "The token limit was reached before any text was written.", "Raise max_output_tokens."
            )
        if reason == "content_filter":
            raise errors.ContentFilterError(
                f"{self.gateway.title} stopped the answer for safety.",
                "Rephrase the request; a retry will not help.",
            )
        unreadable = " that could be read" if turn.unreadable else ""
        raise errors.UpstreamError(
            f"{self.gateway.title} answered with neither text nor calls{unreadable}.",
            "Try again, or name another model.",
        )

    def _headers(self, request: ChatRequest) -> Mapping[str, str]:
        header = self.gateway.affinity_header
        return {header: request.cache_key} if header and request.cache_key else {}

    async def _address(self) -> str:
        """The base URL; the sandbox is started here, with the first call that needs it."""
        if self._base_url is None:
            async with self._starting:
                if self._base_url is None:
                    from grok_mcp.sandbox import SandboxServer  # only who has no key needs it

                    self._sandbox = SandboxServer()
                    self._base_url = await anyio.to_thread.run_sync(self._sandbox.start)
        return self._base_url

    def _conclude(self, turn: Turn) -> Answer:
        """The answer with its times and warnings, or the failure where no text came."""
        now, fold, failure = time.monotonic(), turn.fold, turn.failure
        usage = replace(
            usage_of(fold, turn.plan.request, self.gateway),
            duration_s=now - turn.started,
            time_to_first_token_s=turn.first_content and turn.first_content - turn.started,
        )
        answer = build_answer(fold, turn.plan.request, self.gateway, broken=failure is not None)
        if failure and not answer.text:
            failure.usage = usage if fold.report else None
            raise failure
        warnings = [*turn.plan.warnings, *answer.warnings]
        if failure:
            warnings.append(f"The answer is incomplete: [{failure.code}] {failure.message}")
        if turn.unreadable:
            warnings.append(f"{turn.unreadable} pieces of the stream could not be read and are missing.")
        return replace(answer, usage=usage, warnings=tuple(dict.fromkeys(warnings)))

    def warm(self) -> None:
        """Prepare the connection pool ahead of the first call; takes a moment, so call it in a thread."""
        if self._base_url is not None:
            self._upstream.warm(self._base_url)

    async def aclose(self) -> None:
        """Close connections, and the sandbox where it runs."""
        await self._upstream.aclose()
        if self._sandbox is not None:
            await anyio.to_thread.run_sync(self._sandbox.stop)
