"""Servers of ours, and clients that run beside each other."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from npm_packages import node

GROK_MCP = str(Path(sys.executable).with_name("grok-mcp"))
RUN_S = 60.0


@dataclass(frozen=True)
class Servers:
    """Our servers on the network at `url`, and on stdio with these `variables`; runs clients of them."""

    url: str
    variables: Mapping[str, str]
    home: Path
    threads: ThreadPoolExecutor

    @property
    def targets(self) -> dict[str, str]:
        """The command on stdio, else the address."""
        return {"stdio": GROK_MCP, "http": f"{self.url}/mcp", "sse": f"{self.url}/sse"}

    def run(self, command: Sequence[str]) -> "Future[subprocess.CompletedProcess[str]]":
        """Start a client when its turn comes, in a home of its own."""
        path = f"{node().parent}:/usr/bin:/bin"
        environment = {"HOME": str(self.home), "PATH": path, **self.variables}
        return self.threads.submit(
            subprocess.run,
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )
