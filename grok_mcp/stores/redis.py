"""Access to Redis for what several processes share: few connections, one retry, clear errors, told once.

`redis_store.py` and `redis_held.py` keep things by it. `grok.py` builds it where GROK_MCP_REDIS_URL is set.
"""

import asyncio
import hashlib
import logging
import math
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import anyio
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, ReadOnlyError, RedisError, ResponseError

from grok_mcp.errors import ConfigurationError, OverloadedError
from grok_mcp.redaction import quote

MAX_CONNECTIONS = 32  # of one process; a command takes less than 1 ms, so hundreds of calls can share them
ATTEMPT_S = 1.0
BYTES_PER_S = 10_000_000  # more time for what is large; a slower Redis counts as one that is away
UNREADABLE = (LookupError, TypeError, ValueError, RecursionError, zlib.error)
_COMPRESS_ABOVE = 4_096
_ASIDE_ABOVE = 20_000  # below that, packing takes about as long as handing it to a thread

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RedisAccess:
    """The connections of this process.

    A client has one connection and serves one call at a time. It is used again only after a call that went
    well, so that no call ever reads what another one has left unread.
    """

    def __init__(self, url: str) -> None:
        # With protocol 3 the library (8.1) does not look for replies that nobody has read. Its timeouts know
        # neither how large a value is nor how busy this process: ours come first.
        self._new_client = partial(Redis.from_url, url, protocol=2, socket_timeout=None)
        self._places = anyio.Semaphore(MAX_CONNECTIONS)
        self._failures = 0
        self._failing: set[tuple[str, bool]] = set()
        self._failed_at = -math.inf
        try:
            self._idle = [self._new_client()]
            self._idle[0].connection_pool.make_connection()  # type: ignore[no-untyped-call]  # checks the URL
            self._secrets = (unquote(urlsplit(url).password or ""),)
        except (TypeError, ValueError):  # its words may quote half a password
            raise ConfigurationError(
                "GROK_MCP_REDIS_URL is no address as in redis://:password@host:6379/0.",
                "Special characters of the password are written as %XX.",
            ) from None

    async def get(self, key: str, size: int = 0) -> Any:
        """The value of a key, None where there is none; `size` is about what it holds."""
        return await self.ask("read", lambda client: client.get(key), size)

    async def ask(self, use: str, work: Callable[[Redis], Awaitable[T]], size: int = 0) -> T:
        """What Redis says, after one retry at most; OverloadedError where that is nothing of use."""
        failures = self._failures
        try:
            async with self._places:
                if failures < self._failures:
                    raise ConnectionError("others have tried in vain")  # while this call was waiting
                result = await self._attempts(work, ATTEMPT_S + size / BYTES_PER_S)
        except (RedisError, OSError) as error:
            self._failed(use, error)
            raise OverloadedError("The store of conversations can't be reached.", "Try again soon.") from None
        self._went_well(use)
        return result

    def was_away(self, within_s: float) -> bool:
        """Whether Redis could not be reached lately, so that it may lack what is still to be written."""
        return time.monotonic() - self._failed_at < within_s

    async def aclose(self) -> None:
        """Close the connections."""
        await _close(self._idle)

    async def _attempts(self, work: Callable[[Redis], Awaitable[T]], seconds: float) -> T:
        try:
            return await self._attempt(work, seconds)
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
                raise  # another connection would hear the same
        stale, self._idle = self._idle, []  # or connected to what is the primary no more
        try:
            return await self._attempt(work, seconds)
        finally:
            await _close(stale)

    async def _attempt(self, work: Callable[[Redis], Awaitable[T]], seconds: float) -> T:
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            with _fail_after(seconds):
                result = await work(client)
        except BaseException:  # also a cancelled one, which may have left half a reply
            await _close([client])
            raise
        self._idle.append(client)
        return result

    def _failed(self, use: str, error: Exception) -> None:
        """Say once why Redis is away, and once more if it can be reached and refuses."""
        self._failed_at = time.monotonic()
        refused = isinstance(error, ResponseError | AuthenticationError)
        self._failures += not refused
        if refused not in {kind for _, kind in self._failing}:
            reason = f"{type(error).__name__}: {quote(str(error), self._secrets)}"
            logger.warning("Redis is away (%s): until it is back, no conversation goes on", reason)
        self._failing.add((use, refused))

    def _went_well(self, use: str) -> None:
        if self._failing:  # a Redis that takes nothing can still be read
            self._failing = {one for one in self._failing if use == "read" and one[0] == "write"}
            if not self._failing:
                logger.warning("Redis is back: conversations go on")


@contextmanager
def _fail_after(seconds: float, steps: int = 20) -> Iterator[None]:
    """As anyio's, but time in which this process did not get round to reading counts as one step at most."""

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
        raise TimeoutError("no answer in time")


async def _close(clients: Iterable[Redis]) -> None:
    """Close connections, also behind a call that was cancelled, and without waiting for long."""
    with anyio.move_on_after(ATTEMPT_S, shield=True):
        await asyncio.gather(*(client.aclose() for client in clients), return_exceptions=True)


async def aside(size: int, work: Callable[..., T], *arguments: Any) -> T:
    """Do what takes long for so many bytes in a thread."""
    return work(*arguments) if size < _ASIDE_ABOVE else await anyio.to_thread.run_sync(work, *arguments)


def key_of(kind: str, content: bytes) -> str:
    """The name of a key, which shows nothing of what it stands for."""
    return f"grok-mcp:{kind}:{hashlib.sha256(content).hexdigest()}"


def pack(document: str) -> bytes:
    """A JSON object as it is stored."""
    plain = document.encode()
    return zlib.compress(plain, 1) if len(plain) > _COMPRESS_ABOVE else plain


def unpack(stored: bytes) -> bytes:
    """The JSON object again; raises one of UNREADABLE where it is none of ours."""
    return stored if stored.startswith(b"{") else zlib.decompress(stored)
