"""What all commands share: exit codes, and the care for stdout and stderr."""

import difflib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import NoReturn

import click

FAILED = 1
BAD_USAGE = 2
INTERRUPTED = 130


def symbol(preferred: str, plain: str) -> str:
    """The preferred symbol if stdout can encode it."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    encodable = preferred.encode(encoding, "replace").decode(encoding) == preferred
    return preferred if encodable else plain


def hanging(text: str, width: int, indent: int = 0) -> str:
    """Plain lines, wrapped between words; what goes on in the next line is indented."""
    lines = []
    for line in text.split("\n"):
        if len(line.split()) <= 2:  # a number and an address, which the terminal may break
            lines.append(line)
            continue
        lines += textwrap.wrap(
            line,
            max(width, indent + 10),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def fitted(text: str, indent: int = 4) -> str:
    """Lines for stdout: wrapped between words on a terminal, and as they are in a pipe."""
    if not sys.stdout.isatty():
        return text
    return hanging(text, shutil.get_terminal_size().columns, indent)


def coloured(mark: str, colour: str) -> str:
    """A mark in a colour, where colours are wanted (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return mark if plain else click.style(mark, fg=colour)


def note(text: str, *, dim: bool = False) -> None:
    """Print to stderr, apart from what a command prints."""
    color = False if os.environ.get("TERM") == "dumb" else None
    click.secho(text, err=True, dim=dim or None, color=color)


def fail(message: str, status: int = FAILED) -> NoReturn:
    """End the command with one line on stderr."""
    click.echo(f"grok-mcp-server: {message}", err=True)
    click.get_current_context().exit(status)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known word, empty where none is near."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" Did you mean {close[0]}?" if close else ""
