"""The console scripts and `python -m grok_mcp`: starts fast, and reports wrong settings in one line each.

Garbage collection is off while modules load, and pydantic looks for no plugins: both only cost time here.
Without arguments this is the stdio server, because every host runs it so. It answers what is known before,
and loads meanwhile (`instant`): so what else is imported here is imported behind that.
"""

import gc
import os
import signal
import sys
from importlib import import_module

from grok_mcp.streams import hold_descriptors


def main() -> None:
    """Run the command line; the process exits with its status."""
    hold_descriptors()
    try:
        _main()
    except KeyboardInterrupt:  # while modules load; later on `cli` sees to it
        sys.exit(128 + signal.SIGINT)


def _main() -> None:
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    arguments = sys.argv[1:]
    begun = None
    if not arguments:
        from grok_mcp.instant import begin

        begun = begin(_load)
    from grok_mcp.streams import guard_stderr, guarded_stdout

    guard_stderr()
    if arguments == ["--version"]:
        from grok_mcp import __version__

        with guarded_stdout():
            sys.stdout.write(f"grok-mcp-server {__version__}\n")
        return
    if not arguments:
        from grok_mcp.serving import serve

        sys.exit(serve(begun))
    from grok_mcp.cli import cli

    gc.enable()
    cli(prog_name="grok-mcp-server")


def _load() -> None:
    """Import what a server on stdio is made of, which takes a second."""
    import_module("grok_mcp.serving.stdio.run")


if __name__ == "__main__":
    main()
