"""The folders that files may be read from, and the way to a file inside them.

A path is judged by its words before anything is touched, then by where it leads. A file is opened step by
step from its folder without following links, so that nobody can exchange a step meanwhile.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from grok_mcp.files.names import Name, is_odd
from grok_mcp.files.secret_names import is_secret

_CLOSED = ("/proc", "/sys", "/dev")
"""What is no file there, or is one about this very process."""


class Place(NamedTuple):
    """A path inside an allowed folder: that folder without links in its name, and the steps from there.

    `shown` is how the endpoint and the caller hear of it.
    """

    folder: Path
    steps: tuple[str, ...]
    shown: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder.joinpath(*self.steps)

    def below(self, steps: Iterable[str]) -> "Place":
        """A place below this one."""
        more = tuple(steps)
        shown = "/".join((*((self.shown,) if self.shown not in ("", ".") else ()), *more))
        return Place(self.folder, (*self.steps, *more), shown)


class Folder(NamedTuple):
    """One allowed folder as it was named, and without links; `title` stands before paths where there are
    several.
    """

    named: Path
    real: Path
    title: str


class Folders:
    """The folders that a caller's files may lie in; the first of them has the relative paths.

    `anywhere`: absolute paths may lead out of them, as for a person at her own shell.
    """

    def __init__(self, folders: Iterable[Path], *, anywhere: bool = False) -> None:
        self._anywhere = anywhere
        self._folders: list[Folder] = []
        for folder in folders:
            with suppress(OSError, ValueError, RuntimeError):
                real = Path(os.path.realpath(folder, strict=True))
                if real.is_dir() and all(real != other.real for other in self._folders):
                    title = f"folder {len(self._folders) + 1}" if is_odd(real.name) else real.name
                    self._folders.append(Folder(Path(os.path.abspath(folder)), real, title))
        if len(self._folders) == 1:
            self._folders = [self._folders[0]._replace(title="")]

    @classmethod
    def declared(cls, folders: Iterable[Path]) -> tuple[Path, ...]:
        """Those of a host's folders that can be a project: not the disk, the system's own, nor of secrets."""
        found = []
        for folder in folders:
            with suppress(OSError, ValueError, RuntimeError):
                real = Path(os.path.realpath(folder, strict=True))
                hidden = real.name.startswith(".") and is_secret((real.name,))
                if not hidden and real != Path(real.anchor) and not _is_closed(real):
                    found.append(folder)
        return tuple(found)

    def __bool__(self) -> bool:
        return bool(self._folders)

    def find(self, name: Name, path: str) -> Place | None:
        """Where a path leads, None where there is nothing. Raises InvalidArgumentError for what is closed."""
        named = Path(path)
        if path == "~" or path.startswith(("~/", "~\\")):
            with suppress(RuntimeError):
                named = named.expanduser()
        if ".." in named.parts and not self._anywhere:
            raise name.error("'..' is not taken in a path.", "Give the path from an allowed folder.")
        candidates = self._inside(named)
        if not candidates:
            raise name.error(
                "this is outside of the folders that files may be read from.",
                "Give a path inside them, or have the folder added to GROK_MCP_FILE_ROOTS.",
            )
        for folder, steps in candidates:
            self._refuse_secrets(name, steps)
            place = self._resolved(name, folder, steps)
            if place is not None:
                return place
        return None

    def _inside(self, named: Path) -> list[tuple[Folder, tuple[str, ...]]]:
        """The allowed folders that the words of a path are in, and the steps from there."""
        if not named.is_absolute():
            if self._anywhere:  # where `..` may lead out
                named = Path(os.path.abspath(named))
            else:
                return [(folder, named.parts) for folder in self._folders]
        found = [
            (folder, named.relative_to(base).parts)
            for folder in self._folders
            for base in dict.fromkeys((folder.named, folder.real))
            if named.is_relative_to(base)
        ]
        if not found and self._anywhere:
            top = Path(named.anchor)
            found = [(Folder(top, top, str(top)), named.parts[1:])]
        return found

    def _refuse_secrets(self, name: Name, steps: Iterable[str]) -> None:
        if is_secret(steps):
            raise name.error(
                "a name of this kind may hold secrets, and is never read.",
                "Copy what matters into the prompt.",
            )

    def _resolved(self, name: Name, folder: Folder, steps: tuple[str, ...]) -> Place | None:
        try:
            real = Path(os.path.realpath(folder.real.joinpath(*steps), strict=True))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "this is not a path"
            raise name.error(f"can't be read: {why}.", "Check the path.") from None
        home = folder
        if not real.is_relative_to(folder.real):
            others = [other for other in self._folders if real.is_relative_to(other.real)]
            if not others and not self._anywhere:
                raise name.error(
                    "a link leads out of the folders that files may be read from.",
                    "Give a path that stays inside them.",
                )
            top = Path(real.anchor)
            home = others[0] if others else Folder(top, top, str(top))
        inside = real.relative_to(home.real).parts
        self._refuse_secrets(name, inside)
        if _is_closed(real):
            raise name.error("files of the system itself are never read.", "Give another path.")
        shown = "/".join(filter(None, (folder.title.rstrip("/\\"), *steps)))
        return Place(home.real, inside, f"/{shown}" if folder.title == "/" else shown or ".")


def _is_closed(path: Path) -> bool:
    return any(path.is_relative_to(closed) for closed in _CLOSED)


@contextmanager
def opened(place: Place) -> Iterator[IO[bytes]]:
    """The file there, opened without following any link. Raises OSError, whose `strerror` says why not."""
    if os.open in os.supports_dir_fd:
        number = _open_by_steps(place)
    else:  # Windows: no step by step there; that no link was put in is checked once it is open
        number = _open_regular(str(place.path), None)
        if Path(os.path.realpath(place.path)) != place.path:
            os.close(number)
            raise OSError(errno.ELOOP, "it has become a link")
    with open(number, "rb") as file:
        yield file


def _open_by_steps(place: Place) -> int:
    at = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for step in place.steps[:-1]:
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return _open_regular(place.steps[-1] if place.steps else ".", at)
    finally:
        os.close(at)


def _open_regular(path: str, at: int | None) -> int:
    """Open a regular file and nothing else: a pipe would wait, a device do anything."""
    if not stat.S_ISREG(os.stat(path, dir_fd=at, follow_symlinks=False).st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    )
    number = os.open(path, flags, dir_fd=at)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is not a regular file")
    return number
