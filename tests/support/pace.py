"""How much slower this machine is at the moment than a quiet one: bounds of time are stretched by that.

On a quiet machine a bound is what it says. Where others take the processor away, our seconds last longer.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import anyio

SPIN_S = 0.05
FRESH_S = 10.0


class _Pace:
    """The last measurement."""

    at = -FRESH_S
    slowness = 1.0


def slowness() -> float:
    """Wall time for a second of processor time, 1 on a quiet machine; measured every ten seconds."""
    if time.monotonic() - _Pace.at > FRESH_S:
        wall, used = time.perf_counter(), time.process_time()
        while time.process_time() - used < SPIN_S:
            pass
        _Pace.slowness = max((time.perf_counter() - wall) / SPIN_S, 1.0)
        _Pace.at = time.monotonic()
    return _Pace.slowness


def within(seconds: float) -> AbstractContextManager[Any]:
    """A deadline of so many seconds of a quiet machine; what is late raises TimeoutError."""
    return anyio.fail_after(seconds * slowness())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread or process does."""
    with within(20):
        while not condition():
            await anyio.sleep(0.01)
