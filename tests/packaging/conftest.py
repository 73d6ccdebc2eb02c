"""What the tests of the packages share: the built wheel, and ways to run it outside of the checkout."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import ROOT, Project, read_project

from tests.packaging.outside import Run, outside, script
from tests.support.packages import missing

BUILD_S = 240


@pytest.fixture(scope="session")
def project() -> Project:
    return read_project()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program to its end, outside of the checkout, and returns what it printed."""
    home = tmp_path_factory.mktemp("home")

    def run(*command: str | Path, cwd: Path = home, **more: str) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=outside(home, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=BUILD_S,
        )
        assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def network(run: Run) -> Iterator[None]:
    """PyPI answers; at the end uv drops from its cache what no later run can use."""
    try:
        run(script("uv"), "pip", "install", "--dry-run", "--no-deps", "--reinstall", "--no-cache", "idna")
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        missing(f"PyPI does not answer: {error}")
    yield
    run(script("uv"), "cache", "prune", "--quiet")


@pytest.fixture(scope="session")
def distributions(network: None, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sdist and wheel, built once; the wheel is built from the sdist.

    A release hands in the folder with those that it is going to publish.
    """
    if built := os.environ.get("DISTRIBUTIONS"):
        return Path(built).resolve()
    folder = tmp_path_factory.mktemp("dist")
    run(script("uv"), "build", "--quiet", "--out-dir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """An empty folder outside of the checkout, and no Python path that leads back to it."""
    assert not tmp_path.is_relative_to(ROOT)
    yield tmp_path
