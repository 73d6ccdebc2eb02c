"""What a tool is: its published face, its arguments, and the coroutine that answers.

Each tool is one file that defines one `ToolSpec`; `tools/__init__.py` lists them.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, NamedTuple

from grok_mcp.messages import Answer, Call, Collected
from grok_mcp.pipeline import Grok
from grok_mcp.tools.arguments import ToolArguments
from grok_mcp.tools.published import PUBLISHED
from grok_mcp.tools.turns import OpenTurn


class ToolSpec(NamedTuple):
    """One tool. `renders` says whether its answer is rendered as Markdown or as JSON; `open` makes what it
    would send.

    A tool that `collects` asks Grok for nothing: it waits for what another call has begun. One that
    `searches` always does, and takes its time.
    """

    name: str
    title: str
    description: str
    arguments: type[ToolArguments]
    run: Callable[[Grok, Any, Call], Awaitable[Answer | Collected]]
    open: Callable[[Grok, Any, Call], Awaitable[OpenTurn]] | None = None
    renders: Literal["text", "data"] = "text"
    output_schema: Mapping[str, Any] | None = None
    always_load: bool = False
    collects: bool = False
    searches: bool = False

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The published schema of the arguments."""
        if self.name not in PUBLISHED:
            raise LookupError(f"{self.name} has no published schema: run make snapshots")
        return PUBLISHED[self.name]

    def read(self, raw: Mapping[str, Any]) -> tuple[ToolArguments, list[str]]:
        """The arguments of a call, and warnings about misspelt names; raises InvalidArgumentError."""
        return self.arguments.read(raw, self.input_schema)

    def prepare(self) -> None:
        """Build the arguments' validator now; else the first call does."""
        self.arguments.model_rebuild()
