"""What calls have used and cost: the ledger, the budget of a day, and sums over both.

A ledger is one SQLite file that many processes share. It holds counts and names, never a word of a prompt or
an answer.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from grok_mcp.accounting.budget import Budget, open_books
from grok_mcp.accounting.ledger import Ledger
from grok_mcp.accounting.records import SANDBOX, Entry, LedgerError, ledger_path, midnight
from grok_mcp.accounting.totals import Key, Totals, add_up, json_values, read_totals

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = [
    "SANDBOX",
    "Budget",
    "Entry",
    "Key",
    "Ledger",
    "LedgerError",
    "Totals",
    "add_up",
    "json_values",
    "ledger_path",
    "midnight",
    "open_books",
    "read_ledger",
    "read_totals",
]

T = TypeVar("T")


def read_ledger(path: Path, work: "Callable[[Connection], T]") -> T | None:
    """What `work` finds in a ledger, as it is at one moment; None for one that nobody has begun.

    Raises sqlite3.Error, OSError, LedgerError.
    """
    from grok_mcp.accounting.sqlite import read_file  # loads SQLite, which no start should wait for

    return read_file(path, work)
