"""A command of ours in a pseudo-terminal, with what a person types."""

import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from grok_mcp.settings import PREFIX

if TYPE_CHECKING:
    from tests.install.shell import Home

BOUND_S = 90.0


def typed(home: "Home", command: list[str], lines: list[str], **environment: str) -> tuple[int, str]:
    """The status of the command and all that it shows; a line is typed whenever it waits for one."""
    import pty  # POSIX only

    ours, theirs = pty.openpty()
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "XAI_", "XDG_"))
    }
    own = {"HOME": str(home.path), "COLUMNS": "120", "TERM": "xterm", "PATH": "/nowhere"}
    process = subprocess.Popen(
        [sys.executable, "-m", "grok_mcp", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=kept | own | environment,
        cwd=home.path,
    )
    os.close(theirs)
    shown, prompts, until = "", 0, time.monotonic() + BOUND_S
    try:
        while time.monotonic() < until:
            readable, _, _ = select.select([ours], [], [], 1.0)
            if readable:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # Linux: the other end is closed
                    break
                if not data:
                    break
                shown += data.decode(errors="replace")
            asked = shown.count("for none): ") + shown.count("[Y/n]: ")
            while prompts < min(asked, len(lines)):
                os.write(ours, lines[prompts].encode() + b"\n")
                prompts += 1
        return process.wait(BOUND_S), shown.replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
