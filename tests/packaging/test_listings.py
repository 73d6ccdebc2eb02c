"""What registries and hosts are told: it is what the code says, in the form that each of them asks for."""

import json
import re
import struct
import subprocess
import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from listings import listings, readme, stale
from project import KEY, ROOT, Project, read_project, variable

from grok_mcp import __version__
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS
from tests.packaging.outside import script
from tests.support.pages import PAGES, setting_variables

SVG_BYTES = 2048


def read(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def official_schema() -> Any:
    """The schema of `server.json`: the registry's own, byte for byte, which the linter `skillsaw` brings."""
    folder = resources.files("skillsaw.schemas.mcp_registry.v2025_12_11")
    return json.loads(folder.joinpath("server.schema.json").read_text(encoding="utf-8"))


def test_every_listing_says_what_make_listings_would_write(project: Project) -> None:
    assert list(stale(project)) == []


def test_a_new_owner_changes_every_place_that_names_one(project: Project) -> None:
    other = Project(**{**vars(project), "repository": "https://github.com/somebody/grok"})
    written = listings(other)
    for path, text in written.items():
        assert project.repository.removeprefix("https://github.com/") not in text, path
    assert json.loads(written["packaging/server.json"])["name"] == "io.github.somebody/grok"
    assert "<!-- mcp-name: io.github.somebody/grok -->" in written["README.md"]


def test_no_other_file_names_the_owner(project: Project) -> None:
    """`pyproject.toml` says it once for each of its addresses; all else is made from it."""
    slug = project.repository.removeprefix("https://github.com/")
    pages = [path for path in PAGES if path.name != "README.md"]
    pages += [ROOT / "llms-install.md", *(ROOT / "grok_mcp").rglob("*.py"), *(ROOT / ".github").rglob("*.*")]
    pages += [path for path in (ROOT / "packaging").glob("*") if path.suffix in (".py", "")]
    pages += (ROOT / "packaging" / "claude-plugin").glob("*.md")
    named = [path for path in pages if path.is_file() and slug in path.read_text(encoding="utf-8")]
    assert named == []
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    addresses = re.findall(r"https://(?:github|raw\.githubusercontent)\.com/([^/]+/[^/\"#]+)", text)
    assert set(addresses) == {slug}


def test_every_version_is_the_version_of_the_package(project: Project) -> None:
    (listed,) = read(".claude-plugin/marketplace.json")["plugins"]
    server = read("packaging/server.json")
    versions = [server["version"], server["packages"][0]["version"], listed["version"]]
    paths = ["packaging/mcpb/manifest.json", "packaging/claude-plugin/.claude-plugin/plugin.json"]
    versions += [read(path)["version"] for path in [*paths, "gemini-extension.json"]]
    assert set(versions) == {__version__}


def test_the_registry_entry_fits_the_official_schema() -> None:
    schema, entry = official_schema(), read("packaging/server.json")
    assert entry["$schema"] == schema["$id"]
    faults = jsonschema_rs.validator_for(schema, validate_formats=True).iter_errors(entry)
    assert [f"{fault.instance_path}: {fault.message}" for fault in faults] == []
    assert not jsonschema_rs.is_valid(schema, {**entry, "description": "x" * 101})


def test_the_registry_entry_keeps_the_rules_that_no_schema_says(project: Project, tmp_path: Path) -> None:
    """A linter knows them: exact versions, official registries, addresses that can be reached."""
    lint = [script("skillsaw"), "lint", "--no-progress", "--strict", "--no-plugins", "--type", "mcp-registry"]

    def complaints(entry: Any) -> str:
        (tmp_path / "server.json").write_text(json.dumps(entry), encoding="utf-8")
        done = subprocess.run([*lint, str(tmp_path)], capture_output=True, text=True, timeout=60)
        return "" if done.returncode == 0 else done.stdout

    entry = read("packaging/server.json")
    assert complaints(entry) == ""
    assert "version" in complaints({**entry, "version": "^1.0"})


def test_the_readme_proves_to_the_registry_that_the_package_is_the_entry_s(project: Project) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"<!-- mcp-name: (\S+) -->", text) == [read("packaging/server.json")["name"]]
    assert readme(project, text) == text


def test_the_registry_offers_settings_that_exist_and_asks_for_the_key_as_a_secret() -> None:
    offered = {
        one["name"]: one for one in read("packaging/server.json")["packages"][0]["environmentVariables"]
    }
    assert set(offered) <= setting_variables()
    assert offered[KEY]["isSecret"] and offered[KEY]["isRequired"]
    assert [name for name, one in offered.items() if one.get("isSecret") or one.get("isRequired")] == [KEY]
    assert offered["GROK_MCP_GATEWAY"]["choices"] == list(variable("gateway").choices)
    assert "sandbox" in variable("gateway").choices and variable("model").choices == []


def test_the_bundle_names_every_tool_with_its_description() -> None:
    listed = read("packaging/mcpb/manifest.json")["tools"]
    assert listed == [{"name": tool.name, "description": tool.description} for tool in TOOLS.values()]


@pytest.mark.parametrize(
    "path",
    [
        "packaging/mcpb/manifest.json",
        "packaging/claude-plugin/.claude-plugin/plugin.json",
        "gemini-extension.json",
    ],
)
def test_a_host_hands_the_server_only_variables_that_it_knows(path: str) -> None:
    listing = read(path)
    servers = listing.get("mcpServers") or {"grok": listing["server"]["mcp_config"]}
    assert set(servers["grok"]["env"]) <= setting_variables()
    assert KEY in servers["grok"]["env"]


def test_the_steps_for_an_agent_give_cline_its_settings_in_seconds_with_every_tool(project: Project) -> None:
    text = (ROOT / "llms-install.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    server = json.loads(block)["mcpServers"]["grok"]
    assert {name: server[name] for name in ("command", "args")} == project.command
    assert 60 < server["timeout"] <= 3600
    assert server["autoApprove"] == list(TOOLS)
    assert Settings(**server["env"]).key() is None  # what stands for the key is known as none
    named = set(re.findall(r"\b(?:GROK_MCP|XAI)_[A-Z_]+", text))
    assert named <= setting_variables()


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("packaging/icon.png", 512),
        ("packaging/icon-400.png", 400),
        ("packaging/claude-plugin/.claude-plugin/icon.png", 512),
    ],
)
def test_an_icon_has_the_size_that_directories_ask_for(path: str, size: int) -> None:
    data = (ROOT / path).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (size, size)


def test_the_drawn_icon_is_small_square_and_holds_no_script() -> None:
    data = (ROOT / "packaging/icon.svg").read_bytes()
    assert len(data) < SVG_BYTES
    root = ET.fromstring(data)
    left, top, width, height = root.attrib["viewBox"].split()
    assert (left, top) == ("0", "0") and width == height
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "rect", "path", "circle", "g"}


def test_the_project_is_read_from_pyproject(project: Project) -> None:
    assert project == read_project()
    assert project.version == __version__
    assert len(project.summary) <= 100  # the registry takes no more
