"""What people are told to type is what works where they are: by the way in which the program was started."""

import re
import sys
from pathlib import Path

import pytest

from grok_mcp.invocation import command
from tests.support.cli import run


@pytest.fixture
def on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that the shell finds by its name."""
    program = tmp_path / "bin" / "grok-mcp-server"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    program.with_name("grok-mcp").symlink_to(program)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.mark.parametrize(
    ("started", "typed"),
    [
        ("{path}", "grok-mcp-server"),
        ("{short}", "grok-mcp-server"),
        ("/opt/grok/bin/grok-mcp-server", "/opt/grok/bin/grok-mcp-server"),
        ("/opt/my grok/bin/grok-mcp", "'/opt/my grok/bin/grok-mcp-server'"),
        ("/home/me/.cache/uv/archive-v0/x1y2/bin/grok-mcp-server", "uvx grok-mcp-server"),
        ("/home/me/.cache/uv/environments-v2/ab12/bin/grok-mcp-server", "uvx grok-mcp-server"),
        ("/home/me/.local/pipx/.cache/0f3c/bin/grok-mcp-server", "pipx run grok-mcp-server"),
        ("/site-packages/grok_mcp/__main__.py", f"{sys.executable} -m grok_mcp"),
    ],
)
def test_a_command_begins_as_this_program_was_started(
    on_the_path: Path, monkeypatch: pytest.MonkeyPatch, started: str, typed: str
) -> None:
    started = started.replace("{path}", str(on_the_path))
    monkeypatch.setattr(sys, "argv", [started.replace("{short}", str(on_the_path.with_name("grok-mcp")))])
    assert command("install", "cursor", "--name", "my grok") == f"{typed} install cursor --name 'my grok'"


@pytest.mark.parametrize("started", ["/opt/bin/uvicorn", "-c", "/opt/bin/gunicorn"])
def test_under_another_program_a_command_begins_as_this_installation_is_started(
    started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setenv("PATH", "/nowhere")
    script = Path(sys.executable).with_name("grok-mcp-server")
    begins = str(script) if script.exists() else f"{sys.executable} -m grok_mcp"
    assert command("token", "ann") == f"{begins} token ann"


@pytest.mark.parametrize("arguments", [("ask", "--nope"), ("install", "x"), ("--nope",)])
def test_an_error_of_usage_names_the_program_as_it_was_started(arguments: tuple[str, ...]) -> None:
    said = " ".join(run(*arguments).stderr.split())
    words = arguments[:1] if not arguments[0].startswith("-") else ()
    started = " ".join((Path(sys.executable).name, "-m", "grok_mcp", *words))
    assert re.match(rf"Usage: (\S*/)?{re.escape(started)} \[", said)
    assert f"{started} --help' for help." in said
    assert run("--version").stdout.startswith("grok-mcp-server ")
