"""What is ours: `uninstall` takes out nothing else, `install` brings it up to date and adds no second one."""

import json
import tomllib
from typing import Any

import pytest

from grok_mcp.doctor.installation import STRANGER
from grok_mcp.hosts import HOSTS, Started
from tests.install.shell import KEY, Home

TOKEN = "gmt_" + "a" * 43
OURS = [
    "uvx grok-mcp-server",
    "/home/ann/.local/bin/uvx --python 3.12 grok-mcp-server@latest",
    "uvx --from /src/grok-mcp grok-mcp-server",
    "uvx --from grok-mcp-server[redis]==0.1.0 grok-mcp",
    "uv tool run grok-mcp-server",
    "uv --directory /src run grok-mcp-server serve",
    "pipx run grok-mcp-server",
    "pipx run --spec git+https://git.example/grok grok-mcp-server",
    "cmd /c uvx grok-mcp-server",
    "grok-mcp-server",
    "/src/.venv/bin/grok-mcp-server serve",
    r"C:\tools\grok-mcp-server.exe",
    "/usr/bin/python3.12 -m grok_mcp",
    "uv run python -m grok_mcp",
    "uvx grok-mcp-server[redis]",
    "uvx --from grok-mcp-server==0.1.0 grok-mcp-server",
]
OTHERS = [
    f"uvx {STRANGER}",
    f"uvx --from {STRANGER} grok-mcp-server",
    "uvx grok-mcp-server-extras",
    "npx -y grok-mcp-server-of-mine",
    "npx -y @modelcontextprotocol/server-filesystem /srv/grok-mcp-server",
    "/nowhere/bin/grok-mcp",
    "mcp-files /home/ann/grok-mcp-server",
    "python -m http.server",
    "docker run -i grok",
    "docker run -i --rm ghcr.io/ann/grok-mcp-server:0.1.0",
    "npx -y grok-mcp-server",
    "bunx grok-mcp-server",
    "uvx --from grok-mcp-server python",
    "uv run cat /home/ann/grok-mcp-server",
    "grok",
]


@pytest.mark.parametrize(
    ("line", "ours"), [*((line, True) for line in OURS), *((line, False) for line in OTHERS)]
)
def test_this_server_is_known_by_what_starts_it(line: str, ours: bool) -> None:
    command, *arguments = line.split(" ")
    assert Started.by(HOSTS["cursor"], "grok", {"command": command, "args": arguments}).is_ours is ours
    assert Started.by(HOSTS["opencode"], "x", {"command": [command, *arguments]}).is_ours is ours
    assert Started.by(HOSTS["goose"], "x", {"cmd": command, "args": arguments}).is_ours is ours


