"""Child processes, what they use, and a JSON-RPC client over their pipes.

Reads `/proc` and a process's CPU clock, so it runs on Linux only.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable
LONGEST_WAIT_S = 120.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Nothing of whoever measures reaches a server: no settings, and no proxy before the loopback address.
_FOREIGN = ("GROK_", "XAI_", "PERPLEXITY_", "OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NODE_")
_PROTOCOL = "2025-11-25"


class Child:
    """One process on pipes that speaks in lines; ended with the `with` block, whatever happens.

    What it uses is counted with the processes below it, so that no work can hide in another one.
    """

    def __init__(self, command: list[str], environ: Mapping[str, str] | None = None) -> None:
        self.began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environ() | dict(environ or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._parts: list[bytes] = []
        self._lines: deque[bytes] = deque()

    @staticmethod
    def environ() -> dict[str, str]:
        """The environment without what would change a server."""
        return {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """Write all of it."""
        while data:
            data = data[os.write(self._stdin, data) :]

    def line(self, longest_s: float = LONGEST_WAIT_S) -> bytes:
        """The next line; raises where the child ends, or says nothing for too long."""
        while not self._lines:
            if not select.select([self._stdout], [], [], longest_s)[0]:
                raise TimeoutError(f"{self._process.args!r} said nothing for {longest_s:g} s")
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
        """Seconds of CPU time so far, user and system, of all threads and of the processes below it."""
        return sum(map(_cpu_of, self._tree()))

    def memory(self, field: str = "VmRSS") -> int:
        """Resident bytes now, or `VmHWM` for the most since `reset_peak`."""
        return sum(_status_of(pid, field) for pid in self._tree())

    def reset_peak(self) -> int:
        """Forget the peak of memory; returns what is resident now."""
        for pid in self._tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return self.memory()

    def kill(self) -> None:
        """End it at once, with the processes below it."""
        for pid in reversed(self._tree()):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _tree(self) -> list[int]:
        """This process and all below it."""
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found

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

    def __init__(self, command: list[str], environ: Mapping[str, str] | None = None) -> None:
        super().__init__(command, environ)
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
            apart = told_apart(params, self._last_id)
            message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": apart}
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


def told_apart(params: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """The same call of ours as no other one: the same call twice at a time would be one."""
    arguments = params.get("arguments", {})
    if params.get("name") != "ask_grok":
        return params
    return {**params, "arguments": {**arguments, "prompt": f"{arguments['prompt']} ({number})"}}


def _cpu_of(pid: int) -> float:
    """What it has used by its own clock, and its ended children, which the kernel counts in ticks."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = sum(map(int, after_name[13:15])) / _TICKS_A_SECOND
    return time.clock_gettime((~pid << 3) | 2) + ended


def _status_of(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def is_answer(line: bytes) -> bool:
    """Whether a line answers a request; looks at its ends only: it may be long, and the id at either."""
    head = line[:60]
    return b'"method"' not in head and (b'"id"' in head or b'"id"' in line[-40:])


def check(answer: bytes) -> bytes:
    """The answer; raises for one that is an error, which would be measured for nothing."""
    if b'"isError":true' in answer or b'"error":{' in answer[:200] or b"Note: " in answer[-400:]:
        raise RuntimeError(answer[:400].decode("utf-8", "replace"))
    return answer
