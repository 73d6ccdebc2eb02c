"""Requests and tokens of the last minute in Redis, for several processes: as `windows.py` counts them.

Each admission is one script, over the accounts of caller and group, by Redis's own clock. All keys have one
hash tag, so that a cluster keeps them on one machine: what is counted is small.

A Redis that has lost its memory must not open the gates. Its memory has an epoch, which ends with the
process of Redis (its `run_id`). Each process of ours keeps its own admissions of the last minute, looks twice
a second for a new epoch while it has any, and counts them there again. In the first seconds of an epoch calls
wait, so that all processes have done so. A Redis that restarts with its memory counts some of them twice,
which errs on the safe side for a minute.
"""

import asyncio
import hashlib
import json
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import anyio
from redis.asyncio import Redis

from grok_mcp.errors import OverloadedError
from grok_mcp.quotas.windows import Account, Admitted, Refused, Windows
from grok_mcp.stores import open_redis

PREFIX = "grok-mcp:{quotas}:"
EPOCH = f"{PREFIX}epoch"
JOIN_S = 3.0
"""How long calls wait in a new epoch, from its beginning: processes look twice a second."""
LOOK_EVERY_S = 0.5
ADMITTED_WITHIN_S = 10.0
"""How long a call waits in all for an epoch to settle."""
AWAY_S = 2.0
"""How long a Redis that did not answer is left alone by answers."""
UNSETTLED = 10_000
"""Corrections that wait for Redis to come back."""
CHUNK = 200
"""Accounts that are counted again in one go."""

_EPOCH = """
local time = redis.call('TIME')
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(time[2] / 1000)
local function current_epoch(offered)
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
  local id, of, since = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%S+) (%d+)$')
  if of ~= run then
    id, since = offered, now_ms
    redis.call('SET', KEYS[1], id .. ' ' .. run .. ' ' .. string.format('%d', now_ms))
  end
  return id, tonumber(since)
end
local function put(key, second, requests, tokens)
  tokens = math.min(tokens, 1e15)  -- as MOST of windows.py
  redis.call('HSET', key, string.format('%d', second), string.format('%d %d', requests, tokens))
end
local function add(key, second, requests, tokens)
  local had_requests, had_tokens = string.match(redis.call('HGET', key, second) or '0 0', '^(%d+) (%d+)$')
  put(key, second, had_requests + requests, math.max(0, had_tokens + tokens))
  redis.call('EXPIRE', key, 130)  -- it outlives the window
end
"""
# Reply: state (0 refused, 1 admitted, 2 wait, 3 another epoch), epoch, then what belongs to the state.
_ADMIT = f"""{_EPOCH}
local id, since = current_epoch(ARGV[1])
if id ~= ARGV[2] then return {{3, id}} end
local age = now_ms - since
if age >= 0 and age < tonumber(ARGV[3]) then return {{2, id, ARGV[3] - age}} end
local wanted = {{1, tonumber(ARGV[4])}}
local longest, who, what = 0, 0, 0
for i = 2, #KEYS do
  local seconds, counts = {{}}, {{{{}}, {{}}}}
  local found, late = redis.call('HGETALL', KEYS[i]), {{0, 0}}
  for j = 1, #found, 2 do
    local second = tonumber(found[j])
    local requests, tokens = string.match(found[j + 1], '^(%d+) (%d+)$')
    if second and requests then
      if second <= now - 61 then
        redis.call('HDEL', KEYS[i], found[j])
      elseif second > now then  -- the clock went back: it may be as young as this
        redis.call('HDEL', KEYS[i], found[j])
        late = {{late[1] + requests, late[2] + tokens}}
      else
        seconds[#seconds + 1] = second
        counts[1][second], counts[2][second] = tonumber(requests), tonumber(tokens)
      end
    end
  end
  if late[1] > 0 or late[2] > 0 then
    add(KEYS[i], now, late[1], late[2])
    if not counts[1][now] then seconds[#seconds + 1] = now end
    counts[1][now] = (counts[1][now] or 0) + late[1]
    counts[2][now] = (counts[2][now] or 0) + late[2]
  end
  table.sort(seconds)
  for kind = 1, 2 do
    local quota, counted = tonumber(ARGV[3 + 2 * (i - 1) + kind - 1]), 0
    if quota >= 0 then
      for _, second in ipairs(seconds) do counted = counted + counts[kind][second] end
      local left = 0
      for _, second in ipairs(seconds) do
        if counted + wanted[kind] <= quota then break end
        counted = counted - counts[kind][second]
        left = (second + 61) * 1000 - now_ms
      end
      if left > longest then longest, who, what = left, i - 2, kind end
    end
  end
end
if longest > 0 then return {{0, id, longest, who, what}} end
for i = 2, #KEYS do add(KEYS[i], now, 1, wanted[2]) end
return {{1, id, now}}
"""
_LOOK = f"""{_EPOCH}
return current_epoch(ARGV[1])
"""
# Counted once for each process and epoch: a script may run twice where its reply was lost.
_COUNT_AGAIN = f"""{_EPOCH}
local id = current_epoch(ARGV[1])
if id ~= ARGV[2] then return 0 end
if redis.call('HGET', KEYS[2], 'of ' .. ARGV[3]) == id then return 1 end
for i = 4, #ARGV, 3 do
  add(KEYS[2], math.floor((now_ms - ARGV[i]) / 1000), ARGV[i + 1], ARGV[i + 2])
end
redis.call('HSET', KEYS[2], 'of ' .. ARGV[3], id)
redis.call('EXPIRE', KEYS[2], 130)
return 1
"""
_SETTLE = f"""{_EPOCH}
if not redis.call('SET', KEYS[2], '', 'NX', 'EX', 130) then return 1 end
local second, more = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, #KEYS do
  if second > now - 61 and redis.call('HEXISTS', KEYS[i], ARGV[1]) == 1 then
    add(KEYS[i], second, 0, more)
  elseif more > 0 then
    add(KEYS[i], now, 0, more)
  end
end
return 1
"""


