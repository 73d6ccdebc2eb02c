"""What `.gitignore` leaves out is what git leaves out: the two are asked about the same paths."""

import random
import subprocess
from pathlib import Path

import pytest

from grok_mcp.files.ignoring import is_ignored, rules_in

LINES = """*.log
/build
build/
!keep.log
a/b
a/**
**/b
a/**/c
**/x/*
[ab].txt
[!a].txt
[^a].txt
\\#x
\\!y
#c
a*b
a?b
**a
*/b
/a/*
!/a/b
b/
/*
!/a
doc/*.txt
\\*
**
*
/
!
a//b
x/**/
a\\b
[
[]
[a
a/b/
**/a/**/b
!**
foo\\ """.splitlines()
NAMES = [
    *("a", "b", "c", "x", "build", "keep.log", "z.log", "a.txt", "b.txt", "foo"),
    *("#x", "!y", "aXb", "a?b", "doc", "*", "ab", "#c", "[", "[a"),
]


def ignored_by_git(folder: Path, paths: list[str]) -> set[str]:
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "-z", "--stdin"],
        cwd=folder,
        input="\0".join([*paths, ""]),
        capture_output=True,
        text=True,
        check=False,
    )
    return set(filter(None, done.stdout.split("\0")))


@pytest.mark.parametrize("seed", range(20))
def test_git_leaves_out_the_same_paths(tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    lines = pick.sample(LINES, pick.randint(2, 7))
    (tmp_path / ".gitignore").write_text("\n".join(lines) + "\n")
    for _ in range(40):
        path = tmp_path.joinpath(*pick.choices(NAMES, k=pick.randint(1, 3)))
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir() if pick.random() < 0.3 else path.touch()
    paths = sorted(path for path in tmp_path.rglob("*") if ".git" not in path.relative_to(tmp_path).parts)
    shown = [str(path.relative_to(tmp_path)) for path in paths if path.name != ".gitignore"]
    rules = list(rules_in(tmp_path))

    def is_left_out(shown: str) -> bool:
        steps = [tmp_path / parent for parent in [*Path(shown).parents][-2::-1]]
        return any(is_ignored(step, rules, is_folder=step.is_dir()) for step in [*steps, tmp_path / shown])

    assert {path for path in shown if is_left_out(path)} == ignored_by_git(tmp_path, shown), lines
