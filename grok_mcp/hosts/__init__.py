"""The hosts that start this server: where their files are, and our entry in them.

`HOSTS` has a `Host` for each, by name; `Machine.here()` is this machine. `plan_install` and `plan_uninstall`
give a `Change`, which `carry_out` plans and applies. A `HostError` says to the user what went wrong.
"""

from grok_mcp.hosts.change import (
    Change as Change,
    adopted_name as adopted_name,
    carry_out as carry_out,
    plan_install as plan_install,
    plan_uninstall as plan_uninstall,
)
from grok_mcp.hosts.entry import (
    COMMAND as COMMAND,
    DEFAULT_NAME as DEFAULT_NAME,
    DISTRIBUTION as DISTRIBUTION,
    KEY_FILE_VARIABLE as KEY_FILE_VARIABLE,
    KEY_SOURCES as KEY_SOURCES,
    KEY_VARIABLE as KEY_VARIABLE,
    Entry as Entry,
    EntrySpec as EntrySpec,
    build_entry as build_entry,
    is_literal as is_literal,
    looks_secret as looks_secret,
    mask_all_but_references as mask_all_but_references,
)
from grok_mcp.hosts.files import (
    ChangedMeanwhileError as ChangedMeanwhileError,
    UnreadableFileError as UnreadableFileError,
    read_file as read_file,
    write_file as write_file,
)
from grok_mcp.hosts.host import (
    PLACEHOLDER as PLACEHOLDER,
    Forwarded as Forwarded,
    Host as Host,
    HostError as HostError,
    Inherited as Inherited,
    Machine as Machine,
    Part as Part,
    Reference as Reference,
    TimeLimit as TimeLimit,
    Verbatim as Verbatim,
)
from grok_mcp.hosts.hostfile import parse_document as parse_document
from grok_mcp.hosts.rows import HOSTS as HOSTS
from grok_mcp.hosts.started import Started as Started, package_of as package_of
