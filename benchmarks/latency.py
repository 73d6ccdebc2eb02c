"""What a call costs: the instant call, many of them in flight, and the way of the first text to the host."""

import json
import re
import socket
import time
from contextlib import ExitStack
from functools import partial
from statistics import median

from benchmarks.child import McpChild, check
from benchmarks.figures import Figure, Samples, beside, figure, interleaved
from benchmarks.http_client import META, MODERN, post
from benchmarks.stage import PIECES_16, Call, Stage, ask
from benchmarks.wire import PROMPT

CALLS = 60  # of each kind in one round
FLIGHT = 32
_FLOWN = 20 * FLIGHT
_ALL = ["SDK relay", "aiohttp on the SDK", "Perplexity", "Rust", "ours"]
_STAMP = re.compile(rb"\d{19}")
_AT_FULL_SPEED = "grok-bench-stamp-n2000-h0"


def instant_call(stage: Stage, runs: int) -> list[Figure]:
    """Sequential calls that the endpoint answers at once, in 16 pieces: CPU, and how long they take."""
    servers = stage.servers(PIECES_16, _ALL)
    cpus: dict[str, Samples] = {name: [] for name in servers.found}

    def calls(name: str, server: McpChild, call: Call) -> Samples:
        before, walls = server.cpu(), []
        for _ in range(CALLS):
            began = time.perf_counter()
            answer = server.request(*call)
            walls.append((time.perf_counter() - began) * 1000)
            check(answer)
        cpus.setdefault(name, []).append((server.cpu() - before) / CALLS * 1000)
        return walls

    def raw() -> Samples:
        return [one * 1000 for one in stage.raw(PIECES_16, count=CALLS)["seconds"]]

    with ExitStack() as stack:
        running = {name: stack.enter_context(one.running()) for name, one in servers.found.items()}
        candidates = {name: partial(calls, name, running[name], servers.found[name].call) for name in running}
        noted = partial(calls, "noted", running["ours"], ask(PIECES_16, token="t"))
        interleaved(1, candidates)
        for taken in cpus.values():
            taken.clear()
        walls = interleaved(max(runs, 5), {"raw": raw, **candidates, "noted": noted})
    least = median(walls["raw"])
    added = {name: [one - least for one in taken] for name, taken in walls.items()}
    relay, missing = walls["SDK relay"], servers.missing
    return [
        *beside(
            "instant call, CPU",
            "ms",
            cpus,
            missing,
            {"aiohttp on the SDK": 2.0, "SDK relay": None, "Perplexity": None, "Rust": None},
        ),
        figure("instant call", "ms", walls["ours"], "SDK relay", relay, target=1.3),
        figure("instant call, progress token", "ms", walls["noted"], "SDK relay", relay, target=1.3),
        *beside(
            "instant call, added to raw httpx2",
            "ms",
            added,
            missing,
            {"aiohttp on the SDK": None, "SDK relay": None, "Perplexity": None, "Rust": None},
        ),
    ]


def in_flight(stage: Stage, runs: int) -> list[Figure]:
    """Calls a second on one session that always has 32 of them in flight."""
    servers = stage.servers(PIECES_16, _ALL)

    def flow(server: McpChild, call: Call, count: int = _FLOWN) -> Samples:
        began = time.perf_counter()
        server.post([call] * FLIGHT)
        for number in range(count):
            check(server.answers(1)[0])
            if number < count - FLIGHT:
                server.post([call])
        return [count / (time.perf_counter() - began)]

    with ExitStack() as stack:
        candidates = {}
        for name, server in servers.found.items():
            child = stack.enter_context(server.running())
            flow(child, server.call, 2 * FLIGHT)
            candidates[name] = partial(flow, child, server.call)
        taken = interleaved(runs, candidates)
    return beside(
        f"calls with {FLIGHT} in flight",
        "1/s",
        taken,
        servers.missing,
        {"Perplexity": 1.5, "aiohttp on the SDK": None, "SDK relay": None, "Rust": None},
        at_least=True,
    )


def first_note(stage: Stage, runs: int) -> list[Figure]:
    """From the moment the endpoint sends the first text to the note that holds it, in `deltas` mode.

    The text comes right behind the start of the answer or some time after it, with a pause behind the first
    piece, or all of it at full speed.
    """
    figures = []
    with (
        stage.ours(GROK_MCP_PROGRESS="deltas") as server,
        stage.ours_over_http(GROK_MCP_PROGRESS="deltas") as port,
    ):
        for gap in (0, 20, 200):
            model = f"grok-bench-stamp-n2-g{gap}"
            raw, ours = partial(_raw, stage, model), partial(_on_stdio, server, model)
            taken = interleaved(max(runs, 5), {"raw": raw, "ours": ours})
            name = f"first text to its note, text {gap} ms after the start"
            figures.append(_difference(name, taken["ours"], taken["raw"], 3))
        _over_http(port, _AT_FULL_SPEED)
        taken = interleaved(
            max(runs, 5),
            {
                "raw": partial(_raw, stage, _AT_FULL_SPEED),
                "stdio": partial(_on_stdio, server, _AT_FULL_SPEED),
                "HTTP": partial(_over_http, port, _AT_FULL_SPEED),
            },
        )
    return [
        *figures,
        *(
            _difference(f"first text to its note, 2,000 at full speed, {way}", taken[way], taken["raw"], 5)
            for way in ("stdio", "HTTP")
        ),
    ]


def _difference(name: str, ours: Samples, raw: Samples, target: float) -> Figure:
    return figure(name, "ms", ours, "raw httpx2", raw, target=target, against="difference")


def _raw(stage: Stage, model: str) -> Samples:
    return [one / 1e6 for one in stage.raw(model, count=4)["delays_ns"]]


def _on_stdio(server: McpChild, model: str) -> Samples:
    """Milliseconds from the stamp in the first text to the note with it, four times."""
    return [_until_note(server, model) for _ in range(4)]


def _until_note(server: McpChild, model: str) -> float:
    server.post([ask(model, token="t")])
    while True:
        line = server.line()
        arrived = time.monotonic_ns()
        message = json.loads(line)
        if "id" in message:
            raise RuntimeError(f"no note: {line[:400]!r}")
        stamp = _STAMP.search(message["params"].get("message", "").encode())
        if stamp:
            check(server.answers(1)[0])
            return (arrived - int(stamp[0])) / 1e6


def _over_http(port: int, model: str) -> Samples:
    """The same at /mcp, on one connection."""
    params = {"name": "ask_grok", "arguments": {"prompt": PROMPT, "model": model}}
    params["_meta"] = {**META, "progressToken": "t"}
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    request = post(port, "/mcp", message, MODERN.format(tool="ask_grok"))
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(4):
            connection.sendall(request)
            received, arrived = b"", None
            while not received.endswith(b"0\r\n\r\n"):
                chunk = connection.recv(1 << 20)
                now = time.monotonic_ns()
                if not chunk:
                    raise EOFError("the server closed the connection")
                received += chunk
                if arrived is None and (stamp := _STAMP.search(received)):
                    arrived = (now - int(stamp[0])) / 1e6
            if arrived is None or b'"progress"' not in received:
                raise RuntimeError(f"no note: {received[:400]!r}")
            taken.append(arrived)
    return taken
