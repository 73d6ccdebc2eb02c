"""The file of limits, as it is now: looked at once a second at most, and read anew by a thread when it has
changed.

What is wrong with it stops a start. Later it is told once, and the last good limits hold.
"""

import logging
import threading
import time
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from grok_mcp import bounds
from grok_mcp.foreign import read_text, stamp_of
from grok_mcp.quotas.limits import Sections, read_sections

VARIABLE = "GROK_MCP_LIMITS_FILE"
LOOK_EVERY_S = 1.0

logger = logging.getLogger(__name__)


class LimitsFileError(Exception):
    """The file can't be used; the message is one line that names it, section and key."""


def read_file(path: Path) -> Sections:
    """What the file says. Raises LimitsFileError."""
    try:
        text = read_text(path, bounds.LIMITS_FILE_BYTES)
        return read_sections(tomllib.loads(text, parse_float=Decimal))
    except OSError as error:
        reason = f"can't be read: {error.strerror or type(error).__name__}"
    except RecursionError:
        reason = "is not valid: it is nested too deep"
    except ArithmeticError:
        reason = "is not valid: it has a number that is out of all bounds"
    except ValueError as error:  # of the encoding, of TOML, of a section
        reason = f"is not valid: {error}"
    raise LimitsFileError(f"{VARIABLE}: {path} {reason}")


class LimitsFile:
    """The limits in one file, which changes while the server runs. Raises LimitsFileError at first."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._stamp = stamp_of(path)  # first: what is written from now on is another state
        self._sections = read_file(path)
        self._next_look = clock() + LOOK_EVERY_S
        self._reading: threading.Thread | None = None
        self._is_warned = False

    @property
    def sections(self) -> Sections:
        """What it says, as far as it has been read."""
        if self._clock() >= self._next_look and self._reading is None:
            self._next_look = self._clock() + LOOK_EVERY_S
            self._look()
        return self._sections

    def _look(self) -> None:
        stamp = stamp_of(self._path)
        if stamp == self._stamp and stamp is not None:
            return
        self._stamp = stamp
        self._reading = threading.Thread(target=self._read, name="grok-mcp limits file", daemon=True)
        try:
            self._reading.start()
        except RuntimeError:  # no more threads: another time
            self._reading = self._stamp = None

    def _read(self) -> None:
        try:
            self._sections = read_file(self._path)
        except LimitsFileError as error:
            if not self._is_warned:
                logger.warning("%s; the limits that it held before still hold", error)
            self._is_warned = True
        else:
            self._is_warned = False
            logger.info("%s has changed, and its limits hold from now on", VARIABLE)
        finally:
            self._reading = None
