"""Prints what the conformance suite found as a table, at the end of the run."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.suite import TABLE


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where tests run in several processes, tell the one that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["conformance"] = session.config.stash.get(TABLE, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process tells."""
    table = node.workeroutput.get("conformance") if hasattr(node, "workeroutput") else None
    if table:
        node.config.stash[TABLE] = table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    columns = config.stash.get(TABLE, None)
    if columns:
        terminalreporter.section("conformance: passed/failed checks")
        for row in _rows(columns):
            terminalreporter.write_line(row)


def _rows(columns: Mapping[str, Mapping[str, str]]) -> list[str]:
    scenarios = sorted({name for cells in columns.values() for name in cells})
    table = [["scenario", *columns]]
    table += [[name, *(cells.get(name, "") for cells in columns.values())] for name in scenarios]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]
