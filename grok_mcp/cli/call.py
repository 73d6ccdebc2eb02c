"""`grok-mcp-server ask`, `search` and `structured`: the tools as commands.

The pipeline is that of a host's call, without the MCP session: the server's settings and the tools' own
checks apply here too. A command's flags are the properties of its tool's published schema.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import click

from grok_mcp.cli.console import BAD_USAGE, FAILED
from grok_mcp.cli.flags import OWN, flag, write_groups
from grok_mcp.cli.git import git_diff
from grok_mcp.cli.stdin import DASH, read_piped
from grok_mcp.cli.terminal import ShellView
from grok_mcp.cli.wording import flag_of
from grok_mcp.environment import read_settings
from grok_mcp.errors import (
    CallLimitError,
    ConversationNotFoundError,
    GrokError,
    InternalError,
    InvalidArgumentError,
)
from grok_mcp.events import Observer, ignore
from grok_mcp.logs import configure_logging
from grok_mcp.messages import Answer, Call, Consent
from grok_mcp.pipeline import Grok
from grok_mcp.serving import close_telemetry, configure_telemetry
from grok_mcp.settings import Settings
from grok_mcp.stores import open_shell_conversations, shell_stores
from grok_mcp.streams import StdoutError, check_stdout, say
from grok_mcp.tools import PUBLISHED, TOOLS, DryRun, ToolSpec, read_named_image, run_counted, run_dry

logger = logging.getLogger(__name__)


class Own(NamedTuple):
    """What a command takes beside its tool's arguments; the names are those of `flags.OWN`."""

    git_diff: bool
    git_base: str
    go_on: bool
    plain: bool
    as_json: bool
    dry_run: bool


class CallCommand(click.Command):
    """One tool as a command."""

    def __init__(self, name: str, tool: str, help: str) -> None:
        super().__init__(name, callback=self._run, help=help)
        self._tool = tool

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The question, a flag for each other argument, those of `flags.OWN`, and `--help`."""
        return [*self._arguments, *super().get_params(ctx)]

    @cached_property
    def _arguments(self) -> list[click.Parameter]:
        schema = PUBLISHED[self._tool]
        subject = subject_of(schema)
        named = [flag(name, one) for name, one in schema["properties"].items() if name != subject]
        words = click.Argument(["words"], nargs=-1, metavar=f"[{subject.upper()}]")
        return [words, *named, *OWN]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags in groups."""
        write_groups(ctx, formatter, self.get_params(ctx))

    def _run(self, /, words: tuple[str, ...], **flags: Any) -> None:
        own = Own(**{name: flags.pop(name) for name in Own._fields})
        if own.go_on and flags["conversation_id"]:
            raise click.UsageError("--continue and --conversation exclude each other")
        status = call_tool(self._tool, words, flags, own)
        click.get_current_context().exit(status)


def subject_of(schema: Mapping[str, Any]) -> str:
    """The argument that holds the question: the first that a tool requires."""
    return str(schema["required"][0])


def call_tool(tool: str, words: Sequence[str], flags: Mapping[str, Any], own: Own) -> int:
    """Call a tool with the arguments of the command line; returns the exit status."""
    settings = read_settings()
    if settings is None:
        return BAD_USAGE
    check_stdout()
    if settings.audit == "stdout":
        say("GROK_MCP_AUDIT: stdout belongs to the answer in a shell: name stderr or a file")
        return BAD_USAGE
    counts = settings.budget_usd_per_day is not None or settings.limits_file is not None
    if not counts:  # conversations are kept in a file here: no need of Redis
        settings = settings.model_copy(update={"redis_url": None})
    configure_logging(settings)
    configure_telemetry()
    spec = TOOLS[tool]
    view = ShellView(
        spec.input_schema, data_only=spec.renders == "data", as_json=own.as_json, plain=own.plain
    )
    try:
        outcome = anyio.run(_outcome, spec, settings, words, flags, own, view)
        if isinstance(outcome, GrokError):
            view.fail(outcome)
            return BAD_USAGE if outcome.code == InvalidArgumentError.code else FAILED
        if isinstance(outcome, DryRun):
            view.preview(outcome)
            return 0
        view.conclude(outcome)
        return FAILED if outcome.finish_reason == "interrupted" else 0
    finally:
        view.close()
        close_telemetry()


async def _outcome(
    spec: ToolSpec,
    settings: Settings,
    words: Sequence[str],
    flags: Mapping[str, Any],
    own: Own,
    view: ShellView,
) -> Answer | DryRun | GrokError:
    """The answer, or any error: nothing else catches all."""
    try:
        raw = read_arguments(spec.input_schema, words, flags, view.hint)
        if own.git_diff:
            subject = subject_of(spec.input_schema)
            raw[subject] = "\n\n".join(filter(None, (raw[subject], git_diff(own.git_base))))
        kept = open_shell_conversations(settings)
        if own.go_on or raw.get("conversation_id"):
            raw["conversation_id"] = raw.get("conversation_id") or (kept and await kept.last())
            _check_kept(settings, raw["conversation_id"] if kept else None)
        grok = Grok(settings, stores=shell_stores(kept))
        try:
            if own.dry_run:
                return await run_dry(spec, grok, raw, _call(spec))
            answer = await _answer(spec, grok, raw, view)
        finally:
            await grok.aclose()
        return answer if kept else replace(answer, conversation_id=None)
    except GrokError as error:
        return error
    except StdoutError:
        raise
    except Exception as error:
        logger.debug("call of %s failed", spec.name, exc_info=True)
        return InternalError(
            f"An error in this program ({type(error).__name__}).",
            "GROK_MCP_LOG_LEVEL=debug shows the details; please report them.",
        )


