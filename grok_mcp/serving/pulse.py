"""Notices an event loop that is busy with one thing for long, and says in the log what that is.

The clock is a timer of processor time: it ticks only while the process works, so that an idle server is never
woken, and a busy one pays some microseconds in ten milliseconds. A tick interrupts whatever runs (a signal
handler of Python does, between two instructions), and so sees it at work. Waiting does not count: a loop
that is held up by a slow disk uses no processor time.
"""

import asyncio
import atexit
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType

from grok_mcp.serving.signals import are_ours

TICK_S = 0.01
SLOW_S = 0.05
ENDLESS_S = 1.0
"""What is busy for so long is told before its end."""
EVERY_S = 10.0
"""Between two lines, however often it happens."""
FROZEN_S = 30.0
"""Processor time in one call into C, in which no line of Python runs and no signal is obeyed: then the system
ends a server on stdio, whose host may have gone long ago."""
DEPTH = 4

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LOOP_FILES = {asyncio.base_events.__file__, asyncio.events.__file__}

logger = logging.getLogger(__name__)


def watch_loop(*, may_end: bool) -> None:
    """Watch the running loop, where signals are ours; with `may_end` a process that is frozen ends."""
    if are_ours() and hasattr(signal, "setitimer") and signal.getsignal(signal.SIGPROF) == signal.SIG_DFL:
        with suppress(RuntimeError):  # no loop runs
            loop = asyncio.get_running_loop()
            loop.call_soon(_Pulse(loop, may_end=may_end).start)  # what is built until then is no input


class _Pulse:
    """The step of the loop that ran at the last tick, and since when it was seen."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, may_end: bool) -> None:
        self._loop = loop
        self._may_end = may_end
        self._below: set[FrameType] = set()
        self._step: FrameType | None = None
        self._told: FrameType | None = None
        self._since = 0.0
        self._seen: dict[str, int] = {}
        """How many ticks met the present step at which place."""
        self._told_at = float("-inf")
        self._untold = 0

    def start(self) -> None:
        self._below |= set(_outwards(sys._getframe()))
        signal.signal(signal.SIGPROF, self._tick)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, TICK_S, TICK_S)
        atexit.register(_stop)  # before the interpreter gives its handlers up: a tick would end the process
        self._extend()

    def _extend(self) -> None:
        """Python runs: the process may go on."""
        if self._may_end:
            signal.setitimer(signal.ITIMER_VIRTUAL, FROZEN_S)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        self._extend()
        step = self._step_of(frame)
        if step is None or step is not self._step:
            self._step, self._since, self._seen = step, time.thread_time(), {}
            if step is not None:
                try:  # comes when the step has ended, in the context of its call, whose id the log shows
                    self._loop.call_soon_threadsafe(self._turned, step)
                except RuntimeError:  # the loop is closed: nothing is left to watch
                    _stop()
        elif any(one.f_code.co_filename.startswith("<frozen importlib") for one in _outwards(frame)):
            self._since = time.thread_time()  # a module that loads for the first call that needs it
        else:
            place = _described(frame)
            self._seen[place] = self._seen.get(place, 0) + 1
            busy_s = time.thread_time() - self._since
            if busy_s >= ENDLESS_S and step is not self._told:  # it may never end
                self._told = step
                self._tell(busy_s)

    def _step_of(self, frame: FrameType | None) -> FrameType | None:
        """The outermost frame of what the loop has called; None where the loop itself is at work."""
        step = None
        for one in _outwards(frame):
            if one in self._below:
                return step
            if one.f_code.co_filename not in _LOOP_FILES:
                step = one
        return None  # not below the loop: the process starts or ends

    def _turned(self, step: FrameType) -> None:
        busy_s = time.thread_time() - self._since
        if step is self._step:
            self._step = None
            if self._seen and busy_s >= SLOW_S and step is not self._told:
                self._tell(busy_s)
            self._told = None

    def _tell(self, busy_s: float) -> None:
        now = time.monotonic()
        if now - self._told_at < EVERY_S:
            self._untold += 1
            return
        more = f", and {self._untold} times since the last such line" if self._untold else ""
        self._told_at, self._untold = now, 0
        # Where it was longest, and not where it came to its end.
        doing = max(self._seen, key=self._seen.__getitem__)
        logger.warning("the event loop was busy for %.0f ms: %s%s", 1000 * busy_s, doing, more)


def _stop() -> None:
    for timer in (signal.ITIMER_PROF, signal.ITIMER_VIRTUAL):
        signal.setitimer(timer, 0)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _described(frame: FrameType | None) -> str:
    """Where it is: the innermost place, and those of ours that led there."""
    frames = list(_outwards(frame))
    ours = [one for one in frames[1:] if one.f_code.co_filename.startswith(_PACKAGE)]
    return " < ".join(_place(one) for one in [*frames[:1], *ours[:DEPTH]])


def _place(frame: FrameType) -> str:
    name = frame.f_code.co_filename
    short = (
        os.path.relpath(name, os.path.dirname(_PACKAGE))
        if name.startswith(_PACKAGE)
        else os.path.basename(name)
    )
    return f"{short}:{frame.f_lineno} {frame.f_code.co_name}"
