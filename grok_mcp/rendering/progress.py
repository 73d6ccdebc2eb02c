"""Reports to the host what happens while a call runs, without ever delaying the upstream.

`Progress` observes the events of a call; a pump sends notes at its own pace: in `status` mode one line that
each note replaces, in `deltas` mode every piece of the text.
"""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio

from grok_mcp import bounds, events
from grok_mcp.pipeline import StreamedText
from grok_mcp.redaction import one_line

MAX_MESSAGE = 160


class Intervals(NamedTuple):
    """Seconds: until the first note, between notes, and until one that says that the call still runs."""

    first_s: float = 1.0
    status_s: float = 1.0
    shortest_s: float = 0.05
    heartbeat_s: float = 5.0


INTERVALS = Intervals()

Report = Callable[[float, str], Awaitable[None]]
"""Sends one note: seconds since the call began, and the message."""

logger = logging.getLogger(__name__)


class Progress:
    """The pump of one call: give it to `Grok` as observer, and run `pump` while the call runs."""

    def __init__(self, report: Report, intervals: Intervals = INTERVALS) -> None:
        self._report = report
        self._intervals = intervals
        self._started = time.monotonic()
        self._last = 0.0
        self._wake = anyio.Event()
        self._noticed = False
        self._finished = False

    def __call__(self, event: events.Event, added: str) -> None:
        """Take note of one event; never waits."""
        raise NotImplementedError

    async def pump(self) -> None:
        """Send notes until the call is over."""
        await self._send_notes()

    async def finish(self, text: str) -> None:
        """Send what is still to be sent, once the answer is there."""
        self._finished = True

    async def _send_notes(self) -> None:
        raise NotImplementedError

    def _notice(self) -> None:
        if not self._noticed:
            self._noticed = True
            self._wake.set()

    async def _wait(self, seconds: float) -> bool:
        """Wait for something to happen; False where nothing has."""
        with anyio.move_on_after(seconds):
            await self._wake.wait()
        happened = self._wake.is_set()
        self._wake = anyio.Event()
        self._noticed = False
        return happened

    async def _send(self, message: str, report: Report | None = None) -> None:
        """Send one note. A client that can't be reached does not fail the call: it has been paid for."""
        self._last = max(time.monotonic() - self._started, self._last + 0.001)
        try:
            await (report or self._report)(round(self._last, 3), message)
        except Exception:
            logger.debug("a progress note could not be sent", exc_info=True)


class PhaseLine:
    """The present phase of a call in one line, with counters and the tail of the text."""

    def __init__(self, upstream: str) -> None:
        self.changed_at = time.time()
        """When the phase began, in seconds since the epoch."""
        self._since = time.monotonic()
        self.has_changed = False
        """Whether the phase is another than when that was last set to False."""
        self._phase = f"waiting for {upstream}"
        self._begun = False
        self._characters = 0
        self._tail: deque[str] = deque(maxlen=40)
        self._sources: set[str] = set()
        self._steps: set[tuple[object, ...]] = set()

    def __call__(self, event: events.Event, added: str) -> None:
        """Keep the phase and counters up to date."""
        if added:
            self._characters += len(added)
            self._tail.append(added)
            if self._phase != "writing":
                self._enter("writing")
        elif isinstance(event, events.SourcesFound) and not self._sources.issuperset(event.urls):
            self._sources.update(event.urls)
            self._enter(f"reading {len(self._sources)} sources")
        else:
            self._enter_by(event)

    def _enter_by(self, event: events.Event) -> None:
        if isinstance(event, events.ReasoningDelta):
            self._enter("thinking")
        elif isinstance(event, events.STEPS):
            self._enter_step(event)
        elif isinstance(event, events.Waiting):
            self._enter(event.reason)
        elif isinstance(event, events.Restarted):
            self._characters = 0
            self._tail.clear()
            self._enter(event.reason or self._phase)
        elif isinstance(event, events.ToolCallDelta) and event.name:
            self._enter(f"calling {one_line(event.name)}")
        elif isinstance(event, events.Started) and not self._begun:
            self._begun = True
            self._enter(f"{one_line(event.model)} has begun")

    def _enter_step(self, event: events.Event) -> None:
        """What a tool at the endpoint does; what has been said of a step is not said again."""
        key, phase = getattr(event, "key", ""), ""
        match event:
            case events.SearchStep(_, kind, queries):
                phase = _searching("X" if kind == "x" else "the web", queries)
            case events.FileStep(_, queries):
                phase = _searching("files", queries)
            case events.PageStep(_, url):
                phase = f"reading {_host(url)}"
            case events.CodeStep() | events.CodeDelta():
                phase = "running code"
            case events.McpStep(_, server, name) if name:
                phase = f"calling {one_line(f'{server}.{name}' if server else name)}"
            case events.MediaStep(_, kind):
                phase = _MEDIA[kind]
        if phase and (key, phase) not in self._steps:
            self._steps.add((key, phase))
            self._enter(phase)

    def _enter(self, phase: str) -> None:
        if phase != self._phase:
            self._phase = phase
            self.changed_at, self._since = time.time(), time.monotonic()
            self.has_changed = True

    def message(self) -> str:
        """The line, of at most MAX_MESSAGE characters."""
        if self._phase == "writing":
            head = f"writing, {self._characters:,} characters: …"
            tail = one_line("".join(piece[-MAX_MESSAGE:] for piece in self._tail))
            return head + tail[-(MAX_MESSAGE - len(head)) :]
        seconds = time.monotonic() - self._since
        timed = f"{self._phase}, {seconds:.0f} s" if seconds >= 1 else self._phase
        return timed if len(timed) <= MAX_MESSAGE else f"{timed[: MAX_MESSAGE - 1]}…"


