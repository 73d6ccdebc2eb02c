"""Several processes as one: each writes what it measures into files of a folder, and a scrape reads them all.

The folder has to be in the environment before the client library of Prometheus is imported.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_folder() -> Iterator[None]:
    """A private folder for the processes that are started in the block, unless the operator has named one."""
    if os.environ.get(FOLDER_VARIABLE):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="grok-mcp-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


def folder_problem() -> str | None:
    """What is wrong with the folder that the environment names, None where it names none, or a good one."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder or (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
        return None
    return f"{FOLDER_VARIABLE} is not a folder that can be written to"


def forget_the_dead(folder: Path) -> None:
    """Drop what processes that are gone say of the present moment; what they have counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            with suppress(OSError):
                file.unlink()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # to ask there would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
