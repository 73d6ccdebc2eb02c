"""The container image, as far as it shows without a container: its file, its build steps, its start."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from project import ROOT

from tests.network.server import serving
from tests.packaging.outside import Run, outside, script

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the image's steps are for Linux")

FILE = ROOT / "packaging" / "Dockerfile"
PREFIX = "/opt/grok-mcp"


def instructions(name: str) -> list[str]:
    """What follows each instruction of this name, continued lines joined."""
    text = re.sub(r"\\\n", " ", FILE.read_text(encoding="utf-8"))
    return re.findall(rf"^{name} +(.+)$", text, re.MULTILINE)


def variables() -> dict[str, str]:
    """The environment that the image sets, but for its PATH."""
    (line,) = instructions("ENV")
    return {
        name: value for name, _, value in (part.partition("=") for part in line.split()) if name != "PATH"
    }


@pytest.fixture(scope="module")
def image(network: None, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the first stage makes, from nothing but the files that it copies.

    The steps are the file's own; uv stands in for pip, which takes ten times as long.
    """
    folder = tmp_path_factory.mktemp("image")
    source, prefix = folder / "src", folder / "opt"
    source.mkdir()
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            *files, target = line.split()
            for name in files:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, source / (target if target != "./" else name))
    (build, *_) = instructions("RUN")
    made, install, compiled = (shlex.split(step.replace(PREFIX, str(prefix))) for step in build.split("&&"))
    assert made == ["python", "-m", "venv", str(prefix)]
    assert install[:2] == [f"{prefix}/bin/pip", "install"]
    run(script("uv"), "venv", "--quiet", prefix)
    options = [option for option in install[2:] if option != "--no-cache-dir"]
    python = ["--python", f"{prefix}/bin/python"]
    run(script("uv"), "pip", "install", "--quiet", *python, *options, cwd=source)
    assert compiled[1:] == ["-m", "compileall", "-q", f"{prefix}/lib"]  # takes long and can't fail
    return prefix


def entry_point(image: Path) -> tuple[str, ...]:
    """What `docker run` starts."""
    program, *arguments = json.loads(instructions("ENTRYPOINT")[0])
    return (str(image / "bin" / program), *arguments)


def test_a_linter_finds_nothing_in_the_file() -> None:
    done = subprocess.run(
        [script("hadolint"), "--no-color", str(FILE)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_image_serves_a_network_with_tokens_and_its_health_check_passes(
    image: Path, tmp_path: Path, run: Run
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"alice:{'0' * 64}\n", encoding="utf-8")
    settings = {"GROK_MCP_TOKEN_FILE": str(tokens), "GROK_MCP_PUBLIC_URL": "https://grok.example.org/mcp"}
    (command,) = instructions("HEALTHCHECK CMD")
    program, *check = json.loads(command)
    with serving(None, command=entry_point(image), **variables(), **settings) as served:
        served.line_with("http://0.0.0.0:")
        # The socket listens before the application is there, and a busy machine takes its time for that.
        here = [part.replace(":8000/", f":{served.port}/").replace("=3)", "=90)") for part in check]
        run(image / "bin" / program, *here)
    assert served.status() == 0


def test_the_image_does_not_serve_whoever_comes(image: Path, tmp_path: Path) -> None:
    environment = outside(tmp_path, **variables())
    done = subprocess.run(entry_point(image), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "GROK_MCP_TOKEN_FILE" in done.stderr


def test_the_image_runs_as_nobody(image: Path) -> None:
    (user,) = instructions("USER")
    assert all(int(number) >= 1000 for number in user.split(":"))
    assert (image / "bin" / "grok-mcp").is_file()
