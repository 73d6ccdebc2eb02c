"""Makes `dist/grok-mcp-server-VERSION.mcpb`, the bundle that Claude Desktop installs when it is opened.

It holds the code, and names the dependencies for the host's own uv to install. `make bundle` runs it.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from listings import bundle_manifest, write
from npm_packages import installed, node
from project import ROOT, Project, read_project

MCPB = "@anthropic-ai/mcpb"
MCPB_VERSION = "2.1.2"


def stage(project: Project, folder: Path) -> None:
    """Put everything that goes into the bundle into this folder."""
    code = shutil.ignore_patterns("__pycache__", "*.py[co]")
    shutil.copytree(ROOT / "grok_mcp", folder / "grok_mcp", ignore=code)
    for path in ("packaging/mcpb/main.py", "packaging/icon.png", "LICENSE"):
        shutil.copy(ROOT / path, folder)
    write(folder / "manifest.json", json.dumps(bundle_manifest(project), indent=2, ensure_ascii=False) + "\n")
    write(folder / "pyproject.toml", bundle_pyproject(project))


def bundle_pyproject(project: Project) -> str:
    """The dependencies alone: uv has nothing to build, and installs no tools for development."""
    dependencies = "".join(f"    {json.dumps(one)},\n" for one in project.dependencies)
    return (
        f'[project]\nname = "{project.name}"\nversion = "{project.version}"\n'
        f'requires-python = "{project.requires_python}"\ndependencies = [\n{dependencies}]\n\n'
        "[tool.uv]\npackage = false\n"
    )


def mcpb(*arguments: str) -> str:
    """Run the format's own tool and return what it says; raises CalledProcessError where it refuses."""
    tool = installed(MCPB, MCPB_VERSION) / "dist" / "cli" / "cli.js"
    command = [str(node()), str(tool), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


def build(project: Project, output: Path) -> None:
    """Validate the manifest and pack the bundle."""
    with tempfile.TemporaryDirectory() as folder:
        stage(project, Path(folder))
        mcpb("pack", folder, str(output))
    settle(output)


def settle(archive: Path) -> None:
    """Write the archive anew without what depends on when and where it was packed: order, times, rights."""
    with zipfile.ZipFile(archive) as packed:
        files = {name: packed.read(name) for name in sorted(packed.namelist()) if not name.endswith("/")}
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as settled:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980, the first year that an archive knows
            entry.external_attr = 0o644 << 16
            settled.writestr(entry, content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    project = read_project()
    default = ROOT / "dist" / f"{project.name}-{project.version}.mcpb"
    output = Path(sys.argv[1]) if sys.argv[1:] else default
    build(project, output)
    print(output)
