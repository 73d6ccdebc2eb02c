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

COMPLETION = "_GROK_MCP_SERVER_COMPLETE"
"""The variable by which a shell asks for completions (click); it names no words on the command line."""


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
    serves = not arguments and COMPLETION not in os.environ
    if serves:
        if os.isatty(0) and os.isatty(1):
            _explain()
        from grok_mcp.instant import begin

        begun = begin(_load)
    from grok_mcp.streams import guard_stderr, guarded_stdout

    guard_stderr()
    if arguments == ["--version"]:
        from grok_mcp import __version__

        with guarded_stdout():
            sys.stdout.write(f"grok-mcp-server {__version__}\n")
        return
    if serves:
        from grok_mcp.serving import serve

        sys.exit(serve(begun))
    from grok_mcp.cli import cli
    from grok_mcp.invocation import command

    gc.enable()
    cli(prog_name=command(), complete_var=COMPLETION)


def _explain() -> None:
    """Say what this is to a person who has typed the command alone: no host has a terminal."""
    from grok_mcp.invocation import command
    from grok_mcp.streams import say

    say(
        f'this is an MCP server, which a host starts. Type {command("ask")} "…" for an answer here, '
        f"{command('install')} to add it to a host, or {command('--help')}; Ctrl-C ends it."
    )


def _load() -> None:
    """Import what a server on stdio is made of, which takes a second."""
    import_module("grok_mcp.serving.stdio.run")


if __name__ == "__main__":
    main()
