"""What runs and shows at GitHub: workflows, forms and updates hold together, and with the gate."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.pages import PROJECT, ROOT

GITHUB = ROOT / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RELEASING = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")


def read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


CI = read(GITHUB / "workflows" / "ci.yml")
AUDIT = read(GITHUB / "workflows" / "audit.yml")
PUBLISH = read(GITHUB / "workflows" / "publish.yml")


def steps(workflow: Any) -> Iterator[Any]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


def commands(workflow: Any) -> str:
    return "\n".join(step["run"] for step in steps(workflow) if "run" in step)


def jobs_of_the_matrix() -> list[dict[str, str]]:
    matrix = CI["jobs"]["gate"]["strategy"]["matrix"]
    crossed = [
        {"os": system, "python": python, "dependencies": dependencies}
        for system in matrix["os"]
        for python in matrix["python"]
        for dependencies in matrix["dependencies"]
    ]
    kept = [job for job in crossed if not any(out.items() <= job.items() for out in matrix["exclude"])]
    return [*kept, *matrix["include"]]


def test_ci_runs_the_gate_and_nothing_else() -> None:
    assert commands(CI) == ".ci/run"


def test_what_a_release_brings_is_asked_about_known_holes_also_weeks_after_it() -> None:
    assert "pip-audit --requirement constraints.txt --require-hashes" in commands(AUDIT)
    assert {"schedule", "push"} <= set(AUDIT["on"])


def test_ci_runs_on_every_python_that_the_package_names() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"
    assert {job["python"] for job in jobs_of_the_matrix() if job["os"] == "ubuntu-latest"} == set(named)
    for system in ("macos-latest", "windows-latest"):
        assert [job["python"] for job in jobs_of_the_matrix() if job["os"] == system] == [named[0], named[-1]]


def test_ci_runs_with_every_set_of_dependencies_that_make_knows() -> None:
    known = re.findall(r"^INSTALL_(\w+) =", MAKEFILE, re.MULTILINE)
    assert (
        {job["dependencies"] for job in jobs_of_the_matrix()} == set(known) == {"newest", "lowest", "locked"}
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_ends_in_time(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "group" in workflow["concurrency"]
    assert all("timeout-minutes" in job for job in workflow["jobs"].values() if "steps" in job)
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)  # GitHub's own
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_only_the_job_that_publishes_gets_a_token_and_it_waits_for_the_tests() -> None:
    privileged = [name for name, job in PUBLISH["jobs"].items() if "permissions" in job]
    assert privileged == ["publish"]
    job = PUBLISH["jobs"]["publish"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert (job["environment"], job["needs"]) == ("pypi", ["gate", "test"])


def test_the_wheel_is_built_once_and_that_one_is_tested_and_published() -> None:
    assert commands(PUBLISH).count("uv build") == 1
    assert commands(PUBLISH).count("uv publish --trusted-publishing always") == 1
    downloads = [step for step in steps(PUBLISH) if "download-artifact" in step.get("uses", "")]
    assert [step["with"] for step in downloads] == [{"name": "distributions", "path": "dist"}] * 2
    assert PUBLISH["jobs"]["test"]["needs"] == "build"
    assert any(
        step.get("env", {}).get("DISTRIBUTIONS") == "dist" for step in PUBLISH["jobs"]["test"]["steps"]
    )


def test_the_page_on_releasing_names_the_workflow_and_what_starts_it() -> None:
    assert PUBLISH["on"] == {"push": {"tags": ["v*"]}}
    for word in ("`publish.yml`", "`vVERSION`", "`pypi`", "`uv publish --trusted-publishing always`"):
        assert word in RELEASING


def test_a_new_version_of_a_dependency_waits_a_week() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]
    assert [update["package-ecosystem"] for update in updates] == ["pip", "npm", "github-actions", "docker"]
    assert [update["cooldown"] for update in updates] == [{"default-days": 7}] * 4


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_complete_and_warns_of_keys(path: Path) -> None:
    form = read(path)
    assert set(form) == {"name", "description", "labels", "body"}
    first, *fields = form["body"]
    assert "Never paste a key" in first["attributes"]["value"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    assert any("grok-mcp-server doctor" in field["attributes"]["label"] for field in fields)


def test_the_commit_hook_is_the_gate_s_own_check() -> None:
    ((hook,),) = (repository["hooks"] for repository in read(ROOT / ".pre-commit-config.yaml")["repos"])
    assert (hook["entry"], hook["language"]) == ("make check", "system")


INSTALLED = "apt-get install -y -qq --no-install-recommends redis-server nginx-light postgresql"


@pytest.mark.skipif(os.name != "posix", reason="makes programs of shell scripts")
@pytest.mark.parametrize(
    ("programs", "user", "expected"),
    [
        ("redis-server nginx initdb chromium make apt-get", 0, []),
        ("redis-server nginx pg_ctlcluster chromium make apt-get", 0, []),
        ("redis-server nginx google-chrome make apt-get", 0, ["apt-get update -qq", INSTALLED]),
        ("redis-server nginx initdb make apt-get", 0, ["apt-get update -qq", f"{INSTALLED} chromium"]),
        ("make apt-get", 0, ["apt-get update -qq", f"{INSTALLED} chromium"]),
        ("make apt-get sudo", 1000, ["apt-get update -qq", f"{INSTALLED} chromium"]),
        ("make apt-get", 1000, []),
        ("make brew", 501, ["brew install --quiet redis nginx postgresql@17"]),
        ("make", 0, []),
    ],
    ids=[
        "all there",
        "all there on Debian",
        "no Postgres",
        "no browser",
        "Debian, root",
        "Debian, sudo",
        "Debian, user",
        "macOS",
        "neither",
    ],
)
def test_the_gate_installs_what_it_can_and_runs_in_any_case(
    programs: str, user: int, expected: list[str], tmp_path: Path
) -> None:
    """Every program is a script that writes down how it was called; sudo also runs what follows `-n`."""
    bash = shutil.which("bash")
    assert bash
    for name in (*programs.split(), "id"):
        file = tmp_path / name
        log = f'echo "$(basename "$0") $*" >> "{tmp_path}/log"'
        body = {"id": f"echo {user}", "sudo": 'shift; exec "$@"'}.get(name, log)
        file.write_text(f"#!{bash}\n{body}\n", encoding="utf-8")
        file.chmod(0o755)
    for name in ("dirname", "basename", "env", "true"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    subprocess.run([bash, ROOT / ".ci" / "run"], env={"PATH": str(tmp_path)}, check=True, timeout=30)
    assert (tmp_path / "log").read_text(encoding="utf-8").splitlines() == [*expected, "make test"]
