"""The bundle for Claude Desktop: packed by the format's own tool, and started as its host starts it."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from bundle import MCPB, MCPB_VERSION, build, mcpb
from npm_packages import installed, node
from project import ROOT, Project

from grok_mcp.environment import load_settings
from tests.packaging.outside import lists_its_tools, outside, script
from tests.support.packages import available

pytestmark = pytest.mark.anyio

KEY = "xai-made-for-this-test-1234567890"

# What a host makes of a manifest, by the code that Claude Desktop uses for it.
RESOLVE = """
import { readFileSync } from "fs";
const { getMcpConfigForManifest } = await import(process.argv[1]);
const manifest = JSON.parse(readFileSync(process.argv[2] + "/manifest.json", "utf-8"));
const userConfig = JSON.parse(process.argv[3]);
const options = { manifest, extensionPath: process.argv[2], systemDirs: {}, userConfig, pathSeparator: "/" };
console.log(JSON.stringify((await getMcpConfigForManifest(options)) ?? null));
"""


@pytest.fixture(scope="module")
def tool() -> Path:
    """The npm package of the format's own tool."""
    return available(lambda: installed(MCPB, MCPB_VERSION))


@pytest.fixture(scope="module")
def packed(tool: Path, project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as `make bundle` makes it."""
    file = tmp_path_factory.mktemp("bundle") / "grok.mcpb"
    build(project, file)
    return file


@pytest.fixture(scope="module")
def unpacked(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as a host unpacks it."""
    folder = tmp_path_factory.mktemp("extension")
    mcpb("unpack", str(packed), str(folder))
    return folder


def resolved(tool: Path, folder: Path, **user_config: str) -> Any:
    """The command that a host starts, with what the user filled in; None where it does not start it."""
    node_module = (tool / "dist" / "index.js").as_uri()
    arguments = [node_module, str(folder), json.dumps(user_config)]
    command = [str(node()), "--input-type=module", "--eval", RESOLVE, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def test_the_format_s_own_tool_takes_the_manifest(tool: Path, unpacked: Path) -> None:
    assert "Manifest schema validation passes!" in mcpb("validate", str(unpacked))


def test_the_format_s_own_tool_refuses_a_manifest_without_a_server(tool: Path, tmp_path: Path) -> None:
    manifest = json.loads((ROOT / "packaging/mcpb/manifest.json").read_text(encoding="utf-8"))
    del manifest["server"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        mcpb("validate", str(tmp_path))


def test_the_bundle_holds_the_code_the_dependencies_by_name_and_no_tools_for_development(
    packed: Path, project: Project
) -> None:
    bundle = zipfile.ZipFile(packed)
    names = set(bundle.namelist())
    beside = {"manifest.json", "pyproject.toml", "main.py", "icon.png", "LICENSE"}
    assert {name for name in names if not name.startswith("grok_mcp/")} == beside
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "grok_mcp").rglob("*") if path.is_file()}
    assert names - beside == {path for path in code if "__pycache__" not in path}
    pyproject = bundle.read("pyproject.toml").decode()
    assert all(f'"{one}"' in pyproject for one in project.dependencies)
    assert "pytest" not in pyproject
    assert bundle.read("manifest.json").decode() == (ROOT / "packaging/mcpb/manifest.json").read_text("utf-8")


def test_a_host_asks_for_the_key_hides_it_and_starts_nothing_without_it(tool: Path, unpacked: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["user_config"]["api_key"]["sensitive"] is True
    assert resolved(tool, unpacked) is None


def test_what_the_user_fills_in_reaches_the_settings_and_what_is_left_empty_is_not_set(
    tool: Path, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in resolved(tool, unpacked, api_key=KEY, model="grok-4.3")["env"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.key(), settings.model, settings.base_url) == (KEY, "grok-4.3", None)


async def test_the_server_in_the_bundle_lists_its_tools(
    network: None, tool: Path, unpacked: Path, tmp_path: Path
) -> None:
    """Started by uv, which installs the dependencies first: as a host with `server.type` uv does it."""
    server = resolved(tool, unpacked, api_key=KEY)
    assert server["command"] == "uv"
    environment = outside(tmp_path, **server["env"])
    await lists_its_tools([script("uv"), *server["args"]], tmp_path, environment)
    entry_point = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))["server"][
        "entry_point"
    ]
    await lists_its_tools([script("uv"), "run", "--directory", unpacked, entry_point], tmp_path, environment)
