"""The `files` argument of the tools, and what comes of it; `attaching.py` makes it, in a thread.

That module is imported by the first call with files: all others start 10 ms sooner without it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import anyio
import anyio.lowlevel

from grok_mcp import bounds
from grok_mcp.errors import GrokError, OverloadedError
from grok_mcp.foreign import load_json
from grok_mcp.messages import Answer, Call, Document, Message
from grok_mcp.pipeline import Grok

T = TypeVar("T")

READ_WITHIN_S = 20.0
"""For the files of one call; a disk that is no longer there may never answer."""


class ReadFile(NamedTuple):
    """One file that goes out: its path with its lines, its size in bytes, its tokens by estimate.

    The tokens of a document or an image are unknown, and the size of what the endpoint fetches: None.
    """

    path: str
    bytes: int | None
    tokens: int | None


class Attached(NamedTuple):
    """All files of a call: what of them stands in the question, what goes beside it, and notes."""

    text: str = ""
    images: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    files: tuple[ReadFile, ...] = ()
    notes: tuple[str, ...] = ()

    def message(self, prompt: str, images: tuple[str, ...] = ()) -> Message:
        """The question: what it is about stands before it."""
        text = "\n\n".join(filter(None, (self.text, prompt)))
        return Message("user", text, images=(*images, *self.images), documents=self.documents)

    def noted(self, answer: Answer) -> Answer:
        """The answer with what was sent, and notes on it."""
        if not self.files:
            return answer
        shown = tuple(file.path for file in self.files)
        return replace(answer, files=shown, warnings=(*answer.warnings, *self.notes))


async def attach(names: Sequence[str], grok: Grok, call: Call) -> Attached:
    """Read the files of a call. Raises InvalidArgumentError, or OverloadedError for a disk that hangs."""
    if not names:
        return Attached()
    from grok_mcp.tools.attaching import attached

    return await _in_time(partial(attached, names, call, grok.settings.file_tokens))


def file_names(value: Any) -> Sequence[str]:
    """The names in a raw argument, whatever it is; none where only reading it can say what is wrong."""
    if isinstance(value, str):
        try:
            value = load_json(value) if value.lstrip().startswith("[") else [value]
        except ValueError:
            return (value,)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return ()
    return tuple(filter(None, map(str.strip, value[: bounds.FILES])))


async def fingerprint(names: Sequence[str], call: Call) -> str | None:
    """What tells apart two calls that name the same files, where these have changed; None for an error."""
    from grok_mcp.tools.attaching import state_of

    try:
        return await _in_time(partial(state_of, names, call))
    except GrokError:
        return None


async def _in_time(work: "partial[T]") -> T:
    with anyio.move_on_after(READ_WITHIN_S):
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_threads())
    raise OverloadedError(
        f"files: they could not be read within {READ_WITHIN_S:g} s: nothing was sent.",
        "Try again, or copy what matters into the prompt.",
    )


_LIMITERS = anyio.lowlevel.RunVar[anyio.CapacityLimiter]("threads that read files")


def _threads() -> anyio.CapacityLimiter:
    """Threads of their own: those that hang must not hold up anything else."""
    try:
        return _LIMITERS.get()
    except LookupError:
        _LIMITERS.set(limiter := anyio.CapacityLimiter(4))
        return limiter
