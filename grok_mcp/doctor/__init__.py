"""Finds out what is wrong with a set-up, and how to put it right. Only a `full` check costs money.

To add a check, write a function in the module that it belongs to and add it to a group in `run.py`.
"""

from grok_mcp.doctor.findings import Check as Check
from grok_mcp.doctor.hosts import HostState as HostState, survey as survey
from grok_mcp.doctor.run import examine as examine
