"""Globs: the files below a folder that match, in order, without those that an ignore file names.

`*` and `?` stay within one step, `**` stands for any number of them. As in a shell, names that begin with a
dot match only what begins with one. Links are not followed.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from grok_mcp import bounds
from grok_mcp.files.folders import Place
from grok_mcp.files.ignoring import Rules, is_ignored, rules_in, step_matches
from grok_mcp.files.names import is_odd
from grok_mcp.files.secret_names import is_secret

_GENERATED = ("node_modules", "__pycache__")
"""Folders that a glob looks into only where it names them."""

States = frozenset[tuple[int, int]]
"""How far a path has come in which of the globs."""


WITHIN_S = 5.0
"""How long the globs of one call may look through folders."""


_CHECKED_EVERY = 1_000
"""Steps between two looks at the clock."""


class TooManyError(Exception):
    """More than is looked at, in words."""


class Budget:
    """What all globs of one call may look at, and how much they may work."""

    def __init__(self) -> None:
        self._looked_at = 0
        self._work = 0
        self._until = time.monotonic() + WITHIN_S

    def spend(self) -> None:
        """Look at one more entry. Raises TooManyError."""
        self._looked_at += 1
        if self._looked_at > bounds.GLOB_ENTRIES:
            raise TooManyError(f"there are more than {bounds.GLOB_ENTRIES:,} files to look through")
        self.work(1)

    def work(self, steps: int) -> None:
        """Compare so many steps of globs and rules with a name. Raises TooManyError."""
        self._work += steps
        if self._work > _CHECKED_EVERY:
            self._work = 0
            if time.monotonic() > self._until:
                raise TooManyError(f"looking through the files took more than {WITHIN_S:g} s")


class Matching:
    """One search of a folder by the globs that a name stands for; counts what it left out."""

    def __init__(self, globs: Sequence[tuple[str, ...]], budget: Budget) -> None:
        self._globs = globs
        self._budget = budget
        self.ignored = 0
        self.secret = 0
        self.odd = 0
        self.unreadable = 0

    def below(self, place: Place) -> list[tuple[Place, os.stat_result]]:
        """The matching files. Raises TooManyError, and OSError for a folder that can't be read."""
        self._found: list[tuple[Place, os.stat_result]] = []
        start = self._closed((number, 0) for number in range(len(self._globs)))
        self._walk(place, (), start, list(_rules_above(place)))
        return self._found

    def _walk(self, top: Place, steps: tuple[str, ...], states: States, rules: list[Rules]) -> None:
        folder = top.path.joinpath(*steps)
        if steps:
            rules = [*rules, *rules_in(folder)]
        lines = sum(len(one.rules) for one in rules)
        for entry in self._entries(folder):
            self._budget.work(len(states) + lines)
            reached = self._step(states, entry.name)
            is_folder = bool(reached) and entry.is_dir(follow_symlinks=False)
            if not self._matters(entry, reached, is_folder=is_folder):
                continue
            if is_secret((entry.name,)):
                self.secret += 1
            elif is_odd(entry.name):
                self.odd += 1
            elif is_ignored(folder / entry.name, rules, is_folder=is_folder):
                self.ignored += 1
            elif not is_folder:
                self._keep(top.below((*steps, entry.name)), entry)
            elif len(steps) < bounds.GLOB_DEPTH:
                try:
                    self._walk(top, (*steps, entry.name), reached, rules)
                except OSError:
                    self.unreadable += 1

    def _matters(self, entry: "os.DirEntry[str]", reached: States, *, is_folder: bool) -> bool:
        """Whether this is a file that matches, or a folder that one may lie below."""
        if is_folder:
            return any(at < len(self._globs[glob]) for glob, at in reached)
        matches = any(at == len(self._globs[glob]) for glob, at in reached)
        return matches and entry.is_file(follow_symlinks=False)

    def _keep(self, place: Place, entry: "os.DirEntry[str]") -> None:
        if len(self._found) >= bounds.FILES:
            raise TooManyError(f"more than {bounds.FILES} files match")
        self._found.append((place, entry.stat(follow_symlinks=False)))

    def _entries(self, folder: Path) -> "list[os.DirEntry[str]]":
        """What is in a folder, in the order of names, within what is looked at in one search."""
        entries = []
        with os.scandir(folder) as listed:
            for entry in listed:
                self._budget.spend()
                entries.append(entry)
        return sorted(entries, key=lambda entry: entry.name)

    def _closed(self, states: Iterable[tuple[int, int]]) -> States:
        """The states with those that `**` reaches without a step."""
        closed = set(states)
        for glob, at in list(closed):
            while at < len(self._globs[glob]) - 1 and self._globs[glob][at] == "**":
                at += 1
                closed.add((glob, at))
        return frozenset(closed)

    def _step(self, states: States, name: str) -> States:
        """How far the globs come by one step."""
        reached = set()
        for glob, at in states:
            if at == len(self._globs[glob]):
                continue
            step = self._globs[glob][at]
            if step == "**":
                if not name.startswith(".") and name not in _GENERATED:
                    reached.add((glob, at))
                    if at == len(self._globs[glob]) - 1:  # a last one stands for all files below
                        reached.add((glob, at + 1))
            elif _matches(step, name):
                reached.add((glob, at + 1))
        return self._closed(reached)


def _matches(step: str, name: str) -> bool:
    if name.startswith(".") and not step.startswith("."):
        return False
    return step == name or step_matches(step.replace("[", "[[]"), name)


def _rules_above(place: Place) -> Iterator[Rules]:
    """The ignore files that hold in a folder: its own, and those above it up to the top of a repository."""
    folders = [place.path]
    for folder in (place.path, *place.path.parents)[: bounds.GLOB_DEPTH]:
        if folder is not place.path:
            folders.append(folder)
        if (folder / ".git").exists():
            break
    else:
        folders = [place.path]
    for folder in reversed(folders):
        yield from rules_in(folder)
