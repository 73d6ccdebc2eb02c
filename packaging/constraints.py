"""Writes `constraints.txt`: exact versions of everything that `pyproject.toml` needs, with their hashes.

`make constraints` runs it, after a green `make test` made the versions in `.venv` worth writing down. What
only another system or a later Python needs is not in `.venv`; of that the newest version is taken.
"""

import subprocess
import sys
from pathlib import Path

from listings import write
from project import ROOT, read_project

HEAD = """\
# Made by `make constraints`: the versions with which the gate was last green, and their hashes.
# For all systems and Python versions that we support, with markers: one file serves every contributor and CI.
# It holds no address: where packages come from is up to whoever installs them.
"""
EVERYTHING = ("--all-extras", "--group", "dev", "--universal", "--generate-hashes")
BARE = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-sources")


def uv(*arguments: str, text: str = "") -> str:
    """Run the uv of the virtual environment and return what it prints."""
    command = [str(Path(sys.executable).parent / "uv"), "pip", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=True, input=text, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout


def constraints() -> str:
    """The text of the file."""
    installed = uv("freeze", "--exclude-editable", "--python", sys.executable)
    python = read_project().requires_python.removeprefix(">=")
    options = [*EVERYTHING, *BARE, "--python-version", python, "--constraints", "-", "--quiet"]
    return HEAD + uv("compile", "pyproject.toml", *options, text=installed)


if __name__ == "__main__":
    write(ROOT / "constraints.txt", constraints())
