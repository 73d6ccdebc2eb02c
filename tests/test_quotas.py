"""Requests and tokens a minute, counted in memory: what every history of admissions keeps to."""

import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from grok_mcp import bounds
from grok_mcp.quotas.windows import Account, Admitted, Refused, Windows
from tests.support.cli import unmeasured
from tests.support.endpoint import Endpoint
from tests.support.ledger import priced
from tests.support.stdio import mcp_client


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.25

    def __call__(self) -> float:
        return self.now


def most(history: Sequence[tuple[float, int]]) -> int:
    """The most that any 60 s hold, wherever they begin."""
    return max(
        (sum(size for at, size in history if begin <= at < begin + 60) for begin, _ in history), default=0
    )


ARRIVALS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 60), st.integers(0, 2)), max_size=80)


@settings(max_examples=60, deadline=None)
@given(arrivals=ARRIVALS)
def test_no_minute_of_any_history_holds_more_than_a_quota(
    arrivals: list[tuple[float, int, int]],
) -> None:
    clock = Clock()
    windows = Windows(clock)
    group = Account("group", "all", 5, 150)
    sent: dict[str, list[tuple[float, int]]] = {"0": [], "1": [], "2": []}
    for pause_s, tokens, who in arrivals:
        clock.now += pause_s
        name = str(who)
        accounts = (Account("caller", name, 3, 100), group)
        said = windows.admit(accounts, tokens)
        if isinstance(said, Admitted):
            sent[name].append((clock.now, tokens))
        else:
            before, clock.now = clock.now, clock.now + said.wait_s - 0.001
            assert isinstance(windows.admit(accounts, tokens), Refused), "the wait is not too long"
            clock.now = before + said.wait_s
            assert isinstance(windows.admit(accounts, tokens), Admitted), "nor too short"
            sent[name].append((clock.now, tokens))
    for history in sent.values():
        assert most([(at, 1) for at, _ in history]) <= 3 and most(history) <= 100
    together = sorted(one for history in sent.values() for one in history)
    assert most([(at, 1) for at, _ in together]) <= 5 and most(together) <= 150


def test_what_a_long_call_used_above_its_estimate_counts_when_it_is_known() -> None:
    clock = Clock()
    windows = Windows(clock)
    ann = (Account("caller", "ann", None, 100),)
    long = windows.admit(ann, 10)
    assert isinstance(long, Admitted)
    clock.now += 200
    windows.correct(ann, long.here, -10)  # long gone, and nothing to give back
    assert isinstance(windows.admit(ann, 100), Admitted)
    clock.now += 100
    windows.correct(ann, long.here, 90)
    said = windows.admit(ann, 20)
    assert isinstance(said, Refused) and said.of == "tokens"


def test_an_endpoint_that_claims_tokens_without_end_overflows_no_count() -> None:
    windows = Windows(Clock())
    ann = (Account("caller", "ann", None, 100),)
    admitted = windows.admit(ann, 10)
    assert isinstance(admitted, Admitted)
    for _ in range(10_000):
        windows.correct(ann, admitted.here, bounds.COUNT)
    assert isinstance(windows.admit(ann, 1), Refused)


def test_ten_thousand_callers_cost_a_few_hundred_bytes_each_for_a_minute() -> None:
    clock = Clock()
    windows = Windows(clock)
    tracemalloc.start()
    for number in range(10_000):
        windows.admit((Account("caller", f"caller {number}", 60, 100_000),), 1_000)
    each = tracemalloc.get_traced_memory()[0] / 10_000
    tracemalloc.stop()
    assert each < 600 and len(windows) == 10_000
    clock.now += 61
    windows.forget()
    assert len(windows) == 0


@pytest.mark.anyio
async def test_a_server_on_stdio_has_limits_where_a_file_names_them(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("[callers.local]\nrequests_per_minute = 1\n")
    async with Endpoint(priced(1)) as endpoint:
        async with mcp_client(endpoint.url, GROK_MCP_LIMITS_FILE=str(file)) as client:
            first = await client.call_tool("ask_grok", {"prompt": "One?"})
            second = await client.call_tool("ask_grok", {"prompt": "Two?"})
    assert not getattr(first, "is_error", True)
    assert "Your quota of 1 request a minute is used up" in str(second)


def test_a_server_without_a_file_of_limits_loads_nothing_of_them() -> None:
    code = (
        "import sys; from grok_mcp.settings import Settings; from grok_mcp.pipeline import Grok; "
        "import grok_mcp.server; Grok(Settings()); "
        "print([name for name in sys.modules if 'quotas' in name or name == 'tomllib'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=unmeasured()
    )
    assert done.stdout.strip() == "[]"
