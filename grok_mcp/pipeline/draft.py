"""The text of an answer while it is written: as much of it as nothing can come before any more."""

from grok_mcp import events
from grok_mcp.pipeline.fold import SEPARATOR


class Draft:
    """The first answer's text; all that is taken out of it concatenates to exactly that text."""

    def __init__(self) -> None:
        self.length = 0
        self.model = ""
        self._settled: list[str] = []
        self._live_item: str | None = None
        self._closed: set[str] = set()
        self._held: dict[str, list[str]] = {}

    def add(self, event: events.Event, added: str) -> bool:
        """Take one event in, with the text that it added; whether there is something to take out."""
        if added and isinstance(event, events.TextDelta | events.TextDone):
            if event.place.choice == 0:
                self._append(event.place.item, added)
        elif isinstance(event, events.ItemDone):
            self._close(event.item)
        elif isinstance(event, events.Started):
            self.model = event.model
        return bool(self._settled)

    def _append(self, item: str, text: str) -> None:
        if self._live_item is None:
            self._live_item = item
            text = SEPARATOR + text if self.length else text
        if item == self._live_item:
            self._settled.append(text)
            self.length += len(text)
        else:
            self._held.setdefault(item, []).append(text)

    def _close(self, item: str) -> None:
        self._closed.add(item)
        while self._live_item in self._closed:
            self._live_item = None
            if self._held:
                following = next(iter(self._held))
                self._append(following, "".join(self._held.pop(following)))

    def take(self) -> str:
        """What has been settled since the last time."""
        text = "".join(self._settled)
        self._settled.clear()
        return text
