"""The key of the endpoint, which may stand in a file that somebody changes while the server runs.

The file is looked at once a second at most, before a request goes out, and again where the endpoint has
refused the key. A thread does that, one at a time, and nothing waits long for it: a file on a dead network
mount stops neither a call nor the end of the process. What is no key leaves the last one in use.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import anyio

from grok_mcp.settings import KEY_FILE, Settings, read_key

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LOOK_S = 0.25
"""How long a call waits for a look at the file; a local disk takes a fraction of a millisecond."""
RENEW_S = 2.0
"""The same for a call whose key was refused: it has nothing better to do."""
START_S = 5.0
"""The same for a start, which has no key yet."""


class _Stamp(NamedTuple):
    """What tells one state of a file from another, also where a link leads to another file now."""

    modified_ns: int
    size: int
    inode: int
    device: int


def _stamp(path: Path) -> _Stamp | None:
    """The state of the file, None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


class Keys:
    """The key to send now: from a variable for good, or from a file as it is."""

    def __init__(
        self,
        settings: Settings,
        own_key: str | None = None,
        read: Callable[[Path], tuple[str, str | None]] = read_key,
    ) -> None:
        self._settings = settings
        self._read_file = read
        self._variable, held = settings.key_in_variables() or ("", None)
        self.key = own_key or held
        """The key to send, None where there is none."""
        self._held = held
        self._path = settings.api_key_file if self.key is None else None
        self._stamp: _Stamp | None = None
        self._problem: str | None = None
        self._is_warned = False
        self._next_look = 0.0
        self._looking: anyio.Event | None = None
        """Set when the look that is going on has ended, None where none is."""
        if self._path is not None:
            self._problem = "names a file that can't be read: it did not answer"
            thread = Thread(target=self._look, name="grok-mcp key file", daemon=True)
            thread.start()
            thread.join(START_S)
            self._next_look = time.monotonic() + LOOK_EVERY_S

    @property
    def variable(self) -> str:
        """The variable that the key comes from, or should come from."""
        return self._variable or (KEY_FILE if self._path is not None and self.key else "XAI_API_KEY")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no sentence may show: the user's key, also where the gateway's own is sent in its place."""
        users = self.key if self._path is not None else self._held
        return (users,) if users else ()

    @property
    def missing_reason(self) -> str:
        """Why there is no key, as the beginning of a sentence."""
        return self._settings.missing_key_reason(("", self._problem))

    async def settle(self) -> None:
        """Look at the file where that is due, before a request goes out."""
        if self._path is None or self._looking is not None or time.monotonic() < self._next_look:
            return
        with anyio.move_on_after(LOOK_S):
            await self._begin().wait()

    async def renew(self, refused: str | None) -> bool:
        """Whether there is another key than the one that was refused; reads the file to find out."""
        if self._path is None:
            return False
        with anyio.move_on_after(RENEW_S):
            if self._looking is not None:
                await self._looking.wait()
            if self.key == refused:  # nobody has found the new one meanwhile
                self._stamp = None
                await (self._looking or self._begin()).wait()
        return self.key != refused

    def _begin(self) -> anyio.Event:
        """Begin a look in a thread that the end of the process does not wait for."""
        self._next_look = time.monotonic() + LOOK_EVERY_S
        self._looking = done = anyio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            self._looking = None
            done.set()

        def look() -> None:
            self._look()
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(end)

        try:
            Thread(target=look, name="grok-mcp key file", daemon=True).start()
        except RuntimeError:  # no more threads: another time
            end()
        return done

    def _look(self) -> None:
        """Read the file if it is another than before; in a thread."""
        assert self._path is not None
        stamp = _stamp(self._path)  # first: what is written from now on is another state
        if stamp is not None and stamp == self._stamp:
            return
        self._stamp = stamp
        key, self._problem = self._read_file(self._path)
        if self._problem is None:
            if self.key is not None and key != self.key:
                logger.info("%s holds another key, which is used from now on", KEY_FILE)
            self.key, self._is_warned = key, False
        elif self.key is not None and not self._is_warned:
            self._is_warned = True
            logger.warning("%s %s; the key that it held before is still used", KEY_FILE, self._problem)
