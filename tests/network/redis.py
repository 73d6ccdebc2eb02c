"""A real Redis on loopback, which a test can kill, freeze and start again at the same port.

    with RedisServer() as redis: ...

or the fixture `redis`, for modules that import it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import pytest
from redis import Redis

START_S = 90


class RedisServer:
    """One redis-server with a folder and a port of its own; `options` are those of its command line."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._folder = tempfile.TemporaryDirectory()
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, empty, and wait until it takes connections."""
        program = shutil.which("redis-server")
        assert program, "redis-server is not installed"
        of_this_one = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder.name)
        in_memory = ("--save", "", "--appendonly", "no")
        process = subprocess.Popen(
            [program, *of_this_one, *in_memory, *self._options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._process = process
        assert process.stdout
        watchdog = threading.Timer(START_S, process.kill)
        watchdog.start()
        said = b""
        while b"Ready to accept connections" not in said:
            line = process.stdout.readline()
            assert line, f"redis-server did not start: {said.decode()}"
            said += line
        watchdog.cancel()

    def stop(self) -> None:
        """End it in good order, as a restart for an update does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        self._signal(signal.SIGCONT)

    def ask(self, *command: str | bytes | float) -> Any:
        """The reply to one command, on a connection of its own."""
        with Redis(port=self.port, decode_responses=False) as client:
            return client.execute_command(*command)

    def names(self, pattern: str = "*") -> list[bytes]:
        """The names of its keys."""
        return sorted(self.ask("KEYS", pattern))

    def connections(self) -> int:
        """How many clients are connected, without the one that asks."""
        return len(self.ask("CLIENT LIST")) - 1

    def _signal(self, number: int) -> None:
        assert self._process
        os.kill(self._process.pid, number)

    def _end(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(START_S)
            assert self._process.stdout
            self._process.stdout.close()
            self._process = None


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis without anything in it; the test is skipped where there is none, but not under CI=true."""
    require_redis()
    with RedisServer() as server:
        yield server


def require_redis() -> None:
    """Skip the test where no redis-server is installed; under CI=true fail it, but not on Windows."""
    if shutil.which("redis-server") is None:
        reason = "redis-server is not installed (on Debian: apt-get install redis-server)"
        if os.environ.get("CI") == "true" and os.name != "nt":
            pytest.fail(reason)
        pytest.skip(reason)


class Address:
    """An address whose new connections lead to `server`; those that are open stay where they are."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.port = 0
        self.opened = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def forward(self, near: anyio.abc.SocketStream) -> None:
        """Carry bytes both ways until one side closes."""
        self.opened += 1
        async with near, await anyio.connect_tcp("127.0.0.1", self.server.port) as far:
            async with anyio.create_task_group() as group:

                async def carry(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream) -> None:
                    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                        while True:
                            await sink.send(await source.receive())
                    group.cancel_scope.cancel()

                group.start_soon(carry, near, far)
                group.start_soon(carry, far, near)


@asynccontextmanager
async def address_of(server: RedisServer) -> AsyncIterator[Address]:
    """An address on loopback that leads to the server, and to another one where a test wants it to."""
    address = Address(server)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    address.port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, address.forward)
        yield address
        group.cancel_scope.cancel()
