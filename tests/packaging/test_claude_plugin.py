"""The plugin, as the real Claude Code takes it: offline, without an account, in a home of its own."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from npm_packages import installed, node
from project import ROOT, Project

from tests.packaging.outside import Run, outside, script
from tests.support.packages import available

pytestmark = pytest.mark.hosts

CLAUDE_CODE = "@anthropic-ai/claude-code"
CLAUDE_CODE_VERSION = "2.1.330"
KEY = "xai-made-for-this-test-1234567890"
PLUGIN = ROOT / "packaging" / "claude-plugin"

Claude = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("claude")


@pytest.fixture(scope="module")
def claude(run: Run, home: Path, distributions: Path) -> Claude:
    """Runs the program; the wheel stands in for what `uvx` will find at PyPI."""
    package = available(lambda: installed(CLAUDE_CODE, CLAUDE_CODE_VERSION))
    found = {"PATH": f"{Path(script('uvx')).parent}:{node().parent}:/usr/bin:/bin"}
    quiet = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "MCP_TIMEOUT": "120000",
    }
    environment = outside(home, **found, **quiet, UV_FIND_LINKS=str(distributions))

    def claude(*arguments: str | Path) -> str:
        return run(node(), package / "cli-wrapper.cjs", *arguments, cwd=home, **environment)

    return claude


@pytest.mark.parametrize(
    "arguments",
    [(ROOT, "--strict"), (PLUGIN, "--strict", "--profile", "directory")],
    ids=["marketplace", "plugin"],
)
def test_claude_code_finds_nothing_to_complain_about(claude: Claude, arguments: tuple[str, ...]) -> None:
    assert "Validation passed" in claude("plugin", "validate", *arguments)


def test_the_plugin_installs_from_the_checkout_and_its_server_connects(
    claude: Claude, home: Path, project: Project
) -> None:
    claude("plugin", "marketplace", "add", ROOT)
    claude("plugin", "install", f"grok@{project.name}", "--config", f"xai_api_key={KEY}")
    (plugin,) = json.loads(claude("plugin", "list", "--json"))
    assert (plugin["id"], plugin["version"], plugin["enabled"]) == (
        f"grok@{project.name}",
        project.version,
        True,
    )
    assert "plugin:grok:grok: uvx grok-mcp-server - ✔ Connected" in claude("mcp", "list")
    holding = [path.name for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert holding == [".credentials.json"]  # its own store of secrets, and no settings file
