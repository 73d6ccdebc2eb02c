"""Who has written what is in flight: one process, which another can find to be gone.

The ledger's rows of `in_flight` and kept answers have one. A process renews its rows while it lives, which
tells on any system after some time. Where Linux shows it, a reader need not wait for that.
"""

import os
import secrets
from functools import lru_cache
from pathlib import Path

_ENDED = ("Z", "X")
"""States of a process that only waits to be buried."""


def new_owner() -> str:
    """A name for one writer of this process: the numbering of processes, its number there, and its start."""
    born = _born(os.getpid()) if _numbering() else None
    return " ".join([_numbering() or "-", str(os.getpid()), born or "-", secrets.token_hex(4)])


def is_gone(owner: str) -> bool:
    """Whether the process is certainly gone; False where this one can't know."""
    if not is_visible(owner):
        return False
    _, number, born, *_ = owner.split()
    return _born(int(number)) != born


def is_visible(owner: str) -> bool:
    """Whether this process can know if the owner is gone."""
    numbering, number, born, *_ = [*owner.split(), "-", "-", "-"]
    return born != "-" and numbering == _numbering() and number.isdecimal()


@lru_cache(maxsize=1)
def _numbering() -> str | None:
    """What this machine, since it was started, and its container number processes by; None off Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except (OSError, ValueError):
        return None


def _born(number: int) -> str | None:
    """When a process was started, in the system's ticks; None for one that does not run."""
    try:
        status = Path(f"/proc/{number}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return None if status[0].decode() in _ENDED else status[19].decode()
