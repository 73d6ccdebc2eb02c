"""The places among the calls upstream, handed out fairly.

One that becomes free goes to the waiting caller who has the fewest, so that nobody waits behind all the calls
of another. The last few are for callers who have none, so that a newcomer finds one at once even where all
calls of another take long.
"""

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from grok_mcp.errors import OverloadedError
from grok_mcp.messages import LOCAL

MAX_WAITING = 1_000
"""Calls of one caller that may wait for a place. Each holds its request in memory, images included."""

CALLERS = 10
"""How many callers may have so many calls waiting at once."""


RESERVED = 20
"""One place in so many, and one at least where there are two, is kept for callers who have none."""


class _Turn:
    """One call that waits: it gets a place, or is refused one, when `over` is set."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.refused = False


class Places:
    """So many calls upstream at once; the others wait, a bounded number for each caller and for all."""

    def __init__(self, number: int, max_waiting: int = MAX_WAITING) -> None:
        self._free = number
        self._reserved = 0 if number == 1 else max(1, number // RESERVED)
        self._max_waiting = max_waiting
        self._taken: Counter[str] = Counter()
        # The caller whose turn is next comes first; of each caller the call that came first.
        self._waiting: OrderedDict[str, dict[_Turn, None]] = OrderedDict()

    @asynccontextmanager
    async def take(self, caller: str, waits: Callable[[], None]) -> AsyncIterator[None]:
        """Have a place for the time of the block; `waits` is called where none is free.

        Raises OverloadedError where too many calls wait already.
        """
        if self._may_have(caller):
            self._give(caller)
        else:
            await self._wait(caller, self._queue(caller), waits)
        try:
            yield
        finally:
            self._give_back(caller)

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken.total()

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return sum(map(len, self._waiting.values()))

    def _may_have(self, caller: str) -> bool:
        """Whether there is a free place for this caller. Where nobody has to say who they are, there is one
        caller, for whom all are.
        """
        if self._taken[caller] and caller != LOCAL:
            return self._free > self._reserved
        return self._free > 0

    def _give(self, caller: str) -> None:
        self._free -= 1
        self._taken[caller] += 1

    def _give_back(self, caller: str) -> None:
        self._free += 1
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]
        if self._waiting:  # min takes the first of those who have as few
            following = min(self._waiting, key=lambda waiting: self._taken[waiting])
            if not self._may_have(following):
                return
            turn = next(iter(self._waiting[following]))
            self._unqueue(following, turn)
            if following in self._waiting:
                self._waiting.move_to_end(following)
            self._give(following)
            turn.over.set()

    def _queue(self, caller: str) -> _Turn:
        """A turn behind the others of this caller, where there is room for one more."""
        waiting = self._waiting.get(caller, {})
        if len(waiting) >= self._max_waiting:
            raise _overloaded()
        if sum(map(len, self._waiting.values())) >= self._max_waiting * CALLERS:
            heaviest = max(self._waiting, key=lambda name: len(self._waiting[name]))
            if len(self._waiting[heaviest]) <= len(waiting) + 1:
                raise _overloaded()
            newest = next(reversed(self._waiting[heaviest]))
            newest.refused = True
            self._unqueue(heaviest, newest)
            newest.over.set()
        turn = _Turn()
        self._waiting.setdefault(caller, {})[turn] = None
        return turn

    def _unqueue(self, caller: str, turn: _Turn) -> None:
        del self._waiting[caller][turn]
        if not self._waiting[caller]:
            del self._waiting[caller]

    async def _wait(self, caller: str, turn: _Turn, waits: Callable[[], None]) -> None:
        try:
            waits()
            await turn.over.wait()
        except BaseException:  # it waits no longer, or got a place in the very moment in which it gave up
            if not turn.over.is_set():
                self._unqueue(caller, turn)
            elif not turn.refused:
                self._give_back(caller)
            raise
        if turn.refused:
            raise _overloaded()


def _overloaded() -> OverloadedError:
    return OverloadedError(
        "Too many calls wait for a free place already: nothing was sent.",
        "Try again when some of them have ended, and with fewer calls at once.",
    )
