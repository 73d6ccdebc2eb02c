"""The most that a caller, and all of its group, may spend in a day: checked before each tool call.

A call is refused when what was spent today (UTC), and what the calls in flight may cost, has reached the cap.
A call whose process was killed counts as what it may have cost. All are counted over all processes that share
a ledger, or a Redis where one is named and the ledger is a file.
"""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from grok_mcp.accounting.ledger import Ledger
from grok_mcp.accounting.records import Begun, Caps, Standing, midnight, to_ticks
from grok_mcp.errors import BudgetError, ConfigurationError
from grok_mcp.redaction import one_line
from grok_mcp.settings import Settings
from grok_mcp.usage import TICKS_PER_USD

if TYPE_CHECKING:
    from grok_mcp.accounting.redis import RedisBudget

VARIABLE = "GROK_MCP_BUDGET_USD_PER_DAY"
DAY_S = 86_400.0
SOON_S = 10.0
"""When to ask again where only calls in flight are in the way."""


class DayBudgets(NamedTuple):
    """USD that a caller, and all of its group together, may spend in a day; None for any amount."""

    caller: Decimal | None = None
    group: Decimal | None = None

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return self.caller is not None or self.group is not None


class Budget:
    """The caps of callers, by name and group, and of groups."""

    def __init__(self, caps: Callable[[str, str], DayBudgets], ledger: Ledger, raised: str) -> None:
        self.caps = caps
        self._ledger = ledger
        self._raised = raised  # how somebody could have it raised
        self.observe: Callable[[str, float, float], None] = lambda caller, spent_usd, used: None
        """Hears of each call that asks: what its caller spent today, and which share of the cap is bound."""

    async def admit(self, call: Begun) -> None:
        """Let the call begin. Raises BudgetError; OverloadedError while the shared count is away."""
        caps = self.caps(call.caller, call.group)
        if not caps.any:
            return
        try:
            standing = await self._ledger.reserve(call, Caps(*map(_ticks, caps)))
        except ImportError:
            raise ConfigurationError(
                f"{VARIABLE} is set, but this Python has no SQLite to count with: nothing was sent.",
                "Run the server with a Python that has the module sqlite3, or unset the variable.",
            ) from None
        if caps.caller is not None and not standing.of_group:
            bound = standing.spent + standing.unknown + standing.in_flight
            self.observe(call.caller, standing.spent / TICKS_PER_USD, bound / to_ticks(caps.caller))
        if not standing.admitted:
            raise _refusal(call, caps, standing, time.time(), self._raised)

    async def problem(self) -> str | None:
        """Why callers without a budget of their own could not begin a call, None where they can."""
        return await self._ledger.problem() if self.caps("", "").any else None


def _ticks(usd: Decimal | None) -> int | None:
    return None if usd is None else to_ticks(usd)


def _refusal(call: Begun, caps: DayBudgets, standing: Standing, now: float, raised: str) -> BudgetError:
    """The error for the caller: the cap, what was spent, when it resets, what to do."""
    cap_usd = (caps.group if standing.of_group else caps.caller) or Decimal(0)
    reset = midnight(now) + DAY_S
    spent = f"{dollars(standing.spent)} USD were spent today"
    if standing.unknown:
        spent += f", calls with an unknown end may have cost {dollars(standing.unknown)} USD"
    reached = standing.spent + standing.unknown >= to_ticks(cap_usd)
    if not reached:
        calls = "1 call" if standing.calls == 1 else f"{standing.calls} calls"
        spent += f" and {calls} in flight may cost {dollars(standing.in_flight)} USD"
    begin = "Wait until then" if reached else "Wait until they have ended"
    whose = f"Your budget of {cap_usd.normalize():f} USD a day"
    if standing.of_group:
        whose = f"The budget of your group {one_line(call.group)}, {cap_usd.normalize():f} USD a day,"
    return BudgetError(
        f"{whose} is reached: {spent}. Nothing was sent. It resets "
        f"at {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M} UTC, in {(reset - now) / 3600:.1f} hours.",
        f"{begin}, or have {raised}.",
        retry_after_s=float(math.ceil(reset - now)) if reached else SOON_S,
    )


def dollars(ticks: int) -> str:
    """An amount in USD to six decimals, as with each answer."""
    return f"{Decimal(ticks) / TICKS_PER_USD:.6f}"


def open_books(
    settings: Settings, caps: Callable[[str, str], DayBudgets] | None = None
) -> tuple[Ledger, Budget | None]:
    """The ledger that the settings ask for, and the budget where they set one, or `caps` may."""
    cap = settings.budget_usd_per_day
    if settings.ledger_url is not None:  # where budgets are counted too
        from grok_mcp.accounting.postgres_books import PostgresBooks

        ledger = Ledger(books=PostgresBooks(settings.ledger_url.get_secret_value()))
    else:
        ledger = Ledger(settings.state_dir, _shared(settings))
    if caps is not None:
        return ledger, Budget(caps, ledger, "budget_usd_per_day raised in the file of GROK_MCP_LIMITS_FILE")
    if cap is None:
        return ledger, None
    raised = f"{VARIABLE} raised where this server is configured"
    return ledger, Budget(lambda caller, group: DayBudgets(cap), ledger, raised)


def _shared(settings: Settings) -> "RedisBudget | None":
    has_budget = settings.budget_usd_per_day is not None or settings.limits_file is not None
    if not has_budget or settings.redis_url is None:
        return None
    from grok_mcp.accounting.redis import RedisBudget  # an extra, for servers of several machines

    return RedisBudget(settings.redis_url.get_secret_value())
