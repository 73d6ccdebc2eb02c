"""What is known of a host: where its file is, what an entry in it looks like, which time limits it has.

A host is one `Host` in `rows.py`; nothing else in the package knows a host by its name.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any, Literal

System = Literal["linux", "macos", "windows"]
Format = Literal["json", "jsonc", "toml", "yaml"]


class HostError(Exception):
    """Something about a host or its file prevents the change; the message is for the user."""


class Part(Enum):
    """Stands for a part in the shape of an entry; where the part is empty, its key is left out."""

    NAME = "the server's name, where the entry repeats it"
    COMMAND = "the program"
    ARGUMENTS = "its arguments"
    WORDS = "the program and its arguments in one list"
    ENVIRONMENT = "variables and their values"
    FORWARDED = "names of variables that the host passes on"
    URL = "the address of a remote server"
    HEADERS = "its headers"
    TOKEN_VARIABLE = "the name of the variable that holds its token"


PLACEHOLDER = "xai-your-key-here"
"""Counts as no key, and shows where it belongs."""


@dataclass(frozen=True)
class Inherited:
    """The server gets the host's whole environment: the entry says nothing of the key."""

    def local_parts(self, variable: str, input_id: str) -> Mapping[Part, Any]:
        """What stands in an entry so that the server gets the variable."""
        return {}


@dataclass(frozen=True)
class Forwarded:
    """The entry names the variables that the host passes on."""

    def local_parts(self, variable: str, input_id: str) -> Mapping[Part, Any]:
        """What stands in an entry so that the server gets the variable."""
        return {Part.FORWARDED: [variable]}

    def remote_parts(self, variable: str, input_id: str) -> Mapping[Part, Any]:
        """What stands in an entry so that a remote server gets the token in the variable."""
        return {Part.TOKEN_VARIABLE: variable}


@dataclass(frozen=True)
class Verbatim:
    """The host expands nothing: the user has to write the key itself into the entry."""

    def local_parts(self, variable: str, input_id: str) -> Mapping[Part, Any]:
        """What stands in an entry until the user puts the key in its place."""
        return {Part.ENVIRONMENT: {variable: PLACEHOLDER}}


@dataclass(frozen=True)
class Reference:
    """The entry refers to a variable, or to an input that the host asks its user for."""

    template: str
    """With `%s` for the name of the variable or the input."""
    asks_user: bool = False
    """Whether the host asks its user for the value, by a definition in the list `inputs` of the file."""
    also: str = r"(?!)"
    """A pattern of other references that the host expands."""

    def to(self, name: str) -> str:
        """The reference to that variable or input."""
        return self.template % name

    def expands(self, value: str) -> bool:
        """Whether the host replaces that value in an entry."""
        own = re.escape(self.template).replace("%s", r"[\w.-]+(?::-[^}]*)?")
        return bool(re.fullmatch(f"{own}|{self.also}", value))

    def local_parts(self, variable: str, input_id: str) -> Mapping[Part, Any]:
        """What stands in an entry so that the server gets the variable."""
        return {Part.ENVIRONMENT: {variable: self.to(input_id if self.asks_user else variable)}}

    def remote_parts(self, variable: str, input_id: str) -> Mapping[Part, Any]:
        """What stands in an entry so that a remote server gets the token in the variable."""
        return {Part.HEADERS: bearer(self.to(input_id if self.asks_user else variable))}


KeyWay = Inherited | Forwarded | Verbatim | Reference
"""How the API key gets to a local server."""
TokenWay = Forwarded | Reference
"""How the token gets to a remote server."""


def bearer(token: str) -> dict[str, str]:
    """The headers that carry a token."""
    return {"Authorization": f"Bearer {token}"}


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
    """Without it the host gives the server too little time to be useful."""
    written: bool = True
    """Whether entries set it; where the host's own value is long enough, they leave it out."""

    @property
    def seconds(self) -> int:
        """The value in seconds."""
        return self.value // 1000 if self.unit == "milliseconds" else self.value


