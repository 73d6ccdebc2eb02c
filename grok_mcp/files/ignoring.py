"""What `.gitignore` leaves out of a glob (git-scm.com/docs/gitignore), in time in proportion to the names.

Libraries make one expression of a line, which takes hours over a name that is made for its wild cards. Here
each step of a path is held against one step of a line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from grok_mcp import bounds
from grok_mcp.foreign import read_text

IGNORE_FILE = ".gitignore"
_SET = re.compile(r"\[!?\]?[^\]]{0,50}\]")
"""A set of characters in a glob; one that is not closed matches nothing."""


class Rule(NamedTuple):
    """One line: whether it takes back what others say, is about folders only, and the steps that match."""

    takes_back: bool
    folders_only: bool
    steps: tuple[str, ...]

    def matches(self, path: Sequence[str], *, is_folder: bool) -> bool:
        """Whether this is about a path, in its steps below the folder of the ignore file."""
        if self.folders_only and not is_folder:
            return False
        if self.steps[0] == "**" and len(self.steps) == 2:  # as nearly all lines are
            return step_matches(self.steps[1], path[-1])
        reached = {0}
        for step in path:
            reached = set(self._after(reached, step))
        return len(self.steps) in reached

    def _after(self, reached: Iterable[int], step: str) -> Iterator[int]:
        """How far the line comes by one more step; `**` stays, and is gone past, with any."""
        for at in reached:
            while at < len(self.steps) and self.steps[at] == "**":
                yield at
                if at == len(self.steps) - 1:
                    yield at + 1
                at += 1
            if at < len(self.steps) and step_matches(self.steps[at], step):
                yield at + 1


class Rules(NamedTuple):
    """The lines of one ignore file, the last first, and the folder that it lies in."""

    folder: Path
    rules: tuple[Rule, ...]


@lru_cache(maxsize=1024)
def _compiled(step: str) -> re.Pattern[str]:
    return re.compile(translate(step))


def step_matches(step: str, name: str) -> bool:
    """Whether one step of a line or glob stands for a name; each wild card takes the shortest that fits."""
    return step == name or (("*" in step or "?" in step or "[" in step) and bool(_compiled(step).match(name)))


def rules_in(folder: Path) -> Iterator[Rules]:
    """The rules of the ignore file of a folder, if it has one that can be read."""
    try:
        lines = read_text(folder / IGNORE_FILE, bounds.IGNORE_FILE_BYTES).splitlines()
    except (OSError, ValueError):
        return
    found = [rule for line in lines[: bounds.IGNORE_LINES] if (rule := read_rule(line))]
    yield Rules(folder, tuple(reversed(found)))


def read_rule(line: str) -> Rule | None:
    """What a line says; None for nothing, or for more than is read."""
    if len(line) > bounds.IGNORE_LINE_CHARACTERS:
        return None
    bare = line.rstrip(" \t")
    line = f"{bare} " if bare.endswith("\\") and bare != line else bare
    takes_back = line.startswith("!")
    line = line[1:] if takes_back else line
    if not line.strip("/") or (line.startswith("#") and not takes_back):
        return None
    folders_only = line.endswith("/")
    steps = [step for step in line.rstrip("/").split("/") if step]
    if "/" not in line.rstrip("/"):
        steps = ["**", *steps]
    globs = tuple(map(_as_glob, steps))
    if len(steps) > bounds.GLOB_STEPS or any("[" in _SET.sub("", glob) for glob in globs):
        return None
    return Rule(takes_back, folders_only, globs)


def _as_glob(step: str) -> str:
    """One step in the form of `fnmatch`, which has no escapes, and `!` in place of `^`."""
    if step == "**":
        return step
    step = re.sub(r"\\(.)", lambda match: f"[{match[1]}]" if match[1] in "*?[" else match[1], step)
    return step.replace("[^", "[!")


def is_ignored(path: Path, rules: Sequence[Rules], *, is_folder: bool) -> bool:
    """Whether an ignore file names the path; what is nearest to it, and last there, decides."""
    for folder, lines in reversed(rules):
        steps = path.relative_to(folder).parts
        for rule in lines:
            if rule.matches(steps, is_folder=is_folder):
                return not rule.takes_back
    return False
