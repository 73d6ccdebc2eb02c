"""The audit stream: one line for each tool call, written before its answer goes out, however the call ends.

A line says who called what, when, how it ended and what it cost, and holds no word of prompts and answers.
"""

from grok_mcp.audit.stream import Audit as Audit, open_audit as open_audit
