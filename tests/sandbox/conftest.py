from collections.abc import Iterator

import httpx2
import pytest

from grok_mcp.sandbox import SandboxServer
from tests.sandbox_faults import FAULTS

from .wire import Endpoint


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    with SandboxServer(pace=0, faults=FAULTS) as server:
        yield server.url


@pytest.fixture(scope="session")
def client(base_url: str) -> Iterator[httpx2.Client]:
    headers = {"Authorization": "Bearer xai-test"}
    with httpx2.Client(base_url=base_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def grok(client: httpx2.Client) -> Endpoint:
    return Endpoint(client)
