"""Which hosts are on this machine, what each has, and how several are chosen at once."""

import json
import os
import re
from pathlib import Path

import pytest

from grok_mcp.hosts import HOSTS
from tests.install.shell import Home
from tests.support.terminal import typed

on_a_terminal = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")


@pytest.fixture
def used(home: Home) -> Home:
    """Four hosts: without a server, with ours, with a broken one of ours, with somebody else's."""
    home.put("cursor", '{"mcpServers": {"other": {"command": "x"}}}')
    home.run("install", "zed", "--command", "/bin/sh", "--", "-c", "grok-mcp-server")
    home.file("zed").write_text('{"context_servers": {"grok": {"command": "/bin/grok-mcp-server"}}}')
    home.put("claude-code", '{"mcpServers": {"grok": {"command": "/nowhere/grok-mcp-server", "timeout": 3}}}')
    home.put("codex", '[mcp_servers.grok]\ncommand = "grokker"\n')
    home.put("opencode", "{")
    return home


def rows(shown: str) -> dict[str, str]:
    """The states by host."""
    found = (re.match(r" *\d+  (\S+) +(\S.*?)(?:  +~\S+)?$", line) for line in shown.splitlines())
    return {match[1]: match[2] for match in found if match}


def test_without_a_host_it_shows_what_each_has_and_what_to_type(used: Home) -> None:
    (used.path / "programs").mkdir()
    program = used.path / "programs" / "gemini"
    program.touch(0o755)
    done = used.shell("install", PATH=str(program.parent), COLUMNS="200", XAI_API_KEY="xai-" + "k" * 40)
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.stdout) == {
        "claude-code": "grok: 2 to fix",
        "cursor": "not installed",
        "codex": "another server is named grok",
        "gemini-cli": "not installed",
        "zed": "grok: 1 to fix",
        "opencode": rows(done.stdout)["opencode"],
    }
    assert rows(done.stdout)["opencode"].startswith("can't be read: it is not JSON")
    assert "Not found: claude-desktop, cline, vscode" in done.stdout
    assert "install HOST..., or --all" in done.stdout
    assert "~/.cursor/mcp.json" in done.stdout
    assert re.search(r"^What to fix, and how: .* doctor$", done.stdout, re.MULTILINE)


@on_a_terminal
@pytest.mark.parametrize("columns", [40, 59, 80, 120])
def test_what_is_found_fits_and_each_path_is_whole(columns: int, used: Home) -> None:
    status, shown = typed(used, ["install"], [""], COLUMNS=str(columns))
    assert status == 0
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip("\r") for line in shown.splitlines()]
    left_whole = ("What to fix", "Add the server")
    assert max(len(line) for line in lines if not line.startswith(left_whole)) <= columns
    for path in ("~/.cursor/mcp.json", "~/.claude.json", "~/.config/opencode/opencode.json"):
        assert sum(path in line for line in lines) == 1
    assert any(re.match(r" *\d+  cursor", line) for line in lines)


@pytest.mark.parametrize("columns", ["40", "80"])
def test_in_a_pipe_no_line_is_wrapped_and_none_ends_in_blanks(columns: str, used: Home) -> None:
    lines = used.shell("install", COLUMNS=columns).stdout.splitlines()
    assert all(line == line.rstrip() for line in lines)
    (listed,) = [line for line in lines if line.startswith("Not found: ")]
    assert "claude-desktop" in listed and "windsurf" in listed
    assert len([line for line in lines if re.match(r" *\d+  ", line)]) == 5


