"""The hosts that run us: where their files are, and our entry in them; `doctor_entries` says if it is right.

For whoever needs to know something of hosts (`install`, tables in the documents):

- `HOSTS` has a `Host` for each, by name: title, file, format, time limits, how a key gets to the server.
- `Machine.here()` is this machine; another one can be made up for tests.
- `plan_install(...)` and `plan_uninstall(...)` give a `Change`; `carry_out(plan)` plans and makes it.

Whatever goes wrong with a file is a `HostError`, whose text is for the user.
"""

from grok_mcp.hosts.change import Change, carry_out, plan_install, plan_uninstall
from grok_mcp.hosts.entry import Entry, Wish, entry_of, looks_secret
from grok_mcp.hosts.host import Host, HostError, Machine, TimeLimit
from grok_mcp.hosts.rows import HOSTS

__all__ = [
    "HOSTS",
    "Change",
    "Entry",
    "Host",
    "HostError",
    "Machine",
    "TimeLimit",
    "Wish",
    "carry_out",
    "entry_of",
    "looks_secret",
    "plan_install",
    "plan_uninstall",
]
