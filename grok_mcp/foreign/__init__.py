"""Reads what is not ours without trusting it: JSON of any types, and files of any kind, size and encoding."""

from grok_mcp.foreign.files import (
    FileStamp as FileStamp,
    encoding_of as encoding_of,
    read_regular as read_regular,
    read_text as read_text,
    stamp_of as stamp_of,
)
from grok_mcp.foreign.values import (
    FAILURE_FIELDS as FAILURE_FIELDS,
    depth_of as depth_of,
    has_too_many_values as has_too_many_values,
    integer as integer,
    is_thought as is_thought,
    json_text as json_text,
    load_json as load_json,
    mapping as mapping,
    mappings as mappings,
    text_of as text_of,
)
