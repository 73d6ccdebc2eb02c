"""Where the files of a user's state lie, for this user alone."""

import os
from contextlib import suppress
from pathlib import Path


def state_folder(folder: Path | None) -> Path:
    """This folder; for None, the one that the system has for a user's state.

    Raises RuntimeError where there is none.
    """
    if folder is None:
        import platformdirs  # not needed by whoever names a folder

        folder = platformdirs.user_state_path("grok-mcp", appauthor=False)
    return folder.expanduser()


def make_private(path: Path) -> None:
    """Make a file, and its folder, for this user alone; one that is there stays. Raises OSError.

    SQLite gives the files beside it the same mode.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
