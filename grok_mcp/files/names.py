"""What a caller writes for a file: a path, a glob or an address, with or without lines."""

import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from grok_mcp import bounds
from grok_mcp.errors import InvalidArgumentError
from grok_mcp.redaction import INVISIBLE

_LINES = re.compile(
    r"(?P<path>.+?)(?::(?P<first>\d{1,9})(?P<to>-(?P<last>\d{1,9})?)?|#L(?P<from>\d{1,9})(?:-L?(?P<until>\d{1,9}))?)",
    re.ASCII,
)
_BRACES = re.compile(r"\{([^{},]{0,255}(?:,[^{},]{0,255}){1,64})\}")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)


class Lines(NamedTuple):
    """Lines of a text, counted from 1, both included; `last` is None for all that follow."""

    first: int = 1
    last: int | None = None


class Name(NamedTuple):
    """One of the names, `label` as in `files[0]`; what it says without its lines, and those."""

    label: str
    whole: str
    path: str
    lines: Lines | None

    def error(self, problem: str, advice: str) -> InvalidArgumentError:
        """An error about this name."""
        return InvalidArgumentError(f"{self.label}: {problem}", advice)


def is_address(text: str) -> bool:
    """Whether this is the address of a document, which the endpoint fetches."""
    return bool(_ADDRESS.match(text)) and text[:7].lower() != "file://"


def check_address(text: str, label: str) -> str:
    """The address, where it can be handed on. Raises InvalidArgumentError."""
    problem = None
    if text[:8].lower() != "https://":
        problem = "only https addresses, paths and globs are taken"
    elif len(text) > bounds.URL_CHARACTERS:
        problem = f"an address of more than {bounds.URL_CHARACTERS:,} characters"
    elif re.search(r"[\s\x00-\x1f\x7f]", text):
        problem = "white space in an address"
    else:
        try:
            parts = urlsplit(text)
            problem = None if parts.hostname and not parts.username else "this is no address without a login"
        except ValueError:
            problem = "this is not an address"
    if problem:
        raise InvalidArgumentError(f"{label}: {problem}.", "Give it as https://host/path.")
    return f"https:{text[6:]}"


def is_odd(path: str) -> bool:
    """Whether a path could be read as something else where it is shown."""
    return bool(re.search(r"[\t\n\r\ud800-\udfff]", path) or INVISIBLE.search(path))


def read_name(text: str, label: str) -> Name:
    """One name as it was written. Raises InvalidArgumentError."""
    if len(text) > bounds.PATH_CHARACTERS:
        raise InvalidArgumentError(
            f"{label}: a path of more than {bounds.PATH_CHARACTERS:,} characters.", "Shorten it."
        )
    if not text:
        raise InvalidArgumentError(f"{label}: is empty.", "Give a path, a glob or an address.")
    if text[:7].lower() == "file://":
        host, slash, path = text[7:].partition("/")
        text = url2pathname(slash + path if host.lower() in ("", "localhost") else text[7:])
    if is_odd(text):
        raise InvalidArgumentError(
            f"{label}: a path with line breaks, control or invisible characters is not accepted.",
            "Rename the file.",
        )
    match = _LINES.fullmatch(text)
    if match is None:
        return Name(label, text, text, None)
    lines = _lines(match)
    if lines.first < 1 or (lines.last is not None and lines.last < lines.first):
        raise InvalidArgumentError(
            f"{label}: no lines {text[len(match['path']) + 1 :]}.",
            "Lines count from 1, as in path:10-40, path:10 or path:10-.",
        )
    return Name(label, text, match["path"], lines)


def _lines(match: re.Match[str]) -> Lines:
    if match["from"]:
        return Lines(int(match["from"]), int(match["until"] or match["from"]))
    first = int(match["first"])
    if match["to"] is None:
        return Lines(first, first)
    return Lines(first, int(match["last"]) if match["last"] else None)


def is_pattern(path: str) -> bool:
    """Whether a path is a glob. Brackets are none: frameworks name folders `[id]`."""
    return "*" in path or "?" in path or bool(_BRACES.search(path))


def alternatives(name: Name) -> list[tuple[str, ...]]:
    """The globs that a glob with braces stands for, in their steps. Raises InvalidArgumentError."""
    parts = _BRACES.split(name.path)
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    found: dict[tuple[str, ...], None] = {}
    for number, chosen in enumerate(product(*choices)):
        if number >= bounds.GLOB_ALTERNATIVES:
            raise name.error(f"braces for more than {bounds.GLOB_ALTERNATIVES} globs.", "Give fewer.")
        steps = tuple(_steps("".join(chosen)))
        if len(steps) > bounds.GLOB_STEPS:
            raise name.error(f"a glob of more than {bounds.GLOB_STEPS} steps.", "Shorten it.")
        found[steps] = None
    return list(found)


def _steps(glob: str) -> Iterator[str]:
    """The steps of a glob; several `**` behind each other are one."""
    before = ""
    for step in glob.replace("\\", "/").split("/"):
        if step not in ("", ".") and not (step == before == "**"):
            yield step
        before = step
