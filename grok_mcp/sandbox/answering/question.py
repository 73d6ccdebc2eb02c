"""What a request asks for, in the words of neither dialect."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from grok_mcp.models import Model
from grok_mcp.sandbox.answering.search import Scope


@dataclass(frozen=True)
class Function:
    """A function of the caller that Grok may ask to run."""

    name: str
    parameters: Any


@dataclass(frozen=True)
class Turn:
    """One message of the conversation: its text, the number of its images, the names of its documents."""

    role: str
    text: str
    images: int = 0
    documents: tuple[str, ...] = ()


_END_OF_FILES = "=== end of the files ==="


@dataclass(frozen=True)
class Question:
    """A request of either dialect.

    `search` is "on", "off" or "auto". `cites` says how an answer names its sources: by "inline" marks and
    annotations, by a list of "links", by the annotations of OpenRouter's "plugin", or by "none".
    """

    model: Model
    effort: str
    turns: tuple[Turn, ...]
    functions: tuple[Function, ...] = ()
    tool_choice: str = "auto"
    scopes: tuple[Scope, ...] = ()
    code: bool = False
    search: str = "auto"
    max_sources: int = 8
    cites: str = "inline"
    format: str = "text"
    schema: Any = None
    max_tokens: int | None = None
    cap_includes_reasoning: bool = False
    stop: tuple[str, ...] = ()
    choices: int = 1
    conversation: str = ""
    overhead: str = ""

    @property
    def prompt(self) -> str:
        """The user's last message, without the files that stand before it."""
        return self._message.rpartition(_END_OF_FILES)[2].lstrip()

    @property
    def files(self) -> tuple[str, ...]:
        """The files in that message, each with its lines, and the documents that came with it."""
        before, end, _ = self._message.rpartition(_END_OF_FILES)
        named = tuple(re.findall(r"^=== (.+) ===$", before, re.MULTILINE)) if end else ()
        return (*named, *next((turn.documents for turn in reversed(self.turns) if turn.role == "user"), ()))

    @property
    def _message(self) -> str:
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def images(self) -> int:
        """How many images came with the conversation."""
        return sum(turn.images for turn in self.turns)

    @property
    def results(self) -> tuple[str, ...]:
        """What the caller's functions returned since Grok's last message."""
        answers = [place for place, turn in enumerate(self.turns) if turn.role == "assistant"]
        recent = self.turns[answers[-1] + 1 :] if answers else self.turns
        return tuple(turn.text for turn in recent if turn.role == "tool")

    @property
    def schema_in_words(self) -> Any:
        """The last JSON Schema in the text of the messages; None where there is none."""
        for turn in reversed(self.turns):
            for text in reversed(turn.text.split("JSON Schema:")[1:]):
                with suppress(ValueError, RecursionError):
                    schema, _ = json.JSONDecoder().raw_decode(text.lstrip())
                    if isinstance(schema, dict):
                        return schema
        return None
