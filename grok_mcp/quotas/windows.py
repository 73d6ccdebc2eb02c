"""Requests and tokens of the last minute, counted by the second.

A second stays in the window until the whole of it lies more than 60 s back, so that no 60 s, wherever they
begin, hold more than a quota. The price is a wait of up to 61 s.
"""

import math
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

WINDOW_S = 60
KEPT_S = WINDOW_S + 1
"""After its beginning a second leaves the window."""
MOST = 10**15
"""Tokens of a second that are told apart, whatever an endpoint claims: no quota is larger."""


class Account(NamedTuple):
    """One who has quotas: a caller or a group, which are apart also where their names are the same."""

    kind: str
    name: str
    requests: int | None = None
    tokens: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What its counts are found by, whatever its quotas are by now."""
        return self.kind, self.name


class Admitted(NamedTuple):
    """A call that was counted: in this second of the clock that counts, and of this process."""

    second: int
    here: int


class Refused(NamedTuple):
    """A quota that has no room before `wait_s` seconds have passed: `tokens` or `requests` of an account."""

    account: Account
    of: str
    wait_s: float


class Counts(Protocol):
    """Where admissions are counted."""

    async def admit(self, accounts: Sequence[Account], tokens: int) -> Admitted | Refused:
        """Count one request and so many tokens for all accounts, or for none.

        Raises OverloadedError where nothing can be counted.
        """
        ...

    async def settle(self, accounts: Sequence[Account], admitted: Admitted, more: int) -> None:
        """Correct the tokens of an admission; fails nobody."""
        ...

    def settle_soon(self, accounts: Sequence[Account], admitted: Admitted, more: int) -> None:
        """The same for a call that must not wait."""
        ...

    async def problem(self) -> str | None:
        """Why nothing can be counted now, None where it can."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class Window:
    """What one account has used in the last minute, in seconds of one clock.

    Some 100 bytes, and 24 for each second in which it has used anything.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries = array("q")  # second, requests, tokens; the oldest first

    def forget(self, now: int) -> None:
        """Let seconds go that have left the window."""
        gone = 0
        while gone < len(self._entries) and self._entries[gone] <= now - KEPT_S:
            gone += 3
        if gone:
            del self._entries[:gone]

    def wait_s(self, column: int, more: int, quota: int | None, now: float) -> float:
        """Seconds until so many more fit, of requests (1) or tokens (2)."""
        if quota is None:
            return 0.0
        counted = sum(self._entries[column::3])
        for place in range(0, len(self._entries), 3):
            if counted + more <= quota:
                break
            counted -= self._entries[place + column]
            wait_s = self._entries[place] + KEPT_S - now
            if counted + more <= quota:
                return wait_s
        return 0.0

    def add(self, second: int, requests: int, tokens: int) -> None:
        """Count in this second, not before the last one."""
        if len(self._entries) and self._entries[-3] >= second:
            self._entries[-2] += requests
            self._entries[-1] = min(self._entries[-1] + tokens, MOST)
        else:
            self._entries.extend((second, requests, min(tokens, MOST)))

    def correct(self, second: int, more: int, now: int) -> None:
        """Correct the tokens of a second; what is above the estimate of a long call counts now."""
        for place in range(0, len(self._entries), 3):
            if self._entries[place] == second:
                self._entries[place + 2] = min(max(0, self._entries[place + 2] + more), MOST)
                return
        if more > 0:
            self.add(now, 0, more)

    def entries(self) -> Iterator[tuple[int, int, int]]:
        """Seconds with their requests and tokens."""
        for place in range(0, len(self._entries), 3):
            second, requests, tokens = self._entries[place : place + 3]
            yield second, requests, tokens

    def __bool__(self) -> bool:
        return len(self._entries) > 0


class Windows:
    """The windows of all accounts that have used anything in the last minute, and of no others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[tuple[str, str], Window] = OrderedDict()  # the last used at the end

    def __len__(self) -> int:
        return len(self._windows)

    def admit(self, accounts: Sequence[Account], tokens: int) -> Admitted | Refused:
        """As `Counts.admit`."""
        now = self._clock()
        self.forget()
        refused: Refused | None = None
        for account in accounts:
            window = self._windows.get(account.key)
            if window is None:
                continue
            window.forget(int(now))
            waits = (
                ("requests", window.wait_s(1, 1, account.requests, now)),
                ("tokens", window.wait_s(2, tokens, account.tokens, now)),
            )
            for of, wait_s in waits:
                if wait_s > (refused.wait_s if refused else 0.0):
                    refused = Refused(account, of, wait_s)
        if refused:
            return refused
        return Admitted(int(now), self.count(accounts, tokens))

    def count(self, accounts: Sequence[Account], tokens: int) -> int:
        """Count an admission, whatever the quotas are; returns its second."""
        now = int(self._clock())
        for account in accounts:
            window = self._windows.setdefault(account.key, Window())
            self._windows.move_to_end(account.key)
            window.add(now, 1, tokens)
        return now

    def correct(self, accounts: Sequence[Account], second: int, more: int) -> None:
        """Correct the tokens of an admission."""
        now = int(self._clock())
        for account in accounts:
            window = self._windows.get(account.key)
            if window is None and more > 0:
                window = self._windows[account.key] = Window()
            if window is not None:
                window.forget(now)
                window.correct(second, more, now)
                if more > 0:
                    self._windows.move_to_end(account.key)

    def forget(self) -> None:
        """Let accounts go that have used nothing in the last minute."""
        now = int(self._clock())
        while self._windows:
            key, window = next(iter(self._windows.items()))
            window.forget(now)
            if window:
                break
            del self._windows[key]

    def ages(self) -> Iterator[tuple[tuple[str, str], list[tuple[int, int, int]]]]:
        """Each account's entries, the age of each in milliseconds at least, its requests and tokens."""
        self.forget()
        now = self._clock()
        for key, window in self._windows.items():
            window.forget(int(now))
            yield (
                key,
                [
                    (max(0, math.floor((now - second - 1) * 1000)), requests, tokens)
                    for second, requests, tokens in window.entries()
                ],
            )


class LocalCounts:
    """The counts of one process alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._windows = Windows(clock)

    async def admit(self, accounts: Sequence[Account], tokens: int) -> Admitted | Refused:
        """As `Counts`."""
        return self._windows.admit(accounts, tokens)

    async def settle(self, accounts: Sequence[Account], admitted: Admitted, more: int) -> None:
        """As `Counts`."""
        self.settle_soon(accounts, admitted, more)

    def settle_soon(self, accounts: Sequence[Account], admitted: Admitted, more: int) -> None:
        """As `Counts`."""
        self._windows.correct(accounts, admitted.here, more)

    async def problem(self) -> str | None:
        """Nothing is in the way."""
        return None

    async def aclose(self) -> None:
        """Nothing to let go of."""
