"""What streamed text costs: CPU for each token, and the time and memory of long answers."""

import time

from benchmarks.child import McpChild, check
from benchmarks.figures import Figure, Samples, interleaved
from benchmarks.stage import Stage, ask

TOKENS = 20_000
ONE_MB = "grok-bench-n64-b16384"
SMALL_DELTAS = {1: "grok-bench-n10000-b100", 10: "grok-bench-n100000-b100"}
_TOKEN_MODEL = f"grok-bench-n{TOKENS}-b5"


def cpu_per_token(stage: Stage, runs: int) -> list[Figure]:
    """CPU of 1,000 text events of five characters at full speed, each its own HTTP chunk."""
    figures = []
    for dialect in ("chat_completions", "responses"):

        def raw(dialect: str = dialect) -> Samples:
            return [stage.raw(_TOKEN_MODEL, dialect=dialect)["cpu"] / TOKENS * 1e6]

        with (
            stage.ours(GROK_MCP_DIALECT=dialect) as server,
            stage.ours(GROK_MCP_DIALECT=dialect, GROK_MCP_PROGRESS="deltas") as noting,
        ):
            taken = interleaved(
                runs,
                {
                    "raw": raw,
                    "no token": lambda s=server: [_cpu(s)],  # type: ignore[misc]
                    "status notes": lambda s=server: [_cpu(s, "t")],  # type: ignore[misc]
                    "delta notes": lambda s=noting: [_cpu(s, "t")],  # type: ignore[misc]
                },
            )
        baseline = taken.pop("raw")
        figures += [
            Figure(f"CPU per 1,000 tokens, {dialect}, {mode}", "ms", baseline, ours, 3.0)
            for mode, ours in taken.items()
        ]
    return figures


def _cpu(server: McpChild, token: str | None = None) -> float:
    before = server.cpu()
    check(server.request(*ask(_TOKEN_MODEL, token=token)))
    return (server.cpu() - before) / TOKENS * 1e6


def long_answer(stage: Stage, runs: int) -> list[Figure]:
    """An answer of 1 MB in 64 pieces, and of 1 and 10 MB in pieces of 100 bytes."""
    walls: Samples = []
    above: Samples = []

    def ours() -> Samples:
        with stage.ours() as server:
            wall, memory = _long(server, ONE_MB)
        walls.append(wall * 1000)
        above.append(memory / 1e6)
        return []

    def raw() -> Samples:
        return [stage.raw(ONE_MB)["wall"] * 1000]

    raw()
    baseline = interleaved(runs, {"raw": raw, "ours": ours})["raw"]
    return [
        Figure("answer of 1 MB, total", "ms", baseline, walls, 2.0),
        Figure("answer of 1 MB, memory above idle", "MB", [], above, 10, "ours"),
        *_small_deltas(stage, min(runs, 2)),
    ]


def _small_deltas(stage: Stage, runs: int) -> list[Figure]:
    walls: dict[int, Samples] = {1: [], 10: []}
    peak: Samples = []
    raw: Samples = []
    for _ in range(runs):
        for size, model in SMALL_DELTAS.items():
            with stage.ours() as server:
                wall, memory = _long(server, model)
            walls[size].append(wall * 1000)
            if size == 10:
                peak.append(memory / 1e6)
        raw.append(stage.raw(SMALL_DELTAS[10])["wall"] * 1000)
    growth = [ten / one for one, ten in zip(walls[1], walls[10], strict=True)]
    return [
        Figure("answer of 10 MB in 100,000 deltas, total", "ms", raw, walls[10], 3.0),
        Figure("the same, times the time of 1 MB", "×", [], growth, 12, "ours", note="10 is linear"),
        Figure("the same, peak memory above idle", "MB", [], peak, 40, "ours"),
    ]


def _long(server: McpChild, model: str) -> tuple[float, int]:
    """Seconds of one call, and the peak of memory above what it began with."""
    idle = server.reset_peak()
    began = time.perf_counter()
    check(server.request(*ask(model)))
    return time.perf_counter() - began, server.memory("VmHWM") - idle
