"""The network transports: many calls at once, and calls one after the other on many connections."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.child import Child
from benchmarks.crowd import MODEL
from benchmarks.figures import Figure, Samples, interleaved
from benchmarks.stage import PROMPT, Stage

CONNECTIONS = 64
CALLS = 1_280
_CROWD = 500
_LIMIT_S = 2.0


def over_http(stage: Stage, runs: int) -> list[Figure]:
    """500 calls at once by /mcp and /sse; 64 connections with one call each in flight, against bare echo."""
    with Child(["-m", "benchmarks.http_client"]) as client:

        def crowd(path: str) -> Samples:
            with _ours(stage) as port:
                _order(client, port, path, "ask_grok", _asked("grok-bench"), 5, 5)
                return [_order(client, port, path, "ask_grok", _asked(MODEL), _CROWD, _CROWD)]

        def steady() -> Samples:
            with _ours(stage) as port:
                return [_steady(client, port, "ask_grok", _asked("grok-bench"))]

        def bare() -> Samples:
            with Child(["-m", "benchmarks.bare_http"]) as server:
                return [_steady(client, int(server.line()), "echo", {"prompt": PROMPT})]

        crowds = interleaved(min(runs, 4), {path: lambda path=path: crowd(path) for path in ("/mcp", "/sse")})  # type: ignore[misc]
        taken = interleaved(min(runs, 4), {"bare": bare, "ours": steady})
    return [
        *(
            Figure(
                f"{_CROWD} calls at once over {path}, endpoint takes 1 s", "s", [], samples, _LIMIT_S, "ours"
            )
            for path, samples in crowds.items()
        ),
        Figure(
            f"a call of ours over {CONNECTIONS} connections of /mcp, an echo of theirs",
            "ms",
            taken["bare"],
            taken["ours"],
            1 / 0.9,
            baseline_name="bare",
        ),
    ]


def _steady(client: Child, port: int, tool: str, arguments: Mapping[str, Any]) -> float:
    """Milliseconds a call, with a connection each for those in flight."""
    _order(client, port, "/mcp", tool, arguments, CONNECTIONS, CONNECTIONS)
    return _order(client, port, "/mcp", tool, arguments, CALLS, CONNECTIONS) / CALLS * 1000


def _order(
    client: Child, port: int, path: str, tool: str, arguments: Mapping[str, Any], count: int, connections: int
) -> float:
    order = {
        "port": port,
        "path": path,
        "tool": tool,
        "arguments": arguments,
        "count": count,
        "connections": connections,
    }
    client.send(json.dumps(order).encode() + b"\n")
    return float(client.line())


def _asked(model: str) -> dict[str, str]:
    return {"prompt": PROMPT, "model": model}


@contextmanager
def _ours(stage: Stage) -> Iterator[int]:
    """Our server on a free port, which it tells on stderr."""
    settings = {**stage.settings, "GROK_MCP_TRANSPORT": "http"}
    process = subprocess.Popen(
        [sys.executable, "-m", "grok_mcp", "serve", "--port", "0"],
        stderr=subprocess.PIPE,
        env={**os.environ, **settings},
    )
    try:
        assert process.stderr is not None
        found = re.search(rb":(\d+)/", process.stderr.readline())
        assert found is not None
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate()
