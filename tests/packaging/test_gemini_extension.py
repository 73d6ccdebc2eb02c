"""The extension, as the real Gemini CLI takes it: without an account, in a home of its own."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from npm_packages import installed, node
from project import ROOT, Project

from tests.packaging.outside import Run, outside
from tests.support.packages import available

pytestmark = pytest.mark.hosts

GEMINI_CLI = "@google/gemini-cli"
GEMINI_CLI_VERSION = "0.61.0"

Gemini = Callable[..., str]


@pytest.fixture
def gemini(run: Run, tmp_path: Path) -> Gemini:
    program = available(lambda: installed(GEMINI_CLI, GEMINI_CLI_VERSION)) / "bundle" / "gemini.js"

    # It asks whether a folder is trusted before it installs from there.
    trusted = tmp_path / ".gemini" / "trustedFolders.json"
    trusted.parent.mkdir()
    trusted.write_text(json.dumps({str(tmp_path): "TRUST_FOLDER"}), encoding="utf-8")

    def gemini(*arguments: str | Path) -> str:
        both = ["sh", "-c", 'exec "$@" 2>&1', "sh"]  # it answers on stderr
        environment = outside(tmp_path, PATH=f"{node().parent}:/usr/bin:/bin")
        return run(*both, node(), program, "extensions", *arguments, cwd=tmp_path, **environment)

    return gemini


def test_gemini_cli_takes_the_extension_with_its_server_and_asks_for_the_key(
    gemini: Gemini, project: Project, tmp_path: Path
) -> None:
    assert "successfully validated" in gemini("validate", ROOT)
    extension = tmp_path / "extension"  # it copies the folder, which here would take all of .venv along
    extension.mkdir()
    shutil.copy(ROOT / "gemini-extension.json", extension)
    said = gemini("install", extension, "--consent", "--skip-settings")
    assert "missing settings: xAI API key" in said
    listed = gemini("list")
    assert f"{project.name} ({project.version})" in listed
    assert re.search(r"MCP servers:\s+grok\b", listed)
    assert "xAI API key: [not set]" in listed