@pytest.mark.parametrize(
    ("host", "name", "value", "ours"),
    [
        ("cursor", "grok", {"url": "https://team.example/mcp"}, False),
        ("cursor", "grok", {"url": "https://api.githubcopilot.com/mcp/"}, False),
        ("cursor", "grok", {"url": "https://[grok/mcp"}, False),
        ("cursor", "a", {"url": "https://a.example", "headers": {"Authorization": f"Bearer {TOKEN}"}}, True),
        ("cursor", "a", {"url": "https://a.example", "headers": {"A": "Bearer ${env:GROK_TOKEN}"}}, True),
        ("cursor", "grok", {"url": "https://a.example", "headers": {"A": "${env:GITHUB_TOKEN}"}}, False),
        ("codex", "a", {"url": "https://a.example", "bearer_token_env_var": "MY_GROK_TOKEN"}, True),
        ("codex", "grok", {"url": "https://a.example", "bearer_token_env_var": "GH_TOKEN"}, False),
        ("cursor", "team", {"url": "https://grok.team.example/mcp", "headers": {}}, True),
        ("cursor", "team", {"url": "https://team.example/grok/mcp"}, True),
        ("cursor", "linear", {"url": "https://mcp.linear.example/mcp"}, False),
        ("cursor", "grok", {"url": "https://team.example/mcp", "oauth": {}}, False),
        ("gemini-cli", "grok", {"httpUrl": "https://team.example/grok", "timeout": 600_000}, True),
        ("goose", "grok", {"uri": "https://grok.example/mcp", "type": "streamable_http"}, True),
        ("cursor", "grok", {}, False),
        ("cursor", "grok", {"url": 5, "command": {"a": 1}}, False),
        ("cursor", "grok", "uvx grok-mcp-server", False),
        ("cline", "grok", {"transport": {"type": "stdio", "command": "grok-mcp-server"}}, True),
        ("cursor", "grok", {"command": "grok-mcp-server", "args": "x"}, True),
    ],
)
def test_an_address_is_ours_by_its_form_and_what_it_names(
    host: str, name: str, value: Any, ours: bool
) -> None:
    assert Started.by(HOSTS[host], name, value).is_ours is ours


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"command": "npx", "args": ["-y", "grok of mine"]}, "npx -y 'grok of mine'"),
        ({"command": "x", "env": {"KEY": KEY}, "args": ["--key", KEY]}, "x --key"),
        ({"url": "https://mcp.example/mcp", "auth": "x"}, "https://mcp.example/mcp"),
        ({"url": "https://api.githubcopilot.com/mcp/"}, "https://api.githubcopilot.com/mcp/"),
        ({}, "nothing"),
    ],
)
def test_an_entry_of_somebody_else_stays_unless_it_is_forced(value: Any, shown: str, home: Home) -> None:
    content = json.dumps({"mcpServers": {"grok": value, "b": {}}})
    file = home.put("cursor", content)
    said = home.run("uninstall", "cursor", status=1)
    assert said.startswith(f"grok-mcp-server: {file} was not changed: its server grok starts {shown}")
    assert "which is not this server; --force removes it anyway" in said
    assert said.count("\n") == 1 and KEY not in said
    assert file.read_text() == content
    home.run("uninstall", "cursor", "--force")
    assert json.loads(file.read_text()) == {"mcpServers": {"b": {}}}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--command", "uv", "--", "--directory", "/src", "run", "grok-mcp-server"),
        ("--url", "https://grok.example/mcp"),
        ("--url", "https://team.example/mcp", "--token-env", "GROK_MCP_TOKEN"),
        ("--this",),
    ],
)
def test_what_install_wrote_uninstall_takes_out(options: tuple[str, ...], home: Home) -> None:
    undo = home.run("install", "cursor", *options).rpartition("undo")[2]
    assert "--force" not in undo
    home.run("uninstall", "cursor")
    assert not home.file("cursor").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--command", "my-wrapper"),
        ("--command", "docker", "--", "run", "-i", "grok-mcp-server"),
        ("--url", "https://team.example/mcp"),
    ],
)
def test_where_install_wrote_what_nobody_can_know_as_ours_its_undo_says_force(
    options: tuple[str, ...], home: Home
) -> None:
    assert "uninstall cursor --force" in home.run("install", "cursor", *options)
    home.run("uninstall", "cursor", status=1)
    home.run("uninstall", "cursor", "--force")
    assert not home.file("cursor").exists()


GROK_BUILD = """\
[models]
default = "grok-4.7"  # mine

[mcp_servers.grok]
command = "/old/venv/bin/grok-mcp-server"
args = ["serve"]
enabled = false
tool_timeout_sec = 900
tool_timeouts = { ask_grok = 1200 }

[mcp_servers.grok.env]
XAI_API_KEY = "${MY_KEY}"
GROK_MCP_MODEL = "grok-4.7"

[ui]
theme = "dark"
"""


@pytest.mark.parametrize("name", ["grok", "grok-mcp", "helper"])
def test_a_table_of_this_server_is_adopted_and_never_doubled(name: str, home: Home) -> None:
    before = GROK_BUILD.replace("mcp_servers.grok", f"mcp_servers.{name}")
    file = home.put("grok-build", before)
    said = home.run("install", "grok-build", "--env", "GROK_MCP_TIMEOUT=300")
    assert f"Grok Build: {name} was brought up to date in {file}" in said
    data = tomllib.loads(file.read_text())
    assert data["mcp_servers"] == {
        name: {
            "command": "uvx",
            "args": ["grok-mcp-server"],
            "enabled": False,
            "startup_timeout_sec": 60,
            "tool_timeout_sec": 900,
            "tool_timeouts": {"ask_grok": 1200},
            "env": {"XAI_API_KEY": "${MY_KEY}", "GROK_MCP_MODEL": "grok-4.7", "GROK_MCP_TIMEOUT": "300"},
        }
    }
    assert file.read_text().startswith('[models]\ndefault = "grok-4.7"  # mine\n')
    assert home.backup("grok-build").read_text() == before
    assert "nothing changed" in home.run("install", "grok-build")
    assert file.read_text().count(f"[mcp_servers.{name}]") == 1