def _check_kept(settings: Settings, handle: str | None) -> None:
    """Raise ConversationNotFoundError where there is nothing to go on from."""
    if handle is None:
        why = "none is kept any more" if settings.keep == "on" else "GROK_MCP_KEEP=off keeps none"
        raise ConversationNotFoundError(
            f"There is no conversation to go on with: {why}.", "Ask without --continue and --conversation."
        )


def _call(spec: ToolSpec, observe: Observer = ignore) -> Call:
    """A call by the person at this shell, who may name any file."""
    call = Call(spec.name, observe=observe)
    call.transport = "shell"
    call.file_roots, call.reads_anywhere = (Path(),), True
    return call


async def _answer(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], view: ShellView) -> Answer:
    """The answer; whoever sits at a terminal can agree to a cost above the limit."""

    async def answer(observe: Observer) -> Answer:
        call = _call(spec, observe)
        call.may_ask, call.consent = may_ask, consent
        return await run_counted(spec, grok, raw, call)

    may_ask, consent = view.can_ask, Consent()
    try:
        return await view.watch(answer, grok)
    except CallLimitError as error:
        if not may_ask:
            raise
        agreed = await view.agrees(f"{error.question} Send it?")
        may_ask, consent = False, Consent(error.usd) if agreed else Consent(reason="You declined that.")
    return await view.watch(answer, grok)


def read_arguments(
    schema: Mapping[str, Any], words: Sequence[str], flags: Mapping[str, Any], hint: Callable[[str], None]
) -> dict[str, Any]:
    """The arguments of a call, from words, flags, files and stdin; raises InvalidArgumentError."""
    raw = {name: value for name, value in flags.items() if value not in (None, ())}
    for name, value in raw.items():
        property = schema["properties"][name]
        if name == "images":
            raw[name] = [_image(image, number) for number, image in enumerate(value)]
        elif property["type"] == "object":
            raw[name] = _json(value, name)
        elif property["type"] == "array" and property["items"]["type"] == "object":
            values = [_json(text, name) for text in value]
            raw[name] = [item for value in values for item in (value if isinstance(value, list) else [value])]
        elif name == "files":  # whose names may hold commas
            raw[name] = list(value)
        elif property["type"] == "array":  # a single text may hold several, with commas between them
            raw[name] = value[0] if len(value) == 1 else list(value)
    return {subject_of(schema): _question(words, hint), **raw}


def _question(words: Sequence[str], hint: Callable[[str], None]) -> str:
    """The words of the command line, the text from stdin, or both, the second below the first."""
    piped = read_piped(words)
    if piped.left:
        hint(f"stdin was not read: {piped.left}. Add - to send it along.")
    return "\n\n".join(filter(None, (" ".join(word for word in words if word != DASH), piped.text)))


def _image(image: str, number: int) -> str:
    """An image as a host would send it; a file named on the command line may be anywhere."""
    if image.lower().startswith(("https://", "http://", "data:")):
        return image
    return read_named_image(image, f"images[{number}]")


def _json(value: str, name: str) -> Any:
    """A JSON value from the command line, or from a file named there."""
    text, place = value.strip(), flag_of(name, "array" if name.endswith("s") and name != "options" else "")
    if not text.startswith(("{", "[")):
        path = Path(text.removeprefix("@")).expanduser()
        place = f"{place} {path}"
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise InvalidArgumentError(f"{place}: can't be read: {why}.", "Pass JSON or a file.") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{place}: is not JSON: {error}.", "Correct it.") from None


ask = CallCommand(
    "ask",
    "ask_grok",
    """Ask Grok a question, and read the answer as it is written.

    The prompt is the text on the command line. Without one, or where - is among its words, stdin is read to
    its end, and stands below it. What is piped to this command alone, as in git diff | … ask "Review this",
    is read without - too; a file (< FILE), and what a loop or a script around it reads, only with -.

    A terminal shows Markdown, laid out block by block; a pipe gets the text as Grok wrote it. The last 50
    conversations are kept for a week, unless GROK_MCP_KEEP=off.
    """,
)
search = CallCommand(
    "search",
    "grok_search",
    """Let Grok search the web and X, and answer with sources.

    A query is read as `ask` reads a prompt.
    """,
)
structured = CallCommand(
    "structured",
    "grok_structured",
    """Get JSON that fits a schema.

    Prints the JSON alone on stdout. A prompt is read as `ask` reads it.
    """,
)
