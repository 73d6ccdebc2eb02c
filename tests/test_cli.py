"""The command line as a shell sees it: real processes, their exit status and what they print."""

import json
import re
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import pytest
from pydantic import SecretStr

from grok_mcp import __version__
from grok_mcp.cli import cli
from grok_mcp.settings import Settings
from tests.support.cli import BOUND_S, environment, run

COMMANDS = (
    *("serve", "demo", "sandbox", "token", "ask", "search", "structured", "doctor", "install", "uninstall"),
    "models",
    "usage",
    "completion",
)
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def lines(*messages: dict[str, Any]) -> str:
    return "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "demo"]])
def test_version_is_told(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (0, f"grok-mcp-server {__version__}\n")


def test_help_names_every_command() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command}  +\S", done.stdout, re.MULTILINE)


def test_an_unknown_command_is_a_usage_error_without_a_traceback() -> None:
    done = run("serv")
    assert done.returncode == 2
    assert "No such command 'serv'" in done.stderr
    assert "Traceback" not in done.stderr


def holds_secret(annotation: object) -> bool:
    return SecretStr in (annotation, *getattr(annotation, "__args__", ()))


def test_serve_has_a_flag_for_each_setting_but_the_secret_ones() -> None:
    done = run("serve", "--help")
    flags = set(re.findall(r"^  --([a-z-]+)", done.stdout, re.MULTILINE))
    fields = Settings.model_fields.items()
    assert flags == {name.replace("_", "-") for name, field in fields if not holds_secret(field.annotation)}
    assert "api-key" not in flags


def test_serve_help_tells_values_and_variables() -> None:
    shown = " ".join(run("serve", "--help").stdout.split())
    for flag in (
        r"--progress status\|deltas\|off [^-]*\(GROK_MCP_PROGRESS\)",
        r"--max-retries N [^-]*\(GROK_MCP_MAX_RETRIES\)",
        r"--timeout NUMBER [^-]*\(GROK_MCP_TIMEOUT\)",
        r"--api-key-file PATH [^-]*\(GROK_MCP_API_KEY_FILE\)",
    ):
        assert re.search(flag, shown)


@pytest.mark.parametrize(
    ("flags", "variable", "value"),
    [
        (["--timeout", "abc"], "GROK_MCP_TIMEOUT", "abc"),
        (["--gateway", "moon"], "GROK_MCP_GATEWAY", "moon"),
        (["--base-url", "ftp://x"], "XAI_BASE_URL", "ftp://x"),
    ],
)
def test_a_wrong_flag_is_told_in_one_line(flags: list[str], variable: str, value: str) -> None:
    done = run("serve", *flags)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(rf"grok-mcp-server: {variable}: .*{re.escape(value)}.*\n", done.stderr)


def test_a_flag_wins_over_the_environment_under_each_of_its_names() -> None:
    done = run(
        "serve",
        "--timeout=30",
        "--base-url=http://127.0.0.1:9/v1",
        GROK_MCP_TIMEOUT="abc",
        XAI_BASE_URL="nonsense",
        GROK_MCP_BASE_URL="nonsense",
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_serve_answers_a_session_and_ends_with_its_client() -> None:
    done = run(
        "serve",
        "--gateway",
        "sandbox",
        stdin=lines(
            {"id": 1, "method": "initialize", "params": INITIALIZE},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/list"},
        ),
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers = {answer["id"]: answer["result"] for answer in map(json.loads, done.stdout.splitlines())}
    assert answers[1]["serverInfo"]["version"] == __version__
    names = [tool["name"] for tool in answers[2]["tools"]]
    assert names[:3] == ["ask_grok", "grok_search", "grok_structured"]


def test_serve_refuses_a_transport_that_it_does_not_have() -> None:
    done = run("serve", "--transport", "pigeon")
    assert done.returncode == 2
    assert "'pigeon'" in done.stderr


@contextmanager
def sandbox(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A running `grok-mcp-server sandbox` and the base URL that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "grok_mcp", "sandbox", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(),
    )
    try:
        assert process.stdout
        assert select.select([process.stdout], [], [], BOUND_S)[0], "nothing was printed"
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", process.stdout.readline())
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    with sandbox("--port", "0") as (process, url):
        request = urllib.request.Request(f"{url}/models", headers={"Authorization": "Bearer sandbox"})
        with urllib.request.urlopen(request, timeout=BOUND_S) as answer:
            models = json.load(answer)["data"]
        assert any(model["id"].startswith("grok-") for model in models)
        process.send_signal(number)
        assert process.wait(BOUND_S) == 0
        assert process.stdout
        assert process.stderr
        here = f"{sys.executable} -m grok_mcp"  # as this test has started it
        assert f"XAI_BASE_URL={url} XAI_API_KEY=sandbox {here}\n" in process.stdout.read()
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with sandbox() as (_, url):
        port = url.rpartition(":")[2].removesuffix("/v1")
        done = run("sandbox", "--port", port)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"grok-mcp-server: the sandbox can't listen on 127\.0\.0\.1:{port}: .+\n", done.stderr
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_the_sandbox_refuses_to_serve_a_network(host: str) -> None:
    done = run("sandbox", "--host", host)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"grok-mcp-server: --host: .*'{re.escape(host)}' is not a loopback address\n", done.stderr
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_says_what_it_does(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    assert [one.name for one in options if not (one.help or "").strip()] == []
    assert command.get_short_help_str(200)[-3:] != "..."


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("name", ["", "ask", "search", "structured", "usage"])
def test_help_is_grouped_and_fits(name: str, columns: int) -> None:
    shown = run(*filter(None, [name]), "--help", COLUMNS=str(columns)).stdout
    usage, *lines = shown.splitlines()
    assert "[[" not in usage and "]]" not in usage
    unbroken = ("[none|low|medium|high|xhigh]", "[hour|day|month|")
    assert [
        line for line in lines if len(line) > columns and not any(word in line for word in unbroken)
    ] == []
    groups = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert len(groups) > 3 or name == "usage"
