"""What the repository holds: a short list at the top level, nothing built, tests that stand alone."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import ROOT

TOP_LEVEL = {
    *(
        ".ci",
        ".claude-plugin",
        ".github",
        ".gitattributes",
        ".gitignore",
        ".pre-commit-config.yaml",
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
    ),
    *("benchmarks", "card", "corpus", "docs", "grok_mcp", "packaging", "tests"),
    *(
        "README.md",
        "LICENSE",
        "SECURITY.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "CODE_OF_CONDUCT.md",
        "AGENTS.md",
    ),
    # Hosts, agents and directories look for these four here.
    *("claude_desktop_config.example.json", "gemini-extension.json", "glama.json", "llms-install.md"),
}
BUILT = (".whl", ".tar.gz", ".zip", ".mcpb", ".egg", ".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".exe")
BUILT_FOLDERS = {"build", "dist", "node_modules", "__pycache__"}


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The paths that git has in its index; in an unpacked source distribution there is none."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no git checkout")
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8").stdout
    return listed.rstrip("\0").split("\0")


def test_the_top_level_holds_what_this_list_names_and_nothing_else(tracked: list[str]) -> None:
    assert {path.partition("/")[0] for path in tracked} == TOP_LEVEL


def test_nothing_that_is_built_or_downloaded_is_tracked(tracked: list[str]) -> None:
    found = [
        path for path in tracked if path.endswith(BUILT) or BUILT_FOLDERS.intersection(path.split("/")[:-1])
    ]
    assert found == []


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)


def test_no_module_imports_from_a_test_module_or_a_conftest() -> None:
    files = [
        path
        for folder in ("tests", "benchmarks", "packaging", "corpus")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert ROOT / "tests" / "support" / "endpoint.py" in files
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in imported(path)
        if any(part.startswith("test_") or part == "conftest" for part in name.split(".")[:-1])
    ]
    assert found == [], "what tests share belongs into tests/support/"
