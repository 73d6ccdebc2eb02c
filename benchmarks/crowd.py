"""Many calls at once."""

import time
from functools import partial

from benchmarks.child import check
from benchmarks.figures import Figure, Samples, figure, interleaved
from benchmarks.stage import Stage, ask

MODEL = "grok-bench-d1000"
LIMIT_S = 1.8  # for 500
_LIMITS_S = {100: 1.3, 500: LIMIT_S}


def calls_at_once(stage: Stage, runs: int) -> list[Figure]:
    """100 and 500 calls sent together to an endpoint that takes 1 s; each of ours on a fresh server."""
    figures, each = [], Samples()

    def ours(count: int) -> Samples:
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

    def raw(count: int) -> Samples:
        return [stage.raw(MODEL, count=count, together=True)["wall"]]

    for count, limit in _LIMITS_S.items():
        candidates = {"raw": partial(raw, count), "ours": partial(ours, count)}
        taken = interleaved(min(runs, 4), candidates)
        name = f"{count} calls at once on stdio, endpoint takes 1 s"
        figures.append(
            figure(name, "s", taken["ours"], "raw httpx2", taken["raw"], target=limit, against="ours")
        )
    return [
        *figures,
        figure("memory of a call in flight", "KB", each, target=150, against="ours"),
        figure(
            "memory that calls 2,001 to 10,000 leave behind", "MB", [_growth(stage)], target=2, against="ours"
        ),
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
