"""What happens in an upstream answer, in the words of neither wire format.

The dialects make these out of stream events and whole bodies; `fold.py` adds them up to an answer and
`progress.py` tells the host about them. A place in the text is (choice, item, part): which alternative,
which message item, which content part of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from grok_mcp.usage import UsageReport


class Place(NamedTuple):
    """Where text belongs; the chat dialect knows choices only, the responses dialect items and parts."""

    choice: int = 0
    item: str = ""
    part: int = 0


FIRST = Place()
"""Where nearly all text belongs."""


@dataclass(slots=True)
class Started:
    """The endpoint has taken the request; `model` is the one that answers."""

    model: str


@dataclass(slots=True)
class TextDelta:
    """A further piece of text."""

    text: str
    place: Place


@dataclass(slots=True)
class TextDone:
    """The whole text of one part; counts only where its deltas did not come."""

    text: str
    place: Place


@dataclass(slots=True)
class ItemDone:
    """No more text comes for this message item."""

    item: str


@dataclass(slots=True)
class ReasoningDelta:
    """Grok thinks; the text is counted, not shown."""

    text: str


@dataclass(slots=True)
class EncryptedReasoning:
    """A reasoning item that is to be sent back in the next turn."""

    id: str
    item: Mapping[str, Any]


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a function call, or all of it where `complete`."""

    key: str
    id: str = ""
    name: str = ""
    arguments: str = ""
    complete: bool = False


@dataclass(slots=True)
class SearchStep:
    """A server-side search began or became known better; `query` may be empty."""

    key: str
    kind: Literal["web", "x"]
    query: str = ""


@dataclass(slots=True)
class SourcesFound:
    """Pages that a search met, cited or not."""

    urls: tuple[str, ...]


@dataclass(slots=True)
class CitationFound:
    """An annotation; `start` and `end` are offsets into the text of its part, both 0 for none."""

    url: str
    title: str
    place: Place
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class UsageReported:
    """Counts so far; the last report counts."""

    report: UsageReport


@dataclass(slots=True)
class Finished:
    """Why the model stopped."""

    reason: Literal["stop", "length", "tool_calls", "content_filter"]
    choice: int = 0


@dataclass(slots=True)
class Ended:
    """The endpoint says that the answer is complete."""


@dataclass(slots=True)
class Failed:
    """An error inside an answer; `payload` is the error object as it came."""

    payload: Mapping[str, Any]


@dataclass(slots=True)
class Waiting:
    """Our own note that nothing is under way upstream, and why; no dialect makes it."""

    reason: str


Event = (
    Started
    | TextDelta
    | TextDone
    | ItemDone
    | ReasoningDelta
    | EncryptedReasoning
    | ToolCallDelta
    | SearchStep
    | SourcesFound
    | CitationFound
    | UsageReported
    | Finished
    | Ended
    | Failed
    | Waiting
)

CONTENT = (TextDelta, TextDone, ReasoningDelta, ToolCallDelta, SearchStep)
"""Events that a caller is billed for: after the first of them nothing is sent again."""
