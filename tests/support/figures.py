"""What a process of this machine takes: processor time and memory, as Linux counts them."""

import os
import time
from pathlib import Path


class Figures:
    """The processor time and the memory of one process; processes that it has ended and waited for count."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._folder = Path(f"/proc/{pid}")

    def seconds(self) -> float:
        """Processor time so far, of all its threads and of its children that have ended."""
        fields = (self._folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        children = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        return self.own_seconds() + children

    def own_seconds(self) -> float:
        """Processor time so far, of all its threads."""
        return time.clock_gettime((~self._pid << 3) | 2)

    def megabytes(self, field: str = "VmRSS") -> float:
        """Resident memory now, or `VmHWM` for the most since `forget_peak`."""
        lines = (self._folder / "status").read_text(encoding="ascii").splitlines()
        (line,) = (line for line in lines if line.startswith(f"{field}:"))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew."""
        (self._folder / "clear_refs").write_text("5", encoding="ascii")
