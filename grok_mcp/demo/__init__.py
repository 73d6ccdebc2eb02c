"""Shows the tools in a real session with a server, against the sandbox; needs no key.

`run.py` plays it, `view.py` prints it: its banner first, for what plays it takes a second to load.
"""

import logging
from contextlib import closing

PACE_S = 0.03
"""Seconds between two pieces of an answer: slow enough to read, and over in a quarter of a minute."""


def play(pace: float = PACE_S) -> int:
    """Play the demo on stdout; returns the exit status. Nothing that it started is left running."""
    from grok_mcp.demo.view import View

    logging.getLogger().addHandler(logging.NullHandler())
    with closing(View()) as view:
        view.banner()
        from grok_mcp.demo.run import run_demo  # brings the MCP SDK, and a web framework

        return run_demo(view, pace)