def test_where_there_is_no_host_it_names_all(home: Home) -> None:
    shown = home.shell("install", PATH="").stdout
    assert shown.startswith("No host was found on this machine.\n")
    assert all(name in shown for name in HOSTS)
    done = home.shell("install", "--all", PATH="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no host is found" in done.stderr


def test_several_hosts_are_done_one_by_one_and_one_failure_stops_no_other(used: Home) -> None:
    done = used.shell("install", "opencode", "cursor", "codex", "windsurf", "--published")
    assert done.returncode == 1
    assert done.stdout.count(" was added to ") == 2 and done.stdout.count("To check the set-up: ") == 1
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == [" opencode", " Codex"]
    assert "grok" in json.loads(used.file("cursor").read_text())["mcpServers"]
    assert used.file("windsurf").exists()


def test_all_means_those_that_are_found(used: Home) -> None:
    used.file("opencode").unlink()
    done = used.shell("install", "--all", "--replace", PATH="")
    assert done.returncode == 0
    assert done.stdout.count(" was added to ") + done.stdout.count(" was replaced in ") == 5  # folders count
    assert not used.file("windsurf").exists()


@on_a_terminal
@pytest.mark.parametrize(
    ("answers", "added"),
    [
        (["", ""], []),
        (["1", "n"], ["cursor"]),
        (["9", "x", "0", "2, 1,2", "n"], ["codex", "cursor"]),
        (["A", "n"], ["codex", "cursor", "goose"]),
    ],
    ids=["none", "one", "after some errors", "all"],
)
def test_on_a_terminal_hosts_are_picked_by_number(answers: list[str], added: list[str], home: Home) -> None:
    home.put("codex", "")
    home.put("cursor", "{}")
    home.put("goose", "")
    status, shown = typed(home, ["install"], answers)
    assert status == 0, shown
    assert (
        sorted(name for name in ("codex", "cursor", "goose") if "grok" in home.file(name).read_text())
        == added
    )
    assert ("Check the set-up now? [Y/n]" in shown) is bool(added)
    told = shown.count("Please type numbers from 1 to 3, as in 1 3, or a for all")
    assert told == (3 if len(answers) > 3 else 0)


@on_a_terminal
def test_on_a_terminal_enter_runs_doctor(home: Home) -> None:
    home.put("cursor", "{}")
    status, shown = typed(home, ["install", "cursor"], [""], GROK_MCP_GATEWAY="sandbox")
    assert status == 0, shown
    assert "endpoint: Sandbox answers" in shown.replace("The sandbox", "Sandbox")
    assert "Nothing to fix." in shown


def test_nothing_is_asked_where_nobody_sits(home: Home) -> None:
    home.put("cursor", "{}")
    shown = home.shell("install", "cursor").stdout
    assert shown.splitlines()[-1].endswith("-m grok_mcp doctor")
    assert "[Y/n]" not in shown
    assert "To check" not in home.shell("install", "cursor", "--print").stdout


def test_a_host_is_found_by_its_file_its_folder_or_its_program(home: Home, tmp_path: Path) -> None:
    claude, cursor = HOSTS["claude-code"], HOSTS["cursor"]
    assert not claude.is_found(home.machine)  # its folder is the home itself
    assert not cursor.is_found(home.machine)
    (home.path / ".claude").mkdir()
    assert claude.is_found(home.machine) and claude.is_found(home.machine, project=True)
    (home.path / ".claude").rmdir()
    (home.path / ".cursor").mkdir()
    assert cursor.is_found(home.machine)
    home.put("claude-code", "{}")
    assert claude.is_found(home.machine)
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    program.touch(0o755)
    assert HOSTS["codex"].is_found(home.setting(PATH=str(program.parent)).machine)


@on_a_terminal
@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_doctor_has_colours_where_they_are_wanted(
    environment: dict[str, str], coloured: bool, home: Home
) -> None:
    _, shown = typed(home, ["doctor", "--offline"], [], **environment)
    assert "hosts: no host's file has an entry" in shown
    assert ("\x1b[3" in shown) is coloured


@on_a_terminal
@pytest.mark.parametrize("columns", [40, 60])
def test_lines_break_between_words_on_a_narrow_terminal(columns: int, home: Home) -> None:
    for command in (["doctor", "--offline"], ["install", "cursor", "--published"]):
        _, shown = typed(home, command, ["n"], COLUMNS=str(columns), NO_COLOR="1")
        lines = [line for line in shown.splitlines() if len(line) > columns]
        assert all(max(map(len, line.split())) > columns - 25 for line in lines), (
            lines
        )  # a path, which stays whole
    assert "key" in shown
