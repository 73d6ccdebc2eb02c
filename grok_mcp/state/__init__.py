"""The folder of a user's state: where it is, how files in it stay private, and which process wrote what.

The ledger and the kept answers lie there. All servers of a user share it.
"""

from grok_mcp.state.folder import make_private as make_private, state_folder as state_folder
from grok_mcp.state.owners import is_gone as is_gone, is_visible as is_visible, new_owner as new_owner
from grok_mcp.state.transactions import one_moment as one_moment, transaction as transaction
