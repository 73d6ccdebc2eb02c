"""How much of Redis each caller holds: bounded in number and bytes, over all processes, apart from others.

Past a bound a caller loses the oldest of their own. An index of each caller, one key, says what they hold and
in which order it came. It is changed in one step with what it names, so that processes can't pass each other.
Entries expire in the order in which they were written, so that those which the index still names and which
are gone already go first. Where the index is lost, what it named is in nobody's count until it expires.
"""

from collections.abc import Mapping

from redis.asyncio import Redis

from grok_mcp.stores.redis import RedisAccess, key_of, prefix_of

OUTLIVES_S = 60
"""So that no part, and not the index, is gone in the second in which an entry goes."""

# KEYS: the index, the entry, its parts. ARGV: the document, how long it and how long the others live, the
# greatest number and bytes, how long the names of all keys of this caller are alike, the size of each part.
# The index has a line for each entry by its number ("size entry part size part size"), how many entries have
# each part, and `first`, `next` and `bytes`.
_PUT = """
local missing = {}
for i = 3, #KEYS do
  if redis.call('EXPIRE', KEYS[i], ARGV[3]) == 0 then missing[#missing + 1] = i - 3 end
end
if #missing > 0 then return missing end
-- what begins alike is the same document, whose reply was lost
local counted = redis.call('GETRANGE', KEYS[2], 0, 0) == string.sub(ARGV[1], 1, 1)
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
if not counted then
  local index, alike = KEYS[1], tonumber(ARGV[6])
  local prefix = string.sub(index, 1, alike)
  local found = redis.pcall('HMGET', index, 'first', 'next', 'bytes')
  if found.err then -- somebody else's: what it named is in nobody's count
    redis.call('UNLINK', index)
    found = {}
  end
  local first, number = tonumber(found[1] or 0) or 0, tonumber(found[2] or 0) or 0
  local bytes = tonumber(found[3] or 0) or 0
  local line = {#ARGV[1], string.sub(KEYS[2], alike + 1)}
  bytes = bytes + #ARGV[1]
  for i = 3, #KEYS do
    local part, size = string.sub(KEYS[i], alike + 1), ARGV[i + 4]
    line[#line + 1], line[#line + 2] = part, size
    if redis.call('HINCRBY', index, part, 1) == 1 then bytes = bytes + size end
  end
  redis.call('HSET', index, number, table.concat(line, ' '))
  number = number + 1
  while first < number and (number - first > tonumber(ARGV[4]) or bytes > tonumber(ARGV[5])) do
    local words = {}
    for word in string.gmatch(redis.call('HGET', index, first) or '', '%S+') do words[#words + 1] = word end
    redis.call('HDEL', index, first)
    if words[2] then redis.call('UNLINK', prefix .. words[2]) end
    bytes = bytes - (words[1] or 0)
    for i = 3, #words, 2 do
      if redis.call('HINCRBY', index, words[i], -1) == 0 then
        redis.call('HDEL', index, words[i])
        redis.call('UNLINK', prefix .. words[i])
        bytes = bytes - words[i + 1]
      end
    end
    first = first + 1
  end
  if first == number then bytes = 0 end
  redis.call('HSET', index, 'first', first, 'next', number, 'bytes', bytes)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return missing
"""


class RedisShares:
    """The entries of one kind, of all callers."""

    def __init__(self, redis: RedisAccess, kind: str, maximum: int, max_bytes: int, lifetime_s: int) -> None:
        self._redis = redis
        self._kind = kind
        self._maximum = maximum
        self._max_bytes = max_bytes
        self._lifetime_s = lifetime_s

    def key(self, caller: str, name: str) -> str:
        """The key of an entry."""
        return key_of(caller, self._kind, name)

    async def put(
        self, caller: str, name: str, document: bytes, parts: Mapping[str, bytes] | None = None
    ) -> bool:
        """Store an entry, and its parts by their keys; False for one larger than all that a caller may hold.

        Raises OverloadedError while Redis does not take it.
        """
        contents = dict(parts or {})
        size = len(document) + sum(map(len, contents.values()))
        if size > self._max_bytes:
            return False
        prefix, outlives_s = prefix_of(caller), self._lifetime_s + OUTLIVES_S
        keys = (f"{prefix}{self._kind}s", self.key(caller, name), *contents)
        bounds = (self._lifetime_s, outlives_s, self._maximum, self._max_bytes, len(prefix))
        values: list[bytes | int] = [document, *bounds, *map(len, contents.values())]

        async def write(client: Redis) -> None:
            while missing := await client.eval(_PUT, len(keys), *keys, *values):
                for number in missing:
                    part = keys[2 + number]
                    await client.set(part, contents[part], ex=outlives_s)

        await self._redis.ask("write", write, size)
        return True
