"""Prints what the conformance suite found as a table, at the end of the run."""

from collections.abc import Mapping

import pytest

from tests.conformance.suite import TABLE


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
