"""The most that one call may cost: checked by estimate, before anything of it goes out.

A call above it needs the consent of its user, else it is refused. What corrects an answer, and what is sent
again, belongs to the call that was admitted.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from grok_mcp.accounting.estimate import Estimate, amount, estimate_cost, short
from grok_mcp.errors import CallLimitError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest, Consent
from grok_mcp.models import MODELS, find_model

VARIABLE = "GROK_MCP_CALL_LIMIT_USD"

_LEAST_TOKENS = 100
"""An answer with fewer is no help."""
_ANY_WAY = "a smaller max_output_tokens with a lower reasoning_effort, another model, or a shorter input"
_FAR = 100_000
"""Tokens of output between two estimates, whose difference is what one of them costs."""


class CallLimit:
    """A limit for each call alone, at one endpoint."""

    def __init__(self, limit_usd: Decimal, gateway: Gateway) -> None:
        self.limit_usd = limit_usd
        self._gateway = gateway

    def check(self, request: ChatRequest, dialect: str, consent: Consent) -> list[str]:
        """Let the request pass, with notes for its answer. Raises CallLimitError."""
        estimated = estimate_cost(request, dialect, self._gateway)
        if estimated is None:
            model = short(request.model)
            return [f"The price of {model} is unknown, so {VARIABLE} ({self._limit} USD) was not checked."]
        if estimated.usd > max(self.limit_usd, consent.granted_usd or 0):
            raise self._refusal(estimated, request, dialect, consent)
        return []

    @property
    def _limit(self) -> str:
        return f"{self.limit_usd.normalize():f}"

    def _refusal(
        self, estimated: Estimate, request: ChatRequest, dialect: str, consent: Consent
    ) -> CallLimitError:
        what = (
            f"This call may cost {amount(estimated.usd)} USD, more than the {self._limit} USD that "
            f"{VARIABLE} allows for one call ({estimated.parts})."
        )
        ways = "; or ".join(self._cheaper(estimated, request, dialect)) or _ANY_WAY
        raised = f"have {VARIABLE} raised where this server is configured"
        error = CallLimitError(
            f"{what} {consent.reason} ".rstrip() + " Nothing was sent.",
            f"A retry will not help. Cheaper: {ways}; or {raised}.",
        )
        error.usd, error.question = estimated.usd, what
        return error

    def _cheaper(self, estimated: Estimate, request: ChatRequest, dialect: str) -> Iterator[str]:
        """What would make the call cheaper."""
        room = self._room(request, dialect)
        if room >= _LEAST_TOKENS:
            yield f"max_output_tokens of at most {room:,}"
        model = find_model(request.model)
        effort = request.reasoning_effort or (model.efforts[0] if model and model.efforts else None)
        lower = model is not None and "low" in model.efforts and effort not in ("low", "none")
        if lower and self._fits(replace(request, reasoning_effort="low"), dialect):
            yield "reasoning_effort low"
        if self._gateway.serves_xai_models:
            images = any(message.images for message in request.messages)
            served = self._gateway.models or MODELS
            for other in (MODELS[name] for name in served if name in MODELS):
                fits = self._fits(replace(request, model=other.id, reasoning_effort=None), dialect)
                if other is not model and fits and (other.images or not images):
                    yield f"the model {other.id}"
                    break
        if estimated.search_usd and request.search is not None and request.search.mode != "off":
            yield "options.max_turns of 1, fewer sources, or no search"
        if estimated.input_usd * 4 >= estimated.usd:
            yield (
                "a shorter input" if len(request.messages) == 1 else "a shorter input, or a new conversation"
            )

    def _fits(self, request: ChatRequest, dialect: str) -> bool:
        estimated = estimate_cost(request, dialect, self._gateway)
        return estimated is not None and estimated.usd <= self.limit_usd

    def _room(self, request: ChatRequest, dialect: str) -> int:
        """The largest round `max_output_tokens` within the limit, 0 for none."""
        least, most = (
            estimate_cost(replace(request, max_output_tokens=tokens), dialect, self._gateway)
            for tokens in (1, _FAR)
        )
        assert least is not None and most is not None  # as that of the same model
        tokens = int((self.limit_usd - least.usd) / (most.usd - least.usd) * (_FAR - 1))
        rounded = tokens - tokens % 10 ** max(len(str(tokens)) - 2, 0) if tokens > 0 else 0
        return rounded if self._fits(replace(request, max_output_tokens=rounded), dialect) else 0
