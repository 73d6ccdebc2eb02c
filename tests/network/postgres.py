"""A real PostgreSQL on loopback, which a test can stop, kill, freeze and start again at the same port.

The fixture `postgres` is one cluster for all tests of a module that imports it, with a database of its own
for each test. A cluster takes a second to make; it does not wait for the disk.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

START_S = 60
ADMIN, USER, PASSWORD = "postgres", "grok", "hunter2-hunter2"
_SETTINGS = (
    *("fsync=off", "full_page_writes=off", "shared_buffers=16MB"),
    *("max_connections=60", "autovacuum=off", "log_min_messages=panic", "wal_level=minimal"),
    *("max_wal_senders=0", "listen_addresses=127.0.0.1"),
)
_numbers = count(1)


class PostgresServer:
    """One cluster with a folder and a port of its own. Its user has a password and one database."""

    def __init__(self) -> None:
        self.database = "postgres"
        self._folder = tempfile.TemporaryDirectory(prefix="pg-")  # short, as it holds a socket
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{self.database}"

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        (folder / "password").write_text(PASSWORD)
        if os.getuid() == 0:  # initdb refuses to be root
            for path in (folder, folder / "password"):
                shutil.chown(path, _account())
        made = _run(
            *("initdb", "--pgdata", str(folder / "data"), "--username", ADMIN, "--auth", "scram-sha-256"),
            *("--pwfile", str(folder / "password"), "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
        said, _ = made.communicate(timeout=START_S)
        assert made.returncode == 0, said.decode()
        self.start()
        self.ask(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it with what it holds, and wait until it takes connections."""
        folder = Path(self._folder.name)
        options = [option for setting in _SETTINGS for option in ("-c", setting)]
        where = ("-D", str(folder / "data"), "-p", str(self.port), "-k", str(folder))
        self._process = _run("postgres", *where, *options)
        until = time.monotonic() + START_S
        while True:
            try:
                self.ask("SELECT 1")
                return
            except Exception:
                assert self._process.poll() is None, self._process.communicate()[0].decode()
                assert time.monotonic() < until
                time.sleep(0.02)

    def stop(self) -> None:
        """End it in good order, with all of its connections, as a restart for an update does."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it and all of its processes in the middle of whatever they do."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """Let it keep its connections, take new ones and answer nothing."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen."""
        self._signal_all(signal.SIGCONT)

    def ask(self, query: str, *values: object, database: str | None = None) -> list[tuple[Any, ...]]:
        """The rows of one statement, on a connection of its own that may do everything."""
        import psycopg

        where = {"dbname": database or self.database, "port": self.port, "connect_timeout": 10}
        account = {"host": "127.0.0.1", "user": ADMIN, "password": PASSWORD}
        with psycopg.connect(**where, **account, autocommit=True) as db:  # type: ignore[arg-type]  # of any kind
            cursor = db.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def cut(self) -> None:
        """Kill the backend of each connection to the database of this test."""
        self.ask(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> "
            "pg_backend_pid()",
            self.database,
        )

    def new_database(self) -> None:
        """Use another database, with nothing in it."""
        self.database = f"test_{next(_numbers)}"
        self.ask(f"CREATE DATABASE {self.database} OWNER {USER}", database="postgres")

    def _signal_all(self, number: int) -> None:
        assert self._process
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        for pid in (self._process.pid, *map(int, found.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self, number: int) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.communicate(timeout=START_S)
            self._process = None


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresServer]:
    """A cluster for all tests of a module; they are skipped where there is none, but not under CI=true."""
    require_postgres()
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres(cluster: PostgresServer) -> PostgresServer:
    """The cluster with an empty database."""
    cluster.new_database()
    return cluster


def require_postgres() -> None:
    """Skip the test where no PostgreSQL is installed; under CI=true fail it, but not on Windows."""
    if os.name == "nt" or _program("initdb") is None:
        reason = "PostgreSQL is not installed (on Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true" and os.name != "nt":
            pytest.fail(reason)
        pytest.skip(reason)


def _program(name: str) -> str | None:
    """Where a program of it is: Debian and Homebrew keep those of each version apart."""
    for folder in ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin"):
        if apart := sorted(Path("/").glob(f"{folder[1:]}/{name}")):
            return str(apart[-1])
    return shutil.which(name)


def _account() -> str:
    import pwd

    with suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


def _run(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A program of PostgreSQL, under an account that may run it."""
    program = _program(name)
    assert program, f"{name} is not installed"
    account = _account() if os.getuid() == 0 else None
    return subprocess.Popen(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        user=account,
        extra_groups=[] if account else None,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
    )
