"""Shows the three tools through a real session with a server, against the sandbox; needs no key.

`live.py` draws it on a terminal, `plain.py` writes it as lines.
"""

from grok_mcp.demo.run import PACE_S, run_demo

__all__ = ["PACE_S", "run_demo"]
