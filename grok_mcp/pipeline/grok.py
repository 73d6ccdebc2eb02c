"""The one pipeline of all tools: request → dialect → upstream → events → fold → answer.

Here stand the decisions that need more than one of these: retries, deadlines, what is sent again in another
form, and what to do with an answer that broke.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from grok_mcp import errors, events
from grok_mcp.accounting import CallLimit, Estimate, estimate_cost, open_books
from grok_mcp.dialects import DIALECTS, parse
from grok_mcp.endpoint import RESTS_S, Catalog, Endpoint, Keys, Readiness, Timeouts, Upstream
from grok_mcp.errors import GrokError
from grok_mcp.gateways import endpoint_url, resolve
from grok_mcp.messages import LOCAL, Answer, Call, ChatRequest
from grok_mcp.models import RETIRED, find_model
from grok_mcp.pipeline import telemetry
from grok_mcp.pipeline.in_flight import InFlight
from grok_mcp.pipeline.pace import Pace
from grok_mcp.pipeline.places import Places
from grok_mcp.pipeline.plan import Plan, Refusals
from grok_mcp.pipeline.runs import Runs
from grok_mcp.pipeline.safety import safety_identifier
from grok_mcp.pipeline.turn import Turn
from grok_mcp.settings import Settings
from grok_mcp.stores import AnswerStore, ConversationStore, open_stores

WARM_AFTER_S = 0.2  # by then the host has its list of tools, and the processor is free
TIDY_AFTER_S = 30.0
"""After a start, until answers that have expired are dropped, also those of processes that are gone."""

if TYPE_CHECKING:
    from grok_mcp.quotas import Quotas
    from grok_mcp.sandbox import SandboxServer


class Grok:
    """One endpoint, its conversations and limits; built once a process, shared by all callers."""

    def __init__(
        self,
        settings: Settings,
        in_flight: InFlight | None = None,
        stores: tuple[ConversationStore, AnswerStore] | None = None,
    ) -> None:
        self.settings = settings
        self.in_flight = in_flight or InFlight()
        self.conversations, self._answers = stores or open_stores(settings)
        self.runs = Runs(self.in_flight, self._answers)
        self.pace = Pace()
        self.gateway = resolve(settings)
        self._base_url = settings.base_url or self.gateway.base_url
        self.identity = (
            *(self.gateway.name, self._base_url, settings.model, settings.reasoning_effort),
            *(settings.dialect, settings.search_dialect),
        )
        """What tells this server's answers apart from those of another one with the same store."""
        self.keys = Keys(settings, self.gateway.own_key)
        endpoint = Endpoint(self.gateway.title, self.keys.variable, self.keys.secrets)
        timeouts = Timeouts(settings.connect_timeout, settings.idle_timeout)
        self._upstream = Upstream(endpoint, self.keys.key, timeouts)
        self.catalog = Catalog(self.gateway, self._get, settings.model)
        self.readiness = Readiness(self.gateway, self._get)
        self.quotas: Quotas | None = None
        if settings.limits_file is not None:
            from grok_mcp.quotas import open_quotas  # only where callers have limits

            self.quotas = open_quotas(settings, self.gateway)
        self.ledger, self.budget = open_books(settings, self.quotas.budgets if self.quotas else None)
        limit = settings.call_limit_usd
        self.call_limit = CallLimit(limit, self.gateway) if limit is not None else None
        takes_identifier = "safety_identifier" in self.gateway.extensions
        self._identifies = settings.safety_identifier == "on" and takes_identifier
        self._places = Places(settings.max_concurrency)
        self._starting = anyio.Lock()
        self._refusals = Refusals()
        self._sandbox: SandboxServer | None = None
        self._warm = False

    @property
    def default_model(self) -> str:
        """The model for calls that name none."""
        return self.catalog.default_model

    def estimate(self, request: ChatRequest) -> Estimate | None:
        """What the request may cost in the form that it would go out in; None where no price is known."""
        form = Plan(request, self.gateway, self.settings, self._refusals).form
        return estimate_cost(form.request, form.dialect, self.gateway)

    async def complete(self, request: ChatRequest, call: Call | None = None) -> Answer:
        """Send one request of a call and return its answer, partial and marked where it broke after some
        text.

        Raises GrokError where there is nothing to return; its `usage` is what was spent.
        """
        call = call or Call()
        if call.own_key is None:
            await self._check_key()
            request = self._with_identifier(request, call)
        else:  # whose account has other collections, if any
            request = replace(request, collections=())
        turn = Turn(Plan(request, self.gateway, self.settings, self._refusals), call)
        form = turn.plan.form
        notes = () if call.admit is None else await call.admit(form.request, form.dialect)
        try:
            with telemetry.record_of(call, self.gateway, form.request, self._base_url) as turn.record:
                answer = await self._complete(turn)
                turn.record.answer(answer, turn.failure)
        except BaseException:  # a cancelled call has spent something too
            turn.meter(turn.spent(self.gateway))
            raise
        turn.meter(answer.usage)
        return answer.with_warnings(notes)

    async def _complete(self, turn: Turn) -> Answer:
        timeout = anyio.move_on_after(self.settings.timeout)
        with self.in_flight.track() as scope, timeout, scope:
            async with self._place(turn.call):
                await self._run(turn)
        if scope.cancelled_caught:
            turn.failure = errors.InterruptedAnswerError(
                "This server was stopped before the answer was complete.", "Ask again."
            )
        elif timeout.cancelled_caught:
            turn.failure = errors.UpstreamTimeoutError(
                f"{self.gateway.title} did not finish within {self.settings.timeout:g} s.",
                "Raise GROK_MCP_TIMEOUT or ask for less; the same call would take as long again.",
            )
        if turn.call.own_key is None:
            self.readiness.record(turn.failure)
        return turn.conclude(self.gateway)

    def _with_identifier(self, request: ChatRequest, call: Call) -> ChatRequest:
        """The request with what stands for its caller, where there are several."""
        if not self._identifies or call.caller == LOCAL:
            return request
        own = self.settings.safety_key
        key = own.get_secret_value() if own else next(iter(self.keys.all), "")
        return replace(request, safety_identifier=safety_identifier(call.caller, key))

    async def _check_key(self) -> None:
        await self.keys.settle()
        if self.keys.key is None:
            raise errors.MissingKeyError(
                f"{self.keys.missing_reason}: nothing was sent to {self.gateway.mention}.",
                "Set XAI_API_KEY (or GROK_MCP_API_KEY) in the host's configuration of this server and "
                "restart it, or set GROK_MCP_GATEWAY=sandbox to try it without a key.",
            )

    def _place(self, call: Call) -> AbstractAsyncContextManager[None]:
        """One of the places upstream; where none is free, wait for a turn and say so."""

        def say_so() -> None:
            call.observe(events.Waiting("waiting for a free place: too many calls at once"), "")

        return self._places.take(call.caller, say_so)

    async def _run(self, turn: Turn) -> None:
        """Attempts until one ends well, fails for good, or has brought content."""
        while True:
            turn.failure = None
            try:
                await self._attempts(turn)
                turn.plan.worked()
                return
            except GrokError as error:
                turn.failure = error
                if turn.is_billed:
                    turn.plan.worked()
                    return
                if await self._has_other_key(turn, error):
                    continue
                if not await self._adapt(turn.plan, error):
                    turn.failure = turn.plan.final_error(error)
                    return

    async def _has_other_key(self, turn: Turn, error: GrokError) -> bool:
        """Whether a call that failed because of its key can be sent again with another one."""
        if turn.call.own_key is not None:
            return False
        if isinstance(error, errors.AuthenticationError) and not turn.is_renewed:
            turn.is_renewed = await self.keys.renew(turn.key)
            if turn.is_renewed:
                return True
        return self._fails_over(turn, error)

    def _fails_over(self, turn: Turn, error: Exception) -> bool:
        """Whether the next key has to be tried at once."""
        about_key = isinstance(error, (*RESTS_S, errors.PermissionDeniedError))
        return about_key and turn.call.own_key is None and self.keys.has_other(turn.tried)

    def _use_key(self, tried: Collection[str | None] = ()) -> str | None:
        """The key that goes out with the next request."""
        key = self.keys.choose(tried)
        if key != self._upstream.key:
            self._upstream.use_key(key, self.keys.variable)
            self.readiness.forget()
        return key

    async def _adapt(self, plan: Plan, error: GrokError) -> bool:
        """Another form for a request that was refused; False where there is none left to try."""
        if not isinstance(error, errors.ModelNotFoundError):
            return plan.adapt(error)
        # A new model may at first be served in one dialect only (observed in 2026); its name is in the list.
        model = plan.form.request.model
        known = find_model(model) or (self.gateway.serves_xai_models and model in RETIRED)
        if plan.other_dialect and not known and await self.catalog.offers(model):
            plan.switch_dialect()
            return True
        error.advice = f"{self.catalog.advice(model)}{error.advice}"
        return False

    async def _attempts(self, turn: Turn) -> None:
        def may_retry(error: Exception) -> bool | float:
            if not isinstance(error, GrokError) or not error.retryable or turn.is_billed:
                return False
            if self._fails_over(turn, error):
                return False
            if error.retry_after_s is None:
                return True
            left_s = anyio.current_effective_deadline() - anyio.current_time()
            return error.retry_after_s if error.retry_after_s < left_s else False

        try:
            return await self._attempt(turn)
        except GrokError as error:
            if may_retry(error) is False:
                raise
            failure = error
        import stamina  # not needed while nothing fails

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
                if attempt.num == 1:  # it was made above
                    raise failure
                turn.call.observe(events.Waiting(f"trying again, attempt {attempt.num}"), "")
                await self._attempt(turn)

    async def _attempt(self, turn: Turn) -> None:
        turn.restart()
        with turn.record.attempt(turn.plan.form.dialect, turn.fold):
            try:
                await self._send(turn)
            except GrokError as error:
                if turn.call.own_key is None:
                    self.keys.rest(turn.key, error)
                raise

    async def _send(self, turn: Turn) -> None:
        dialect = DIALECTS[turn.plan.form.dialect]
        url = endpoint_url(await self._address(), dialect.path)
        body = dialect.build_body(turn.plan.form.request, self.gateway)
        if turn.call.begin:
            await turn.call.begin()
        turn.call.meter.is_sending = True
        own = turn.call.own_key
        if own is None:
            await self.keys.settle()
            turn.key = self._use_key(turn.tried)
            turn.tried.add(turn.key)
        async with self._upstream.stream(url, body, self._headers(turn), own) as reply:
            async with aclosing(reply.payloads()) as payloads:
                async for payload in payloads:
                    for event in parse(payload, turn.fold.model):
                        turn.receive(event)
                    if turn.fold.ended or turn.fold.failure:
                        break
            turn.unreadable, turn.is_cut = reply.unreadable, reply.is_cut
            await reply.drain()
        turn.check_end(self._upstream.endpoint_for(own), done=reply.done)

    def _headers(self, turn: Turn) -> Mapping[str, str]:
        header, key = self.gateway.affinity_header, turn.plan.form.request.cache_key
        return {**turn.record.headers, **({header: key} if header and key else {})}

    async def _get(self, path: str) -> Any:
        """One of the endpoint's JSON documents, by the first key that gets it."""
        await self._check_key()
        url = endpoint_url(await self._address(), path)
        tried: set[str | None] = set()
        is_renewed = False
        while True:
            key = self._use_key(tried)
            tried.add(key)
            try:
                return await self._upstream.get(url)
            except tuple(RESTS_S) as error:
                self.keys.rest(key, error)
                if isinstance(error, errors.AuthenticationError) and not is_renewed:
                    is_renewed = await self.keys.renew(key)
                    if is_renewed:
                        continue
                if not self.keys.has_other(tried):
                    raise

    async def _address(self) -> str:
        """The base URL; the sandbox is started here, with the first call that needs it."""
        if self._base_url is None:
            async with self._starting:
                if self._base_url is None:
                    from grok_mcp.sandbox import SandboxServer  # only who has no key needs it

                    self._sandbox = SandboxServer()
                    self._base_url = await anyio.to_thread.run_sync(self._sandbox.start)
        return self._base_url

    def warm_soon(self, steps: Iterable[Callable[[], object]]) -> None:
        """Prepare for the first call, once, when the host has its list of tools and nothing else goes on."""
        if self._warm:
            return
        self._warm = True
        loop = asyncio.get_running_loop()
        for step in steps:
            loop.call_later(WARM_AFTER_S, step)
        loop.call_later(TIDY_AFTER_S, self._answers.tidy)
        if self._base_url is not None:
            loop.call_later(WARM_AFTER_S, loop.run_in_executor, None, self._upstream.warm, self._base_url)

    async def aclose(self) -> None:
        """End what runs, close connections, the sandbox where it runs, and the ledger once all is written."""
        await self.runs.aclose()
        await self._answers.aclose()
        await self._upstream.aclose()
        await self.conversations.aclose()
        if self._sandbox is not None:
            await anyio.to_thread.run_sync(self._sandbox.stop)
        if self.quotas is not None:
            await self.quotas.aclose()
        await self.ledger.aclose()
