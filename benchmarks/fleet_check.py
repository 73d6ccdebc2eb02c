"""Looks at the history of a fleet afterwards: who got how much, and whether anybody got more than allowed.

It knows nothing of the server: it reads what the endpoint has written down, what the callers got, and the
rows of the ledger.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Request = tuple[float, int, int, int, str, int]
"""As the endpoint writes it: seconds, caller, call, attempt, outcome, ticks."""
Result = tuple[float, float, int, int, str]
"""As the callers write it: began, ended, caller, call, outcome."""


def jain(shares: Iterable[float]) -> float:
    """Jain's index of fairness: 1 where all have the same, 1/n where one has it all."""
    known = list(shares)
    squares = sum(share * share for share in known)
    return sum(known) ** 2 / (len(known) * squares) if squares else 1.0


def rates(results: Iterable[Result], callers: int, since: float) -> list[float]:
    """Answers a second of each caller who always has one call open, from the end of the first after `since`
    to the end of the last: whole numbers of answers would differ by where a time is cut.
    """
    ends = defaultdict[int, list[float]](list)
    for _, ended, caller, _, outcome in results:
        if outcome == "ok" and ended >= since:
            ends[caller].append(ended)
    spans = (ends[caller] for caller in range(callers))
    return [(len(one) - 1) / (max(one) - min(one)) if len(one) > 1 else 0.0 for one in spans]


def most_in(moments: Iterable[tuple[float, float]], window_s: float) -> float:
    """The most that any window of so many seconds holds, of amounts at moments."""
    ordered = sorted(moments)
    times = [moment for moment, _ in ordered]
    sums = [0.0]
    for _, amount in ordered:
        sums.append(sums[-1] + amount)
    most = 0.0
    for number, moment in enumerate(times):
        begin = bisect_left(times, moment - window_s + 1e-9)
        most = max(most, sums[number + 1] - sums[begin])
    return most


def above_quota(
    admitted: Mapping[int, Sequence[tuple[float, float]]], quota: float, window_s: float
) -> dict[int, float]:
    """Callers who got more than the quota in some window, and how much."""
    found = {caller: most_in(moments, window_s) for caller, moments in admitted.items()}
    return {caller: most for caller, most in found.items() if most > quota}


def billed(history: Iterable[Request]) -> dict[int, int]:
    """What each caller was billed, in ticks."""
    sums: Counter[int] = Counter()
    for _, caller, _, _, _, ticks in history:
        sums[caller] += ticks
    return dict(sums)


class Losses(NamedTuple):
    """Calls that went wrong on their way."""

    lost: int
    billed_twice: int
    answered_unbilled: int


def losses(results: Iterable[Result], history: Iterable[Request]) -> Losses:
    """Calls without an answer, calls that were billed more than once, and answers out of nothing."""
    bills = defaultdict[tuple[int, int], int](int)
    for _, caller, call, _, _, ticks in history:
        bills[caller, call] += bool(ticks)
    known = list(results)
    answered = {(caller, call) for _, _, caller, call, outcome in known if outcome == "ok"}
    return Losses(
        sum(1 for *_, outcome in known if outcome.startswith("lost")),
        sum(1 for times in bills.values() if times > 1),
        sum(1 for one in answered if not bills[one]),
    )
