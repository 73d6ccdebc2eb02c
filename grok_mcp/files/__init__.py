"""The files that a caller names: found where the operator lets them be read, and read as data.

Nothing outside the allowed folders is touched, and no name that holds secrets is read. Everything here waits
for disks: call it in a thread.
"""

from grok_mcp.files.folders import Folders as Folders
from grok_mcp.files.names import check_address as check_address, is_address as is_address
from grok_mcp.files.reading import (
    Binary as Binary,
    FoundFile as FoundFile,
    Reader as Reader,
    Text as Text,
    find_files as find_files,
    together as together,
)
from grok_mcp.files.secret_names import is_secret as is_secret
