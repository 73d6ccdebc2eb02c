"""The table of what hosts did: printed at the end of a run, and kept in docs/hosts.md between runs."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.hosts.hosts import Host

PAGE = Path(__file__).parents[2] / "docs" / "hosts.md"
COLUMNS = (
    "host",
    "version",
    "server on",
    "protocol",
    "tools listed",
    "first turn",
    "ask",
    "search",
    "structured",
    "error",
    "no key",
    "progress",
    "slow call",
    "files",
    "time limit",
    "interrupt",
    "seen on",
)
HEAD = f"| {' | '.join(COLUMNS)} |"
RULE = f"|{'---|' * len(COLUMNS)}"

Cells = dict[str, str]
Rows = dict[tuple[str, str], Cells]
"""By host and what the server is on."""
ROWS = pytest.StashKey[Rows]()


def note(config: pytest.Config, host: str, version: str, server_on: str, cells: Mapping[str, str]) -> None:
    """Keep what one test saw of a host; names of cells are those of the columns, with `_` for a blank."""
    row = config.stash.setdefault(ROWS, {}).setdefault((host, server_on), {})
    today = datetime.now(UTC).date().isoformat()
    row |= {"host": host, "version": version, "server on": server_on, "seen on": today}
    row |= {name.replace("_", " "): text for name, text in cells.items()}
    unknown = row.keys() - set(COLUMNS)
    assert not unknown, unknown


class Row:
    """The row of a host in the table: what a test does not come to fill in has failed."""

    def __init__(self, config: pytest.Config, host: Host, server_on: str, *cells: str) -> None:
        self._config, self._host, self._server_on = config, host, server_on
        self(**dict.fromkeys(cells, "FAILED"))

    def __call__(self, **cells: str) -> None:
        note(self._config, self._host.name, self._host.version, self._server_on, cells)


def lines(rows: Mapping[tuple[str, str], Cells]) -> list[str]:
    """The table in Markdown."""
    filled = [[row.get(column, "") or "–" for column in COLUMNS] for row in rows.values()]
    return [HEAD, RULE, *(f"| {' | '.join(cells)} |" for cells in filled)]


def kept(page: str) -> Rows:
    """The rows of the page."""
    table = page.split(HEAD)[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    found = [dict(zip(COLUMNS, cells, strict=True)) for cells in rows]
    return {(row["host"], row["server on"]): row for row in found}


def with_rows(page: str, seen: Rows) -> str:
    """The page with what was seen in place of what it said of the same; a version that is gone goes."""
    versions = {row["host"]: row["version"] for row in seen.values()}
    old = {
        key: row for key, row in kept(page).items() if versions.get(key[0], row["version"]) == row["version"]
    }
    merged = {key: {**old.get(key, {}), **seen.get(key, {})} for key in [*old, *(seen.keys() - old.keys())]}
    before, _, rest = page.partition(HEAD)
    _, gap, behind = rest.partition("\n\n")
    return before + "\n".join(lines(dict(sorted(merged.items())))) + gap + behind
