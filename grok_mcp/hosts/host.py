"""What is known of a host: where its file is, how an entry in it looks, which time limits it has.

A host is one `Host` in `rows.py`; nothing else in the package knows a host by its name.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any, Literal

System = Literal["linux", "macos", "windows"]
Format = Literal["json", "jsonc", "toml"]


class HostError(Exception):
    """Something about a host or its file that stops us; the message is for the user."""


class Part(Enum):
    """What takes the place of a part in the shape of an entry; an empty one leaves its key out."""

    COMMAND = "the program"
    ARGUMENTS = "its arguments"
    WORDS = "the program and its arguments in one list"
    ENVIRONMENT = "variables and their values"
    FORWARDED = "names of variables that are handed on"
    URL = "the address of a remote server"
    HEADERS = "its headers"
    TOKEN_VARIABLE = "the name of the variable that holds its token"


@dataclass(frozen=True)
class TimeLimit:
    """A time limit that a host lets an entry set."""

    of: Literal["call", "start", "start and call"]
    key: str
    unit: Literal["seconds", "milliseconds"]
    value: int
    least: int = 1
    """Below this it is ignored, or somebody took seconds for milliseconds."""
    most: int | None = None
    """Above this it is refused, or somebody took milliseconds for seconds."""
    needed: bool = False
    """Without it the host gives the server too little time to be of use."""

    @property
    def seconds(self) -> int:
        """The value in seconds."""
        return self.value // 1000 if self.unit == "milliseconds" else self.value


@dataclass(frozen=True)
class Host:
    """An MCP host. To add one, add a row to `rows.py`.

    `files` are templates of `Machine.expand`, best first. A template that names a variable of the environment
    decides where that is set; else the first file that exists is meant, else the first.
    `key` says how a variable gets to the server: a template with `%s` for its name (`${%s}`, `${env:%s}`;
    with `input:` the host asks for the value), `inherited` (the server has the host's environment),
    `forwarded` (the entry lists names), or `literal` (only a value in the file does it). `header` is such a
    template for headers, None where the host expands nothing there.
    """

    name: str
    title: str
    files: tuple[str, ...]
    format: Format
    table: str
    local: Mapping[str, Any]
    remote: Mapping[str, Any] | None
    key: str
    header: str | None
    restart: str
    limits: tuple[TimeLimit, ...] = ()
    without_limit: str = ""
    """What is known of the time limit where none can be set."""
    windows_files: tuple[str, ...] = ()
    project_file: str | None = None
    short_path: bool = False
    """Whether its PATH is so short that a program needs its whole path."""

    @property
    def asks(self) -> bool:
        """Whether the host asks its user for secrets, by definitions in a list `inputs` of the file."""
        return "input:" in self.key

    def file(self, machine: "Machine", *, project: bool = False) -> Path:
        """Where the host's file is on that machine."""
        if project:
            if self.project_file is None:
                raise HostError(f"{self.title} has no file in a project; leave --project out")
            return Path(machine.join(machine.folder, self.project_file))
        templates = (machine.system == "windows" and self.windows_files) or self.files
        found = [(one, path) for one in templates if (path := machine.expand(one)) is not None]
        first, path = found[0]
        if machine.names_variable(first):
            return Path(path)
        return Path(next((path for _, path in found if os.path.exists(path)), path))

    def is_there(self, machine: "Machine", *, project: bool = False) -> bool:
        """Whether the host seems to be in use: the folder of its file exists."""
        return self.file(machine, project=project).parent.is_dir()


@dataclass(frozen=True)
class Machine:
    """What decides where files are. `Machine.here()` is this one; tests make others."""

    system: System
    home: str
    environment: Mapping[str, str]
    folder: str
    """The project, for hosts that have a file there."""

    @classmethod
    def here(cls) -> "Machine":
        """The machine that we run on."""
        system: System = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")  # type: ignore[assignment]  # of a closed set
        return cls(system, str(Path.home()), os.environ, os.getcwd())

    @cached_property
    def _roots(self) -> dict[str, str]:
        config = self.environment.get("XDG_CONFIG_HOME") or self.join(self.home, ".config")
        appdata = {
            "linux": config,
            "macos": self.join(self.home, "Library/Application Support"),
            "windows": self.environment.get("APPDATA") or self.join(self.home, "AppData/Roaming"),
        }
        return {"home": self.home, "config": config, "appdata": appdata[self.system]}

    def join(self, *parts: str) -> str:
        """The parts as one path of that machine's kind."""
        kind = PureWindowsPath if self.system == "windows" else PurePosixPath
        return str(kind(*parts))

    def expand(self, template: str) -> str | None:
        """The path of a template such as `{home}/.codex/config.toml`; None if it needs an unset variable."""
        names = [name for _, name, _, _ in Formatter().parse(template) if name]
        known = {name: self._roots.get(name) or self.environment.get(name) for name in names}
        return self.join(template.format(**known)) if all(known.values()) else None

    def names_variable(self, template: str) -> bool:
        """Whether the template depends on a variable of the environment, by which a user moved the file."""
        return any(name not in self._roots for _, name, _, _ in Formatter().parse(template) if name)

    def program(self, name: str) -> str | None:
        """The whole path of a program on this machine's PATH."""
        return shutil.which(name, path=self.environment.get("PATH", ""))
