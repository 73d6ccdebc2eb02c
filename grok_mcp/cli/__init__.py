"""The commands of `grok-mcp`: what they take, what they print, how they exit.

To add one, write its module and add a line to `COMMANDS` in `main.py`; each loads only what it needs.
"""

from grok_mcp.cli.main import cli as cli
