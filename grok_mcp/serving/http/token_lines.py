"""The lines of a token file, `name:sha256`, with a group where the holder has one: read for the server, and
changed for its operator.
"""

import re
import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

from grok_mcp import bounds

TOKEN_PREFIX = "gmt_"
_LINE = re.compile(r"(.+):\s*([0-9A-Fa-f]{64})(?:\s+(\S.*))?")


class TokenLine(NamedTuple):
    """One line: of a caller, of nobody (a comment, an empty line), or one that is not valid."""

    number: int
    name: str | None
    digest: bytes = b""
    group: str = ""
    is_valid: bool = True


def new_token(name: str, group: str = "") -> tuple[str, str]:
    """A fresh token for a caller, and the line for the token file that lets it in, as one of this group."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, f"{name}:{sha256(token.encode()).hexdigest()}" + (f" {group}" if group else "")


def is_name(value: object) -> bool:
    """Whether this can name a caller or a group, in logs as well."""
    return isinstance(value, str) and 0 < len(value) <= bounds.CALLER_CHARACTERS and value.isprintable()


def read_lines(text: str) -> Iterator[TokenLine]:
    """What each line of the file says."""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            yield TokenLine(number, None)
            continue
        found = _LINE.fullmatch(line)
        name, digest, group = found.groups(default="") if found else ("", "", "")
        name = name.strip()
        if is_name(name) and (not group or is_name(group)):
            yield TokenLine(number, name, digest.lower().encode(), group)
        else:
            yield TokenLine(number, None, is_valid=False)


def with_line(text: str, line: str) -> str:
    """The text with one more line at its end."""
    end = "\n" if text and not text.endswith("\n") else ""
    return f"{text}{end}{line}\n"


def without_name(text: str, name: str) -> str:
    """The text without the lines of that caller."""
    numbers = {line.number for line in read_lines(text) if line.name == name}
    lines = enumerate(text.splitlines(keepends=True), 1)
    return "".join(raw for number, raw in lines if number not in numbers)
