"""What a tool is: its published face, its arguments, and the coroutine that answers.

Each tool is one file that defines one `ToolSpec`; `tools/__init__.py` lists them.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from grok_mcp.grok import Grok
from grok_mcp.messages import Answer
from grok_mcp.tools.arguments import Arguments
from grok_mcp.turn import Observer, ignore


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and who watches; `caller` separates one caller's conversations from another's."""

    caller: str = "local"
    observe: Observer = ignore


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool. `renders` says whether its answer is shown as Markdown or as JSON."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Grok, Any, Call], Awaitable[Answer]]
    renders: Literal["text", "data"] = "text"
    output_schema: Mapping[str, Any] | None = None
    always_load: bool = False
