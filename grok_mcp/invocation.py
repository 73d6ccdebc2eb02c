"""How this program was started, so that what it tells people to type works where they are.

`uvx` and `pipx run` keep a program in a cache, whose path helps nobody: there the words that started it do.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

PROGRAM = "grok-mcp-server"
"""The distribution and its command."""


def command(*words: str) -> str:
    """A command of this program as a person at this machine has to type it."""
    return " ".join((_program(), *map(shlex.quote, words)))


def _program() -> str:
    started = Path(sys.argv[0] or PROGRAM)
    if started.name == "__main__.py":
        return f"{_short(sys.executable)} -m grok_mcp"
    steps = started.parts
    if any(step in ("archive-v0", "environments-v2") for step in steps):  # caches of uv
        return f"uvx {PROGRAM}"
    if "pipx" in steps and ".cache" in steps:
        return f"pipx run {PROGRAM}"
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