_MEDIA = {"image": "viewing an image", "video": "viewing a video", "drawing": "drawing an image"}


def _searching(place: str, queries: Iterable[str]) -> str:
    """Where something is searched, and what if that is known."""
    quoted = ", ".join(f"“{one_line(query)}”" for query in queries)
    return f"searching {place}: {quoted}" if quoted else f"searching {place}"


def _host(url: str) -> str:
    try:
        host = urlsplit(url[: bounds.URL_CHARACTERS]).hostname or ""
    except ValueError:
        host = ""
    return one_line(host).removeprefix("www.") or "a page"


class StatusProgress(Progress):
    """One line that each note replaces."""

    def __init__(self, report: Report, upstream: str, intervals: Intervals = INTERVALS) -> None:
        super().__init__(report, intervals)
        self._line = PhaseLine(upstream)

    def __call__(self, event: events.Event, added: str) -> None:
        """Keep the line up to date."""
        self._line(event, added)
        self._notice()

    async def finish(self, text: str) -> None:
        """An answer that came at once still shows that it came from upstream."""
        await super().finish(text)
        if not self._last:
            await self._send(self._line.message())

    async def _send_notes(self) -> None:
        await self._wait(self._intervals.first_s)
        while not self._finished:
            self._line.has_changed = False
            await self._send(self._line.message())
            await anyio.sleep(self._intervals.shortest_s)
            happened = await self._quiet_second()
            if not happened and not self._line.has_changed:
                await self._wait(self._intervals.heartbeat_s - self._intervals.status_s)

    async def _quiet_second(self) -> bool:
        """Hold the next note back, but not beyond a change of phase; whether anything happened."""
        until, happened = time.monotonic() + self._intervals.status_s, False
        while not self._line.has_changed and (left := until - time.monotonic()) > 0:
            happened = await self._wait(left) or happened
            if happened and not self._line.has_changed:
                await anyio.sleep(min(self._intervals.shortest_s, left))
        return happened


class DeltaProgress(Progress):
    """Every piece of the first answer's text; all messages of a call concatenate to exactly that text.

    Where the text begins anew, `restart` says so, and what follows concatenates to it.
    """

    def __init__(self, report: Report, restart: Report, intervals: Intervals = INTERVALS) -> None:
        super().__init__(report, intervals)
        self._restart = restart
        self._text = StreamedText()
        self._taken = 0
        self._known = 0
        self._restarts = False
        self._sending = anyio.Lock()

    def __call__(self, event: events.Event, added: str) -> None:
        """Take over new text that nothing can come before any more."""
        if isinstance(event, events.Resumed):
            self._known = event.offset
        elif isinstance(event, events.Restarted):
            self._restarts = True
            self._taken = self._known = 0
            self._notice()
        if self._text.add(event, added):
            self._notice()

    def _take(self) -> str:
        """What is settled and neither sent nor known."""
        before, text = self._taken, self._text.take()
        self._taken += len(text)
        return text[max(self._known - before, 0) :]

    async def _send_pending(self, more: str = "") -> None:
        """Send what has come since the last note, and what is known to follow it."""
        if self._restarts:
            self._restarts = False
            await self._send("", self._restart)
        await self._send(self._take() + more)

    async def finish(self, text: str) -> None:
        """Send the rest of the text that has not gone out as a delta."""
        await super().finish(text)
        async with self._sending:
            settled = self._taken + self._text.settled
            rest = text[max(settled, self._known) :]
            if rest or settled > max(self._taken, self._known) or self._restarts:
                await self._send_pending(rest)

    async def _send_notes(self) -> None:
        while not self._finished:
            await self._wait(self._intervals.heartbeat_s)
            async with self._sending:
                await self._send_pending()
            await anyio.sleep(self._intervals.shortest_s)
