"""The repository's documents, and how tests read them."""

import tomllib
from pathlib import Path

from grok_mcp.environment import variables_of
from grok_mcp.settings import Settings

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOT_PAGES = ("README", "SECURITY", "CHANGELOG", "CODE_OF_CONDUCT", "CONTRIBUTING", "AGENTS")
PAGES = sorted([*(ROOT / f"{name}.md" for name in ROOT_PAGES), *(ROOT / "docs").rglob("*.md")])


def table(page: str, *header: str) -> list[list[str]]:
    """The rows of the one table with this header, in cells."""
    head = f"| {' | '.join(header)} |\n"
    assert page.count(head) == 1, head
    lines = page.split(head)[1].split("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in lines]
    assert all(len(row) == len(header) for row in rows)
    return rows


def first_cells(page: str, *header: str) -> list[str]:
    return [row[0].strip("`") for row in table(page, *header)]


def setting_variables() -> set[str]:
    return {variable for name in Settings.model_fields for variable in variables_of(name)}
