"""What a call costs in time: the instant call, and the way of the first text to the host."""

import json
import re
import time

from benchmarks.child import McpChild, check
from benchmarks.figures import Figure, Samples, interleaved
from benchmarks.stage import Stage, ask, bare, echo

CALLS = 60  # of each kind in one round
_STAMP = re.compile(rb"\d{19}")


def instant_call(stage: Stage, runs: int) -> list[Figure]:
    """Sequential calls that the endpoint answers at once, against an echo call plus a raw request."""
    with bare() as echoing, stage.relay() as relaying, stage.ours() as server:
        stage.raw("grok-bench", count=CALLS)
        _calls(server, ask("grok-bench"))
        taken = interleaved(
            max(runs, 5),
            {
                "echo": lambda: _calls(echoing, echo()),
                "raw": lambda: [one * 1000 for one in stage.raw("grok-bench", count=CALLS)["seconds"]],
                "relay": lambda: _calls(relaying, echo()),
                "ours": lambda: _calls(server, ask("grok-bench")),
                "noted": lambda: _calls(server, ask("grok-bench", token="t")),
            },
        )
    both = [one + other for one, other in zip(sorted(taken["echo"]), sorted(taken["raw"]), strict=True)]
    return [
        Figure("instant call", "ms", both, taken["ours"], 1.3, baseline_name="echo + raw"),
        Figure("instant call, progress token", "ms", both, taken["noted"], 1.3, baseline_name="echo + raw"),
        Figure("instant call", "ms", taken["relay"], taken["ours"], 1.3, baseline_name="echo with raw"),
        Figure(
            "instant call, progress token",
            "ms",
            taken["relay"],
            taken["noted"],
            1.3,
            baseline_name="echo with raw",
        ),
        Figure("instant call", "ms", taken["raw"], taken["ours"], baseline_name="raw alone"),
        Figure("instant call", "ms", taken["echo"], taken["ours"], baseline_name="echo alone"),
    ]


def _calls(server: McpChild, call: tuple[str, object]) -> Samples:
    method, params = call
    assert isinstance(params, dict)
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        answer = server.request(method, params)
        taken.append((time.perf_counter() - began) * 1000)
        check(answer)
    return taken


def first_note(stage: Stage, runs: int) -> list[Figure]:
    """From the moment the endpoint sends the first text to the note that holds it, in `deltas` mode.

    The text comes right behind the start of the answer, or some time after it.
    """
    figures = []
    with stage.ours(GROK_MCP_PROGRESS="deltas") as server:
        for gap in (0, 20, 200):
            model = f"grok-bench-stamp-n2-g{gap}"
            taken = interleaved(
                max(runs, 5),
                {
                    "raw": lambda m=model: [one / 1e6 for one in stage.raw(m, count=4)["delays_ns"]],  # type: ignore[misc]
                    "ours": lambda m=model: [_until_note(server, m) for _ in range(4)],  # type: ignore[misc]
                },
            )
            name = f"first text to its note, text {gap} ms after the start"
            figures.append(Figure(name, "ms", taken["raw"], taken["ours"], 3, "difference"))
    return figures


def _until_note(server: McpChild, model: str) -> float:
    """Milliseconds from the stamp in the first text to the note with it."""
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
