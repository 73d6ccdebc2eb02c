"""`grok-mcp ask`, `search` and `structured`: the tools as commands; `shell.py` does the work.

A command's flags are the properties of its tool's published schema, so that no list has to be kept.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import click

_TYPES = {"integer": click.INT, "number": click.FLOAT}
_METAVARS = {"integer": "N", "number": "NUMBER", "object": "JSON|FILE"}


class CallCommand(click.Command):
    """One tool as a command."""

    def __init__(self, name: str, tool: str, help: str) -> None:
        super().__init__(name, callback=self._run, help=help)
        self._tool = tool

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The question, a flag for each other argument, `--json` and `--help`."""
        return [*self._arguments, *super().get_params(ctx)]

    @cached_property
    def _arguments(self) -> list[click.Parameter]:
        from grok_mcp.cli.shell import CONTINUING, subject_of
        from grok_mcp.tools.published import PUBLISHED

        schema = PUBLISHED[self._tool]
        subject = subject_of(schema)
        flags = [
            _flag(name, one)
            for name, one in schema["properties"].items()
            if name != subject and name not in CONTINUING
        ]
        as_json = click.Option(["as_json", "--json"], is_flag=True, help="print the whole answer as JSON")
        return [click.Argument(["words"], nargs=-1, metavar=f"[{subject.upper()}]"), *flags, as_json]

    def _run(self, /, words: tuple[str, ...], as_json: bool, **given: Any) -> None:
        from grok_mcp.cli.shell import run_tool

        status = run_tool(self._tool, words, given, as_json=as_json)
        click.get_current_context().exit(status)


def _flag(name: str, schema: Mapping[str, Any]) -> click.Option:
    """The flag of one argument; one that takes a list may be repeated, and is also known in the singular."""
    kind = schema["type"]
    item = schema["items"] if kind == "array" else schema
    flag = f"--{name.replace('_', '-')}"
    spellings = [flag[:-1], flag] if kind == "array" and flag.endswith("s") else [flag]
    if kind == "boolean":
        return click.Option([name, *spellings], is_flag=True, default=None, help=schema.get("description"))
    closed = "enum" in schema
    return click.Option(
        [name, *spellings],
        type=click.Choice(schema["enum"], case_sensitive=False) if closed else _TYPES.get(kind, click.STRING),
        multiple=kind == "array",
        metavar=None if closed else "|".join(item.get("enum", ())) or _METAVARS.get(item["type"], "TEXT"),
        help=schema.get("description"),
    )


ask = CallCommand(
    "ask",
    "ask_grok",
    """Ask Grok a question, and read the answer as it is written.

    The prompt is what stands on the command line; `-` or a pipe reads it from stdin, and with both what comes
    over the pipe stands below it as context.
    """,
)
search = CallCommand(
    "search",
    "grok_search",
    """Let Grok search the web and X, and answer with sources.

    A query is read as `grok-mcp ask` reads a prompt.
    """,
)
structured = CallCommand(
    "structured",
    "grok_structured",
    """Get JSON that fits a schema.

    Prints the JSON alone on stdout. A prompt is read as `grok-mcp ask` reads it.
    """,
)
