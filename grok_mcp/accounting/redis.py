"""What callers have spent today, and have in flight, in Redis: for servers that share no ledger.

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

LIFETIME_S = 2 * 86_400  # longer than conversations, so that a full Redis drops those first
SETTLED_S = 3_600  # within which the same call is not counted twice

# Both keys of a caller carry one hash tag, so that they are on one machine of a cluster.
_RESERVE = """
local now = tonumber(redis.call('TIME')[1])
local spent = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[4]))
local calls, in_flight, unknown = 0, 0, 0
local found = redis.call('HGETALL', KEYS[2])
for i = 1, #found, 2 do
  local ticks, expires, day = string.match(found[i + 1], '^(%d+) (%d+) ?(%d*)$')
  if found[i] == ARGV[1] then
    -- the same call, asked twice
  elseif tonumber(expires) > now then
    calls, in_flight = calls + 1, in_flight + tonumber(ticks)
  elseif day == ARGV[7] then
    unknown = unknown + tonumber(ticks)
  else
    redis.call('HDEL', KEYS[2], found[i])
  end
end
local cap = tonumber(ARGV[3])  -- none below 0
local admitted = cap < 0 or spent + unknown + in_flight < cap
if admitted then
  local expires = string.format('%d', now + ARGV[5])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. expires .. ' ' .. ARGV[7])
  redis.call('EXPIRE', KEYS[2], ARGV[6])
end
return {admitted and 1 or 0, spent, in_flight, calls, unknown}
"""
_SETTLE = """
redis.call('HDEL', KEYS[2], ARGV[1])
if redis.call('SET', KEYS[3], '', 'NX', 'EX', ARGV[4]) then
  redis.call('INCRBY', KEYS[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
"""
_RENEW = """
local expires = string.format('%d', redis.call('TIME')[1] + ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. expires .. ' ' .. ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[4])
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

    def reserve(self, wanted: Begun, caps: Caps, since: float, at_least: int) -> Standing:
        """As `Store.reserve`. Raises OverloadedError while Redis is away."""
        self._settle_all()
        keys = _keys(wanted, since)
        standing = self._run(
            _RESERVE,
            keys[:2],
            *(
                wanted.id,
                wanted.ticks or 0,
                -1 if caps.caller is None else caps.caller,
                at_least,
                int(RESERVED_S),
                LIFETIME_S,
                int(since),
            ),
        )
        if standing is None or self._unsettled:
            raise OverloadedError(
                "The budget can't be checked, because Redis can't be reached: nothing was sent.",
                "Try again soon.",
            )
        admitted, spent, in_flight, calls, unknown = standing
        return Standing(bool(admitted), spent, in_flight, calls, unknown)

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
            key = _keys(call, 0)[1:2]
            values = (call.id, call.ticks or 0, int(RESERVED_S), LIFETIME_S, int(midnight(call.at)))
            if self._run(_RENEW, key, *values) is None:
                return

    def close(self) -> None:
        """Close the connection."""
        self._settle_all()
        self._redis.close()

    def _settle_all(self) -> None:
        while self._unsettled:
            wanted, ticks, since = self._unsettled[0]
            keys = _keys(wanted, since)
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
    """The names of what is spent from then on, of what is in flight, and of the mark of a settled call."""
    caller = hashlib.sha256(json.dumps([wanted.caller, wanted.sandbox]).encode()).hexdigest()
    name = f"grok-mcp:budget:{{{caller}}}"
    return [f"{name}:{int(since)}", f"{name}:in-flight", f"{name}:settled:{wanted.id}"]
