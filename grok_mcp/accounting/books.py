"""The books of a ledger: what is written of calls, where, and what is known of spending meanwhile.

All of it runs on the ledger's thread. Where the file can't be used, calls are counted in memory until it
can; no call ever fails because of it. SQLite is loaded with the first call.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from grok_mcp import bounds
from grok_mcp.accounting.disks import is_local
from grok_mcp.accounting.reading import Reader, Reading
from grok_mcp.accounting.records import (
    RESERVED_S,
    Begun,
    Caps,
    Entry,
    LedgerError,
    Standing,
    ledger_path,
    midnight,
)
from grok_mcp.errors import OverloadedError
from grok_mcp.state import new_owner

if TYPE_CHECKING:
    from grok_mcp.accounting.redis import RedisBudget
    from grok_mcp.accounting.sqlite import Store

RENEW_S = RESERVED_S / 3
AGAIN_S = 30.0
"""How long a file that can't be used is left alone."""
SLOW_S = 0.02
"""A write that took longer on the loop's thread is followed by none there for some time: the disk is slow."""
TIDY_AFTER = 500
"""Writes, after which the file's log is some 2 MB."""

logger = logging.getLogger("grok_mcp.accounting.ledger")
T = TypeVar("T")
_Place = tuple[str, str, bool]
"""A caller or a group, by kind and name, with the sandbox or without."""


