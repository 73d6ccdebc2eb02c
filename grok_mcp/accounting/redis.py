"""What callers and groups have spent today, and have in flight, in Redis: for servers that share no ledger.

Used by `books.py`, on the ledger's thread, where GROK_MCP_REDIS_URL and a budget are set. Each change is
one script, so that workers can't pass each other. While Redis is away, no call begins: what others spend is
unknown. A call that is not renewed is of unknown end: it counts as what it may have cost until its day is
over, or its end comes after all.
"""

import hashlib
import json
import logging
import time
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from grok_mcp.accounting.records import RESERVED_S, Begun, Caps, Standing, midnight
from grok_mcp.errors import OverloadedError

ATTEMPT_S = 1.0
AWAY_S = 1.0
"""How long a Redis that did not answer is left alone: other calls need not wait for it too."""

PREFIX = "grok-mcp:{budget}:"
LIFETIME_S = 2 * 86_400  # longer than conversations, so that a full Redis drops those first
SETTLED_S = 3_600  # within which the same call is not counted twice

# All keys carry one hash tag, so that those of a caller and of its group are on one machine of a cluster.
# Each account has two: what is spent, and what is in flight.
_RESERVE = """
local now = tonumber(redis.call('TIME')[1])
local own, group_spent
for account = 1, #KEYS / 2 do
  local paid, held = KEYS[2 * account - 1], KEYS[2 * account]
  local cap, at_least = tonumber(ARGV[4 + 2 * account]), tonumber(ARGV[5 + 2 * account])
  local spent = math.max(tonumber(redis.call('GET', paid) or '0'), at_least)
  local calls, in_flight, unknown = 0, 0, 0
  local found = redis.call('HGETALL', held)
  for i = 1, #found, 2 do
    local ticks, expires, day = string.match(found[i + 1], '^(%d+) (%d+) ?(%d*)$')
    if found[i] == ARGV[1] then
      -- the same call, asked twice
    elseif tonumber(expires) > now then
      calls, in_flight = calls + 1, in_flight + tonumber(ticks)
    elseif day == ARGV[5] then
      unknown = unknown + tonumber(ticks)
    else
      redis.call('HDEL', held, found[i])
    end
  end
  if cap >= 0 and spent + unknown + in_flight >= cap then  -- none below 0
    return {0, spent, in_flight, calls, unknown, account - 1, 0}
  end
  own = own or {1, spent, in_flight, calls, unknown, 0, 0}
  if account == 2 then own[7] = spent end
end
local expires = string.format('%d', now + ARGV[3])
for account = 1, #KEYS / 2 do
  redis.call('HSET', KEYS[2 * account], ARGV[1], ARGV[2] .. ' ' .. expires .. ' ' .. ARGV[5])
  redis.call('EXPIRE', KEYS[2 * account], ARGV[4])
end
return own
"""
_SETTLE = """
local counts = redis.call('SET', KEYS[#KEYS], '', 'NX', 'EX', ARGV[4])
for account = 1, (#KEYS - 1) / 2 do
  redis.call('HDEL', KEYS[2 * account], ARGV[1])
  if counts then
    redis.call('INCRBY', KEYS[2 * account - 1], ARGV[2])
    redis.call('EXPIRE', KEYS[2 * account - 1], ARGV[3])
  end
end
"""
_RENEW = """
local expires = string.format('%d', redis.call('TIME')[1] + ARGV[3])
for account = 1, #KEYS / 2 do
  redis.call('HSET', KEYS[2 * account], ARGV[1], ARGV[2] .. ' ' .. expires .. ' ' .. ARGV[5])
  redis.call('EXPIRE', KEYS[2 * account], ARGV[4])
end
"""

logger = logging.getLogger(__name__)


class RedisBudget:
    """The count that servers share."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=ATTEMPT_S,
            socket_connect_timeout=ATTEMPT_S,
            retry=Retry(NoBackoff(), 1),  # a connection may be stale; each script may run twice
        )
        self._away_until = 0.0
        self._away = False
        self._unsettled: list[tuple[Begun, int, float]] = []

    def reserve(
        self, wanted: Begun, caps: Caps, since: float, at_least: int, group_at_least: int = 0
    ) -> Standing:
        """As `Store.reserve`. Raises OverloadedError while Redis is away."""
        self._settle_all()
        limits = ((caps.caller, at_least), (caps.group, group_at_least))
        standing = self._run(
            _RESERVE,
            _keys(wanted, since),
            *(wanted.id, wanted.ticks or 0, int(RESERVED_S), LIFETIME_S, int(since)),
            *(value for cap, least in limits for value in (-1 if cap is None else cap, least)),
        )
        if standing is None or self._unsettled:
            raise OverloadedError(
                "The budget can't be checked, because Redis can't be reached: nothing was sent.",
                "Try again soon.",
            )
        admitted, spent, in_flight, calls, unknown, of_group, group_spent = standing
        return Standing(bool(admitted), spent, in_flight, calls, unknown, bool(of_group), group_spent)

    def answers(self) -> bool:
        """Whether it is there: a script that does nothing comes back."""
        return self._run("return 1", []) is not None

    def settle(self, wanted: Begun, ticks: int, since: float) -> None:
        """Count what the call has cost in place of its reservation."""
        self._unsettled.append((wanted, ticks, since))
        self._settle_all()

    def renew(self, in_flight: list[Begun]) -> None:
        """Report that these calls are still in flight, and settle what could not be settled before."""
        self._settle_all()
        for call in in_flight:
            values = (call.id, call.ticks or 0, int(RESERVED_S), LIFETIME_S, int(midnight(call.at)))
            if self._run(_RENEW, _keys(call, 0), *values) is None:
                return

    def close(self) -> None:
        """Close the connection."""
        self._settle_all()
        self._redis.close()

    def _settle_all(self) -> None:
        while self._unsettled:
            wanted, ticks, since = self._unsettled[0]
            keys = [*_keys(wanted, since), f"{PREFIX}settled:{wanted.id}"]
            if self._run(_SETTLE, keys, wanted.id, ticks, LIFETIME_S, SETTLED_S) is None:
                return
            del self._unsettled[0]

    def _run(self, script: str, keys: list[str], *values: object) -> Any:
        """What a script returns, 0 for nothing; None while Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            result = self._redis.eval(script, len(keys), *keys, *map(str, values))
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY_S
            if not self._away:
                logger.warning(
                    "Redis is away (%s): until it is back, no call begins, because the budget is unknown",
                    type(error).__name__,
                )
            self._away = True
            return None
        if self._away:
            self._away = False
            logger.warning("Redis is back: the budget is known again")
        return 0 if result is None else result


def _keys(wanted: Begun, since: float) -> list[str]:
    """The names of what is spent from then on and of what is in flight: of the caller, then of its group."""
    accounts = [
        [wanted.caller, wanted.sandbox],
        *([["group", wanted.group, wanted.sandbox]] * bool(wanted.group)),
    ]
    names = [PREFIX + hashlib.sha256(json.dumps(account).encode()).hexdigest() for account in accounts]
    return [key for name in names for key in (f"{name}:{int(since)}", f"{name}:in-flight")]
