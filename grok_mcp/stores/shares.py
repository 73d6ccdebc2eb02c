"""Who holds how much of a store in memory: bounded in number, size and time, and fair to its callers.

One caller alone may fill it. When it is full, the caller who holds most loses what they left alone for
longest, so that nobody takes the room of a caller who holds little.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Generic, TypeVar

from cachetools import TTLCache

T = TypeVar("T")
Part = TypeVar("Part")


class _Share:
    """What one caller holds. Parts that several of their entries have in common count once."""

    def __init__(self) -> None:
        self.entries: OrderedDict[str, None] = OrderedDict()  # what was left alone for longest comes first
        self.characters = 0
        self.held = 0
        self.turn = 0  # when something was stored last
        self._parts: dict[int, tuple[int, int]] = {}  # by identity: how many entries have it, and its size

    def add(self, sizes: Mapping[int, int]) -> None:
        for part, size in sizes.items():
            users, _ = self._parts.get(part, (0, size))
            self._parts[part] = (users + 1, size)
            if not users:
                self.characters += size

    def remove(self, parts: Iterable[int]) -> None:
        for part in parts:
            users, size = self._parts.pop(part)
            if users > 1:
                self._parts[part] = (users - 1, size)
            else:
                self.characters -= size


class _Expiring(TTLCache[tuple[str, str], T]):
    """Entries by caller and name; `forget` hears of each that expires."""

    def __init__(self, lifetime_s: float, forget: Callable[[str, str, T], None]) -> None:
        super().__init__(float("inf"), lifetime_s)
        self._forget = forget

    def expire(self, time: float | None = None) -> list[tuple[tuple[str, str], T]]:
        expired = super().expire(time)
        for (caller, name), value in expired:
            self._forget(caller, name, value)
        return expired


class Shares(Generic[T, Part]):
    """The entries of all callers.

    `parts` are what an entry consists of, told apart by identity, and `size` is the characters of one. What a
    caller holds counts as at least its part of `maximum` for each entry, which bounds their number.
    """

    def __init__(
        self,
        maximum: int,
        max_characters: int,
        lifetime_s: float,
        parts: Callable[[T], Iterable[Part]],
        size: Callable[[Part], int],
    ) -> None:
        self._max_characters = max_characters
        self._smallest = max_characters // maximum
        self._parts = parts
        self._size = size
        self._stored: _Expiring[T] = _Expiring(lifetime_s, self._forget)
        self._shares: dict[str, _Share] = {}
        self._held = 0
        self._turns = count(1)
        self._heaviest: list[tuple[int, int, str]] = []  # a heap; what is no longer so is passed over

    def __len__(self) -> int:
        self._stored.expire()
        return len(self._stored)

    def characters(self) -> dict[str, int]:
        """The characters that each caller holds now."""
        self._stored.expire()
        return {caller: share.characters for caller, share in self._shares.items()}

    def get(self, caller: str, name: str) -> T | None:
        """An entry, which is then the newest of its caller; None where there is none."""
        value = self._stored.get((caller, name))
        if value is not None:
            self._shares[caller].entries.move_to_end(name)
        return value

    def put(self, caller: str, name: str, value: T) -> bool:
        """Store an entry; False where it is too large to stand beside what others hold."""
        sizes = {id(part): self._size(part) for part in self._parts(value)}
        if not self._has_room(caller, max(sum(sizes.values()), self._smallest)):
            return False
        known = self._stored.pop((caller, name), None)
        if known is not None:
            self._forget(caller, name, known)
        self._stored[caller, name] = value
        share = self._shares.setdefault(caller, _Share())
        share.entries[name] = None
        share.add(sizes)
        share.turn = next(self._turns)
        self._weigh(caller, share)
        while self._held > self._max_characters:
            self._drop_one()
        return name in share.entries

    def _has_room(self, caller: str, size: int) -> bool:
        """Whether an entry can stay once nobody else holds more than it does.

        So that nobody loses anything for one that would have to go at once.
        """
        if size * (len(self._shares) + 1) <= self._max_characters:
            return True  # it is no more than an equal share
        others = sum(
            min(share.held, size)
            for name, share in self._shares.items()
            if name != caller and share.held != size  # of two who hold as much, the other one goes
        )
        return others + size <= self._max_characters

    def _drop_one(self) -> None:
        """Drop the oldest of the heaviest caller; of several, the one who has stored nothing for longest."""
        while True:
            held, turn, caller = self._heaviest[0]
            share = self._shares.get(caller)
            if share and (-share.held, share.turn) == (held, turn):
                name = next(iter(share.entries))
                value = self._stored.pop((caller, name), None)
                if value is None:
                    self._stored.expire()  # it went by itself at this moment
                else:
                    self._forget(caller, name, value)
                return
            heapq.heappop(self._heaviest)

    def _forget(self, caller: str, name: str, value: T) -> None:
        share = self._shares[caller]
        del share.entries[name]
        share.remove({id(part) for part in self._parts(value)})
        self._weigh(caller, share)

    def _weigh(self, caller: str, share: _Share) -> None:
        """Note what a caller holds now."""
        held = max(share.characters, len(share.entries) * self._smallest)
        self._held += held - share.held
        share.held = held
        if not share.entries:
            del self._shares[caller]
            return
        heapq.heappush(self._heaviest, (-held, share.turn, caller))
        if len(self._heaviest) > 2 * len(self._shares) + 16:
            self._heaviest = [(-one.held, one.turn, name) for name, one in self._shares.items()]
            heapq.heapify(self._heaviest)
