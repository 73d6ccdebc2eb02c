"""A release that can be trusted: the same bytes each time, a list of what it brings, bases that stay."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bundle import settle
from project import ROOT, Project
from sbom import sbom

from tests.packaging.outside import Run, script


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def test_two_builds_of_one_tree_give_the_same_bytes(network: None, run: Run, tmp_path: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    made = []
    for name, when in (("first", 1_000_000_000), ("second", 1_700_000_000)):
        tree = tmp_path / name
        for path in filter(None, listed.decode().split("\0")):
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)
            os.utime(target, (when, when))
        run(script("uv"), "build", "--quiet", "--out-dir", tmp_path / f"{name}-dist", tree)
        made.append(digests(tmp_path / f"{name}-dist"))
    assert len([name for name in made[0] if name.endswith((".whl", ".tar.gz"))]) == 2
    assert made[0] == made[1]


def test_a_bundle_shows_neither_when_nor_in_which_order_it_was_packed(tmp_path: Path) -> None:
    made = []
    for number, names in enumerate((["b", "a"], ["a", "b"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
            os.utime(folder / name, (1e9 + number * 1e6, 1e9 + number * 1e6))
        archive = shutil.make_archive(str(tmp_path / f"made{number}"), "zip", folder)
        settle(Path(archive))
        made.append(Path(archive).read_bytes())
    assert made[0] == made[1]


def test_the_bill_of_materials_names_what_users_get_and_no_tool_of_ours(
    network: None, project: Project
) -> None:
    document = json.loads(sbom(project))
    changing = {"serialNumber": document, "timestamp": document["metadata"]}
    assert not [name for name, place in changing.items() if name in place], "the same bytes each time"
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"]["version"] == project.version
    names = {one["name"].lower().replace("_", "-") for one in document["components"]}
    direct = {re.split(r"[^\w.-]", one, maxsplit=1)[0].lower() for one in project.needed}
    assert direct <= names and not names & {"pytest", "ruff", "mypy", "coverage"}
    locked = dict(
        re.findall(r"^([\w.-]+)==([\w.+-]+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    )
    versions = {one["name"]: one["version"] for one in document["components"]}
    assert {name: version for name, version in versions.items() if locked.get(name) != version} == {}
    assert all(any("hashes" in ref for ref in one["externalReferences"]) for one in document["components"])
    (root,) = document["dependencies"]
    assert len(root["dependsOn"]) == len(direct)


def test_images_and_actions_stand_still_until_somebody_moves_them() -> None:
    bases = re.findall(r"^FROM (\S+)", (ROOT / "packaging" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert len(set(bases)) == 1 and re.fullmatch(r"python:\S+@sha256:[0-9a-f]{64}", bases[0])
    moves = (ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8")
    assert "docker" in moves and "github-actions" in moves


REACHES_INTO = {
    "mcp": "serving/sdk.py puts its packages off",
    "redis": "stores/redis.py drops the idle connections of a pool",
    "sse-starlette": "serving/http/app.py turns a switch of the class",
    "uvicorn": "serving/http/listen.py extends its protocol and its supervisor",
}
"""Distributions that this one knows more of than their documents promise."""


@pytest.mark.parametrize("name", REACHES_INTO)
def test_a_distribution_whose_inner_parts_are_used_has_an_upper_bound(name: str, project: Project) -> None:
    (requirement,) = (one for one in project.needed if re.split(r"[^\w-]", one, maxsplit=1)[0] == name)
    assert "<" in requirement
