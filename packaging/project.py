"""What the project says of itself, for all that describes it elsewhere: `pyproject.toml` and the code."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from grok_mcp import __version__
from grok_mcp.environment import variables_of
from grok_mcp.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
GITHUB = "https://github.com/"
TITLE = "Grok"
SERVER = "grok"
"""How hosts call the server in their settings."""
KEY = "XAI_API_KEY"


@dataclass(frozen=True)
class Project:
    """The facts that listings repeat. `repository` is the only place that says whose project it is."""

    name: str
    version: str
    summary: str
    license: str
    author: str
    repository: str
    keywords: Sequence[str]
    requires_python: str
    dependencies: Sequence[str]
    extras: Mapping[str, Sequence[str]]
    published: bool
    """Whether the package is on PyPI: the one switch that a release flips, in `release.toml`."""

    @property
    def needed(self) -> Sequence[str]:
        """The requirements of the package and of all its extras."""
        return [*self.dependencies, *(one for extra in self.extras.values() for one in extra)]

    @property
    def owner(self) -> str:
        """Who owns the repository at GitHub."""
        return self.repository.removeprefix(GITHUB).split("/")[0]

    @property
    def server_name(self) -> str:
        """The name in the official registry, which checks that the publisher owns the repository."""
        return f"io.github.{self.repository.removeprefix(GITHUB)}"

    @property
    def command(self) -> dict[str, Any]:
        """How a host starts the server."""
        return {"command": "uvx", "args": [self.name]}

    def raw(self, path: str) -> str:
        """The address of a file of the repository, as it is in this version."""
        return (
            f"https://raw.githubusercontent.com/{self.repository.removeprefix(GITHUB)}/v{self.version}/{path}"
        )


def read_project() -> Project:
    """The project as `pyproject.toml` and the code have it now."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    release = tomllib.loads((ROOT / "packaging" / "release.toml").read_text(encoding="utf-8"))
    return Project(
        name=table["name"],
        version=__version__,
        summary=table["description"],
        license=table["license"],
        author=table["authors"][0]["name"],
        repository=table["urls"]["Repository"],
        keywords=table["keywords"],
        requires_python=table["requires-python"],
        dependencies=table["dependencies"],
        extras=table["optional-dependencies"],
        published=release["published"],
    )


@dataclass(frozen=True)
class Variable:
    """A setting as hosts offer it; `choices` are its values where they are a closed set."""

    name: str
    description: str
    choices: Sequence[str]


def variable(field: str) -> Variable:
    """The setting of this name in the settings model."""
    info = Settings.model_fields[field]
    text = str(info.description).replace("`", "")
    return Variable(variables_of(field)[0], text[0].upper() + text[1:], list(_choices(info.annotation)))


def _choices(annotation: Any) -> Sequence[str]:
    if get_origin(annotation) is Literal:
        return [str(one) for one in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]
