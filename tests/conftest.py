"""Fixtures of all tests: a clean environment, retries without a wait. Helpers are in `support/`."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

pytest.register_assert_rewrite("tests.support", "tests.network.place")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def default_signals() -> Iterator[None]:
    """Processes that tests start can be interrupted, also where a shell runs the tests in the background.

    It has its jobs there ignore SIGINT, which children inherit; a handler they do not.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, lambda number, frame: None)
    yield
    if ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test, and no process that one starts, writes to the ledger of whoever runs the tests."""
    home = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROK_MCP_STATE_DIR", str(home / "shared"))
        patch.setenv("XDG_STATE_HOME", str(home))
        yield home


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, state_home: Path) -> None:
    """No setting of whoever runs the tests reaches them; each has a ledger of its own."""
    for name in list(os.environ):
        if name.startswith(("GROK_MCP_", "XAI_", "OTEL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GROK_MCP_STATE_DIR", str(state_home / secrets.token_hex(8)))


@pytest.fixture(autouse=True)
def instant_retries() -> Iterator[None]:
    """Retries happen as often as they should, without any wait."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
