"""Runs a host in a home of its own, and ends all that it leaves behind."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from npm_packages import home_of, node

from tests.hosts.hosts import Given, Host
from tests.hosts.traffic import Traffic, read_traffic

PACKAGES = Path(os.environ.get("GROK_HOSTS_DIR") or Path(sys.prefix) / "hosts")
INSTALL_S = 300.0
SERVER = (str(Path(sys.executable).with_name("grok-mcp")),)
TAP = str(Path(__file__).with_name("tap.py"))
POLL_S = 0.05
BEFORE_S = 60.0
RUN_S = 110.0


@dataclass(frozen=True)
class Running:
    """A host at work."""

    process: anyio.abc.Process
    home: Path

    @property
    def traffic(self) -> Traffic:
        """What it and its server on stdio have said so far."""
        return read_traffic(self.home)

    @property
    def printed(self) -> str:
        return (self.home / "output").read_text(encoding="utf-8", errors="replace")

    async def end(self) -> None:
        """Wait until it has come to its end."""
        with anyio.move_on_after(RUN_S) as scope:
            await self.process.wait()
        assert not scope.cancelled_caught, f"it does not come to an end: {self.printed[-2000:]}"

    async def servers_end(self) -> None:
        """Wait until no server of it is left."""
        with anyio.fail_after(30):
            while [line for line in _processes(self.home).values() if SERVER[0] in line]:
                await anyio.sleep(POLL_S)


def on_stdio(home: Path, model_url: str, limit_s: int = 60, **variables: str) -> Given:
    """Our server as a process of the host, with its traffic written down."""
    command = [sys.executable, "-I", TAP, str(home), *SERVER]
    return Given(home, model_url, command, variables, limit_s=limit_s)


def installed(host: Host) -> Path:
    """The folder of its package; raises UnavailableError where npm can't get it."""
    return home_of(host.package, host.version, PACKAGES, scripts=True, limit_s=INSTALL_S)


@asynccontextmanager
async def running(host: Host, given: Given, *, terminal: int | None = None) -> AsyncIterator[Running]:
    """The host, started on what the fake model has to say; nothing of it is left behind the block.

    With `terminal`, a descriptor, it is started there, and waits for what is typed.
    """
    folder = installed(host)
    program = str(folder / "node_modules" / ".bin" / host.program)
    launch = host.launch(given) if terminal is None else host.launch_at_terminal(given)
    path = os.pathsep.join([str(node().parent), "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {
        "HOME": str(given.home),
        "PATH": path,
        "TERM": "dumb" if terminal is None else "xterm-256color",
    }
    environment |= launch.variables
    work = given.home / "work"
    work.mkdir(exist_ok=True)
    process = None
    try:
        with (given.home / "output").open("wb") as output:
            ends = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            if terminal is not None:
                ends = dict.fromkeys(ends, terminal)
            options: dict[str, Any] = {"cwd": work, "env": environment, **ends}
            if launch.before:
                with anyio.fail_after(BEFORE_S):
                    await anyio.run_process([program, *launch.before], **options)
            process = await anyio.open_process(
                [program, *launch.arguments], start_new_session=True, **options
            )
        yield Running(process, given.home)
    finally:
        with anyio.CancelScope(shield=True):
            await _end_all(given.home)
            if process:
                with suppress(ProcessLookupError):  # for where there is no /proc
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def _end_all(home: Path) -> None:
    """End every process that has this home, also one in a session of its own, as Cline's hub is."""
    with anyio.fail_after(20):
        while left := _processes(home):
            for number in left:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            await anyio.sleep(POLL_S)


def _processes(home: Path) -> dict[int, str]:
    """The living processes with this home, and their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"HOME={home}\0".encode() in (folder / "environ").read_bytes() + b"\0":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found
