"""Child processes, what they use, and a JSON-RPC client over their pipes.

Reads `/proc` and a process's CPU clock, so it runs on Linux only.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent
LONGEST_WAIT_S = 120.0
_PROTOCOL = "2025-11-25"


class Child:
    """One process on pipes that speaks in lines; ended with the `with` block, whatever happens."""

    def __init__(self, arguments: list[str], environ: Mapping[str, str] | None = None) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("GROK_", "XAI_"))}
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=clean | dict(environ or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._parts: list[bytes] = []
        self._lines: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        """Write all of it."""
        while data:
            data = data[os.write(self._stdin, data) :]

    def line(self) -> bytes:
        """The next line; raises where the child ends, or says nothing for too long."""
        while not self._lines:
            if not select.select([self._stdout], [], [], LONGEST_WAIT_S)[0]:
                raise TimeoutError(f"{self._process.args!r} said nothing for {LONGEST_WAIT_S:g} s")
            chunk = os.read(self._stdout, 1 << 20)
            if not chunk:
                raise EOFError(f"{self._process.args!r} ended early")
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                self._lines.append(b"".join([*self._parts, end]))
                self._parts = []
            self._parts.append(rest)
        return self._lines.popleft()

    def cpu(self) -> float:
        """Seconds of CPU time so far, of all its threads."""
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def memory(self, field: str = "VmRSS") -> int:
        """Resident bytes now, or `VmHWM` for the most since `reset_peak`."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise LookupError(field)

    def reset_peak(self) -> int:
        """Forget the peak of memory; returns what is resident now."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        return self.memory()

    def kill_and_count(self) -> float:
        """End it at once; returns its CPU seconds, user and system, as the kernel counted them."""
        self._process.kill()
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return used.ru_utime + used.ru_stime

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class McpChild(Child):
    """An MCP server on stdio."""

    def __init__(self, arguments: list[str], environ: Mapping[str, str] | None = None) -> None:
        super().__init__(arguments, environ)
        self._last_id = 0

    def open(self) -> bytes:
        """The handshake of the 2025 era, then `tools/list`; returns that answer."""
        hello = {
            "protocolVersion": _PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "b", "version": "1"},
        }
        self.request("initialize", hello)
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        return self.request("tools/list", {})

    def request(self, method: str, params: Mapping[str, Any]) -> bytes:
        """Send one request; returns its answer, and drops what comes before."""
        self.post([(method, params)])
        return self.answers(1)[0]

    def post(self, requests: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Send requests in one go."""
        lines = []
        for method, params in requests:
            self._last_id += 1
            message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
            lines.append(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        self.send(b"".join(lines))

    def answers(self, count: int) -> list[bytes]:
        """So many answers, whichever come first; notes between them are dropped."""
        found: list[bytes] = []
        while len(found) < count:
            line = self.line()
            if is_answer(line):
                found.append(line)
        return found


def is_answer(line: bytes) -> bool:
    """Whether a line answers a request; looks at its beginning only, as a line may be long."""
    return b'"id"' in line[:60] and b'"method"' not in line[:60]


def check(answer: bytes) -> bytes:
    """The answer; raises for one that is an error, which would be measured for nothing."""
    if b'"isError":true' in answer or b'"error":{' in answer[:200] or b"Note: " in answer[-400:]:
        raise RuntimeError(answer[:400].decode("utf-8", "replace"))
    return answer
