"""`install` and `uninstall` on machines that are made up, and in a real shell with its own home."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from click.testing import CliRunner, Result

from grok_mcp.cli.main import cli
from grok_mcp.hosts import HOSTS, Machine

MACHINES = {
    "linux": Machine("linux", "/home/ann", {"PATH": ""}, "/home/ann/shop"),
    "macos": Machine("macos", "/Users/ann", {"PATH": ""}, "/Users/ann/shop"),
    "windows": Machine(
        "windows", r"C:\Users\Ann", {"PATH": "", "APPDATA": r"C:\Users\Ann\AppData\Roaming"}, r"C:\shop"
    ),
}
KEY = "xai-0123456789abcdefghijklmnopqrstuvwxyz"
BOUND_S = 60


@dataclass(frozen=True)
class Home:
    """A machine whose home is an empty folder."""

    path: Path
    machine: Machine

    @classmethod
    def at(cls, path: Path, **environment: str) -> "Home":
        return cls(path, Machine("linux", str(path), {"PATH": "", **environment}, str(path / "project")))

    def setting(self, **environment: str) -> "Home":
        """The same home, with more variables in its environment."""
        machine = replace(self.machine, environment={**self.machine.environment, **environment})
        return Home(self.path, machine)

    def file(self, host: str) -> Path:
        return HOSTS[host].file(self.machine)

    def backup(self, host: str) -> Path:
        file = self.file(host)
        return file.with_name(file.name + ".grok-mcp.bak")

    def put(self, host: str, content: str | bytes) -> Path:
        """A file of that host, as it is before we come."""
        file = self.file(host)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def run(self, *arguments: str, status: int = 0) -> str:
        """What the command says, on whichever stream."""
        done = run(self.machine, *arguments)
        assert done.exit_code == status, done.output
        return done.output

    def shell(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """The real command, in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "grok_mcp", *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=BOUND_S,
            check=False,
            cwd=self.path,
            env=_clean() | {"HOME": str(self.path), "USERPROFILE": str(self.path)} | environment,
        )


def run(machine: Machine, *arguments: str) -> Result:
    """The command on that machine."""
    return CliRunner().invoke(cli, arguments, obj=machine, prog_name="grok-mcp-server")


def _clean() -> dict[str, str]:
    """Our environment without what moves the files of hosts."""
    moved = (
        "XDG_",
        "APPDATA",
        "CLAUDE",
        "CODEX",
        "CLINE",
        "GEMINI",
        "COPILOT",
        "OPENCODE",
        "GROK_MCP",
        "XAI",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(moved)}
