"""What `install HOST --print` would write, for each host on each system, and by each option."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from syrupy.assertion import SnapshotAssertion

from grok_mcp.hosts import HOSTS
from tests.install.shell import KEY, MACHINES, Home, run
from tests.support.pages import ROOT

WITH_PROJECT_FILES = [name for name, host in HOSTS.items() if host.project_file]
WITH_REMOTE = [name for name, host in HOSTS.items() if host.remote]
PARSERS: dict[str, Callable[[str], Any]] = {"toml": tomllib.loads, "yaml": YAML(typ="safe", pure=True).load}
KEEPS_TOKENS_OUT = [name for name in WITH_REMOTE if HOSTS[name].token]


def entry(home: Home, host: str, name: str = "grok") -> dict[str, Any]:
    """Our entry, as a plain parser of the format reads it."""
    text = home.file(host).read_text(encoding="utf-8")
    data = PARSERS.get(HOSTS[host].format, json.loads)(text)
    found: dict[str, Any] = data[HOSTS[host].table][name]
    return found


@pytest.mark.parametrize("system", MACHINES)
@pytest.mark.parametrize("host", HOSTS)
def test_what_would_be_written(host: str, system: str, snapshot: SnapshotAssertion) -> None:
    done = run(MACHINES[system], "install", host, "--print")
    assert done.exit_code == 0
    assert done.output == snapshot


@pytest.mark.parametrize("host", WITH_PROJECT_FILES)
def test_what_would_be_written_into_a_project(host: str, snapshot: SnapshotAssertion) -> None:
    assert run(MACHINES["linux"], "install", host, "--print", "--project").output == snapshot


@pytest.mark.parametrize("host", KEEPS_TOKENS_OUT)
def test_what_would_be_written_for_a_server_elsewhere(host: str, snapshot: SnapshotAssertion) -> None:
    url = "https://grok.example.org/mcp"
    done = run(MACHINES["linux"], "install", host, "--print", "--url", url, "--token-env", "TEAM_TOKEN")
    assert done.exit_code == 0
    assert done.output == snapshot


@pytest.mark.parametrize("host", sorted(set(WITH_REMOTE) - set(KEEPS_TOKENS_OUT)))
def test_a_token_is_written_out_only_where_the_user_says_so(host: str, home: Home) -> None:
    options = ["install", host, "--url", "https://grok.example.org/mcp", "--token-env", "TEAM_TOKEN"]
    home = home.setting(TEAM_TOKEN=KEY)
    said = home.run(*options, status=1)
    assert "--write-key" in said and KEY not in said
    assert not home.file(host).exists()
    assert KEY not in home.run(*options, "--write-key")
    assert entry(home, host)["headers"] == {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize("host", HOSTS)
def test_a_key_is_never_written_unless_the_user_says_so(host: str, home: Home) -> None:
    home = home.setting(XAI_API_KEY=KEY, GROK_MCP_API_KEY=KEY)
    home.run("install", host)
    assert KEY.encode() not in home.file(host).read_bytes()


@pytest.mark.parametrize("host", HOSTS)
def test_the_key_is_written_where_the_user_says_so_and_shown_nowhere(host: str, home: Home) -> None:
    home = home.setting(XAI_API_KEY=KEY)
    assert KEY not in home.run("install", host, "--write-key", "--print")
    assert KEY not in home.run("install", host, "--write-key")
    written = entry(home, host)
    variables = [written[name] for name in ("env", "envs", "environment") if name in written]
    assert variables == [{"XAI_API_KEY": KEY}]
    assert not {"env_vars", "env_keys"} & written.keys()
    assert home.file(host).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", ["", "${XAI_API_KEY}", "your-key-here"])
def test_what_is_no_key_is_not_written(value: str, home: Home) -> None:
    said = home.setting(XAI_API_KEY=value).run("install", "cursor", "--write-key", status=1)
    assert "XAI_API_KEY in your environment" in said
    assert not home.file("cursor").exists()


def test_variables_of_options_and_of_env_are_set(home: Home) -> None:
    home.run(
        "install", "codex", "--gateway", "openrouter", "--model", "grok-4.3", "--env", "GROK_MCP_TIMEOUT=300"
    )
    assert entry(home, "codex")["env"] == {
        "GROK_MCP_TIMEOUT": "300",
        "GROK_MCP_GATEWAY": "openrouter",
        "GROK_MCP_MODEL": "grok-4.3",
    }
    assert entry(home, "codex")["env_vars"] == ["XAI_API_KEY"]


@pytest.mark.parametrize(
    "pair",
    [
        f"XAI_API_KEY={KEY}",
        "MY_PASSWORD=hunter2",
        "GROK_MCP_REDIS_URL=redis://:hunter2@host:6379/0",
        "GROK_MCP_LEDGER_URL=postgresql://joe:hunter2@host:5432/db",
    ],
)
def test_a_secret_in_env_is_written_only_where_the_user_says_so(pair: str, home: Home) -> None:
    value = pair.partition("=")[2]
    said = home.run("install", "cursor", "--env", pair, status=2)
    assert "--write-key" in said and value not in said
    assert not home.file("cursor").exists()
    home = home.setting(XAI_API_KEY=KEY)
    assert value not in home.run("install", "cursor", "--env", pair, "--write-key")
    assert value in home.file("cursor").read_text(encoding="utf-8")


def test_a_key_file_is_no_secret_and_takes_the_place_of_the_key(home: Home) -> None:
    home.run("install", "claude-desktop", "--env", "GROK_MCP_API_KEY_FILE=/run/keys/xai")
    assert entry(home, "claude-desktop")["env"] == {"GROK_MCP_API_KEY_FILE": "/run/keys/xai"}


def test_another_command_takes_its_arguments_behind_a_double_dash(home: Home) -> None:
    home.run("install", "opencode", "--command", "docker", "--", "run", "-i", "grok-mcp-server")
    assert entry(home, "opencode")["command"] == ["docker", "run", "-i", "grok-mcp-server"]


def test_this_installation_is_started_by_its_whole_path(home: Home) -> None:
    home.run("install", "cursor", "--this")
    command = Path(entry(home, "cursor")["command"])
    assert command.is_absolute() and command.exists()
    assert entry(home, "cursor")["args"] in ([], ["-m", "grok_mcp"])


@pytest.mark.parametrize("of", ["PyPI", "a folder"])
def test_an_installation_in_the_cache_of_uv_is_not_what_a_host_should_start(of: str, home: Home) -> None:
    python = home.path / "cache" / "uv" / "archive-v0" / "x" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(Path(sys.executable).resolve())
    packages = published(home.path / "packages") if of == "PyPI" else None
    done = subprocess.run(
        [python, "-m", "grok_mcp", "install", "cursor", "--this"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "HOME": str(home.path),
            "PYTHONPATH": os.pathsep.join(filter(None, [packages, *sys.path])),
        },
    )
    if of == "PyPI":
        assert (done.returncode, done.stdout) == (1, "")
        assert "leave --this out" in done.stderr
        assert not home.file("cursor").exists()
    else:
        assert entry(home, "cursor")["command"] == "uvx"
        assert entry(home, "cursor")["args"] == ["--from", str(ROOT), "grok-mcp-server"]


def published(folder: Path, direct_url: object = None) -> str:
    """A folder in front of the real packages, in which ours is as from the package index."""
    information = folder / "grok_mcp_server-0.1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: grok-mcp-server\nVersion: 0.1.0\n")
    if direct_url is not None:
        (information / "direct_url.json").write_text(json.dumps(direct_url))
    return str(folder)


@pytest.mark.parametrize(
    ("direct_url", "options", "starts"),
    [
        (None, (), ["uvx", "grok-mcp-server"]),
        (None, ("--this",), None),
        ({"url": "file:///src/grok", "dir_info": {"editable": True}}, (), None),
        ({"url": "file:///dist/grok.whl", "archive_info": {}}, (), None),
        (
            {"url": "https://x.example/grok", "vcs_info": {"vcs": "git", "commit_id": "ab12"}},
            ("--published",),
            ["uvx", "grok-mcp-server"],
        ),
        (
            {"url": "file:///src/grok"},
            ("--command", "uvx", "--", "grok-mcp-server"),
            ["uvx", "grok-mcp-server"],
        ),
        ({"odd": 1}, (), ["uvx", "grok-mcp-server"]),
    ],
    ids=["index", "this", "checkout", "wheel", "published", "command", "unreadable"],
)
def test_what_is_not_from_the_package_index_installs_itself_and_says_so(
    direct_url: object, options: tuple[str, ...], starts: list[str] | None, home: Home
) -> None:
    packages = published(home.path / "packages", direct_url)
    path = os.pathsep.join([packages, str(ROOT)])
    done = home.shell("install", "cursor", *options, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    made = entry(home, "cursor")
    own = direct_url is not None and starts is None
    assert ("this installation, which is not from PyPI" in done.stdout) is own
    if starts is None:
        assert Path(made["command"]).is_absolute() and made["args"] in ([], ["-m", "grok_mcp"])
    else:
        assert [made["command"], *made["args"]] == starts


def test_a_host_with_a_short_path_gets_the_whole_path_of_uvx(home: Home) -> None:
    program = home.path / "bin" / "uvx"
    program.parent.mkdir()
    program.touch(0o755)
    home = home.setting(PATH=str(program.parent))
    home.run("install", "claude-desktop")
    home.run("install", "cursor")
    assert entry(home, "claude-desktop")["command"] == str(program)
    assert entry(home, "cursor")["command"] == "uvx"


def test_claude_desktop_takes_no_server_elsewhere(home: Home) -> None:
    said = home.run("install", "claude-desktop", "--url", "https://grok.example.org/mcp", status=1)
    assert "in its settings only" in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--token-env", "T"], "--token-env needs --url"),
        (["--this", "--command", "x"], "exclude each other"),
        (["--this", "--published"], "exclude each other"),
        (["--all"], "leave out HOST"),
        (["--", "x"], "need --command"),
        (["--url", "grok.example.org"], "is not an http or https address"),
        (["--url", "http://x/mcp", "--model", "grok-4.7"], "runs elsewhere"),
        (["--url", "http://x/mcp", "--token-env", "a token"], "not the token"),
        (["--env", "NAME"], "--env takes NAME=VALUE"),
        (["--env", "GROK_MCP_TIMEOTU=3"], "no setting GROK_MCP_TIMEOTU. Did you mean GROK_MCP_TIMEOUT?"),
        (["--name", "a.b"], "letters, digits"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options: list[str], reason: str, home: Home) -> None:
    assert reason in home.run("install", "cursor", *options, status=2)
    assert not home.file("cursor").exists()


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://grok.example.org/mcp", True),
        ("http://10.0.0.7:8000/mcp", True),
        ("http://127.evil.example/mcp", True),
        ("https://grok.example.org/mcp", False),
        ("http://127.0.0.1:8000/mcp", False),
        ("http://localhost/mcp", False),
        ("http://[::1]:8000/mcp", False),
    ],
)
@pytest.mark.parametrize("preview", [(), ("--print",)], ids=["written", "shown"])
def test_a_token_that_would_travel_in_the_clear_is_warned_about(
    url: str, warned: bool, preview: tuple[str, ...], home: Home
) -> None:
    said = home.run("install", "cursor", "--url", url, "--token-env", "TEAM_TOKEN", *preview)
    assert ("warning:" in said and "can read the token" in said) is warned
    assert "warning:" not in home.run("install", "cursor", "--name", "open", "--url", url, *preview)


def test_a_host_without_a_file_in_projects_says_so(home: Home) -> None:
    assert "has no file in a project" in home.run("install", "codex", "--project", status=1)


def test_an_unknown_host_is_a_usage_error_that_names_the_known_ones(home: Home) -> None:
    said = home.run("install", "emacs", status=2)
    assert all(name in said for name in HOSTS) and "Did you mean" not in said


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["install", "crusor"], "cursor"),
        (["uninstall", "vs-code"], "vscode"),
        (["install", "cursor", "claudecode"], "claude-code"),
        (["instal"], "install"),
        (["docter"], "doctor"),
    ],
)
def test_what_is_misspelt_gets_the_nearest_name(typed: list[str], meant: str, home: Home) -> None:
    assert f"Did you mean {meant}?" in home.run(*typed, status=2)
    assert list(home.path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "variable", "value", "file"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR", "/etc/claude", "/etc/claude/.claude.json"),
        ("codex", "CODEX_HOME", "/srv/codex", "/srv/codex/config.toml"),
        ("cline", "CLINE_MCP_SETTINGS_PATH", "/srv/mcp.json", "/srv/mcp.json"),
        ("zed", "XDG_CONFIG_HOME", "/srv/config", "/srv/config/zed/settings.json"),
        ("vscode", "XDG_CONFIG_HOME", "/srv/config", "/srv/config/Code/User/mcp.json"),
        ("gemini-cli", "GEMINI_CLI_HOME", "/srv", "/srv/.gemini/settings.json"),
        ("grok-build", "GROK_HOME", "/srv/grok", "/srv/grok/config.toml"),
        ("goose", "XDG_CONFIG_HOME", "/srv/config", "/srv/config/goose/config.yaml"),
        ("goose", "GOOSE_PATH_ROOT", "/srv/goose", "/srv/goose/config/config.yaml"),
    ],
)
def test_a_variable_that_moves_a_host_s_file_is_followed(
    host: str, variable: str, value: str, file: str, home: Home
) -> None:
    home.put(host, "")
    assert home.setting(**{variable: value}).file(host) == Path(file)


def test_the_file_that_exists_is_meant_where_a_host_has_had_several(home: Home) -> None:
    new = home.file("cline")
    assert new == home.path / ".cline/data/settings/cline_mcp_settings.json"
    old = (
        home.path / ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
    )
    old.parent.mkdir(parents=True)
    old.write_text("{}", encoding="utf-8")
    assert home.file("cline") == old
    home.put("cline", "{}")
    new.parent.mkdir(parents=True)
    new.write_text("{}", encoding="utf-8")
    assert home.file("cline") == new
