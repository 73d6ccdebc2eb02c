"""Ten thousand callers on four processes behind nginx, with Redis and Postgres, as a company would run it.

Four acts, each with a history that is checked afterwards: a crowd, in which all callers ask alike at once;
the greedy, who ask for more than their quota and their budget while Redis is restarted without its memory; a
rolling restart of all processes under load; and the same calls on the fleet and on one process alone.
"""

import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import httpx2

from benchmarks.child import PYTHON, Child
from benchmarks.figures import Figure, figure
from benchmarks.fleet_check import Request, Result, above_quota, billed, jain, losses, rates
from benchmarks.fleet_endpoint import COMPLETION_TOKENS, PROMPT_TOKENS, TICKS
from benchmarks.stage import OURS, Stage
from tests.network.postgres import PostgresServer
from tests.network.redis import RedisServer

CALLERS = 10_000
PROCESSES = 4
CROWD_S = 120
GREEDY = 40
GREEDY_OPEN = 10
GREEDY_S = 75
REDIS_GONE_S = 30
REQUESTS_PER_MINUTE = 60
TOKENS_PER_MINUTE = 6_000
BUDGET_USD = 0.08
ROLLING_CALLERS = 200
ROLLING_S = 30
LEAVE_S = 3
ACT_S = 900.0
FAST, KIND = "grok-4.7-fast", "grok-4.7-kind"
STEADY_CALLS, STEADY_CALLERS = 12, 100
_SLACK_S = 1.0
"""Between the admission of a call and its arrival at the endpoint, which takes all calls at once here."""

_NGINX = """
daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 2; worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream grok {{ zone grok 256k; least_conn; {servers} keepalive 512; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://grok;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_buffering off;
            proxy_read_timeout 300s;
            proxy_connect_timeout 5s;
            proxy_next_upstream error timeout http_503;
        }}
    }}
}}
"""


def fleet(stage: Stage, runs: int) -> list[Figure]:
    """All four acts, once: each has thousands of calls."""
    with Fleet() as running:
        return [*_crowd(running), *_greedy(running), *_rolling(running), *_overhead(running)]


class Server:
    """One process of the fleet, at a port that its successor takes over."""

    def __init__(self, port: int, variables: Mapping[str, str]) -> None:
        self.port = port
        environment = {**Child.environ(), **variables}
        command = [*OURS, "serve", "--port", str(port)]
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    def until_ready(self) -> None:
        """Wait until it takes calls."""
        for _ in range(600):
            try:
                if httpx2.get(f"http://127.0.0.1:{self.port}/readyz", timeout=20).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"nothing serves port {self.port}")

    def leave(self) -> None:
        """Tell it to end, and wait until it has."""
        self._process.terminate()
        self._process.wait(120)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(20)

    @property
    def cpu_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> int:
        """Bytes that it holds now."""
        found = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(found.partition("VmRSS:")[2].split()[0]) * 1024


