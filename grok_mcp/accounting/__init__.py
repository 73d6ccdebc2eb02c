"""What calls have used and cost: the ledger, the budget of a day, and sums over both; and what one may cost.

A ledger is one SQLite file that many processes share. It holds counts and names, never a word of a prompt or
an answer.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from grok_mcp.accounting.budget import Budget as Budget, DayBudgets as DayBudgets, open_books as open_books
from grok_mcp.accounting.call_limit import CallLimit as CallLimit
from grok_mcp.accounting.estimate import (
    Estimate as Estimate,
    amount as amount,
    asked_tokens as asked_tokens,
    estimate_cost as estimate_cost,
    tokens_of as tokens_of,
)
from grok_mcp.accounting.ledger import Ledger as Ledger
from grok_mcp.accounting.records import (
    SANDBOX as SANDBOX,
    Begun as Begun,
    Entry as Entry,
    LedgerError as LedgerError,
    ledger_path as ledger_path,
    midnight as midnight,
)
from grok_mcp.accounting.speeds import add_speeds as add_speeds, read_speeds as read_speeds
from grok_mcp.accounting.totals import (
    OK as OK,
    EndedCall as EndedCall,
    Key as Key,
    Totals as Totals,
    add_up as add_up,
    count_calls as count_calls,
    json_values as json_values,
    last_calls as last_calls,
    read_totals as read_totals,
)

if TYPE_CHECKING:
    from sqlite3 import Connection


T = TypeVar("T")


def read_ledger(path: Path, work: "Callable[[Connection], T]") -> T | None:
    """What `work` finds in a ledger, as it is at one moment; None for one that nobody has begun.

    Raises sqlite3.Error, OSError, LedgerError.
    """
    from grok_mcp.accounting.sqlite import read_file  # loads SQLite, which no start should wait for

    return read_file(path, work)
