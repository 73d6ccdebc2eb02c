"""What comes of the `files` argument: values only, so that no call without files waits for more."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from grok_mcp import bounds
from grok_mcp.foreign import load_json
from grok_mcp.messages import Answer, Document, Message


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


def file_names(value: Any) -> Sequence[str]:
    """The names in a raw argument, whatever it is; none where only reading it can say what is wrong."""
    if isinstance(value, str):
        try:
            value = load_json(value) if value.lstrip().startswith("[") else [value]
        except ValueError:
            return (value,)
    if not isinstance(value, list) or not all(isinstance(name, str | int) for name in value):
        return ()
    return tuple(str(name).strip() for name in value[: bounds.FILES])
