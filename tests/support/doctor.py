"""Runs `doctor` as a user would, with a home, a folder and a PATH of its own, and nothing else."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import anyio.to_thread

from tests.support.endpoint import Reply, Request, body

BOUND_S = 120
KEY = "xai-doctor-4711-secret-0815-abcdefghijklmnop"

_PREFIXES = (
    "GROK_",
    "XAI_",
    "OTEL_",
    "XDG_",
    "CLAUDE",
    "CODEX",
    "CLINE",
    "GEMINI",
    "COPILOT",
    "OPENCODE",
    "SSL_",
)


@dataclass(frozen=True)
class Report:
    """What the command printed, read from its JSON."""

    status: int
    stdout: str
    stderr: str

    @cached_property
    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def checks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.told["checks"]
        return found

    def named(self, name: str) -> list[dict[str, Any]]:
        return [check for check in self.checks if check["name"] == name]

    @property
    def faults(self) -> list[dict[str, Any]]:
        return [check for check in self.checks if not check["ok"]]


class User:
    """Somebody with a home, a project folder and one installed program."""

    def __init__(self, root: Path) -> None:
        self.home, self.folder, self.programs = root / "home", root / "project", root / "programs"
        for folder in (self.home, self.folder, self.programs):
            folder.mkdir()
        self.program("uvx")

    def program(self, name: str) -> Path:
        """Something of that name on the PATH, which nothing here ever starts."""
        path = self.programs / (f"{name}.exe" if os.name == "nt" else name)
        path.write_text("")
        path.chmod(0o755)
        return path

    def file(self, path: str, content: Any) -> Path:
        """A file in the home, or below `./` in the project; JSON unless it is text."""
        where = self.folder / path[2:] if path.startswith("./") else self.home / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return where

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_PREFIXES) and not name.upper().endswith("_PROXY")
        }
        own = {"HOME": str(self.home), "USERPROFILE": str(self.home), "PATH": str(self.programs)}
        return kept | own | {"APPDATA": str(self.home / "AppData")} | dict(more)

    def doctor(self, *flags: str, **environment: str) -> Report:
        done = subprocess.run(
            [sys.executable, "-m", "grok_mcp", "doctor", *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=BOUND_S,
            env=self.environment(environment),
            cwd=self.folder,
            check=False,
        )
        return Report(done.returncode, done.stdout, done.stderr)

    async def doctor_soon(self, *flags: str, **environment: str) -> Report:
        """The same beside an endpoint that runs in the test's own event loop."""
        return await anyio.to_thread.run_sync(lambda: self.doctor(*flags, **environment))


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def entry(**changes: Any) -> dict[str, Any]:
    """A good entry of ours, with some of it changed; what is None is left out."""
    good = {"command": "uvx", "args": ["grok-mcp-server"], "env": {"XAI_API_KEY": KEY}}
    return {name: value for name, value in (good | changes).items() if value is not None}


def healthy(request: Request) -> Reply:
    """An endpoint that lists two models and refuses what is no request."""
    if request.method == "GET":
        return body({"data": [{"id": "grok-4.7"}, {"id": "grok-4.7-fast"}]})
    return body({"error": {"message": "missing field `messages`"}}, 400)


def always(reply: Reply) -> Callable[[Request], Reply]:
    return lambda request: reply


def for_posts(status: int, message: str) -> Callable[[Request], Reply]:
    refused = body({"error": {"message": message}}, status)
    return lambda request: healthy(request) if request.method == "GET" else refused


def without_path(path: str) -> Callable[[Request], Reply]:
    return lambda request: body("not found", 404) if request.path.endswith(path) else healthy(request)
