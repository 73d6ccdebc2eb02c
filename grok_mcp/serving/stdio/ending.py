"""The end of a process whose orderly end does not come: it never outlives its host, whatever it is doing.

The loop may be busy, a thread may block in the system, where nothing can stop it. A thread that only waits
sees to the end, once a signal or the end of stdin has said that it is time.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread, main_thread

from grok_mcp.streams import flush_stderr, say

MARGIN_S = 5.0
"""Beyond the grace: for the last answers, the ledger and telemetry."""
STALLED_S = 2.0
STATUS = 1


class LastResort:
    """Ends the process some time after `begin`, as soon as nothing is written to the client any more."""

    def __init__(self, grace_s: float, written: Callable[[], int]) -> None:
        self._after_s = grace_s + MARGIN_S
        self._written = written
        self._main = main_thread().ident or 0
        self._begun = SimpleQueue[None]()
        # It waits from the beginning: a handler of a signal may not start a thread, nor take a lock.
        Thread(target=self._end, name="last resort", daemon=True).start()

    def begin(self) -> None:
        """Start the count; by any thread or handler of a signal, also again."""
        self._begun.put(None)

    def _end(self) -> None:
        self._begun.get()
        time.sleep(self._after_s)
        before = -1
        while (now := self._written()) != before:
            before = now
            time.sleep(STALLED_S)
        frame = sys._current_frames().get(self._main)
        place = traceback.extract_stack(frame)[-1] if frame else None
        doing = f", busy at {os.path.basename(place.filename)}:{place.lineno} {place.name}" if place else ""
        say(f"ended by force: the orderly end took more than {self._after_s:g} s{doing}")
        flush_stderr()
        os._exit(STATUS)
