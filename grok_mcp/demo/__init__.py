"""Shows the three tools in a real session with a server, against the sandbox; needs no key.

`run.py` plays it, `view.py` prints it.
"""

from grok_mcp.demo.run import PACE_S as PACE_S, run_demo as run_demo
