"""Many calls at once."""

import time

from benchmarks.child import check
from benchmarks.figures import Figure, Samples, interleaved
from benchmarks.stage import Stage, ask

MODEL = "grok-bench-d1000"
_LIMITS_S = {100: 1.3, 500: 2.0}


def calls_at_once(stage: Stage, runs: int) -> list[Figure]:
    """100 and 500 calls sent together to an endpoint that takes 1 s; each of ours on a fresh server."""
    figures, each = [], Samples()
    for count, limit in _LIMITS_S.items():

        def ours(count: int = count) -> Samples:
            with stage.ours() as server:
                idle = server.reset_peak()
                began = time.perf_counter()
                server.post(ask(MODEL) for _ in range(count))
                answers = server.answers(count)
                wall = time.perf_counter() - began
                if count == max(_LIMITS_S):
                    each.append((server.memory("VmHWM") - idle) / count / 1000)
            for answer in answers:
                check(answer)
            return [wall]

        def raw(count: int = count) -> Samples:
            return [stage.raw(MODEL, count=count, together=True)["wall"]]

        taken = interleaved(min(runs, 4), {"raw": raw, "ours": ours})
        name = f"{count} calls at once, endpoint takes 1 s"
        figures.append(Figure(name, "s", taken["raw"], taken["ours"], limit, "ours"))
    return [
        *figures,
        Figure("memory of a call in flight", "KB", [], each, 150, "ours"),
        Figure("memory that calls 2,001 to 10,000 leave behind", "MB", [], [_growth(stage)], 2, "ours"),
    ]


def _growth(stage: Stage) -> float:
    """The store of conversations is full after 2,000 calls; nothing else may grow."""
    with stage.ours() as server:
        for done in range(0, 10_000, 50):
            if done == 2_000:
                full = server.memory()
            server.post(ask("grok-bench") for _ in range(50))
            for answer in server.answers(50):
                check(answer)
        return (server.memory() - full) / 1e6
