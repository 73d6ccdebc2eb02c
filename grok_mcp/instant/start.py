"""Runs the first conversation on stdin and stdout until the server is loaded, or is needed.

Nothing here waits for the client: what its pipe does not take at once is left to the server too.
"""

from __future__ import annotations

import os
import select
import signal
import sys

from grok_mcp.instant.conversation import Conversation
from grok_mcp.instant.data import MAY_CHANGE, load_plain
from grok_mcp.instant.plain import plain_settings

QUIET_MS = 20
"""Loading begins once the host has been silent for so long, so that it does not hold up the answers."""
LOADING_S = 10
"""The server has so long to take over once a signal has come, before the process ends without it."""
RECEIVED_BYTES = 256 * 1024
"""More than any host says before its first call."""
_CHUNK = 64 * 1024
_STDIN, _STDOUT = 0, 1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread


class Begun:
    """What has passed before the server: all bytes that were read, the ids of the requests in them that were
    answered already, the end of an answer that the client has not taken, and whether a signal came.
    """

    def __init__(self) -> None:
        self.received = b""
        self.answered: list[int | str] = []
        self.unsent = b""
        self.signalled = False

    def taken_over(self) -> None:
        """The server has handlers of its own, and sees to its own end."""
        if self.signalled:
            signal.alarm(0)


def begin(load: Callable[[], None]) -> Begun | None:
    """Answer the client while `load` runs in a thread; None where the server is to take all from the start.

    Returns once the server is needed, or loaded. A signal ends the process where no request waits; else
    handlers note it (`Begun.signalled`) until the server has its own and calls `Begun.taken_over`. A second
    signal, or a server that does not come in `LOADING_S`, ends the process at once.
    """
    if not hasattr(select, "poll") or sys.__stdin__ is None or sys.__stdout__ is None:
        return None
    known = load_plain()
    if not plain_settings(os.environ, known["settings"], MAY_CHANGE):
        return None
    versions = known["versions"]
    return _Beginning(load, (versions["sessions"], versions["requests"])).run()


class _Beginning:
    """The loop of `begin`: it reads, answers, and has the rest loaded when there is time."""

    def __init__(self, load: Callable[[], None], versions: tuple[list[str], list[str]]) -> None:
        self._load = load
        self._conversation = Conversation(versions)
        self._begun = Begun()
        self._rest = b""
        self._thread: Thread | None = None
        self._loaded, self._wake = os.pipe()
        self._serving = False

    def run(self) -> Begun:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as by nohup
                signal.signal(number, self._on_signal)
        self._talk()
        self._serving = True  # a signal is for the server, which sets its own handlers
        self._await_load()
        os.close(self._loaded)
        os.close(self._wake)
        self._begun.answered = self._conversation.answered
        return self._begun

    def _talk(self) -> None:
        poll = select.poll()
        poll.register(_STDIN, select.POLLIN)
        poll.register(self._loaded, select.POLLIN)
        talking = True
        while talking:
            ready = dict(poll.poll(QUIET_MS if self._thread is None else None))
            if _STDIN in ready:
                talking = self._read()
                self._heed_signal()  # one that came meanwhile
            elif self._loaded in ready:
                talking = False
            else:
                from threading import Thread  # 6 ms that no answer need wait for

                self._thread = Thread(target=self._run_load, name="loading", daemon=True)
                self._thread.start()

    def _await_load(self) -> None:
        """Wait for the thread; where that takes long, not for longer than the client is there."""
        poll = select.poll()
        poll.register(_STDIN, 0)
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(LOADING_S)
            if self._thread.is_alive() and any(event & select.POLLHUP for _, event in poll.poll(0)):
                os._exit(1)

    def _run_load(self) -> None:
        try:
            self._load()
        except BaseException:  # whoever needs it meets the same, and tells of it
            pass
        finally:
            os.write(self._wake, b"\n")

    def _read(self) -> bool:
        """Read and answer what has come; False where it is the server's turn."""
        try:
            chunk = os.read(_STDIN, _CHUNK)
        except OSError:
            return False
        self._begun.received += chunk
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = chunk  # something, while lines wait
        for line in lines:
            answer = self._conversation.answer(line)
            if answer is None or not self._write(answer):
                return False
        self._rest = rest
        return bool(chunk) and len(self._begun.received) < RECEIVED_BYTES

    def _write(self, data: bytes) -> bool:
        """Write as much as the client takes; False where that is not all."""
        poll = select.poll()
        poll.register(_STDOUT, select.POLLOUT)
        try:
            while data and poll.poll(0):
                data = data[os.write(_STDOUT, data[: select.PIPE_BUF]) :]
        except OSError:
            pass
        self._begun.unsent = data
        return not data

    def _on_signal(self, number: int, _: object) -> None:
        if self._begun.signalled:
            os._exit(128 + number)  # somebody insists, or loading does not end
        self._begun.signalled = True
        signal.signal(signal.SIGALRM, self._on_signal)
        signal.alarm(LOADING_S)
        self._heed_signal()

    def _heed_signal(self) -> None:
        if self._begun.signalled and not self._serving and not self._rest:
            os._exit(0)  # everything is answered, and nothing is open
