"""The network transports: many calls at once, and calls one after the other on many connections."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.child import PYTHON, Child
from benchmarks.crowd import LIMIT_S, MODEL
from benchmarks.figures import Figure, Samples, figure, interleaved
from benchmarks.stage import Stage
from benchmarks.wire import PROMPT

CONNECTIONS = 64
CALLS = 1_280
_CROWD = 500


def over_http(stage: Stage, runs: int) -> list[Figure]:
    """500 calls at once by /mcp and /sse; 64 connections with one call each, against the SDK's echo."""
    with Child([PYTHON, "-m", "benchmarks.http_client"]) as client:

        def crowd(path: str) -> Samples:
            with stage.ours_over_http() as port:
                _order(client, port, path, "ask_grok", _asked("grok-bench"), 5, 5)
                return [_order(client, port, path, "ask_grok", _asked(MODEL), _CROWD, _CROWD)]

        def steady() -> Samples:
            with stage.ours_over_http() as port:
                return [_steady(client, port, "ask_grok", _asked("grok-bench"))]

        def bare() -> Samples:
            with Child([PYTHON, "-m", "benchmarks.bare_http"]) as server:
                return [_steady(client, int(server.line()), "echo", {"prompt": PROMPT})]

        crowds = interleaved(min(runs, 4), {path: partial(crowd, path) for path in ("/mcp", "/sse")})
        taken = interleaved(min(runs, 4), {"bare": bare, "ours": steady})
    name = f"calls over {CONNECTIONS} connections of /mcp"
    return [
        *(
            figure(
                f"{_CROWD} calls at once over {path}, endpoint takes 1 s",
                "s",
                samples,
                target=LIMIT_S,
                against="ours",
            )
            for path, samples in crowds.items()
        ),
        figure(name, "1/s", taken["ours"], "SDK echo", taken["bare"], target=0.7, at_least=True),
    ]


def _steady(client: Child, port: int, tool: str, arguments: Mapping[str, Any]) -> float:
    """Calls a second, with a connection each for those in flight."""
    _order(client, port, "/mcp", tool, arguments, CONNECTIONS, CONNECTIONS)
    return CALLS / _order(client, port, "/mcp", tool, arguments, CALLS, CONNECTIONS)


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
