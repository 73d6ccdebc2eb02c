"""The flags of `ask`, `search` and `structured`: each in a sentence for a person, in groups.

A tool's own descriptions are written for models, which pay for every word; an argument that has no sentence
here shows that one. To add an argument, add its sentence.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from grok_mcp.cli.wording import flag_of
from grok_mcp.gateways import GATEWAYS
from grok_mcp.models import MODELS

_TYPES = {"integer": click.INT, "number": click.FLOAT}
_METAVARS = {"integer": "N", "number": "NUMBER", "object": "JSON|FILE"}
_OWN_METAVARS = {
    "model": "MODEL",
    "country": "CODE",
    "from_date": "DATE",
    "to_date": "DATE",
    "conversation_id": "ID",
    "files": "PATH",
    "images": "PATH|URL",
    "allowed_domains": "DOMAIN",
    "excluded_domains": "DOMAIN",
    "allowed_x_handles": "HANDLE",
    "excluded_x_handles": "HANDLE",
}

MATERIAL, SEARCH, MODEL, TOOLS, CONVERSATION, OUTPUT = GROUPS = (
    "What Grok reads",
    "Search",
    "Model",
    "Functions and code",
    "Conversation",
    "Output",
)

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "files": (
        MATERIAL,
        "Send a file: a path, path:10-40 (lines), a folder, a glob as 'src/**/*.py', a PDF, an https URL.",
    ),
    "images": (MATERIAL, "Send a picture, PNG or JPEG: a path, an https URL, or a data URI."),
    "instructions": (MATERIAL, "Set the system message: the role, the language, the form."),
    "schema": (MATERIAL, "The JSON Schema that the answer has to fit."),
    "name": (MATERIAL, "Name the schema, for the model."),
    "search": (SEARCH, "Search the web and X first."),
    "sources": (SEARCH, "Search here; repeat it for several (default: web and x)."),
    "mode": (SEARCH, "on searches always (default), auto where it helps, off never."),
    "from_date": (SEARCH, "Take nothing older, as 2026-01-31."),
    "to_date": (SEARCH, "Take nothing newer; that day is included."),
    "allowed_domains": (SEARCH, "Search this site only; at most 5, and not with --excluded-domain."),
    "excluded_domains": (SEARCH, "Leave this site out; at most 5."),
    "allowed_x_handles": (
        SEARCH,
        "Search posts of this account only; at most 20, and not with --excluded-x-handle.",
    ),
    "excluded_x_handles": (SEARCH, "Leave posts of this account out; at most 20."),
    "country": (SEARCH, "Search as from this country, in two letters as US."),
    "max_results": (SEARCH, "Use at most so many sources, 1 to 50."),
    "model": (MODEL, "Ask this model; `models` lists them."),
    "reasoning_effort": (MODEL, "Think less or more; more costs more, and few models take none."),
    "max_output_tokens": (MODEL, "End the answer after so many tokens, thinking included."),
    "temperature": (MODEL, "Vary the words: 0 (hardly) to 2 (wildly)."),
    "options": (MODEL, "Set rarely needed options of the tool, as '{\"seed\": 7}'."),
    "code": (TOOLS, "Let Grok run Python at xAI."),
    "tools": (TOOLS, "Offer a function, in OpenAI's form; you run what Grok calls."),
    "tool_choice": (TOOLS, "auto (default), none, required, or the name of a function."),
    "tool_results": (TOOLS, "Answer a call of a function, with --continue or --conversation."),
    "conversation_id": (CONVERSATION, "Go on from the answer with this id, which its last line shows."),
}


class Flag(click.Option):
    """A flag in a group; of its spellings the help shows the first."""

    def __init__(self, *arguments: Any, group: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.group = group

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The row of the help."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        metavar = "" if self.is_flag else f" {self.make_metavar(ctx)}"
        return f"{self.opts[0]}{metavar}", record[1]


def flag(name: str, schema: Mapping[str, Any]) -> Flag:
    """The flag of an argument; for a list it may be repeated, and also has its name in the plural."""
    kind = schema["type"]
    item = schema["items"] if kind == "array" else schema
    first, plural = flag_of(name, kind), f"--{name.replace('_', '-')}"
    spellings = [first, plural] if kind == "array" and plural != first else [first]
    group, help = _SENTENCES.get(name, (MODEL, schema.get("description")))
    if kind == "boolean":
        return Flag([name, *spellings], is_flag=True, default=None, help=help, group=group)
    closed = "enum" in schema
    words = "|".join(item.get("enum", ()))
    metavar = None if closed else words or _OWN_METAVARS.get(name) or _METAVARS.get(item["type"], "TEXT")
    return Flag(
        [name, *spellings],
        type=click.Choice(schema["enum"], case_sensitive=False) if closed else _TYPES.get(kind, click.STRING),
        multiple=kind == "array",
        metavar=metavar,
        help=help,
        group=group,
        shell_complete=_completer(name, item.get("enum", ())),
    )


OWN: Sequence[Flag] = (
    Flag(["git_diff", "--git-diff"], is_flag=True, group=MATERIAL, help="Send the changes since --git-base."),
    Flag(
        ["git_base", "--git-base"],
        default="HEAD",
        metavar="REV",
        group=MATERIAL,
        help="The commit that --git-diff compares with (default: HEAD).",
    ),
    Flag(
        ["go_on", "--continue"], is_flag=True, group=CONVERSATION, help="Go on with your last conversation."
    ),
    Flag(
        ["plain", "--plain"],
        is_flag=True,
        group=OUTPUT,
        help="Print the text as Grok writes it, also on a terminal.",
    ),
    Flag(
        ["as_json", "--json"],
        is_flag=True,
        group=OUTPUT,
        help="Print the whole answer, or the error, as JSON.",
    ),
    Flag(
        ["dry_run", "--dry-run"],
        is_flag=True,
        group=OUTPUT,
        help="Show files, tokens and cost, and send nothing.",
    ),
)
"""Flags that no tool has as an argument."""


def write_groups(
    ctx: click.Context, formatter: click.HelpFormatter, parameters: Iterable[click.Parameter]
) -> None:
    """Write the flags below the titles of their groups."""
    rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for parameter in parameters:
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
            rows[getattr(parameter, "group", OUTPUT)].append(record)
    for group, records in rows.items():
        if records:
            with formatter.section(group):
                formatter.write_dl(records, col_max=min(28, formatter.width // 2))


Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_from(words: Sequence[str]) -> Completer | None:
    """Completes a value of these words in a shell; None for none."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in words if word.startswith(incomplete) and word.islower()]

    return complete if words else None


def _complete_file(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def _completer(name: str, words: Sequence[str]) -> Completer | None:
    """Completes the value of an argument: models and words that we know, and files where one may stand."""
    if name in ("files", "images", "schema", "options", "tools", "tool_results"):
        return _complete_file
    return complete_from(model_ids() if name == "model" else words)


def model_ids() -> list[str]:
    """The models that this program knows, of all gateways."""
    return list(
        dict.fromkeys([*MODELS, *(model for gateway in GATEWAYS.values() for model in gateway.models)])
    )
