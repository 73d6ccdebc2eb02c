"""What `look` finds in hosts' files: the part of `grok-mcp doctor` that is about hosts."""

import json
import re

import pytest

from grok_mcp.hosts import HOSTS, Finding, look, look_everywhere
from tests.install.shell import KEY, Home

STRANGER = "grok-mcp"
LOCAL = {"command": "uvx", "args": ["grok-mcp-server"], "env": {"XAI_API_KEY": KEY}}


@pytest.fixture
def home(home: Home) -> Home:
    """A home on a machine with uvx and a key."""
    program = home.path / "bin" / "uvx"
    program.parent.mkdir()
    program.touch(0o755)
    return home.setting(PATH=str(program.parent), XAI_API_KEY=KEY)


def finding(home: Home, host: str) -> Finding:
    return look(HOSTS[host], home.machine)


def said(found: Finding) -> str:
    return "\n".join(f"{one.message} -> {one.fix}" for one in found.problems)


@pytest.mark.parametrize("host", HOSTS)
def test_what_install_writes_is_right(host: str, home: Home) -> None:
    home.run("install", host, "--write-key" if HOSTS[host].key == "literal" else "--name=grok")
    found = finding(home, host)
    assert (found.state, found.name, found.in_use, said(found)) == ("entry", "grok", True, "")


@pytest.mark.parametrize("host", [name for name, host in HOSTS.items() if host.remote])
def test_what_install_writes_for_a_server_elsewhere_is_right(host: str, home: Home) -> None:
    home.run("install", host, "--url", "https://grok.example.org/mcp")
    assert said(finding(home, host)) == ""


def test_a_machine_without_hosts_has_no_files(home: Home) -> None:
    found = look_everywhere(home.machine)
    assert [one.host.name for one in found] == list(HOSTS)
    assert {one.state for one in found} == {"no file"}
    assert not finding(home, "codex").in_use


def test_a_file_without_us_and_one_that_can_t_be_read(home: Home) -> None:
    home.put("cursor", '{"mcpServers": {"a": {"command": "b"}}}')
    home.put("codex", "a =")
    assert (finding(home, "cursor").state, said(finding(home, "cursor"))) == ("no entry", "")
    assert finding(home, "codex").state == "unreadable"
    assert "end of document" in said(finding(home, "codex"))


def test_we_are_found_by_another_name_as_well(home: Home) -> None:
    home.run("install", "cursor", "--name", "second-opinion")
    assert finding(home, "cursor").name == "second-opinion"


@pytest.mark.parametrize(
    ("host", "entry", "expected"),
    [
        ("cursor", {**LOCAL, "env": {"XAI_API_KEY": "your-key-here"}}, "no key yet .*--write-key"),
        ("cursor", {**LOCAL, "env": {"XAI_API_KEY": "${XAI_API_KEY}"}}, "does not expand"),
        ("lm-studio", {**LOCAL, "env": {"XAI_API_KEY": "${env:XAI_API_KEY}"}}, "does not expand"),
        ("claude-code", {**LOCAL, "env": {"XAI_API_KEY": "${OTHER_KEY}"}}, "OTHER_KEY is not set"),
        ("lm-studio", {"command": "uvx", "args": ["grok-mcp-server"]}, "does not hand XAI_API_KEY on"),
        ("gemini-cli", {"command": "uvx", "args": ["grok-mcp-server"]}, "does not hand XAI_API_KEY on"),
        ("cursor", {**LOCAL, "args": [STRANGER]}, "somebody else's program"),
        ("cursor", {**LOCAL, "command": "/nowhere/uvx"}, "/nowhere/uvx does not exist"),
        ("cursor", {**LOCAL, "command": "bunx"}, "'bunx' is not on the PATH"),
        ("cursor", {"env": {}}, "no command"),
        ("claude-desktop", LOCAL, "PATH is short"),
        ("cline", LOCAL, "too little time without 'timeout' .*600 .seconds"),
        ("cline", {**LOCAL, "timeout": 600_000}, "600000; Cline reads it as seconds"),
        ("gemini-cli", {**LOCAL, "timeout": 600}, "600; Gemini CLI reads it as milliseconds"),
        ("cline", {**LOCAL, "timeout": 60, "disabled": True}, "switched off"),
        ("windsurf", {"url": "https://g/mcp"}, "under 'serverUrl', not 'url'"),
        ("claude-code", {"url": "https://g/mcp"}, "needs a type, as in 'http'"),
        ("claude-desktop", {"url": "https://g/mcp"}, "takes no remote server"),
    ],
)
def test_what_will_not_work_is_told_with_what_to_do(
    host: str, entry: dict[str, object], expected: str, home: Home
) -> None:
    home.put(host, json.dumps({HOSTS[host].table: {"grok": entry}}))
    (problem,) = finding(home, host).problems
    assert re.search(expected, f"{problem.message} -> {problem.fix}")


def test_codex_hands_no_variable_on_that_is_not_named(home: Home) -> None:
    home.put("codex", '[mcp_servers.grok]\ncommand = "uvx"\nargs = ["grok-mcp-server"]\n')
    assert "does not hand XAI_API_KEY on" in said(finding(home, "codex"))


def test_codex_ignores_headers(home: Home) -> None:
    home.put("codex", '[mcp_servers.grok]\nurl = "https://g/mcp"\nheaders = { A = "b" }\n')
    assert "ignores headers" in said(finding(home, "codex"))


def test_an_entry_under_the_key_of_another_host_is_found(home: Home) -> None:
    home.put("vscode", json.dumps({"mcpServers": {"grok": LOCAL}}))
    assert "'mcpServers'; VS Code reads 'servers'" in said(finding(home, "vscode"))


@pytest.mark.parametrize(
    "entry", ["uvx", {"command": 1, "args": 2, "env": 3}, {"command": []}, {"timeout": {}}]
)
@pytest.mark.parametrize("host", HOSTS)
def test_an_entry_of_any_form_is_a_problem_and_no_crash(host: str, entry: object, home: Home) -> None:
    if HOSTS[host].format == "toml":
        home.put(host, f"[mcp_servers]\ngrok = {json.dumps(entry).replace(':', ' =')}\n")
    else:
        home.put(host, json.dumps({HOSTS[host].table: {"grok": entry}}))
    assert finding(home, host).problems