@dataclass(frozen=True)
class Host:
    """An MCP host. To add one, add a row to `rows.py`.

    `files` are templates of `Machine.expand`, best first. A template that names a variable of the environment
    decides where that is set; else the first file that exists is used, else the first.
    """

    name: str
    title: str
    files: tuple[str, ...]
    format: Format
    table: str
    local: Mapping[str, Any]
    remote: Mapping[str, Any] | None
    key: KeyWay
    token: TokenWay | None
    """None where the host expands nothing in headers."""
    restart: str
    limits: tuple[TimeLimit, ...] = ()
    without_limit: str = ""
    """The time limit where none can be set, if it is documented."""
    windows_files: tuple[str, ...] = ()
    project_file: str | None = None
    withholds: bool = False
    """Whether it is known to keep the variables of its own environment from servers."""
    short_path: bool = False
    """Whether its PATH is so short that a program needs its whole path."""
    programs: tuple[str, ...] = ()
    """Programs that show that it is installed, where nobody else has one of that name."""
    folders: tuple[str, ...] = ()
    """Templates of other folders of its own, which show the same."""

    @property
    def asks_user(self) -> bool:
        """Whether the host asks its user for secrets."""
        return isinstance(self.key, Reference) and self.key.asks_user

    def file(self, machine: "Machine", *, project: bool = False) -> Path:
        """Where the host's file is on that machine."""
        if project:
            if self.project_file is None:
                raise HostError(f"{self.title} has no file in a project; leave --project out")
            if not machine.folder:
                raise HostError("the current folder does not exist any more; change to another one")
            return Path(machine.join(machine.folder, self.project_file))
        paths = self._user_files(machine)
        if not paths:
            raise HostError("there is no home folder for this user: set HOME")
        template, path = paths[0]
        if machine.names_variable(template):
            return path
        return next((path for _, path in paths if os.path.exists(path)), path)

    def all_files(self, machine: "Machine") -> Iterator[Path]:
        """Every file on that machine in which the host may read of a server."""
        for _, path in self._user_files(machine):
            yield path
        if self.project_file is not None and machine.folder:
            yield self.file(machine, project=True)

    def _user_files(self, machine: "Machine") -> list[tuple[str, Path]]:
        """The templates that apply on that machine, and their paths."""
        templates = self.files
        if machine.system == "windows" and self.windows_files:
            templates = self.windows_files
        paths = ((template, machine.expand(template)) for template in templates)
        return [(template, Path(path)) for template, path in paths if path is not None]

    def is_found(self, machine: "Machine", *, project: bool = False) -> bool:
        """Whether the host seems to be in use: its file exists, or a folder or program of its own."""
        path = self.file(machine, project=project)
        own_folder = path.parent != Path(machine.folder if project else machine.home)
        with suppress(OSError):
            if os.path.lexists(path) or (own_folder and path.parent.is_dir()):
                return True
        if project and self.is_found(machine):
            return True
        folders = (machine.expand(template) for template in self.folders)
        if any(folder is not None and os.path.isdir(folder) for folder in folders):
            return True
        return any(machine.program(name) for name in self.programs)


@dataclass(frozen=True)
class Machine:
    """What decides where files are. `Machine.here()` is this machine; tests make others."""

    system: System
    home: str
    environment: Mapping[str, str]
    folder: str
    """The project, for hosts with a file in it. It and `home` are empty where there is none."""
    own_command: tuple[str, ...] = ()
    """What starts this very installation, where it is not the published package."""

    @classmethod
    def here(cls) -> "Machine":
        """The machine that this process runs on."""
        system: System = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")  # type: ignore[assignment]  # of a closed set
        home = folder = ""
        with suppress(RuntimeError):  # no HOME, and a user whom the system does not know
            home = str(Path.home())
        with suppress(OSError):  # a folder that was deleted
            folder = os.getcwd()
        return cls(system, home, os.environ, folder)

    @cached_property
    def _roots(self) -> dict[str, str]:
        config = self.environment.get("XDG_CONFIG_HOME") or self._in_home(".config")
        appdata = {
            "linux": config,
            "macos": self._in_home("Library/Application Support"),
            "windows": self.environment.get("APPDATA") or self._in_home("AppData/Roaming"),
        }
        return {"home": self.home, "config": config, "appdata": appdata[self.system]}

    def _in_home(self, path: str) -> str:
        return self.join(self.home, path) if self.home else ""

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
        """Whether the template depends on a variable of the environment, with which users move the file."""
        return any(name not in self._roots for _, name, _, _ in Formatter().parse(template) if name)

    def program(self, name: str) -> str | None:
        """The whole path of a program on this machine's PATH."""
        return shutil.which(name, path=self.environment.get("PATH", ""))
