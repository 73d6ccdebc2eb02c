"""What `grok-mcp doctor` has found: one value for each thing that it looked at."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Check(NamedTuple):
    """One finding. One that is `ok` and has a `fix` is no fault, but worth a look."""

    name: str
    ok: bool
    message: str
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The published form."""
        return self._asdict()


def fine(name: str, message: str) -> Check:
    """All is as it should be."""
    return Check(name, True, message)


def doubtful(name: str, message: str, fix: str) -> Check:
    """It works, but not as well as it could, or can't be told."""
    return Check(name, True, message, fix)


def wrong(name: str, message: str, fix: str) -> Check:
    """It does not work until it is mended."""
    return Check(name, False, message, fix)


def all_ok(checks: Iterable[Check]) -> bool:
    """Whether nothing has to be mended."""
    return all(check.ok for check in checks)


def faults(checks: Iterable[Check]) -> Iterator[Check]:
    """Those that have to be mended."""
    return (check for check in checks if not check.ok)
