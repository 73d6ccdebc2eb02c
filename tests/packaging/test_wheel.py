"""The distributions: what is in them, and that they run where nothing of the checkout is."""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from project import ROOT, Project

from tests.packaging.outside import Run, lists_its_tools, outside, script

pytestmark = pytest.mark.anyio


def test_the_wheel_holds_the_package_its_data_and_its_licence_and_nothing_else(
    wheel: Path, project: Project
) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = f"{project.name.replace('-', '_')}-{project.version}.dist-info"
    described = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    package = ROOT / "grok_mcp"
    code = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    code = {path for path in code if "__pycache__" not in path}
    assert names == code | {f"{metadata}/{name}" for name in described}
    assert {"grok_mcp/py.typed", "grok_mcp/tools/published.json", "grok_mcp/instant/plain.json"} <= names
    assert {"grok_mcp/server/card.html", "grok_mcp/server/card.licences.txt"} <= names


def test_the_metadata_name_the_project_as_the_registry_asks_for_it(wheel: Path, project: Project) -> None:
    (metadata,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("/METADATA"))
    text = zipfile.ZipFile(wheel).read(metadata).decode()
    head, _, description = text.partition("\n\n")
    assert f"Name: {project.name}\nVersion: {project.version}\n" in head
    assert "License-Expression: MIT" in head
    assert f"Project-URL: Repository, {project.repository}" in head
    assert f"mcp-name: {project.server_name} " in description
    assert re.findall(r"\]\((?!https?://|#)[^)]*", description) == []  # PyPI has no files beside it
    assert f"]({project.repository}/blob/v{project.version}/docs/deploy.md)" in description


def test_the_source_distribution_holds_what_its_tests_read(distributions: Path) -> None:
    (archive,) = distributions.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    wanted = ["tests/conftest.py", "tests/payloads", "docs/architecture.md", "README.md", "Makefile"]
    wanted += [
        "card/src/main.ts",
        "card/package-lock.json",
        "packaging/server.json",
        ".claude-plugin/marketplace.json",
        "gemini-extension.json",
    ]
    wanted += [
        "constraints.txt",
        ".ci/run",
        ".github/workflows/ci.yml",
        ".pre-commit-config.yaml",
        "AGENTS.md",
    ]
    wanted += ["CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SECURITY.md"]
    assert [path for path in wanted if not any(name.startswith(path) for name in names)] == []
    assert [name for name in names if name.startswith((".venv", ".git/", "dist"))] == []


@pytest.mark.parametrize("resolution", ["lowest-direct", "highest"])
async def test_the_wheel_with_the_lowest_and_the_newest_dependencies_lists_its_tools(
    wheel: Path, run: Run, elsewhere: Path, resolution: str
) -> None:
    python = elsewhere / "venv" / Path(sys.executable).parent.name / "python"
    run(script("uv"), "venv", "--quiet", elsewhere / "venv")
    install = [script("uv"), "pip", "install", "--quiet", "--python", python]
    run(*install, "--resolution", resolution, "--requirements", ROOT / "pyproject.toml")
    run(*install, "--no-deps", wheel)
    run(script("uv"), "pip", "check", "--quiet", "--python", python)
    await lists_its_tools([python.with_name("grok-mcp-server")], elsewhere, outside(elsewhere))
    await lists_its_tools([python, "-m", "grok_mcp"], elsewhere, outside(elsewhere))


async def test_uvx_runs_the_wheel(wheel: Path, project: Project, elsewhere: Path) -> None:
    await lists_its_tools([script("uvx"), "--from", wheel, project.name], elsewhere, outside(elsewhere))


async def test_uvx_finds_the_program_by_the_name_of_the_distribution(
    distributions: Path, project: Project, elsewhere: Path
) -> None:
    """As hosts start it, once it is published: here the wheel stands in for what PyPI will have."""
    found = outside(elsewhere, UV_FIND_LINKS=str(distributions))
    await lists_its_tools([script("uvx"), f"{project.name}=={project.version}"], elsewhere, found)


async def test_pipx_runs_the_wheel(wheel: Path, project: Project, elsewhere: Path) -> None:
    command = [script("pipx"), "run", "--spec", str(wheel), project.name]
    folders = {"PIPX_HOME": str(elsewhere / "pipx"), "PIPX_BIN_DIR": str(elsewhere / "bin")}
    await lists_its_tools(command, elsewhere, outside(elsewhere, **folders))
