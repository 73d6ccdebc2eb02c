"""What a scrape gets: everything that the processes of a server have measured, in Prometheus' text format."""

import asyncio
import os
import time
from pathlib import Path

import anyio.to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from grok_mcp.metrics.processes import FOLDER_VARIABLE, forget_the_dead

__all__ = ["CONTENT_TYPE", "Source"]

FRESH_S = 0.25
"""How old a text may be: however many scrape, it is made four times a second at most."""


class Source:
    """The text of one process, or of all that share a folder."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        folder = os.environ.get(FOLDER_VARIABLE)
        self._folder = Path(folder) if folder else None
        self._registry = registry or CollectorRegistry()
        if self._folder is not None:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry, folder)  # type: ignore[no-untyped-call]
        self._text = b""
        self._made_at = float("-inf")
        self._making: asyncio.Lock | None = None

    async def text(self) -> bytes:
        """The text as it is now, or was a moment ago; those who come at once share it."""
        if self._making is None:
            self._making = asyncio.Lock()
        async with self._making:
            if time.monotonic() - self._made_at > FRESH_S:
                self._text = await anyio.to_thread.run_sync(self._make)
                self._made_at = time.monotonic()
            return self._text

    def _make(self) -> bytes:
        if self._folder is not None:
            forget_the_dead(self._folder)
        return generate_latest(self._registry)