class Books(ABC):
    """Rows of calls on their way to a ledger; all but the first two may be used by one thread at a time."""

    def __init__(self, renew_s: float) -> None:
        self.begun: deque[Begun] = deque(maxlen=bounds.LEDGER_ROWS)
        """Calls that begin and are not written yet; any thread may add to it."""
        self.ended: deque[tuple[Entry, str]] = deque(maxlen=bounds.LEDGER_ROWS)
        """The same of calls that have ended, with the id that they began with."""
        self.renew_s = renew_s
        self._in_flight: dict[str, Begun] = {}

    @property
    def has_calls_in_flight(self) -> bool:
        """Whether rows have to be renewed."""
        return bool(self._in_flight)

    @property
    def wake_s(self) -> float | None:
        """When there is something to do even if nothing comes; None for never."""
        return self.renew_s if self._in_flight else None

    @property
    def is_away(self) -> bool:
        """Whether the ledger is known to be out of reach: no call need wait for its row."""
        return False

    @property
    def is_untidy(self) -> bool:
        """Whether `tidy` has something to do."""
        return False

    @abstractmethod
    def flush(self) -> None:
        """Write the rows that have come; fails for nobody."""

    def flush_at_once(self) -> bool:
        """Write these rows without waiting for anybody; False where that can't be: then they stay."""
        return False

    def tidy(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what is to be done once in many writes."""

    @abstractmethod
    def renew(self) -> None:
        """Report that the calls in flight still are, where it is time."""

    @abstractmethod
    def reserve(self, wanted: Begun, caps: Caps) -> Standing:
        """Let a call begin within the caps of a day; as `Ledger.reserve`."""

    @abstractmethod
    def problem(self) -> str | None:
        """Why nothing can be reserved now, None where it can."""

    @abstractmethod
    def reader(self) -> Reader:
        """What reads the ledger, on any thread. Raises RuntimeError where there is no place for it."""

    @abstractmethod
    def read_here(self, work: Callable[[Reading], T]) -> T:
        """What `work` finds where that could not; on the ledger's thread."""

    @abstractmethod
    def report_hanging(self, after_s: float) -> None:
        """Warn of a ledger that has not answered for so long; by any thread."""

    @abstractmethod
    def hanging(self) -> OverloadedError:
        """What callers get who need an answer of a ledger that hangs."""

    @abstractmethod
    def close(self) -> None:
        """Write what can still be written, and close all files and connections."""

    def _begin(self, call: Begun) -> Begun:
        reserved = self._in_flight.get(call.id)
        self._in_flight[call.id] = call = call._replace(ticks=reserved.ticks if reserved else None)
        return call


class FileBooks(Books):
    """Rows of calls, in a file of this folder; None takes the user's own."""

    def __init__(self, folder: Path | None, shared: "RedisBudget | None", renew_s: float = RENEW_S) -> None:
        super().__init__(renew_s)
        self._folder = folder
        self._shared = shared
        self._owner = new_owner()
        self._disk: Store | None = None
        self._memory: Store | None = None
        self._try_again_at = 0.0
        self._renew_at = 0.0
        self._slow_until = 0.0
        self._is_local = False  # the disk
        self._untidy = 0
        self._warned = False
        self._in_use = False  # whether this process has written to the file
        self._spent: dict[_Place, tuple[float, int]] = {}  # in a day, should the file go away

    def flush(self) -> None:
        """Write the rows that have come; a failure is reported once and loses no more than them."""
        ended = [self.ended.popleft() for _ in range(len(self.ended))]
        begun = [self._begin(self.begun.popleft()) for _ in range(len(self.begun))]
        if not begun and not ended:
            return
        try:
            self.with_store(lambda store: store.write(begun, ended))
            for entry, call_id in ended:
                self._settle(entry, call_id)
        except Exception as error:
            self._warn(error)
        self._untidy += 1
        for _, call_id in ended:
            self._in_flight.pop(call_id, None)

    def flush_at_once(self) -> bool:
        """Write these rows without waiting for anybody or for the disk; False where that can't be.

        Then they are still there, for `flush`.
        """
        if self._disk is None or not self._is_local or self._memory is not None or self._shared is not None:
            return False
        ended, begun = list(self.ended), list(map(self._begin, self.begun))
        began = time.monotonic()
        try:
            if began < self._slow_until or not self._disk.is_intact():
                return False
            self._disk.write_at_once(begun, ended)
        except Exception:  # the same will happen to `flush`, which knows what to do about it
            return False
        if time.monotonic() - began > SLOW_S:
            self._slow_until = began + AGAIN_S
        self.begun.clear()
        self.ended.clear()
        for entry, call_id in ended:
            self._settle(entry, call_id)
            self._in_flight.pop(call_id, None)
        self._untidy += 1
        return True

    def tidy(self) -> None:
        """Keep the log of the file short, once in many writes."""
        if self.is_untidy and self._disk is not None:
            self._untidy = 0
            try:
                self._disk.tidy()
            except Exception as error:
                self._warn(error)

    @property
    def is_untidy(self) -> bool:
        """Whether the log is long."""
        return self._untidy >= TIDY_AFTER

    def _settle(self, entry: Entry, call_id: str) -> None:
        since = midnight(entry.at)
        for place in _places(entry):
            day, spent = self._spent.get(place, (0.0, 0))
            if day == since:
                self._spent[place] = day, spent + (entry.ticks or 0)
        reserved = self._in_flight.get(call_id)
        if self._shared is not None and reserved is not None:
            self._shared.settle(reserved, entry.ticks or 0, since)

    def reserve(self, wanted: Begun, caps: Caps) -> Standing:
        """Let a call begin within the caps of a day; as `Ledger.reserve`."""
        now = time.time()
        since = midnight(now)
        caller, sandbox = wanted.caller, wanted.sandbox
        places = _places(wanted)
        days = [self._spent.get(place, (0.0, 0)) for place in places]
        known, of_group = (*(spent if day == since else 0 for day, spent in days), 0)[:2]
        ticks = self.with_store(
            lambda store: store.estimate(caller, wanted.tool, wanted.model_asked, sandbox=sandbox)
        )
        wanted = wanted._replace(ticks=ticks)
        if self._shared is None:
            standing = self.with_store(lambda store: store.reserve(wanted, caps, since, known, now, of_group))
        else:
            here, group = self.with_store(
                lambda store: (
                    store.spent(caller, since, sandbox=sandbox),
                    store.group_spent(wanted.group, since, sandbox=sandbox) if caps.group is not None else 0,
                )
            )
            standing = self._shared.reserve(wanted, caps, since, max(here, known), max(group, of_group))
        if not standing.of_group:
            spent = standing.spent, standing.group_spent
            self._spent.update({place: (since, ticks) for place, ticks in zip(places, spent, strict=False)})
        if standing.admitted:
            self._in_flight[wanted.id] = wanted
        return standing

    def problem(self) -> str | None:
        """Why nothing can be reserved now, None where it can."""
        if find_spec("sqlite3") is None or find_spec("_sqlite3") is None:
            return "the budget can't be counted: this Python has no SQLite"
        if self._shared is not None and not self._shared.answers():
            return "the budget can't be checked: Redis can't be reached"
        return None

    def renew(self) -> None:
        """Report that the calls in flight still are."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + self.renew_s
        in_flight = list(self._in_flight.values())
        try:
            if self._shared is not None:
                self._shared.renew(in_flight)
            if in_flight:
                self.with_store(lambda store: store.renew(in_flight, time.time()))
        except Exception as error:
            self._warn(error)

    def with_store(self, work: "Callable[[Store], T]") -> T:
        """Do the work with the file; with what stands in for it where the file can't be used."""
        import sqlite3  # with the first call: no start should wait for it

        if time.monotonic() >= self._try_again_at:
            for _ in range(2):  # once more where the file that was in use is no longer one
                try:
                    result = work(self._file())
                    self._in_use = True
                    return result
                except (sqlite3.Error, OSError, RuntimeError, LedgerError) as error:
                    if not (self._in_use and self._replace(error)):
                        self._give_up(error)
                        break
        return work(self._stand_in())

    def _file(self) -> "Store":
        """The ledger's file, with what was counted in memory meanwhile."""
        from grok_mcp.accounting.sqlite import ReplacedError, Store

        if self._disk is not None and not self._disk.is_intact():
            raise ReplacedError
        if self._disk is None:
            self._disk = Store(ledger_path(self._folder), self._owner)
            self._disk.take_over(None, list(self._in_flight.values()))
            self._is_local = is_local(ledger_path(self._folder))
        if self._memory is not None:
            self._disk.take_over(self._memory, list(self._in_flight.values()))
            self._memory.close()
            self._memory = None
        return self._disk

    def _replace(self, error: Exception) -> bool:
        """Make room for a new ledger where the one in use was cut, overwritten or deleted; False otherwise.

        What is there is kept under another name. A ledger that another process has begun meanwhile is used.
        """
        from grok_mcp.accounting.sqlite import is_damage, is_foreign, set_aside

        if not is_damage(error):
            return False
        path = ledger_path(self._folder)
        aside = None
        try:
            if self._disk is None or self._disk.is_in_place() or is_foreign(path):
                aside = set_aside(path)  # closed after it, else SQLite would still write to it
            else:
                self._disk.take_log_along()
        except OSError as reason:
            self._warn(reason)
            return False
        finally:
            self._close_file()
        self._in_use = False
        kept = f"what is there now is kept as {aside}" if aside else "nothing of it is left"
        logger.warning(
            "the ledger %s was cut, overwritten or deleted while in use: %s, and a new one is begun",
            path,
            kept,
        )
        return True

    def _stand_in(self) -> "Store":
        from grok_mcp.accounting.sqlite import Store

        if self._memory is None:
            self._memory = Store(None, self._owner)
            self._memory.take_over(None, list(self._in_flight.values()))
        return self._memory

    def reader(self) -> Reader:
        """Reads the file, and what is in memory because that can't be written."""
        from grok_mcp.accounting.sqlite import read_file

        beside = self._memory.rows() if self._memory else None
        return partial(read_file, ledger_path(self._folder), beside=beside)

    def read_here(self, work: Callable[[Reading], T]) -> T:
        """What `work` finds in the open file, or what stands in for it."""
        return self.with_store(lambda store: work(store.reading))

    def _give_up(self, error: Exception) -> None:
        """Leave the file alone for a while; it can still be read while it is open."""
        from grok_mcp.accounting.sqlite import is_damage

        self._warn(error)
        if is_damage(error):
            self._close_file()
        self._try_again_at = time.monotonic() + AGAIN_S

    def _close_file(self) -> None:
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def report_hanging(self, after_s: float) -> None:
        """Warn of a disk that has not answered; by any thread."""
        self._warn(LedgerError(f"its disk has not answered for {after_s:g} s"))

    def hanging(self) -> OverloadedError:
        """Names the disk."""
        return OverloadedError(
            "The ledger can't be reached: its disk does not answer. Nothing was sent.",
            "Try again later, or have GROK_MCP_STATE_DIR set to a folder on a disk that answers.",
        )

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "the ledger in %s can't be used (%s): usage is counted in memory only until it can; "
                "repair or move it, or set GROK_MCP_STATE_DIR",
                *(self._folder or "the user's state folder", error),
            )

    def close(self) -> None:
        """Write what can still be written, and close all files and connections."""
        if self._memory is not None:  # the last chance for what it holds
            self._try_again_at = 0.0
            with suppress(Exception):
                self.with_store(lambda store: None)
        for store in (self._disk, self._memory, self._shared):
            if store is not None:
                store.close()
        self._disk = self._memory = None


def _places(call: Begun | Entry) -> list[_Place]:
    """What counts a call's cost: its caller, then its group where it has one."""
    named = (("caller", call.caller), ("group", call.group))
    return [(kind, name, call.sandbox) for kind, name in named if name or kind == "caller"]
