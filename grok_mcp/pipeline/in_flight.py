"""The calls in flight, so that a closing server can wait for them and then end them.

Every tool call and every stream is tracked here; a transport drains them when its input ends or a signal
comes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio


class InFlight:
    """All tool calls of this process that have not been answered yet."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._idle = anyio.Event()
        self._idle.set()
        self.leaving = False
        """Whether this process is about to close, and still takes calls of those who do not know that yet."""
        self.closing = False
        self.ending = False
        """Whether no further request can come, while those that came are still accepted."""
        self.is_collectable: Callable[[], bool] = lambda: False
        """Whether a call that no host waits for is useful to anybody once this process is gone."""
        self._interrupted = False

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def track(self) -> Iterator[anyio.CancelScope]:
        """Count one call; the scope is cancelled when the server can't wait for it any longer.

        The holder answers with what it has by then, marked `interrupted`.
        """
        scope = anyio.CancelScope()
        if not self._scopes:
            self._idle = anyio.Event()
        self._scopes.add(scope)
        if self._interrupted:
            scope.cancel()
        try:
            yield scope
        finally:
            self._scopes.discard(scope)
            if not self._scopes:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until none is left, and take no new one."""
        self.closing = self.ending = True
        await self._idle.wait()

    async def drain(self, grace_s: float) -> None:
        """Take no new call, give those in flight `grace_s` seconds to end, then interrupt them.

        Returns as soon as none is left, at once where there is none.
        """
        self.closing = self.ending = True
        with anyio.move_on_after(grace_s):
            await self._idle.wait()
        self._interrupted = True
        for scope in tuple(self._scopes):
            scope.cancel()
        with anyio.move_on_after(2):
            await self._idle.wait()
