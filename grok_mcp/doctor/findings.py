"""The findings of `grok-mcp-server doctor`."""

from collections.abc import Iterable
from typing import NamedTuple

from grok_mcp.streams import escaped

MAX_TEXT = 1000


class Check(NamedTuple):
    """One finding, as it is published. One that is `ok` and has a `fix` works, but is worth a look."""

    name: str
    ok: bool
    message: str
    fix: str = ""


def fine(name: str, message: str) -> Check:
    """All is as it should be."""
    return Check(name, True, _shown(message))


def doubtful(name: str, message: str, fix: str) -> Check:
    """It works, but not as well as it could, or it cannot be checked for free."""
    return Check(name, True, _shown(message), _shown(fix))


def wrong(name: str, message: str, fix: str) -> Check:
    """It does not work until it is fixed."""
    return Check(name, False, _shown(message), _shown(fix))


def _shown(text: str) -> str:
    """The text as it fits on a screen, whatever a file or a variable put into it."""
    text = escaped(text[:MAX_TEXT])
    return text if len(text) < MAX_TEXT else f"{text[:MAX_TEXT]}…"


def all_ok(checks: Iterable[Check]) -> bool:
    """Whether nothing has to be fixed."""
    return all(check.ok for check in checks)


class Finding(NamedTuple):
    """What is wrong with an entry; in its words `{host}` stands for the host's title."""

    ok: bool
    message: str
    fix: str
