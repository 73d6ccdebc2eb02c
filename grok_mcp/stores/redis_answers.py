"""Answers in Redis: what one process has handed over, each of them serves.

A key holds how a call ended, or how far it has come. The process that runs a call writes every few seconds
while it runs, so that a key which nobody writes any more means that its process is gone. Calls that have
ended count into their caller's share; those that run do not, and nothing drops them.
"""

import math
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any, ClassVar

import anyio
from redis.asyncio import Redis

from grok_mcp import events
from grok_mcp.errors import OverloadedError
from grok_mcp.events import Observer
from grok_mcp.messages import Outcome, Running
from grok_mcp.stores.answers import (
    FIRST_PAUSE_S,
    LIFETIME_S,
    LONGEST_PAUSE_S,
    MAX_ANSWERS,
    MAX_CHARACTERS,
    OFFERED_S,
    Held,
    Name,
    given_up,
    silent,
)
from grok_mcp.stores.documents import UNREADABLE, pack_outcome, unpack_outcome
from grok_mcp.stores.redis import RedisAccess, aside, key_of
from grok_mcp.stores.redis_shares import RedisShares

SILENT_S = 8.0
"""After so long without a word a process is taken to be gone; `runs.HEARTBEAT_S` is how often it writes."""
LAST_CHANCE_S = 6.0
"""Time for a process to write again that could not, because Redis was away."""
LAST_WORD_S = 3.0
"""The same for who asks only how far a call is; more than `runs.HEARTBEAT_S`."""
_CANCEL_S = 60
"""How long a wish to end a call waits for the process that runs it."""
_HEAD = 16
"""Bytes in front of a document: whether the call runs, and a number that grows while it does."""


