"""Servers of ours on a sandbox, on all transports, and clients that run beside each other."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from npm_packages import node

from grok_mcp.sandbox import SandboxServer
from tests.network.server import serving

GROK_MCP = str(Path(sys.executable).with_name("grok-mcp"))
AT_ONCE = 2
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


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with SandboxServer(pace=0) as sandbox, ThreadPoolExecutor(AT_ONCE) as threads:
        variables = {"GROK_MCP_GATEWAY": "sandbox", "XAI_BASE_URL": sandbox.url}
        with serving(sandbox.url, "--transport", "http", GROK_MCP_GATEWAY="sandbox") as server:
            yield Servers(server.url, variables, tmp_path_factory.mktemp("home"), threads)
            threads.shutdown(cancel_futures=True)
