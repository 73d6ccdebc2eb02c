"""The limits of whoever makes a call: which hold, whether it may begin, and what it has used in the end."""

import logging
import math
from collections import OrderedDict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from grok_mcp.accounting import DayBudgets, asked_tokens
from grok_mcp.errors import ConfigurationError, InvalidArgumentError, ModelNotAllowedError, QuotaError
from grok_mcp.gateways import Gateway
from grok_mcp.messages import Call, ChatRequest
from grok_mcp.quotas.file import LimitsFile, LimitsFileError
from grok_mcp.quotas.limits import Limits, is_group
from grok_mcp.quotas.models import allowed_models, model_id
from grok_mcp.quotas.windows import Account, Admitted, Counts, LocalCounts, Refused
from grok_mcp.redaction import one_line
from grok_mcp.settings import Settings
from grok_mcp.usage import Usage

OUTPUT_TOKENS = 1_000
"""What a call is taken to use beyond its input, where nothing is known of such calls of its caller."""
CHARACTERS_PER_TOKEN = 4
"""Of English, which has the most."""
REMEMBERED = 10_000
"""Kinds of calls of callers, of which it is known what they used lately."""
NEW_PART = 0.3
"""How much the last call weighs in that."""
NAMED_MODELS = 20
"""Models that one sentence names."""

logger = logging.getLogger(__name__)


