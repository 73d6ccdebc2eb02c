"""The three standard streams of this process, in whatever state they came: closed, full, broken, never read.

`hold_descriptors` comes before anything else. `write_line` is the one way to stderr, and can't fail. What a
command can't print is a `StdoutError`, which `guarded_stdout` tells once. Only what a start needs first is
imported with the door: the rest takes 25 ms.
"""

from importlib import import_module

from grok_mcp.streams.descriptors import hold_descriptors as hold_descriptors, was_closed as was_closed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from grok_mcp.streams.escaping import escaped as escaped
    from grok_mcp.streams.stderr import (
        flush_stderr as flush_stderr,
        guard_stderr as guard_stderr,
        hurry_stderr as hurry_stderr,
        say as say,
        tell_dropped as tell_dropped,
        write_line as write_line,
    )
    from grok_mcp.streams.stdout import (
        StdoutError as StdoutError,
        check_stdout as check_stdout,
        guarded_stdout as guarded_stdout,
    )

_HOMES = {
    "escaping": ("escaped",),
    "stderr": ("flush_stderr", "guard_stderr", "hurry_stderr", "say", "tell_dropped", "write_line"),
    "stdout": ("StdoutError", "check_stdout", "guarded_stdout"),
}


def __getattr__(name: str) -> "Any":
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"grok_mcp.streams.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
