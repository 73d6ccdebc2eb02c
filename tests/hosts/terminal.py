"""A host in a terminal, as its user has it: what is typed goes in, and what it draws is read.

async with at_terminal(host, given) as terminal:
    await terminal.shows("❯")
    await terminal.types("Please do as the model says.")
"""

import codecs
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.to_thread

from tests.hosts.hosts import Given, Host
from tests.hosts.running import POLL_S, Running, running

LINES, COLUMNS = 40, 120
SHOWN_S = 60.0
TYPED_S = 0.5
"""A host takes an Enter that comes with the text for a part of it."""
_MOVE = re.compile(r"\x1b\[(\d*)C")
_CONTROL = re.compile(r"\x1b\][^\x07]*\x07|\x1b\[[0-?]*[ -/]*[@-~]|\x1b.")


class Terminal:
    """The terminal's other end."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._drawn = ""

    @property
    def drawn(self) -> str:
        """All that was ever drawn, one piece behind the other, without how."""
        return _CONTROL.sub("", _MOVE.sub(lambda found: " " * int(found[1] or 1), self._drawn))

    async def read(self) -> None:
        """Read what the host draws, until it is gone."""
        with suppress(OSError):
            while True:
                await anyio.wait_readable(self._end)
                self._drawn += self._decoder.decode(os.read(self._end, 65_536))

    async def types(self, text: str) -> None:
        """Type a line, and Enter."""
        await self.presses(text)
        await anyio.sleep(TYPED_S)
        await self.presses("\r")

    async def presses(self, keys: str) -> None:
        """Type these characters."""
        await anyio.to_thread.run_sync(os.write, self._end, keys.encode())

    async def shows(self, text: str) -> None:
        """Wait until it has drawn this, blanks aside: a host moves the cursor instead."""
        await self.until(lambda: text.replace(" ", "") in self.drawn.replace(" ", ""), text)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something is so; what was drawn is in the failure."""
        with anyio.move_on_after(SHOWN_S):
            while not condition():
                await anyio.sleep(POLL_S)
            return
        raise AssertionError(f"not in {SHOWN_S:g} s: {what}\n{self.drawn[-3000:]}")


@asynccontextmanager
async def at_terminal(host: Host, given: Given) -> AsyncIterator[tuple[Terminal, Running]]:
    """The host in a terminal of its own; nothing of it is left behind the block."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    terminal = Terminal(ours)
    try:
        async with anyio.create_task_group() as group, running(host, given, terminal=its) as run:
            group.start_soon(terminal.read)
            yield terminal, run
            group.cancel_scope.cancel()
    finally:
        os.close(its)
        os.close(ours)
