"""The keys of the endpoint, which may stand in a file that somebody changes while the server runs.

The file is looked at once a second at most, before a request goes out, and again where the endpoint has
refused the key. A thread does that, one at a time, and nothing waits long for it: a file on a dead network
mount stops neither a call nor the end of the process. What is no key leaves the last ones in use.

Of several keys the first is used that does not rest. One rests after the endpoint has refused it, for want of
credit or because of too many calls; the call then goes out with the next one.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Thread

import anyio

from grok_mcp import bounds, errors
from grok_mcp.errors import GrokError
from grok_mcp.foreign import FileStamp, stamp_of
from grok_mcp.settings import KEY_FILE, Settings, read_keys

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LOOK_S = 0.25
"""How long a call waits for a look at the file; a local disk takes a fraction of a millisecond."""
RENEW_S = 2.0
"""The same for a call whose key was refused: it has nothing better to do."""
START_S = 5.0
"""The same for a start, which has no key yet."""

RESTS_S: Mapping[type[GrokError], float] = {
    errors.AuthenticationError: 600.0,
    errors.InsufficientCreditError: 600.0,
    errors.RateLimitError: 10.0,
}
"""How long a key rests after an error that is about it, where the endpoint says no time."""


class Keys:
    """The keys to send: one from a variable for good, or those of a file as it is."""

    def __init__(
        self,
        settings: Settings,
        own_key: str | None = None,
        read: Callable[[Path], tuple[tuple[str, ...], str | None]] = read_keys,
    ) -> None:
        self._settings = settings
        self._read_file = read
        self._variable, held = settings.key_in_variables() or ("", None)
        key = own_key or held
        self.all: tuple[str, ...] = (key,) if key else ()
        """In the order in which they are used."""
        self._resting: dict[str, float] = {}  # until when, by key
        self._held = held
        self._path = settings.api_key_file if key is None else None
        self._stamp: FileStamp | None = None
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
    def key(self) -> str | None:
        """The key to send, None where there is none."""
        return self.choose()

    def choose(self, tried: Collection[str | None] = ()) -> str | None:
        """The first key that does not rest and was not tried; else one that does not rest, else the one that
        rests no longer the soonest. None where there is none.
        """
        keys, resting = self.all, self._resting  # the thread that reads the file puts others in their place
        if len(keys) < 2:
            return keys[0] if keys else None
        awake = self._awake()
        untried = [key for key in awake if key not in tried]
        return (untried or awake or sorted(keys, key=lambda key: resting.get(key, 0.0)))[0]

    def has_other(self, tried: Collection[str | None]) -> bool:
        """Whether there is a key that does not rest and was not tried."""
        return len(self.all) > 1 and any(key not in tried for key in self._awake())

    @property
    def resting(self) -> int:
        """How many keys rest."""
        return len(self.all) - len(self._awake())

    def _awake(self) -> list[str]:
        now = time.monotonic()
        return [key for key in self.all if self._resting.get(key, 0.0) <= now]

    def rest(self, key: str | None, error: GrokError) -> None:
        """Use other keys for some time, where this error is about the key and there are others."""
        usual_s = RESTS_S.get(type(error))
        if usual_s is None or key not in self.all or len(self.all) < 2:
            return
        rest_s = min(error.retry_after_s or usual_s, bounds.KEY_RESTS_S)
        if self._resting.get(key, 0.0) <= time.monotonic():
            place = self.all.index(key) + 1
            logger.warning(
                "key %d of %d in %s rests for %.0f s: %s",
                *(place, len(self.all), self.variable, rest_s, error.code),
            )
        self._resting[key] = time.monotonic() + rest_s

    @property
    def variable(self) -> str:
        """The variable that the key comes from, or should come from."""
        return self._variable or (KEY_FILE if self._path is not None and self.all else "XAI_API_KEY")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no sentence may show: the user's key, also where the gateway's own is sent in its place."""
        if self._path is not None:
            return self.all
        return (self._held,) if self._held else ()

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
        """Whether the file has a key in the place of the one that was refused; reads it to find out."""
        if self._path is None:
            return False
        with anyio.move_on_after(RENEW_S):
            if self._looking is not None:
                await self._looking.wait()
            if refused in self.all or not self.all:  # nobody has found the new one meanwhile
                self._stamp = None
                await (self._looking or self._begin()).wait()
        return bool(self.all) and refused not in self.all

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
        stamp = stamp_of(self._path)  # first: what is written from now on is another state
        if stamp is not None and stamp == self._stamp:
            return
        self._stamp = stamp
        keys, self._problem = self._read_file(self._path)
        if self._problem is None:
            if self.all and keys != self.all:
                logger.info("%s holds other keys, which are used from now on", KEY_FILE)
                self._resting = {}  # one may have been topped up: whoever changed the file wants all tried
            self.all, self._is_warned = keys, False
        elif self.all and not self._is_warned:
            self._is_warned = True
            logger.warning("%s %s; what it held before is still used", KEY_FILE, self._problem)
