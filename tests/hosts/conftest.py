"""At the end of a run that drove hosts: prints what they did, and writes it to docs/hosts.md."""

import pytest

from tests.hosts.table import PAGE, ROWS, lines, with_rows


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, None)
    if not rows:
        return
    terminalreporter.section("what the hosts did")
    for line in lines(rows):
        terminalreporter.write_line(line)
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
