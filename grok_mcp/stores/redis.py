"""Access to Redis for what several processes share: few connections, one retry, one log line per outage.

The stores of conversations and answers share one, quotas have their own; they are there where
GROK_MCP_REDIS_URL is set.
"""

import asyncio
import hashlib
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
from redis import exceptions
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from grok_mcp.errors import ConfigurationError, OverloadedError
from grok_mcp.redaction import quote

MAX_CONNECTIONS = 32  # of one process; a command takes less than 1 ms, so hundreds of calls can share them
ATTEMPT_S = 1.0
BYTES_PER_S = 10_000_000  # more time for what is large; a slower Redis counts as one that is away
RETRIED = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.InvalidResponse,
    exceptions.ReadOnlyError,  # a primary that is a replica now; the address may lead to the new one
)
_ASIDE_ABOVE = 20_000  # below that, packing takes about as long as handing it to a thread

logger = logging.getLogger(__name__)
T = TypeVar("T")


class _Pool(ConnectionPool):
    async def drop_idle(self, error: Exception) -> None:
        """Close connections that may be stale, or lead to what is the primary no more.

        The library's `disconnect` leaves them in the pool, where another call can take one as it closes.
        """
        idle, self._available_connections = self._available_connections, []
        with anyio.move_on_after(ATTEMPT_S, shield=True):
            await asyncio.gather(*(connection.disconnect() for connection in idle), return_exceptions=True)


class RedisAccess:
    """The connections of this process."""

    def __init__(
        self, url: str, away: str = "no conversation goes on", back: str = "conversations go on"
    ) -> None:
        self._words = away, back  # for the log
        self._retry = Retry(NoBackoff(), 1, RETRIED)
        self._failures = 0
        self._failing: set[tuple[str, bool]] = set()
        self._failed_at = -math.inf
        try:
            # With protocol 3 the library (8.1) does not look for replies that nobody has read. Its timeouts
            # know neither how large a value is nor how busy this process is: `_fail_after` does.
            self._pool = _Pool.from_url(
                url,
                protocol=2,
                max_connections=MAX_CONNECTIONS,
                socket_timeout=None,
                retry=Retry(NoBackoff(), 0),  # `ask` retries
            )
            self._pool.make_connection()  # type: ignore[no-untyped-call]  # checks the URL
            self._secrets = (unquote(urlsplit(url).password or ""),)
        except (TypeError, ValueError):  # its words may quote half a password
            raise ConfigurationError(
                "GROK_MCP_REDIS_URL is not an address as in redis://:password@host:6379/0.",
                "Special characters of the password are written as %XX.",
            ) from None
        # The library's BlockingConnectionPool hands out no turns, so that calls starve while new ones come.
        self._places = anyio.Semaphore(
            min(MAX_CONNECTIONS, self._pool.max_connections)
        )  # the URL may say less
        self._client = Redis.from_pool(self._pool)

    async def get(self, key: str, size: int = 0) -> Any:
        """The value of a key, None where there is none; `size` is about what it holds."""
        return await self.ask("read", lambda client: client.get(key), size)

    async def ask(self, use: str, work: Callable[[Redis], Awaitable[T]], size: int = 0) -> T:
        """What Redis replies, after one retry at most; OverloadedError where it is away or refuses."""

        async def attempt() -> T:
            with _fail_after(ATTEMPT_S + size / BYTES_PER_S):
                result = await work(self._client)
            return result

        failures = self._failures
        async with self._places:
            if failures < self._failures:  # other calls did not reach it while this one waited
                raise _unreachable()
            try:
                result = await self._retry.call_with_retry(attempt, self._pool.drop_idle)
            except (RedisError, OSError) as error:
                self._failed(use, error)
                raise _unreachable() from None
        self._went_well(use)
        return result

    def was_away(self, within_s: float) -> bool:
        """Whether Redis could not be reached lately, so that it may lack what is still to be written."""
        return time.monotonic() - self._failed_at < within_s

    async def aclose(self) -> None:
        """Close the connections."""
        with anyio.move_on_after(ATTEMPT_S, shield=True):
            await self._client.aclose()

    def _failed(self, use: str, error: Exception) -> None:
        """Log once why Redis is away, and once more if it can be reached and refuses."""
        self._failed_at = time.monotonic()
        refused = isinstance(error, ResponseError | AuthenticationError)
        if not refused:
            self._failures += 1
        if refused not in {kind for _, kind in self._failing}:
            reason = f"{type(error).__name__}: {quote(str(error), self._secrets)}"
            logger.warning("Redis is away (%s): until it is back, %s", reason, self._words[0])
        self._failing.add((use, refused))

    def _went_well(self, use: str) -> None:
        if self._failing:  # a Redis that takes nothing can still be read
            self._failing = {kind for kind in self._failing if use == "read" and kind[0] == "write"}
            if not self._failing:
                logger.warning("Redis is back: %s", self._words[1])


def _unreachable() -> OverloadedError:
    return OverloadedError("The store of conversations can't be reached.", "Try again soon.")


@contextmanager
def _fail_after(seconds: float, steps: int = 20) -> Iterator[None]:
    """As anyio's, but time in which this process was too busy to read counts as one step at most."""

    def step(left: int) -> None:
        if left:
            timers[0] = loop.call_later(seconds / steps, step, left - 1)
        else:
            scope.cancel()

    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:
        timers = [loop.call_soon(step, steps)]
        try:
            yield
        finally:
            timers[0].cancel()
    if scope.cancelled_caught:
        raise exceptions.TimeoutError("no answer in time")


async def aside(size: int, work: Callable[..., T], *arguments: Any) -> T:
    """Do the work, in a thread where it takes long for so many bytes."""
    return work(*arguments) if size < _ASIDE_ABOVE else await anyio.to_thread.run_sync(work, *arguments)


def prefix_of(caller: str) -> str:
    """How the names of all keys of a caller begin; its braces keep them on one machine of a cluster."""
    return f"grok-mcp:{{{digest(json.dumps(caller).encode())}}}:"


def key_of(caller: str, kind: str, name: str) -> str:
    """The name of a key, which shows nothing of what it stands for."""
    return f"{prefix_of(caller)}{kind}:{digest(json.dumps(name).encode())}"


def digest(content: bytes) -> str:
    """What stands for a content, and does not show it."""
    return hashlib.sha256(content).hexdigest()
