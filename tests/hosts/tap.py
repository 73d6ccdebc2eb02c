"""Stands between a host and a server on stdio and writes down what passes: `tap.py FOLDER COMMAND...`.

What goes to the server is added to the file `to_server` in the folder, what comes from it to `from_server`.
Each end sees at once when the other one is gone, as it would without this. Needs nothing but Python, so that
the server seems to start as fast as it does.
"""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

CHUNK = 65_536


def _pass_on(source: int, target: int, log: IO[bytes]) -> bool:
    """Copy what is there; False at the end of the source, or where nobody reads the target."""
    data = os.read(source, CHUNK)
    log.write(data)
    try:
        while data:
            data = data[os.write(target, data) :]
            if not data:
                return True
    except BrokenPipeError:
        pass
    return False


def _copy(server_in: int, server_out: int, folder: Path) -> None:
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(server_out, select.POLLIN)
    poll.register(1, 0)  # tells when nobody reads any more
    with (
        (folder / "to_server").open("ab", buffering=0) as to_server,
        (folder / "from_server").open("ab", buffering=0) as from_server,
    ):
        while True:
            for ready, _ in poll.poll():
                if ready == 0 and not _pass_on(0, server_in, to_server):
                    poll.unregister(0)
                    os.close(server_in)
                if ready == 1 or (ready == server_out and not _pass_on(server_out, 1, from_server)):
                    os.close(server_out)
                    return


def main() -> int:
    """Copy both ways until one end is gone; the server's exit status."""
    server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None and server.stdout is not None
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    signal.signal(signal.SIGINT, lambda *_: None)  # who types it sends it to the server as well
    _copy(server.stdin.fileno(), server.stdout.fileno(), Path(sys.argv[1]))
    return server.wait()


if __name__ == "__main__":
    os._exit(main())
