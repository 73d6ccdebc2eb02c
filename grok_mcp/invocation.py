"""How this program was started, so that what it tells people to type works where they are.

`uvx` and `pipx run` keep a program in a cache, whose path helps nobody: there the words that started it do.
"""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

PROGRAM = "grok-mcp-server"
"""The distribution and its command."""

_UV_CACHE = re.compile(r"(archive|environments|builds)-v\d+")
"""Folders in uv's cache that hold what `uvx` runs."""
_RUN_FROM = {"uvx": ("uvx", "--from"), "pipx": ("pipx", "run", "--spec")}


def command(*words: str) -> str:
    """A command of this program as a person at this machine has to type it."""
    return " ".join((_program(), *map(shlex.quote, words)))


@cache
def source() -> str | None:
    """Where this installation is from, as `uvx --from` takes it; None for the package index (PEP 610)."""
    from importlib.metadata import PackageNotFoundError, distribution  # few starts need it

    try:
        text = distribution(PROGRAM).read_text("direct_url.json")
    except PackageNotFoundError:  # started from a folder of sources
        return str(Path(__file__).resolve().parents[1])
    try:
        return _source_of(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _source_of(direct_url: Any) -> str:
    url: str = direct_url["url"]
    if version_control := direct_url.get("vcs_info"):
        revision = version_control.get("requested_revision") or version_control["commit_id"]
        return f"{version_control['vcs']}+{url}@{revision}"
    return url2pathname(urlsplit(url).path) if url.startswith("file:") else url


def runner_of(program: str) -> str | None:
    """`uvx` or `pipx`, if that program is in its cache, which may be cleaned at any time."""
    steps = Path(program).parts
    if any(_UV_CACHE.fullmatch(step) for step in steps):
        return "uvx"
    return "pipx" if "pipx" in steps and ".cache" in steps else None


def own_command() -> Sequence[str]:
    """What starts this very installation again: a path, or how its runner gets it."""
    runner, origin = runner_of(sys.executable), source()
    if runner is not None:
        return (*_RUN_FROM[runner], origin, PROGRAM) if origin else (*_RUN_FROM[runner][:-1], PROGRAM)
    script = Path(sys.executable).with_name(PROGRAM + (".exe" if os.name == "nt" else ""))
    return (str(script),) if script.exists() else (sys.executable, "-m", "grok_mcp")


def _program() -> str:
    started = Path(sys.argv[0] or PROGRAM)
    if started.name == "__main__.py":
        return f"{_short(sys.executable)} -m grok_mcp"
    if runner := runner_of(str(started)):
        origin = source() if runner_of(sys.executable) else None
        words = (*_RUN_FROM[runner], origin) if origin else _RUN_FROM[runner][:-1]
        return " ".join(map(shlex.quote, (*words, PROGRAM)))
    if started.stem not in (PROGRAM, "grok-mcp"):  # by another program, such as uvicorn
        program, *arguments = own_command()
        return " ".join((_short(program), *map(shlex.quote, arguments)))
    return _short(str(started.with_name(PROGRAM) if started.stem == "grok-mcp" else started))


def _short(path: str) -> str:
    """The name alone where the shell finds this very program by it, else the path."""
    name = Path(path).name
    found = shutil.which(name)
    if found is not None and (
        os.path.dirname(path) == "" or os.path.realpath(found) == os.path.realpath(path)
    ):
        return name
    return shlex.quote(path)
