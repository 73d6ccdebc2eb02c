"""What calls have used and cost: the ledger, the budget of a day, and sums over both; and what one may cost.

A ledger is one SQLite file that the processes of a machine share, or a database in Postgres for those of
many. It holds counts and names, never a word of a prompt or an answer.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from grok_mcp.accounting.budget import Budget as Budget, open_books as open_books
from grok_mcp.accounting.call_limit import CallLimit as CallLimit
from grok_mcp.accounting.estimate import (
    Estimate as Estimate,
    amount as amount,
    estimate_cost as estimate_cost,
    tokens_of as tokens_of,
)
from grok_mcp.accounting.ledger import Ledger as Ledger
from grok_mcp.accounting.places import ledger_place as ledger_place, place_of as place_of
from grok_mcp.accounting.reading import OK as OK, Key as Key, Reading as Reading
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
    EndedCall as EndedCall,
    Totals as Totals,
    add_up as add_up,
    json_values as json_values,
    last_calls as last_calls,
    read_totals as read_totals,
)

if TYPE_CHECKING:
    from grok_mcp.settings import Settings

T = TypeVar("T")


def read_ledger(settings: "Settings", work: Callable[[Reading], T]) -> T | None:
    """What `work` finds in the ledger of these settings, at one moment; None for one that nobody has begun.

    Raises OSError, RuntimeError, LedgerError. Either database is loaded here: no start should wait for it.
    """
    if settings.ledger_url is not None:
        from grok_mcp.accounting.postgres import read_postgres

        return read_postgres(settings.ledger_url.get_secret_value(), work)
    from grok_mcp.accounting.sqlite import read_file

    return read_file(ledger_path(settings.state_dir), work)


def schema_version(url: str) -> int:
    """The version of the tables of a ledger in Postgres, 0 where there are none yet. Raises LedgerError."""
    from grok_mcp.accounting.postgres import version_of

    return version_of(url)
