"""Whether a file lies on a disk of this machine, whose writes go into the system's memory and come back.

A file system on a network, or of a program (FUSE), may never come back from a write. Nothing in this process
can end that: so what lies there is not for a thread that others wait for.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

_LOCAL = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
)
"""Kinds of file systems known to be local; of others, it is not known."""
_MOUNTS = Path("/proc/self/mountinfo")


def is_local(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether it is known to; on systems other than Linux, it is taken to be."""
    if sys.platform != "linux":
        return True
    place, kind, depth = os.path.realpath(path), "", -1
    with suppress(OSError, IndexError):
        for line in os.fsdecode(mounts.read_bytes()).splitlines():
            before, _, after = line.partition(" - ")
            point = _unescaped(before.split(" ")[4])
            inside = place == point or place.startswith(f"{point.rstrip('/')}/")
            if inside and len(point) >= depth:  # of several at one place, the last is on top
                kind, depth = after.split(" ")[0], len(point)
    return kind in _LOCAL


def _unescaped(name: str) -> str:
    for character in " \t\n\\":
        name = name.replace(f"\\{ord(character):03o}", character)
    return name
