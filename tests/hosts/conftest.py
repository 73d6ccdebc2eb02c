"""The hosts that tests drive; at the end of a run what they did is printed, and written to docs/hosts.md."""

import pytest
from npm_packages import UnavailableError

from tests.hosts.hosts import HOSTS, Host
from tests.hosts.running import installed
from tests.hosts.table import PAGE, ROWS, lines, with_rows


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> Host:
    host = HOSTS[request.param]
    try:
        installed(host)
    except UnavailableError as error:
        pytest.fail(f"{host.name} can't be driven: {error}")
    return host


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, None)
    if not rows:
        return
    terminalreporter.section("what the hosts did")
    for line in lines(rows):
        terminalreporter.write_line(line)
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
