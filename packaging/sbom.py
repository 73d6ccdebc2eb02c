"""Makes `dist/grok-mcp-server-VERSION.cdx.json`: what a release brings with it, as CycloneDX 1.6.

These are the versions and hashes of `constraints.txt` that the package and its extras need, without the tools
of its development. The same commit gives the same bytes. `make sbom` runs it.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from constraints import BARE, uv
from project import ROOT, Project, read_project

NEEDED = ("--all-extras", "--universal", "--generate-hashes")


def sbom(project: Project) -> str:
    """The document, validated by the tool that makes it."""
    python = project.requires_python.removeprefix(">=")
    constraints = str(ROOT / "constraints.txt")
    needed = uv(
        "compile", "pyproject.toml", *NEEDED, *BARE, "--python-version", python, "-c", constraints, "-q"
    )
    tool = Path(sys.executable).parent / "cyclonedx-py"
    options = ["requirements", "-", "--sv", "1.6", "--output-reproducible", "--pyproject", "pyproject.toml"]
    made = subprocess.run(
        [str(tool), *options],
        cwd=ROOT,
        check=True,
        input=needed,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONWARNINGS": "ignore"},  # of what is added below
    ).stdout
    document = json.loads(made)
    root = document["metadata"]["component"]
    root["version"] = project.version  # the package's own file says it
    named = {_plain(one["name"]): one["bom-ref"] for one in document["components"]}
    direct = [named[name] for name in sorted(set(map(_plain, project.needed))) if name in named]
    document["dependencies"] = [{"ref": root["bom-ref"], "dependsOn": direct}]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _plain(requirement: str) -> str:
    """The name of a distribution in a requirement, in the one spelling that stands for all (PEP 503)."""
    name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    project = read_project()
    default = ROOT / "dist" / f"{project.name}-{project.version}.cdx.json"
    output = Path(sys.argv[1]) if sys.argv[1:] else default
    output.parent.mkdir(exist_ok=True)
    output.write_text(sbom(project), encoding="utf-8")
    print(output)
