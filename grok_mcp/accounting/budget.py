"""The most that a caller may spend in a day: checked before each tool call.

A call is refused when what was spent today (UTC), and what the calls in flight may cost, has reached the cap.
A call whose process was killed counts as what it may have cost. All are counted over all processes that share
a ledger, or a Redis where one is named and the ledger is a file.
"""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from grok_mcp.accounting.ledger import Ledger
from grok_mcp.accounting.records import Begun, Caps, Standing, midnight, to_ticks
from grok_mcp.errors import BudgetError, ConfigurationError
from grok_mcp.settings import Settings
from grok_mcp.usage import TICKS_PER_USD

if TYPE_CHECKING:
    from grok_mcp.accounting.redis import RedisBudget

VARIABLE = "GROK_MCP_BUDGET_USD_PER_DAY"
DAY_S = 86_400.0
SOON_S = 10.0
"""When to ask again where only calls in flight are in the way."""


class Budget:
    """A cap for each caller alone."""

    def __init__(self, cap_usd: Decimal, ledger: Ledger) -> None:
        self.cap_usd = cap_usd
        self._ledger = ledger
        self.observe: Callable[[str, float, float], None] = lambda caller, spent_usd, used: None
        """Hears of each call that asks: what its caller spent today, and which share of the cap is bound."""

    async def admit(self, call: Begun) -> None:
        """Let the call begin. Raises BudgetError; OverloadedError while the shared count is away."""
        try:
            standing = await self._ledger.reserve(call, Caps(to_ticks(self.cap_usd)))
        except ImportError:
            raise ConfigurationError(
                f"{VARIABLE} is set, but this Python has no SQLite to count with: nothing was sent.",
                "Run the server with a Python that has the module sqlite3, or unset the variable.",
            ) from None
        bound, cap = standing.spent + standing.unknown + standing.in_flight, to_ticks(self.cap_usd)
        self.observe(call.caller, standing.spent / TICKS_PER_USD, bound / cap)
        if not standing.admitted:
            raise _refusal(self.cap_usd, standing, time.time())

    async def problem(self) -> str | None:
        """Why no call could begin now, None where calls can."""
        return await self._ledger.problem()


def _refusal(cap_usd: Decimal, standing: Standing, now: float) -> BudgetError:
    """The error for the caller: the cap, what was spent, when it resets, what to do."""
    reset = midnight(now) + DAY_S
    spent = f"{dollars(standing.spent)} USD were spent today"
    if standing.unknown:
        spent += f", calls with an unknown end may have cost {dollars(standing.unknown)} USD"
    reached = standing.spent + standing.unknown >= to_ticks(cap_usd)
    if not reached:
        calls = "1 call" if standing.calls == 1 else f"{standing.calls} calls"
        spent += f" and {calls} in flight may cost {dollars(standing.in_flight)} USD"
    begin = "Wait until then" if reached else "Wait until they have ended"
    return BudgetError(
        f"The budget of {cap_usd.normalize():f} USD a day is reached: {spent}. Nothing was sent. It resets "
        f"at {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M} UTC, in {(reset - now) / 3600:.1f} hours.",
        f"{begin}, or have {VARIABLE} raised where this server is configured.",
        retry_after_s=float(math.ceil(reset - now)) if reached else SOON_S,
    )


def dollars(ticks: int) -> str:
    """An amount in USD to six decimals, as with each answer."""
    return f"{Decimal(ticks) / TICKS_PER_USD:.6f}"


def open_books(settings: Settings) -> tuple[Ledger, Budget | None]:
    """The ledger that the settings ask for, and the budget where they set one."""
    cap = settings.budget_usd_per_day
    if settings.ledger_url is not None:  # where budgets are counted too
        from grok_mcp.accounting.postgres_books import PostgresBooks

        ledger = Ledger(books=PostgresBooks(settings.ledger_url.get_secret_value()))
    else:
        ledger = Ledger(settings.state_dir, _shared(settings))
    return ledger, Budget(cap, ledger) if cap else None


def _shared(settings: Settings) -> "RedisBudget | None":
    if settings.budget_usd_per_day is None or settings.redis_url is None:
        return None
    from grok_mcp.accounting.redis import RedisBudget  # an extra, for servers of several machines

    return RedisBudget(settings.redis_url.get_secret_value())
