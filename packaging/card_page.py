"""Builds the card that hosts show beside an answer, and checks its types: `make card`.

Its sources are in `card/`. What they need comes from npm as its lock file names it, into a folder below
`.venv`.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npm_packages import UnavailableError, locked, node
from project import ROOT

SOURCES = ROOT / "card"
CARD = ROOT / "grok_mcp" / "server" / "card.html"
LICENCES = CARD.with_name("card.licences.txt")
LARGEST = 60_000
VERSION = "1"
"""The card's own, which hosts get with `ui/initialize`. That of the server would change with each release."""
BUILD_S = 120.0


class BuildError(Exception):
    """The sources can't be built, or are not as they should be; says why."""


def packages() -> Path:
    """The folder of the packages from npm; installed with the first call."""
    return locked(SOURCES) / "node_modules"


@contextmanager
def stage() -> Iterator[Path]:
    """A copy of the sources where Node and TypeScript find the packages: in a folder above them."""
    with tempfile.TemporaryDirectory(dir=packages().parent, ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / "card"
        shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
        yield copy


def run(*command: str | Path) -> None:
    """Run a tool with Node; what it says against the sources becomes the error."""
    done = subprocess.run(
        [str(node()), *map(str, command)], capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    if done.returncode:
        raise BuildError(f"{done.stdout}{done.stderr}".strip())


def check_types(folder: Path) -> None:
    """Check the types of the sources in a stage, strictly."""
    run(packages() / "typescript" / "bin" / "tsc", "--noEmit", "--project", folder)


def build(folder: Path, output: Path) -> None:
    """Build the page from a stage."""
    run(folder / "build.mjs", folder, output, VERSION)


def bundle(folder: Path, script: str, output: Path) -> None:
    """Build one script of a stage with all that it imports, for tests."""
    esbuild = packages() / "esbuild" / "bin" / "esbuild"
    run(esbuild, folder / script, "--bundle", "--format=iife", "--log-level=warning", f"--outfile={output}")


def licences() -> str:
    """The terms of what the page has of others."""
    text = (packages() / "commonmark" / "LICENSE").read_text(encoding="utf-8")
    return f"card.html contains commonmark.js, under these terms:\n\n{text}"


def main() -> None:
    """Write the page and the terms of what is in it."""
    try:
        with stage() as folder:
            check_types(folder)
            build(folder, CARD)
    except (BuildError, UnavailableError) as error:
        raise SystemExit(str(error)) from None
    LICENCES.write_text(licences(), encoding="utf-8", newline="\n")
    size = CARD.stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{CARD.relative_to(ROOT)} has {size:,} bytes, more than {LARGEST:,}")
    print(f"{CARD.relative_to(ROOT)}: {size:,} bytes")


if __name__ == "__main__":
    main()
