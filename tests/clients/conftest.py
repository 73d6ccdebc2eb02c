"""Servers of ours on a sandbox, on all transports, and clients that run beside each other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from grok_mcp.sandbox import SandboxServer
from tests.clients.servers import Servers
from tests.network.server import serving

AT_ONCE = 2


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with SandboxServer(pace=0) as sandbox, ThreadPoolExecutor(AT_ONCE) as threads:
        variables = {"GROK_MCP_GATEWAY": "sandbox", "XAI_BASE_URL": sandbox.url}
        with serving(sandbox.url, "--transport", "http", GROK_MCP_GATEWAY="sandbox") as server:
            yield Servers(server.url, variables, tmp_path_factory.mktemp("home"), threads)
            threads.shutdown(cancel_futures=True)
