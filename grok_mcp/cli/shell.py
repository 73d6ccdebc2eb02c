"""One tool call from a shell: reads arguments as a person gives them, runs the tool, says what came of it.

`cli_call.py` calls it. It is the same pipeline as a host's, without the MCP session: the server's settings
and the tools' own checks hold here too.
"""

import json
import logging
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from grok_mcp.cli.terminal import ShellView
from grok_mcp.environment import read_settings
from grok_mcp.errors import GrokError, InternalError, InvalidArgumentError
from grok_mcp.logs import configure_logging
from grok_mcp.messages import Answer
from grok_mcp.pipeline.grok import Grok
from grok_mcp.pipeline.telemetry import made_by
from grok_mcp.serving.telemetry import close, configure
from grok_mcp.settings import Settings
from grok_mcp.tools import TOOLS
from grok_mcp.tools.counted import run_counted
from grok_mcp.tools.images import read_named_image
from grok_mcp.tools.spec import Call, ToolSpec

FAILED = 1
BAD_USAGE = 2

CONTINUING = ("conversation_id", "tool_results")
"""Arguments that go on from an earlier answer, which ends with its process here."""

logger = logging.getLogger(__name__)


def subject_of(schema: Mapping[str, Any]) -> str:
    """The argument that holds the question: the first one that a tool requires."""
    return str(schema["required"][0])


def run_tool(tool: str, words: Sequence[str], given: Mapping[str, Any], *, as_json: bool) -> int:
    """Call a tool with what stands on the command line; returns the exit status."""
    settings = read_settings()
    if settings is None:
        return BAD_USAGE
    if settings.budget_usd_per_day is None:  # nothing is continued from here: Redis would only be in the way
        settings = settings.model_copy(update={"redis_url": None})
    configure_logging(settings)
    configure()
    spec = TOOLS[tool]
    view = ShellView(data_only=spec.renders == "data", as_json=as_json)
    try:
        outcome = anyio.run(_outcome, spec, settings, words, given, view)
        return view.conclude(outcome) if isinstance(outcome, Answer) else _failed(view, outcome)
    finally:
        view.close()
        close()


def _failed(view: ShellView, error: GrokError) -> int:
    view.fail(error)
    return BAD_USAGE if error.code == InvalidArgumentError.code else FAILED


async def _outcome(
    spec: ToolSpec, settings: Settings, words: Sequence[str], given: Mapping[str, Any], view: ShellView
) -> Answer | GrokError:
    """What the call came to; the one catch-all."""
    try:
        raw = read_arguments(spec.input_schema, words, given)
        grok = Grok(settings)
        try:
            answer = await view.watch(lambda observe: run_call(spec, grok, raw, Call(observe=observe)), grok)
        finally:
            await grok.aclose()
        return replace(answer, conversation_id=None)
    except GrokError as error:
        return error
    except BrokenPipeError:
        raise
    except Exception as error:
        logger.debug("call of %s failed", spec.name, exc_info=True)
        return InternalError(
            f"A fault of this program ({type(error).__name__}).",
            "GROK_MCP_LOG_LEVEL=debug shows the details; please report them.",
        )


async def run_call(spec: ToolSpec, grok: Grok, raw: Mapping[str, Any], call: Call) -> Answer:
    """One call of a tool outside of a server: arguments as a host would send them, the answer as a value.

    Counts for the ledger and the budget as a host's call does. Raises GrokError.
    """
    made_by(spec.name, call.caller)
    return await run_counted(spec, grok, raw, call)


def read_arguments(
    schema: Mapping[str, Any], words: Sequence[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call, from words, flags, files and stdin; raises InvalidArgumentError."""
    raw = {name: value for name, value in given.items() if value not in (None, ())}
    for name, value in raw.items():
        one = schema["properties"][name]
        if name == "images":
            raw[name] = [_image(image, number) for number, image in enumerate(value)]
        elif one["type"] == "object":
            raw[name] = _json(value, name)
        elif one["type"] == "array" and one["items"]["type"] == "object":
            raw[name] = [entry for text in value for entry in _listed(_json(text, name))]
        elif one["type"] == "array" and len(value) == 1:
            raw[name] = value[0]  # it may hold several, with commas between them
        elif one["type"] == "array":
            raw[name] = list(value)
    return {subject_of(schema): _question(words), **raw}


def _question(words: Sequence[str]) -> str:
    """The words of the command line, what stdin holds, or one below the other."""
    from_stdin = list(words) == ["-"]
    said = "" if from_stdin else " ".join(words)
    piped = _stdin() if from_stdin or _is_piped() else ""
    return "\n\n".join(part for part in (said, piped) if part)


def _is_piped() -> bool:
    """Whether stdin is a pipe or a file; not a terminal, nothing, or what a service manager leaves there."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _stdin() -> str:
    if sys.stdin is None:
        return ""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidArgumentError(
            "stdin: what comes there is no text in UTF-8.", "Convert it, or give an image with --image."
        ) from None


def _image(image: str, number: int) -> str:
    """An image as a host would give it; a file that is named on the command line may lie anywhere."""
    if image.lower().startswith(("https://", "http://", "data:")):
        return image
    return read_named_image(image, f"images[{number}]")


def _json(value: str, name: str) -> Any:
    """A JSON value that stands on the command line, or in a file that is named there."""
    text, place = value.strip(), f"--{name.replace('_', '-')}"
    if not text.startswith(("{", "[")):
        path = Path(text.removeprefix("@")).expanduser()
        place = f"{place} {path}"
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise InvalidArgumentError(f"{place}: can't be read: {why}.", "Give JSON or a file.") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"{place}: is no JSON: {error}.", "Correct it.") from None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
