"""Signals of a process that serves: a terminal or a session that goes away ends it as SIGTERM does."""

import signal
import sys
from typing import Any

_own: set[bool] = set()


def take_signals() -> None:
    """Make signals and timers of this process ours: for a program that does nothing but serve."""
    _own.add(True)
    _hang_up_as_terminate()


def take_signals_of_a_worker() -> None:
    """The same where this is one of the processes of a server that has several."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and processes.parent_process() is not None:
        take_signals()


def are_ours() -> bool:
    """Whether signals of this process are ours, not those of a program that we are a part of."""
    return bool(_own)


def _hang_up_as_terminate() -> None:
    """Let SIGHUP be SIGTERM, unless somebody (nohup) wants it to be ignored."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(*_: Any) -> None:
    signal.raise_signal(signal.SIGTERM)
