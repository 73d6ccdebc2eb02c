"""The command line as a shell runs it."""

import os
import subprocess
import sys

from grok_mcp.settings import PREFIX

BOUND_S = 90


def unmeasured() -> dict[str, str]:
    """This environment, for a process that coverage must not load anything into, nor write beside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def environment(**more: str) -> dict[str, str]:
    """The environment without any setting of ours but the folder of this test's ledger."""
    ours = (PREFIX, "XAI_", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}
    return kept | {"GROK_MCP_STATE_DIR": os.environ["GROK_MCP_STATE_DIR"]} | more


def run(*arguments: str, stdin: str = "", **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "grok_mcp", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=BOUND_S,
        env=environment(**more),
        check=False,
    )
