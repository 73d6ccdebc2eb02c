"""The limits of callers and groups: requests and tokens a minute, budgets of a day, models.

They stand in the file that GROK_MCP_LIMITS_FILE names; without one, nothing of this room is loaded. What is
counted is counted in memory, or in Redis where several processes share one.
"""

from grok_mcp.quotas.file import (
    LimitsFile as LimitsFile,
    LimitsFileError as LimitsFileError,
    read_file as read_file,
)
from grok_mcp.quotas.limits import Limits as Limits, Sections as Sections, is_group as is_group
from grok_mcp.quotas.quotas import Admission as Admission, Quotas as Quotas, open_quotas as open_quotas