@pytest.mark.parametrize(
    ("host", "old", "options", "new"),
    [
        (
            "codex",
            '[mcp_servers.grok]\ncommand = "grok-mcp-server"\nenv_vars = ["MINE"]\n',
            (),
            {"env_vars": ["MINE", "XAI_API_KEY"], "tool_timeout_sec": 600},
        ),
        (
            "codex",
            f'[mcp_servers.grok]\ncommand = "grok-mcp-server"\nenv = {{ XAI_API_KEY = "{KEY}" }}\n',
            (),
            {"env": {"XAI_API_KEY": KEY}},
        ),
        (
            "cursor",
            '{"mcpServers": {"grok": {"command": "uvx", "args": ["grok-mcp-server"], "env": {"A": "b"}}}}',
            ("--gateway", "sandbox"),
            {"env": {"A": "b", "GROK_MCP_GATEWAY": "sandbox"}},
        ),
        (
            "cursor",
            '{"mcpServers": {"grok": {"url": "https://grok.example/mcp", "headers": {"A": "b"}}}}',
            ("--url", "https://grok.example/new/mcp"),
            {"url": "https://grok.example/new/mcp", "headers": {"A": "b"}},
        ),
    ],
    ids=["forwarded", "key in the file", "sandbox", "address"],
)
def test_what_the_user_has_set_stays(
    host: str, old: str, options: tuple[str, ...], new: dict[str, Any], home: Home
) -> None:
    file = home.put(host, old)
    home.run("install", host, *options)
    text = file.read_text()
    data = tomllib.loads(text) if host == "codex" else json.loads(text)
    made = data[HOSTS[host].table]["grok"]
    assert {key: made[key] for key in new} == new
    assert ("env_vars" in made) is ("env_vars" in new)


def test_a_name_that_is_given_is_another_entry(home: Home) -> None:
    home.run("install", "cursor")
    home.run("install", "cursor", "--name", "grok-fast", "--model", "grok-4-fast")
    assert list(json.loads(home.file("cursor").read_text())["mcpServers"]) == ["grok-fast", "grok"]


def test_an_entry_of_another_kind_is_replaced_only_where_the_user_says_so(home: Home) -> None:
    home.run("install", "cursor", "--url", "https://grok.example/mcp")
    assert "--replace" in home.run("install", "cursor", status=1)
    home.run("install", "cursor", "--replace")
    assert "url" not in json.loads(home.file("cursor").read_text())["mcpServers"]["grok"]


@pytest.mark.parametrize("host", HOSTS)
def test_the_sandbox_needs_no_key_and_the_entry_asks_for_none(host: str, home: Home) -> None:
    said = home.run("install", host, "--gateway", "sandbox")
    assert "the sandbox needs none" in said and "XAI_API_KEY" not in said
    assert "XAI_API_KEY" not in home.file(host).read_text()


@pytest.mark.parametrize(("options", "belongs"), [((), False), (("--project",), True)])
def test_only_a_project_s_file_is_said_to_belong_to_one(
    options: tuple[str, ...], belongs: bool, home: Home
) -> None:
    for host in ("cursor", "vscode", "claude-code", "grok-build"):
        said = home.setting(XAI_API_KEY=KEY).run("install", host, "--write-key", *options)
        assert ("belongs to a project" in said) is belongs


@pytest.mark.parametrize(
    "line",
    [
        "uvx grok-mcp-server@0.1.0",
        "uvx --from grok-mcp-server[redis]==0.1.0 grok-mcp-server",
        "pipx run grok-mcp-server==0.1.0",
    ],
)
def test_a_version_that_is_pinned_stays_unless_it_is_replaced(line: str, home: Home) -> None:
    command, *arguments = line.split()
    for host in ("cursor", "opencode"):
        started = {"command": command, "args": arguments} if host == "cursor" else {"command": line.split()}
        home.put(host, json.dumps({HOSTS[host].table: {"grok": started}}))
        said = home.run("install", host, "--model", "grok-4.7")
        made = json.loads(home.file(host).read_text())[HOSTS[host].table]["grok"]
        assert {key: made[key] for key in started} == started
        assert f"{line}, as it stood in the file" in said.replace("'", "")
        home.run("install", host, "--replace")
        assert "0.1.0" not in home.file(host).read_text()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (KEY, "the key that stands in the file stays"),
        ("${env:MY_KEY}", "comes from ${env:MY_KEY}, which stands in the file, as before"),
        ("${env:XAI_API_KEY}", "comes from XAI_API_KEY in the environment"),
    ],
    ids=["key", "other reference", "our reference"],
)
def test_where_the_key_comes_from_is_what_the_file_says(value: str, said: str, home: Home) -> None:
    entry = {"command": "grok-mcp-server", "env": {"XAI_API_KEY": value}}
    home.put("cursor", json.dumps({"mcpServers": {"grok": entry}}))
    shown = home.run("install", "cursor")
    assert said in shown and KEY not in shown
    assert ("in the environment" in shown) is (value == "${env:XAI_API_KEY}")
    assert said in home.run("install", "cursor")
