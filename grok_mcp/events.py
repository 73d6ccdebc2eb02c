"""What happens in an upstream answer, in the words of neither wire format.

The dialects make these out of stream events and whole bodies; `pipeline/fold.py` adds them up to an answer
and `rendering/progress.py` reports them to the host. A place in the text is (choice, item, part): which
alternative, which message item, which content part of it.

Named tuples, as are other small values of this program: a dataclass takes ten times as long to define, and
the host waits for that at each start.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from grok_mcp.usage import UsageReport

Reason = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why a model stopped."""


class Place(NamedTuple):
    """Where text belongs; the chat dialect knows choices only, the responses dialect items and parts."""

    choice: int = 0
    item: str = ""
    part: int = 0


FIRST = Place()
"""Where nearly all text belongs."""


class Started(NamedTuple):
    """The endpoint has taken the request; `model` is the one that answers.

    `response_id` and `service_tier` are those that it gave, where it did.
    """

    model: str
    response_id: str = ""
    service_tier: str = ""


class TextDelta(NamedTuple):
    """A further piece of text."""

    text: str
    place: Place


class TextDone(NamedTuple):
    """The whole text of one part; counts only where its deltas did not come."""

    text: str
    place: Place


class ItemDone(NamedTuple):
    """No more text comes for this message item."""

    item: str


class ReasoningDelta(NamedTuple):
    """Grok thinks; the text is counted, not rendered."""

    text: str


class EncryptedReasoning(NamedTuple):
    """A reasoning item that is to be sent back in the next turn."""

    id: str
    item: Mapping[str, Any]


class ToolCallDelta(NamedTuple):
    """A piece of a function call, or all of it where `complete`."""

    key: str
    id: str = ""
    name: str = ""
    arguments: str = ""
    complete: bool = False
    choice: int = 0


class SearchStep(NamedTuple):
    """A server-side search began or became known better; one search may have several queries, or none yet.

    `item` is the endpoint's own name for it, as in the steps below.
    """

    key: str
    kind: Literal["web", "x"]
    queries: tuple[str, ...] = ()
    item: str = ""


class PageStep(NamedTuple):
    """A page that is opened at the endpoint; `pattern` is what is looked for in it."""

    key: str
    url: str
    pattern: str = ""
    item: str = ""


class CodeStep(NamedTuple):
    """Code that runs at the endpoint, or became known better; what is empty is not known yet.

    `item` is the endpoint's own name for it, `images` are addresses, `status` is a word of the endpoint's.
    """

    key: str
    item: str = ""
    code: str = ""
    logs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    status: str = ""


class CodeDelta(NamedTuple):
    """A further piece of the code that is going to run."""

    key: str
    text: str


class FoundFile(NamedTuple):
    """A document that a search of files met; `score` is None where the endpoint gives none."""

    id: str
    name: str
    score: float | None = None


class FileStep(NamedTuple):
    """A search of files at the endpoint began or became known better."""

    key: str
    queries: tuple[str, ...] = ()
    found: tuple[FoundFile, ...] = ()
    item: str = ""


class McpStep(NamedTuple):
    """A tool of another MCP server is called by the endpoint."""

    key: str
    server: str = ""
    name: str = ""
    item: str = ""


class MediaStep(NamedTuple):
    """An image or a video is viewed, or an image drawn, at the endpoint."""

    key: str
    kind: Literal["image", "video", "drawing"]
    item: str = ""


class SourcesFound(NamedTuple):
    """Pages that a search met, cited or not; `key` and `item` are those of its step."""

    urls: tuple[str, ...]
    key: str = ""
    item: str = ""


class CitationFound(NamedTuple):
    """An annotation; `start` and `end` are offsets into the text of its part, both 0 for none."""

    url: str
    title: str
    place: Place
    start: int = 0
    end: int = 0


class UsageReported(NamedTuple):
    """Counts so far; the last report counts."""

    report: UsageReport


class Finished(NamedTuple):
    """Why the model stopped."""

    reason: Reason
    choice: int = 0


class Ended(NamedTuple):
    """The endpoint says that the answer is complete."""


class Failed(NamedTuple):
    """An error inside an answer; `payload` is the error object as it came."""

    payload: Mapping[str, Any]


class Waiting(NamedTuple):
    """Our own note that nothing is under way upstream, and why; no dialect makes it."""

    reason: str


class Resumed(NamedTuple):
    """Our own note that who watches from now on has the text up to this offset already."""

    offset: int


class Restarted(NamedTuple):
    """Our own note that the text begins anew, and why: what came before it does not count."""

    reason: str = ""


Event = (
    Started
    | TextDelta
    | TextDone
    | ItemDone
    | ReasoningDelta
    | EncryptedReasoning
    | ToolCallDelta
    | SearchStep
    | PageStep
    | CodeStep
    | CodeDelta
    | FileStep
    | McpStep
    | MediaStep
    | SourcesFound
    | CitationFound
    | UsageReported
    | Finished
    | Ended
    | Failed
    | Waiting
    | Resumed
    | Restarted
)

STEPS = (SearchStep, PageStep, CodeStep, CodeDelta, FileStep, McpStep, MediaStep)
"""What tools at the endpoint do."""

CONTENT = (TextDelta, TextDone, ReasoningDelta, EncryptedReasoning, ToolCallDelta, *STEPS)
"""Events that a caller is billed for: after the first of them nothing is sent again."""

Observer = Callable[[Event, str], None]
"""Takes every event of a call, and the text that it added; must not block."""


def ignore(event: Event, added: str) -> None:
    """The observer of a call that nobody watches."""