class Admission:
    """A call that was let in: what was counted for it, which is corrected once, at its end."""

    def __init__(
        self, quotas: "Quotas", kind: tuple[str, str], accounts: tuple[Account, ...], admitted: Admitted
    ) -> None:
        self._quotas = quotas
        self._kind = kind
        self._accounts = accounts
        self._admitted = admitted
        self.tokens = 0
        """What was counted for it."""
        self.input = 0
        """Its estimated input."""

    async def settle(self, usage: Usage | None, *, unknown: bool, came: int = 0) -> None:
        """Count what the call has used in the place of the estimate.

        Where that is unknown the estimate stays, or what the characters that `came` must have taken at least.
        """
        if more := self._correction(usage, unknown, came):
            await self._quotas.counts.settle(self._accounts, self._admitted, more)

    def settle_soon(self, usage: Usage | None, *, unknown: bool, came: int = 0) -> None:
        """The same for a call that must not wait."""
        if more := self._correction(usage, unknown, came):
            self._quotas.counts.settle_soon(self._accounts, self._admitted, more)

    def _correction(self, usage: Usage | None, unknown: bool, came: int) -> int:
        used = _used(usage)
        if used:
            self._quotas.learn(self._kind, used - self.input)
        elif unknown:  # else who cancels each call at its end would use nothing
            return max(0, self.input + came // CHARACTERS_PER_TOKEN - self.tokens)
        return used - self.tokens


class Quotas:
    """The limits that the file names, at one endpoint."""

    def __init__(
        self, file: LimitsFile, counts: Counts, gateway: Gateway, budget_usd: Decimal | None = None
    ) -> None:
        self.counts = counts
        self._file = file
        self._gateway = gateway
        self._budget_usd = budget_usd
        self._lately: OrderedDict[tuple[str, str], float] = OrderedDict()

    def limits(self, caller: str, group: str) -> Limits:
        """The limits of one caller alone."""
        found = self._file.sections.caller(caller, group)
        return found.over(Limits(budget_usd_per_day=self._budget_usd))

    def group_of(self, candidates: Iterable[object]) -> str:
        """The first of these groups that the file names; empty for none."""
        sections = self._file.sections
        known = (name for name in candidates if isinstance(name, str) and is_group(name))
        return next((name for name in known if name in sections.groups), "")

    def budgets(self, caller: str, group: str) -> DayBudgets:
        """What the caller, and all of its group, may spend in a day."""
        return DayBudgets(
            self.limits(caller, group).budget_usd_per_day,
            self._file.sections.group(group).budget_usd_per_day,
        )

    def models(self, caller: str, group: str) -> list[str] | None:
        """The models that a caller may use, as the file has them; None for all."""
        of_group = self._file.sections.group(group).models
        return allowed_models(self.limits(caller, group).models, of_group, self._gateway)

    def allows(self, caller: str, group: str, model: str) -> bool:
        """Whether a caller may use this model, by whatever name."""
        allowed = self.models(caller, group)
        wanted = model_id(model, self._gateway)
        return allowed is None or wanted in (model_id(name, self._gateway) for name in allowed)

    def check_model(self, call: Call, model: str) -> None:
        """Raise ModelNotAllowedError for a model that the caller of this call may not use."""
        if self.allows(call.caller, call.group, model):
            return
        allowed = self.models(call.caller, call.group) or []
        if not allowed:
            raise ModelNotAllowedError(
                "You may use no model of this server: nothing was sent.", "Ask whoever runs it for one."
            )
        raise ModelNotAllowedError(
            f"You may not use the model {one_line(model)[:80]} here: nothing was sent.",
            f"Name one of {_listed(allowed)}.",
        )

    def model_for(self, call: Call, default: str) -> str:
        """The model for a call that names none: the default, else the first that its caller may use."""
        allowed = self.models(call.caller, call.group)
        return default if not allowed or self.allows(call.caller, call.group, default) else allowed[0]

    def describe(self, caller: str, group: str) -> dict[str, Any]:
        """The limits of a caller as data, for the caller."""
        known: dict[str, Any] = self.limits(caller, group).to_dict()
        if group:
            known["group"] = {"name": group, **self._file.sections.group(group).to_dict()}
        return known

    async def admit(self, call: Call, request: ChatRequest) -> Admission | None:
        """Let a call begin within the quotas of a minute, and count it; None where there is no quota.

        Raises QuotaError; InvalidArgumentError where it could never pass; OverloadedError where the shared
        count is away.
        """
        own, of_group = self.limits(call.caller, call.group), self._file.sections.group(call.group)
        accounts = tuple(
            Account(kind, name, limits.requests_per_minute, limits.tokens_per_minute)
            for kind, name, limits in (("caller", call.caller, own), ("group", call.group, of_group))
            if limits.counts
        )
        if not accounts:
            return None
        asked = asked_tokens(request)
        kind = (call.caller, call.tool)
        tokens = asked + self._output(kind, request)
        for account in accounts:
            if account.tokens is not None:
                if asked > account.tokens:
                    raise _too_large(account, asked)
                tokens = min(tokens, account.tokens)
        counted = await self.counts.admit(accounts, tokens)
        if isinstance(counted, Refused):
            raise _refusal(counted, tokens)
        admission = Admission(self, kind, accounts, counted)
        admission.tokens, admission.input = tokens, asked
        return admission

    def _output(self, kind: tuple[str, str], request: ChatRequest) -> int:
        """What such calls have used lately beyond their input."""
        lately = self._lately.get(kind)
        if lately is not None:
            return int(lately)
        return min(OUTPUT_TOKENS, request.max_output_tokens or OUTPUT_TOKENS)

    def learn(self, kind: tuple[str, str], beyond: int) -> None:
        """Remember what a call has used beyond its input."""
        known = self._lately.pop(kind, float(beyond))
        self._lately[kind] = max(0.0, known + NEW_PART * (beyond - known))
        if len(self._lately) > REMEMBERED:
            self._lately.popitem(last=False)

    async def problem(self) -> str | None:
        """Why callers without a section of their own could not begin a call, None where they can."""
        return await self.counts.problem() if self._file.sections.default.counts else None

    async def aclose(self) -> None:
        """Let go of connections."""
        await self.counts.aclose()


def open_quotas(settings: Settings, gateway: Gateway) -> Quotas:
    """The quotas of the file that the settings name. Raises ConfigurationError for one that can't be used."""
    assert settings.limits_file is not None
    try:
        file = LimitsFile(settings.limits_file)
    except LimitsFileError as error:
        raise ConfigurationError(str(error) if str(error).endswith("?") else f"{error}.") from None
    counts: Counts
    if settings.redis_url is None:
        if settings.workers > 1:
            logger.warning("without GROK_MCP_REDIS_URL, each of the processes counts quotas for itself")
        counts = LocalCounts()
    else:
        from grok_mcp.quotas.redis import RedisCounts  # an extra, for servers of several processes

        counts = RedisCounts(settings.redis_url.get_secret_value())
    return Quotas(file, counts, gateway, settings.budget_usd_per_day)


def _used(usage: Usage | None) -> int:
    """All tokens that a call has used."""
    if usage is None:
        return 0
    return max(usage.total_tokens or 0, (usage.input_tokens or 0) + (usage.output_tokens or 0))


def _listed(models: list[str]) -> str:
    named = [one_line(name) for name in models[:NAMED_MODELS]]
    return ", ".join([*named, f"{len(models) - NAMED_MODELS} others"] if models[NAMED_MODELS:] else named)


def _whose(account: Account) -> str:
    return "your quota" if account.kind == "caller" else f"the quota of your group {one_line(account.name)}"


def _refusal(refused: Refused, tokens: int) -> QuotaError:
    account, wait_s = refused.account, math.ceil(refused.wait_s * 1000) / 1000
    whose = _whose(account)
    if refused.of == "requests":
        number = account.requests or 0
        what = f"{whose} of {number:,} request{'s' if number != 1 else ''} a minute is used up"
    else:
        what = f"{whose} of {account.tokens or 0:,} tokens a minute has no room for about {tokens:,} more"
    less = "" if refused.of == "requests" else ", or ask for less"
    return QuotaError(
        f"{what[0].upper()}{what[1:]}: nothing was sent.",
        f"Try again in {wait_s:.1f} seconds{less}.",
        retry_after_s=wait_s,
    )


def _too_large(account: Account, asked: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"This call has about {asked:,} tokens of input, and {_whose(account)} is {account.tokens or 0:,} "
        "tokens a minute: nothing was sent.",
        "A retry will not help: shorten the input, or begin a new conversation.",
    )
