"""Opens the descriptors 0 to 2 that a process was started without, before anything else can get them.

A socket or a file that gets one of them would be taken for stdin, stdout or stderr by whoever writes there.
"""

import os

_closed: set[int] = set()

# The wrong way round for stdin and stdout: using them fails, as it does with a closed one.
_INSTEAD = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}


def hold_descriptors() -> None:
    """Put the null device in the place of each standard stream that is closed."""
    for wanted, mode in _INSTEAD.items():
        try:
            os.fstat(wanted)
        except OSError:
            _closed.add(wanted)
            held = os.open(os.devnull, mode)
            if held != wanted:  # pragma: no cover - the lowest free descriptor is given
                os.dup2(held, wanted)
                os.close(held)


def was_closed(descriptor: int) -> bool:
    """Whether the process was started without that stream."""
    return descriptor in _closed
