"""Files that are none: pipes, devices, huge ones, and text that is made to cost time or memory."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.install.shell import Home, run
from tests.support.pages import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kinds of files as POSIX has them")

MB = 1024 * 1024
LARGE = 100_000
"""So many of something show what is not linear; more would only take time."""
LINEAR_S = 10.0
"""Processor time for two commands on some megabytes; what is quadratic takes minutes."""

KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
    "a loop of links": lambda path: path.symlink_to(path),
    "50 MB": lambda path: path.write_bytes(b" " * 50 * MB),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", [["install", "cursor"], ["uninstall", "cursor"], ["doctor", "--offline"]])
def test_what_is_no_file_of_a_host_is_told_and_left_as_it_is(
    kind: str, command: list[str], home: Home
) -> None:
    file = home.file("cursor")
    file.parent.mkdir()
    KINDS[kind](file)
    done = home.shell(*command, GROK_MCP_GATEWAY="sandbox")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    (told,) = [line for line in said.splitlines() if str(file) in line]
    reason = {"50 MB": "it is larger than 16384 KiB", "a loop of links": "symbolic links"}
    assert reason.get(kind, "it is not a regular file") in told
    assert "Traceback" not in said and "report this" not in said
    assert [path.name for path in file.parent.iterdir()] == [file.name]


JSON = {
    "a long string": '{"a": "' + "x" * 5 * LARGE + '"}',
    "a string of escapes": '{"a": "' + "\\n" * 2 * LARGE + '"}',
    "an open string of escapes": '{"a": "' + '\\"' * 2 * LARGE,
    "quotes": '"' * 5 * LARGE,
    "comments": '{"a": 1 ' + "/* x */" * LARGE + "}",
    "open comments": '{"a": 1} ' + "/* " * LARGE,
    "slashes": "{" + "/" * 5 * LARGE,
    "commas": '{"a": [' + "," * 5 * LARGE + "]}",
    "spaced commas": '{"a": [' + "1,    " * LARGE + "]}",
    "white space": " " * 5 * LARGE,
    "depth": '{"a":' * 100_000,
    "depth with a long string": '{"a":' * 500 + '"' + "x" * 5 * LARGE + '"' + "}" * 500,
    "a key twice far below": '{"a":' * 400 + '{"b":1,"x":"' + "y" * 5 * LARGE + '","b":2}' + "}" * 400,
    "digits": '{"a": ' + "1" * 5 * LARGE + "}",
    "decimals": '{"a": 1.' + "1" * 5 * LARGE + "}",
    "an exponent": '{"a": 1e' + "9" * 300 + "}",
    "words with hyphens": '{"a": "' + "a-" * 2 * LARGE + '"}',
    "lines that come again": '{"a": [\n'
    + ",\n".join(str(number % 997) for number in range(200_000))
    + "\n]}",
    "an entry that is a number": '{"mcpServers": {"grok": 5}}',
    "an entry that is a text": '{"mcpServers": {"grok": "x"}}',
    "an entry with a limit of no size": '{"mcpServers": {"grok": {"command": "uvx", "timeout": 1e999999}}}',
    "a long command": json.dumps({"mcpServers": {"grok": {"command": "x" * 5 * LARGE}}}),
    "a command with a null": json.dumps({"mcpServers": {"grok": {"command": "a\0b"}}}),
    "a command of nobody": json.dumps({"mcpServers": {"grok": {"command": "~nobody-of-this-name/x"}}}),
    "a command that steers": json.dumps({"mcpServers": {"grok": {"command": "\x1b[31mred\n"}}}),
    "many arguments": json.dumps({"mcpServers": {"grok": {"command": "npx", "args": ["-y"] * 200_000}}}),
    "a long placeholder": json.dumps(
        {"mcpServers": {"grok": {"command": "grok-mcp-server", "env": {"XAI_API_KEY": "{" * 5 * LARGE}}}}
    ),
    "a long name": json.dumps(
        {"mcpServers": {"grok-mcp-" + "x" * 5 * LARGE: {"command": "grok-mcp-server"}}}
    ),
}
TOML = {
    "a long string": 'a = "' + "x" * 3 * LARGE + '"\n',
    "a string of escapes": 'a = "' + "\\n" * LARGE + '"\n',
    "an open string of escapes": 'a = "' + '\\"' * LARGE,
    "a string over lines": 'a = """' + '"x' * LARGE + '"""\n',
    "an open string over lines": 'a = """' + '\\"' * LARGE,
    "a literal string over lines": "a = '''" + "'x" * LARGE + "'''\n",
    "quotes": '"' * 3 * LARGE,
    "single quotes": "'" * 3 * LARGE,
    "a key of many parts": ".".join("a" * LARGE) + " = 1\n",
    "a quoted key of many parts": ".".join(['"a"'] * (LARGE // 2)) + " = 1\n",
    "a header of many parts": "[ " + " . ".join("a" * (LARGE // 2)) + " ]\n",
    "an inner key of many parts": "x = {" + ".".join("a" * LARGE) + " = 1}\n",
    "digits": "a = " + "1" * 3 * LARGE + "\n",
    "digits with underscores": "a = " + "1_" * LARGE + "1\n",
    "decimals": "a = 1." + "1" * 3 * LARGE + "\n",
    "white space": "a = " + " " * 3 * LARGE + "1\n",
    "a long word": "a" * 3 * LARGE,
    "comments": "#\n" * LARGE,
    "depth": "a = " + "[" * 100_000,
    "parts of our table between others": "".join(
        f"[mcp_servers.grok.x{number}]\n[other{number}]\n" for number in range(20_000)
    ),
    "an entry that is a number": "[mcp_servers]\ngrok = 5\n",
    "too much": "#" * 5 * MB,
}
TEXTS = [
    *(pytest.param("cursor", text, id=f"JSON, {name}") for name, text in JSON.items()),
    *(pytest.param("codex", text, id=f"TOML, {name}") for name, text in TOML.items()),
]


@pytest.mark.parametrize(("host", "content"), TEXTS)
def test_whatever_a_file_holds_it_is_read_in_linear_time_and_no_more_is_shown_than_fits(
    host: str, content: str, home: Home
) -> None:
    file = home.put(host, content)
    before = time.process_time()
    for command in (["install", host, "--print", "--replace"], ["uninstall", host, "--print"]):
        done = run(home.machine, *command)
        assert isinstance(done.exception, SystemExit | None) and done.exit_code in (0, 1), done.exception
        assert len(done.output) < 20_000
    assert time.process_time() - before < LINEAR_S
    assert file.read_bytes() == content.encode()


STRANGE = [name for name in JSON if name.startswith(("a ", "an ", "many"))]


@pytest.mark.parametrize("name", STRANGE)
def test_doctor_finds_its_way_through_any_entry(name: str, home: Home) -> None:
    home.put("cursor", JSON[name])
    done = home.shell("doctor", "--offline", GROK_MCP_GATEWAY="sandbox")
    assert done.returncode in (0, 1) and done.stderr == ""
    assert "report this" not in done.stdout and "\x1b" not in done.stdout and len(done.stdout) < 20_000


def used_mb(home: Home, *arguments: str) -> float:
    """The most memory that the command had."""
    process = subprocess.Popen(
        [sys.executable, "-m", "grok_mcp", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(home.path)},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / (MB if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("command", [["install", "cursor", "--print"], ["doctor", "--offline"]])
def test_a_long_string_takes_a_few_times_its_size_in_memory(command: list[str], home: Home) -> None:
    before = used_mb(home, *command)
    home.put("cursor", JSON["a long string"])
    assert used_mb(home, *command) - before < 80
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0


def without_a_folder(tmp_path: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """The command in a folder that has been deleted."""
    script = 'mkdir "$0/gone" && cd "$0/gone" && rmdir "$0/gone" && exec "$@"'
    return subprocess.run(
        ["sh", "-c", script, str(tmp_path), sys.executable, "-m", "grok_mcp", *command],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GROK_MCP_GATEWAY": "sandbox"},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["install", "cursor", "--print"],
        ["install", "claude-code"],
        ["uninstall", "cursor"],
        ["doctor", "--offline"],
        ["usage"],
        ["ask", "hi"],
    ],
    ids=" ".join,
)
def test_a_folder_that_is_gone_hinders_no_command(command: list[str], tmp_path: Path) -> None:
    done = without_a_folder(tmp_path, *command)
    assert "Traceback" not in done.stderr and "report this" not in done.stdout
    assert done.returncode == 0


def test_a_project_needs_a_folder_that_exists(tmp_path: Path) -> None:
    done = without_a_folder(tmp_path, "install", "cursor", "--project")
    assert done.returncode == 1
    assert (
        done.stderr
        == "grok-mcp-server: Cursor: the current folder does not exist any more; change to another one\n"
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be nobody")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["ask", "hi"], 0),
        (["usage"], 1),
        (["doctor", "--offline"], 1),
        (["install", "cursor"], 1),
        (["uninstall", "cursor"], 1),
        (["token", "somebody"], 0),
    ],
    ids=str,
)
def test_a_user_whom_the_system_does_not_know_and_who_has_no_home(command: list[str], status: int) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "grok_mcp", *command],
            user=54_321,
            cwd="/",
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "GROK_MCP_GATEWAY": "sandbox", "PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
    except PermissionError:
        pytest.skip("that user can't start this Python")
    assert done.returncode == status
    assert "Traceback" not in done.stderr and "report this" not in done.stdout