class RedisAnswers:
    """The store that processes share."""

    shared: ClassVar[bool] = True
    elsewhere: ClassVar[bool] = True
    lasts: ClassVar[bool] = True
    number: ClassVar[None] = None

    def __init__(
        self,
        redis: RedisAccess,
        silent_s: float = SILENT_S,
        last_chance_s: float = LAST_CHANCE_S,
        last_word_s: float = LAST_WORD_S,
        maximum: int = MAX_ANSWERS,
        max_bytes: int = MAX_CHARACTERS,
    ) -> None:
        self._redis = redis
        self._ended = RedisShares(redis, "answer", maximum, max_bytes, LIFETIME_S)
        self._silent_s = silent_s
        self._last_chance_s = last_chance_s
        self._last_word_s = last_word_s
        self._waits_until = -math.inf

    async def put(self, answer_id: str, caller: str, outcome: Outcome) -> bool:
        """Store how a call ended, or how far it has come; False while Redis does not take it."""
        size, runs = len(outcome.text), isinstance(outcome, Running)
        head = f"{'R' if runs else 'E'}{size:0{_HEAD - 1}d}".encode()
        try:
            document = head + await aside(size, pack_outcome, outcome)
            if not runs:
                return await self._ended.put(caller, answer_id, document)
            key = self._ended.key(caller, answer_id)
            await self._redis.ask(
                "write", lambda client: client.set(key, document, ex=LIFETIME_S), len(document)
            )
        except (OverloadedError, RecursionError):  # the latter for data that is nested too deeply
            return False
        return True

    async def get(
        self, answer_id: str, caller: str, wait_s: float | None, observe: Observer
    ) -> Outcome | None:
        """How a call ended, or how far it has come after `wait_s` seconds; None where nothing is stored.

        Raises OverloadedError while Redis is away.
        """
        key, known, heard_s = self._ended.key(caller, answer_id), b"", anyio.current_time()
        until = math.inf if wait_s is None else heard_s + wait_s
        outcome, observed, pause_s = None, 0, FIRST_PAUSE_S
        while True:
            head, silent_s = await self._look(key)
            if not head and self._redis.was_away(self._last_chance_s):
                await anyio.sleep(LONGEST_PAUSE_S)
                continue
            if head != known:
                known, outcome = head, await self._read(key)
            if not isinstance(outcome, Running):
                return outcome
            if len(outcome.text) > observed:
                piece, observed = outcome.text[observed:], len(outcome.text)
                observe(events.TextDelta(piece, events.FIRST), piece)
            now = anyio.current_time()
            if silent_s < self._silent_s:
                heard_s = now
                if now >= until:
                    return outcome
            elif now - heard_s > self._last_chance_s:
                return given_up(outcome, silent(self._silent_s))
            await anyio.sleep(min(pause_s, max(until - now, FIRST_PAUSE_S)))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def look(self, answer_id: str, caller: str) -> Held | None:
        """What is stored, at once; a call whose process is gone has ended. Raises OverloadedError.

        Waits a moment where a process may be about to write: Redis has just come back, or nobody has heard
        of the call for so long that it would be given up.
        """
        key = self._ended.key(caller, answer_id)
        while True:
            head, silent_s = await self._look(key)
            outcome = await self._read(key) if head else None
            if outcome is not None and (not isinstance(outcome, Running) or silent_s < self._silent_s):
                since = outcome.since if isinstance(outcome, Running) else 0.0
                return Held(outcome, since or time.time() - silent_s)
            if not self._redis.was_away(self._last_chance_s):
                if outcome is None:
                    return None
                if self._has_waited():
                    return Held(given_up(outcome, silent(self._silent_s)), time.time() - silent_s)
            await anyio.sleep(FIRST_PAUSE_S)

    def _has_waited(self) -> bool:
        """Whether a silent call had time for its last word: one wait is for all that are silent by then."""
        now = anyio.current_time()
        if now > self._waits_until + self._silent_s / 2:  # others may have fallen silent since
            self._waits_until = now + self._last_word_s
        return now >= self._waits_until

    async def request_cancel(self, answer_id: str, caller: str) -> None:
        """Leave word for the process that runs the call. Raises OverloadedError."""
        key = key_of(caller, "cancel", answer_id)
        try:
            await self._redis.ask("write", lambda client: client.set(key, b"1", ex=_CANCEL_S))
        except OverloadedError:
            raise _away() from None

    async def cancel_requests(self, running: Collection[Name]) -> Collection[Name]:
        """Which of these calls somebody has left word to end; none while Redis is away."""
        names = list(running)

        async def ask(client: Redis) -> Any:
            async with client.pipeline(transaction=False) as pipeline:
                for caller, answer_id in names:
                    pipeline.exists(key_of(caller, "cancel", answer_id))
                return await pipeline.execute()

        try:
            found = await self._redis.ask("read", ask)
        except OverloadedError:
            return ()
        return [name for name, is_there in zip(names, found, strict=True) if is_there]

    async def offer(self, request: str, caller: str, answer_id: str) -> None:
        """Let other processes find a call by what it was asked, as long as nobody has got its answer."""
        by_request, by_id = key_of(caller, "request", request), key_of(caller, "offer", answer_id)

        async def write(client: Redis) -> None:
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.set(by_request, answer_id.encode(), ex=OFFERED_S)
                pipeline.set(by_id, b"1", ex=OFFERED_S)
                await pipeline.execute()

        with suppress(OverloadedError):
            await self._redis.ask("write", write)

    async def offered(self, request: str, caller: str) -> str | None:
        """The call of another process that answers the same request; none while Redis is away."""
        if self._redis.was_away(self._last_chance_s):
            return None
        try:
            found = await self._redis.get(key_of(caller, "request", request))
            answer_id: str | None = found.decode() if found else None
            if answer_id is None or not await self._redis.get(key_of(caller, "offer", answer_id)):
                return None
        except (OverloadedError, UnicodeDecodeError):
            return None
        return answer_id

    async def withdraw(self, answer_id: str, caller: str) -> None:
        """No longer offer a call: somebody has got its answer."""
        key = key_of(caller, "offer", answer_id)
        with suppress(OverloadedError):
            await self._redis.ask("write", lambda client: client.unlink(key))

    def tidy(self) -> None:
        """Nothing: Redis does so by itself."""

    async def aclose(self) -> None:
        """Nothing: the connections are those of the conversations."""

    async def _look(self, key: str) -> tuple[bytes, float]:
        """The head of what is stored, and how long ago that was."""

        async def look(client: Redis) -> Any:
            async with client.pipeline(transaction=True) as pipeline:
                pipeline.getrange(key, 0, _HEAD - 1)
                pipeline.pttl(key)
                return await pipeline.execute()

        try:
            head, left_ms = await self._redis.ask("read", look)
        except OverloadedError:
            raise _away() from None
        return head, LIFETIME_S - left_ms / 1000

    async def _read(self, key: str) -> Outcome | None:
        try:
            stored = await self._redis.get(key)
        except OverloadedError:
            raise _away() from None
        try:
            return await aside(len(stored or b""), unpack_outcome, stored[_HEAD:]) if stored else None
        except UNREADABLE:
            return None


def _away() -> OverloadedError:
    return OverloadedError("The store of answers can't be reached.", "Try again soon.")
