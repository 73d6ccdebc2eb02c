"""Holds an answer against a schema in a process of its own: no deadline could end that in this one."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import anyio

from grok_mcp import bounds

_PROGRAM = Path(__file__).with_name("apart_program.py")


class TooMuchError(Exception):
    """The answer could not be held against the schema in time, or within the memory that it may take."""


async def mismatches_apart(schema: Mapping[str, Any], value: Any, *, draft_07: bool) -> list[tuple[str, str]]:
    """Where and why a value does not fit a schema: the first place only. Raises TooMuchError."""
    task = {"schema": schema, "value": value, "draft_07": draft_07, "memory": bounds.CHECK_BYTES}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", str(_PROGRAM)]
    try:
        with anyio.fail_after(bounds.CHECK_S):
            done = await anyio.run_process(command, input=json.dumps(task).encode(), env=environment)
        mismatch = json.loads(done.stdout)
    except (TimeoutError, OSError, CalledProcessError, ValueError):
        raise TooMuchError from None
    if mismatch is None:
        return []
    path, message = mismatch
    if "backtracking" in message:  # the engine's own limit
        raise TooMuchError
    return [(path, message)]