class _Correction(NamedTuple):
    id: str
    keys: tuple[str, ...]
    second: int
    more: int


def key_of(account: tuple[str, str]) -> str:
    """The name of an account's key, which does not show the caller's."""
    return PREFIX + hashlib.sha256(json.dumps(account).encode()).hexdigest()


class RedisCounts:
    """The counts that servers share."""

    def __init__(self, url: str) -> None:
        self._redis = open_redis(
            url, away="no call begins that has a quota", back="calls with a quota begin again"
        )
        self._own = Windows()
        self._process = secrets.token_hex(6)
        self._epoch = ""
        self._joining = anyio.Lock()
        self._unsettled: deque[_Correction] = deque(maxlen=UNSETTLED)
        self._watch: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()

    async def admit(self, accounts: Sequence[Account], tokens: int) -> Admitted | Refused:
        """As `Counts.admit`."""
        with anyio.move_on_after(ADMITTED_WITHIN_S):
            while True:
                reply = await self._admit(accounts, tokens)
                if isinstance(reply, Admitted | Refused):
                    return reply
                await anyio.sleep(reply)
        raise _away()

    async def _admit(self, accounts: Sequence[Account], tokens: int) -> Admitted | Refused | float:
        """What has become of it, or how many seconds to wait until it can be asked again."""
        if not self._epoch:
            await self._join()
        quotas = [-1 if quota is None else quota for one in accounts for quota in (one.requests, one.tokens)]
        keys = [EPOCH, *(key_of(account.key) for account in accounts)]
        before = self._epoch
        state, _, *rest = await self._run(
            _ADMIT, keys, secrets.token_hex(8), before, int(JOIN_S * 1000), tokens, *quotas
        )
        if state == 0:
            wait_ms, who, what = rest
            return Refused(accounts[who], "requests" if what == 1 else "tokens", wait_ms / 1000)
        if state == 2:
            return float(rest[0]) / 1000
        if state == 3 or self._epoch != before:  # it was counted in an epoch that has ended
            await self._join()
            return 0.0
        admitted = Admitted(int(rest[0]), self._own.count(accounts, tokens))
        self._keep_watch()
        return admitted

    async def _join(self) -> None:
        """Find the epoch out and, where it is another than before, count our own admissions there."""
        async with self._joining:
            for _ in range(3):
                epoch = _text(await self._run(_LOOK, [EPOCH], secrets.token_hex(8)))
                if epoch == self._epoch or await self._count_again(epoch):
                    self._epoch = epoch
                    return
        raise _away()

    async def _count_again(self, epoch: str) -> bool:
        """Whether that epoch still is the present one with all our admissions in it."""
        known = [(key_of(account), ages) for account, ages in self._own.ages()]
        for start in range(0, len(known), CHUNK):
            chunk = known[start : start + CHUNK]

            async def send(client: Redis, chunk: Sequence[Any] = chunk) -> list[Any]:
                pipeline = client.pipeline(transaction=False)
                for key, ages in chunk:
                    values = [value for entry in ages for value in entry]
                    pipeline.eval(_COUNT_AGAIN, 2, EPOCH, key, "-", epoch, self._process, *values)
                return await pipeline.execute()

            replies = await self._redis.ask("write", send, size=100 * len(chunk))
            if not all(replies):
                return False
        return True

    async def settle(self, accounts: Sequence[Account], admitted: Admitted, more: int) -> None:
        """As `Counts.settle`."""
        self.settle_soon(accounts, admitted, more)
        if not self._redis.was_away(AWAY_S):  # the answer need not wait for it
            with suppress(OverloadedError):
                await self._send_corrections()

    def settle_soon(self, accounts: Sequence[Account], admitted: Admitted, more: int) -> None:
        """As `Counts.settle_soon`."""
        self._own.correct(accounts, admitted.here, more)
        keys = tuple(key_of(account.key) for account in accounts)
        self._unsettled.append(_Correction(secrets.token_hex(8), keys, admitted.second, more))
        self._keep_watch()
        self._soon.set()

    async def _send_corrections(self) -> None:
        while self._unsettled:
            correction = self._unsettled.popleft()
            keys = [EPOCH, f"{PREFIX}settled:{correction.id}", *correction.keys]
            try:
                await self._run(_SETTLE, keys, correction.second, correction.more)
            except BaseException:
                self._unsettled.appendleft(correction)
                raise

    def _keep_watch(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look_for_epochs())

    async def _look_for_epochs(self) -> None:
        """Be in each new epoch soon, as long as there is anything to count in it."""
        while len(self._own) or self._unsettled:
            with anyio.move_on_after(LOOK_EVERY_S):
                await self._soon.wait()
            self._soon.clear()
            self._own.forget()
            with suppress(OverloadedError):
                await self._join()
                await self._send_corrections()

    async def problem(self) -> str | None:
        """As `Counts.problem`."""
        try:
            await self._redis.ask("read", lambda client: client.ping())
        except OverloadedError:
            return "quotas can't be checked: Redis can't be reached"
        return None

    async def aclose(self) -> None:
        """End the watch, and close the connections."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        with suppress(OverloadedError):
            await self._send_corrections()
        await self._redis.aclose()

    async def _run(self, script: str, keys: list[str], *values: object) -> Any:
        try:
            return await self._redis.ask(
                "write", lambda client: client.eval(script, len(keys), *keys, *map(str, values))
            )
        except OverloadedError:
            raise _away() from None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _away() -> OverloadedError:
    return OverloadedError(
        "Your quota can't be checked, because Redis can't be reached: nothing was sent.", "Try again soon."
    )
