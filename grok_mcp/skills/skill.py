"""Reads the skills from their folders, once, when somebody first asks for one."""

import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path

HERE = Path(__file__).parent
MAIN = "SKILL.md"
"""The file that every skill has; others stand beside it."""

_FRONT_MATTER = re.compile(r"---\n((?:[a-z-]+: .+\n)+)---\n")
"""Lines `name: text` alone: any other YAML would need a library at run time."""
_NO_TEXT = {"true", "false", "yes", "no", "on", "off", "null"}
"""Words that YAML reads as anything but a text."""


class Skill:
    """One skill: the contents of its files, by their paths in its folder, `SKILL.md` first.

    Raises ValueError where the front matter is more than plain lines, or lacks a name or a description.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.text = files[MAIN].decode("utf-8")
        self.front_matter = _front_matter(self.text)
        self.name = self.front_matter["name"]

    @cached_property
    def sections(self) -> Mapping[str, str]:
        """Heading → the text below it, up to the next heading."""
        _, *parts = re.split(r"^#+ (.+)\n", self.text, flags=re.MULTILINE)
        return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def _front_matter(text: str) -> Mapping[str, str]:
    block = _FRONT_MATTER.match(text)
    fields = dict(line.split(": ", 1) for line in block[1].splitlines()) if block else {}
    if not {"name", "description"} <= fields.keys() or not all(map(_is_plain, fields.values())):
        raise ValueError(
            f"{MAIN} has to begin with a name and a description, a plain text each: {text[:80]!r}"
        )
    return fields


def _is_plain(text: str) -> bool:
    """Whether YAML reads the text that stands there, unquoted, and nothing else."""
    marks = (": ", " #")
    return (
        text[:1].isalpha()
        and not text.endswith((":", " "))
        and not any(mark in text for mark in marks)
        and text.lower() not in _NO_TEXT
    )


@cache
def load_skills() -> Mapping[str, Skill]:
    """All skills by name, in the order of their names."""
    return {path.parent.name: _load(path.parent) for path in sorted(HERE.glob(f"*/{MAIN}"))}


def _load(folder: Path) -> Skill:
    paths = sorted(folder.rglob("*.md"), key=lambda path: (path.name != MAIN, path))
    return Skill({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})
