"""The findings of `grok-mcp doctor`."""

from collections.abc import Iterable
from typing import NamedTuple


class Check(NamedTuple):
    """One finding, as it is published. One that is `ok` and has a `fix` works, but is worth a look."""

    name: str
    ok: bool
    message: str
    fix: str = ""


def fine(name: str, message: str) -> Check:
    """All is as it should be."""
    return Check(name, True, message)


def doubtful(name: str, message: str, fix: str) -> Check:
    """It works, but not as well as it could, or it cannot be checked for free."""
    return Check(name, True, message, fix)


def wrong(name: str, message: str, fix: str) -> Check:
    """It does not work until it is fixed."""
    return Check(name, False, message, fix)


def all_ok(checks: Iterable[Check]) -> bool:
    """Whether nothing has to be fixed."""
    return all(check.ok for check in checks)