class Fleet:
    """Everything that runs."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self.servers: list[Server] = []
        self._number = 0

    def __enter__(self) -> Self:
        ends = self._ends
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self._files = most
        self.folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
        self._write_tokens()
        self.redis = ends.enter_context(RedisServer("--maxclients", "2000"))
        self.postgres = ends.enter_context(PostgresServer())
        self.postgres.new_database()
        self.endpoint = ends.enter_context(Child([PYTHON, "-m", "benchmarks.fleet_endpoint"]))
        self.upstream = f"http://127.0.0.1:{int(self.endpoint.line())}/v1"
        self.callers = ends.enter_context(Child([PYTHON, "-m", "benchmarks.fleet_callers"]))
        ends.callback(self._end)
        self.variables = self._variables() | {
            "GROK_MCP_REDIS_URL": self.redis.url,
            "GROK_MCP_LEDGER_URL": self.postgres.url,
            "GROK_MCP_LIMITS_FILE": str(self.folder / "limits.toml"),
        }
        self.limit("")
        self.servers = [Server(_free_port(), self.variables) for _ in range(PROCESSES)]
        self.port = ends.enter_context(_nginx(self.folder, [one.port for one in self.servers], self._files))
        for server in self.servers:
            server.until_ready()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ends.close()

    def _end(self) -> None:
        for server in self.servers:
            server.kill()

    def _write_tokens(self) -> None:
        """A token for each caller; those who are greedy are in one group."""
        tokens = [f"gmt_fleet_{number:05}_0123456789abcdef" for number in range(CALLERS)]
        (self.folder / "tokens.txt").write_text("\n".join(tokens))
        lines = (
            f"caller-{number}:{sha256(token.encode()).hexdigest()}" + (" greedy" if number < GREEDY else "")
            for number, token in enumerate(tokens)
        )
        (self.folder / "tokens").write_text("\n".join(lines))

    def _variables(self) -> dict[str, str]:
        return {
            "XAI_BASE_URL": self.upstream,
            "XAI_API_KEY": "xai-of-the-benchmark-0123456789",
            "GROK_MCP_DIALECT": "chat_completions",
            "GROK_MCP_TRANSPORT": "streamable-http",
            "GROK_MCP_TOKEN_FILE": str(self.folder / "tokens"),
            "GROK_MCP_STATE_DIR": str(self.folder / "state"),
            "GROK_MCP_MAX_CONCURRENCY": "40",
            "GROK_MCP_WAIT": "0",
            "GROK_MCP_LEAVE": str(LEAVE_S),
            "GROK_MCP_GRACE": "60",
            "GROK_MCP_LOG_LEVEL": "error",
        }

    def limit(self, text: str) -> None:
        """Have other limits from now on, in all servers: each looks with a call, once a second at most."""
        (self.folder / "limits.tmp").write_text(text)
        (self.folder / "limits.tmp").replace(self.folder / "limits.toml")
        if self.servers:
            time.sleep(1.5)
            others = [CALLERS - 100, CALLERS]
            self._number += 1
            first = 9_000_000 + self._number
            self.results(self.order(callers=others, open=1, seconds=60, calls=1, first=first, model=FAST))
            time.sleep(1.5)

    def order(self, port: int | None = None, **order: Any) -> Path:
        """Send callers off; `results` waits for them."""
        self._number += 1
        path = self.folder / f"results-{self._number}"
        filled = {
            "port": port or self.port,
            "tokens": str(self.folder / "tokens.txt"),
            "results": str(path),
            **order,
        }
        self.callers.send(json.dumps(filled).encode() + b"\n")
        return path

    def results(self, path: Path) -> list[Result]:
        """What they got."""
        assert self.callers.line(ACT_S).decode().strip() == str(path)
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()]

    def history(self, since: float) -> list[Request]:
        """What the endpoint was asked from then on."""
        path = self.folder / "history"
        self.endpoint.send(f"{path}\n".encode())
        self.endpoint.line()
        known = [tuple(json.loads(line)) for line in path.read_text().splitlines()]
        return [one for one in known if one[0] >= since]

    @property
    def cpu_s(self) -> float:
        """Processor time of all servers."""
        return sum(server.cpu_s for server in self.servers)

    @property
    def memory(self) -> int:
        """Bytes that all servers hold."""
        return sum(server.memory for server in self.servers)


def _crowd(running: Fleet) -> list[Figure]:
    """All callers at once, each with one call open, until the time is over."""
    began, idle = time.time(), running.memory
    path = running.order(callers=[0, CALLERS], open=1, seconds=CROWD_S, model="grok-4.7")
    time.sleep(CALLERS / 2_000 + 10)
    full = running.memory
    results = running.results(path)
    ends = time.time()
    ended = Counter(outcome for *_, outcome in results)
    gone = losses(results, running.history(began))
    shares = [60 * share for share in rates(results, CALLERS, began + CALLERS / 2_000)]
    _say("crowd", f"{len(results):,} calls in {ends - began:.0f} s: {dict(ended)}")
    name = f"{CALLERS:,} callers at once"
    return [
        _plain(
            f"{name}: Jain's index of their answers a minute", "", jain(shares), target=0.95, at_least=True
        ),
        _plain(f"{name}: answers a minute of each", "", *shares),
        _plain(f"{name}: calls that got lost", "", gone.lost, target=0),
        _plain(f"{name}: memory of an open call, all four processes", "KB", (full - idle) / CALLERS / 1000),
    ]


def _greedy(running: Fleet) -> list[Figure]:
    """Few callers who ask for all they can get, while Redis loses its memory."""
    running.limit(
        f"[groups.greedy.each]\nrequests_per_minute = {REQUESTS_PER_MINUTE}\n"
        f"tokens_per_minute = {TOKENS_PER_MINUTE}\n"
        f"budget_usd_per_day = {BUDGET_USD}\n"
    )
    spent_before = billed(running.history(0))
    began = time.time()
    path = running.order(callers=[0, GREEDY], open=GREEDY_OPEN, seconds=GREEDY_S, model=FAST, first=1_000_000)
    time.sleep(REDIS_GONE_S)
    running.redis.kill()
    time.sleep(1)
    running.redis.start()
    results = running.results(path)
    ends = Counter(outcome for *_, outcome in results)
    _say("greedy", f"{len(results):,} calls: {dict(ends)}")
    history = running.history(began)
    requests, tokens = _admitted(history)
    window = 60 - _SLACK_S
    too_many = above_quota(requests, REQUESTS_PER_MINUTE, window)
    too_much = above_quota(tokens, TOKENS_PER_MINUTE, window)
    _say("greedy", f"above the quotas: {too_many or 'nobody'}, {too_much or 'nobody'}")
    budget = BUDGET_USD * 1e10
    paid = {caller: ticks + spent_before.get(caller, 0) for caller, ticks in billed(history).items()}
    over = [max(0.0, (paid.get(caller, 0) - budget) / TICKS) for caller in range(GREEDY)]
    used = [sum(amount for _, amount in requests[caller]) for caller in range(GREEDY)]
    _say(
        "greedy",
        f"{min(used):.0f} to {max(used):.0f} admitted by caller, {ends.total() - ends['ok']:,} refused",
    )
    name = f"{GREEDY} greedy callers, Redis restarted empty"
    return [
        _plain(f"{name}: callers above {REQUESTS_PER_MINUTE} requests a minute", "", len(too_many), target=0),
        _plain(f"{name}: callers above {TOKENS_PER_MINUTE:,} tokens a minute", "", len(too_much), target=0),
        _plain(f"{name}: most that one is over the budget", "calls", max(over), target=1),
        _plain(
            f"{name}: difference of ledger and endpoint",
            "calls",
            abs(_in_ledger(running, began) - sum(billed(history).values())) / TICKS,
            target=0,
        ),
        _plain(f"{name}: Jain's index of what each got", "", jain(used), target=0.95, at_least=True),
    ]


def _admitted(
    history: Iterable[Request],
) -> tuple[dict[int, list[tuple[float, float]]], dict[int, list[tuple[float, float]]]]:
    """When the calls of each caller arrived, each once, and the tokens of each."""
    first: dict[tuple[int, int], float] = {}
    for at, caller, call, *_ in history:
        first.setdefault((caller, call), at)
    requests = defaultdict[int, list[tuple[float, float]]](list)
    tokens = defaultdict[int, list[tuple[float, float]]](list)
    for (caller, _), at in first.items():
        requests[caller].append((at, 1.0))
        tokens[caller].append((at, float(PROMPT_TOKENS + COMPLETION_TOKENS)))
    return requests, tokens


def _in_ledger(running: Fleet, since: float) -> int:
    """What the ledger says that all calls have cost from then on, in ticks."""
    time.sleep(3)  # rows are written before answers go out, but for those of calls that were given up
    rows = running.postgres.ask("SELECT SUM(cost_ticks) FROM grok_mcp.calls WHERE at >= %s", since)
    return int(rows[0][0] or 0)


def _rolling(running: Fleet) -> list[Figure]:
    """One process after the other is told to end and followed by a new one, while callers go on."""
    running.limit("")
    began = time.time()
    seconds = ROLLING_S + PROCESSES * (LEAVE_S + 6)
    path = running.order(
        callers=[GREEDY, GREEDY + ROLLING_CALLERS],
        open=1,
        seconds=seconds,
        model=KIND,
        first=2_000_000,
    )
    time.sleep(5)
    for number, server in enumerate(running.servers):
        server.leave()
        running.servers[number] = Server(server.port, running.variables)
        running.servers[number].until_ready()
    results = running.results(path)
    gone = losses(results, running.history(began))
    ends = Counter(outcome for *_, outcome in results)
    _say("rolling", f"{len(results):,} calls in {time.time() - began:.0f} s: {dict(ends)}")
    failed = len(results) - ends["ok"]
    return [
        _plain("rolling restart: calls without their answer", "", failed, target=0),
        _plain("rolling restart: calls that were billed twice", "", gone.billed_twice, target=0),
        _plain("rolling restart: answers without a bill", "", gone.answered_unbilled, target=0),
    ]


def _overhead(running: Fleet) -> list[Figure]:
    """Processor time of a call on the fleet, beside one process without Redis, Postgres and nginx."""
    alone_at = {**running._variables(), "GROK_MCP_STATE_DIR": str(running.folder / "alone")}
    alone = Server(_free_port(), alone_at)
    alone.until_ready()
    taken: dict[str, list[float]] = {"fleet": [], "alone": []}
    try:
        for round_number in range(6):
            for name in ("fleet", "alone") if round_number % 2 else ("alone", "fleet"):
                servers = running.servers if name == "fleet" else [alone]
                before = sum(server.cpu_s for server in servers)
                path = running.order(
                    port=None if name == "fleet" else alone.port,
                    callers=[1_000, 1_000 + STEADY_CALLERS],
                    open=1,
                    seconds=300,
                    calls=STEADY_CALLS,
                    model=FAST,
                    first=3_000_000 + 1_000 * round_number + (500 if name == "fleet" else 0),
                )
                results = running.results(path)
                assert {outcome for *_, outcome in results} == {"ok"}
                used = sum(server.cpu_s for server in servers) - before
                if round_number:  # the first one loads what calls need
                    taken[name].append(1000 * used / len(results))
    finally:
        alone.kill()
    name = "processor time of a call, four processes with Redis and Postgres"
    return [figure(name, "ms", taken["fleet"], "one process alone", taken["alone"], target=2.0)]


def _plain(
    name: str, unit: str, *values: float, target: float | None = None, at_least: bool = False
) -> Figure:
    return figure(name, unit, list(map(float, values)), target=target, against="ours", at_least=at_least)


def _say(act: str, text: str) -> None:
    print(f"{act}: {text}", flush=True)


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def _nginx(folder: Path, ports: list[int], files: int) -> Iterator[int]:
    program = shutil.which("nginx")
    if program is None:
        raise FileNotFoundError("nginx is not installed (on Debian: apt-get install nginx-light)")
    port = _free_port()
    servers = " ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
    file = folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=folder, servers=servers, port=port, files=min(files, 16_000)))
    process = subprocess.Popen([program, "-c", str(file), "-p", str(folder), "-e", "stderr"])
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)
