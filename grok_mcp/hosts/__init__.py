"""The hosts that start this server: where their files are, and our entry in them.

`HOSTS` has a `Host` for each, by name; `Machine.here()` is this machine. `plan_install` and `plan_uninstall`
give a `Change`, which `carry_out` plans and applies. A `HostError` says to the user what went wrong.
"""

from grok_mcp.hosts.change import Change, carry_out, plan_install, plan_uninstall
from grok_mcp.hosts.entry import (
    COMMAND,
    DEFAULT_NAME,
    DISTRIBUTION,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    Entry,
    EntrySpec,
    build_entry,
    looks_secret,
)
from grok_mcp.hosts.host import (
    PLACEHOLDER,
    Forwarded,
    Host,
    HostError,
    Inherited,
    Machine,
    Part,
    Reference,
    TimeLimit,
    Verbatim,
)
from grok_mcp.hosts.hostfile import parse_document
from grok_mcp.hosts.rows import HOSTS

__all__ = [
    "COMMAND",
    "DEFAULT_NAME",
    "DISTRIBUTION",
    "HOSTS",
    "KEY_FILE_VARIABLE",
    "KEY_VARIABLE",
    "PLACEHOLDER",
    "Change",
    "Entry",
    "EntrySpec",
    "Forwarded",
    "Host",
    "HostError",
    "Inherited",
    "Machine",
    "Part",
    "Reference",
    "TimeLimit",
    "Verbatim",
    "build_entry",
    "carry_out",
    "looks_secret",
    "parse_document",
    "plan_install",
    "plan_uninstall",
]
