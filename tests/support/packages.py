"""Packages of npm and PyPI that tests run, each installed once into a folder of its own below `.venv`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from npm_packages import UnavailableError, fill

FOLDER = Path(sys.prefix) / "python"

T = TypeVar("T")


def available(install: Callable[[], T]) -> T:
    """What is installed; where that can't be, the test ends."""
    try:
        return install()
    except UnavailableError as error:
        missing(str(error))


def missing(reason: str) -> NoReturn:
    """End the test: what it needs can't be had here. Under CI it has to be had."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"this has to run under CI, but {reason}")
    pytest.skip(reason)


def python_package(package: str, version: str, *, extra: str = "", limit_s: float = 400) -> Path:
    """A folder to put on the path of a Python, with the package and all that it needs, apart from our own."""
    home = FOLDER / f"{package}-{version}"
    if not home.exists():
        options = ["--disable-pip-version-check", "--quiet", "--no-compile", "--only-binary", ":all:"]
        pip = [sys.executable, "-m", "pip", "install", *options, f"{package}{extra}=={version}"]
        fill([*pip, "--target"], home, limit_s)
    return home
