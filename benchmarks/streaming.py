"""What streamed text costs: CPU for each piece, and the time and memory of long answers."""

import time
from contextlib import ExitStack
from functools import partial

from benchmarks.child import McpChild, check
from benchmarks.figures import Figure, Samples, beside, figure, interleaved
from benchmarks.peers import UnavailableError
from benchmarks.stage import PIECES_16, Stage, ask
from benchmarks.wire import PATHS, Dialect

PIECES = 20_000
ONE_MB = "grok-bench-n64-b16384"
ONE_MB_IN_2000 = "grok-bench-n2000-b500-whole"
SMALL_DELTAS = {1: "grok-bench-n10000-b100", 10: "grok-bench-n100000-b100"}
PIECES_MODEL = f"grok-bench-n{PIECES}-b5"
_TARGETS = {"no progress token": 0.7, "status notes": 0.7, "delta notes": 3.0}


def cpu_per_piece(stage: Stage, runs: int) -> list[Figure]:
    """CPU of 1,000 text events of five characters at full speed, each its own HTTP chunk."""
    figures = []
    missing = {}
    try:
        stage.raw(PIECES_MODEL, client="aiohttp")
    except UnavailableError as error:
        missing["raw aiohttp"] = str(error)
    for dialect in PATHS:
        with (
            stage.ours(GROK_MCP_DIALECT=dialect) as server,
            stage.ours(GROK_MCP_DIALECT=dialect, GROK_MCP_PROGRESS="deltas") as noting,
        ):
            candidates = {
                "raw httpx2": partial(_raw_cpu, stage, dialect, "httpx2"),
                "no progress token": partial(_cpu, server, None),
                "status notes": partial(_cpu, server, "t"),
                "delta notes": partial(_cpu, noting, "t"),
            }
            if not missing:
                candidates["raw aiohttp"] = partial(_raw_cpu, stage, dialect, "aiohttp")
            taken = interleaved(runs, candidates)
        for mode, target in _TARGETS.items():
            name = f"CPU per 1,000 pieces, {dialect}, {mode}"
            figures.append(figure(name, "ms", taken[mode], "raw httpx2", taken["raw httpx2"], target=target))
        figures.append(
            figure(
                f"CPU per 1,000 pieces, {dialect}, no progress token",
                "ms",
                taken["no progress token"],
                "raw aiohttp",
                taken.get("raw aiohttp"),
                missing=missing.get("raw aiohttp", ""),
            )
        )
    return figures


def _raw_cpu(stage: Stage, dialect: Dialect, client: str) -> Samples:
    return [stage.raw(PIECES_MODEL, dialect=dialect, client=client)["cpu"] / PIECES * 1e6]


def _cpu(server: McpChild, token: str | None) -> Samples:
    before = server.cpu()
    check(server.request(*ask(PIECES_MODEL, token=token)))
    return [(server.cpu() - before) / PIECES * 1e6]


def long_answer(stage: Stage, runs: int) -> list[Figure]:
    """An answer of 1 MB in 2,000 pieces and in 64, and of 1 and 10 MB in pieces of 100 bytes."""
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
        *_in_2000_pieces(stage, runs),
        figure("1 MB in 64 pieces, wall", "ms", walls, "raw httpx2", baseline, target=2.0),
        figure("1 MB in 64 pieces, memory above idle", "MB", above, target=10, against="ours"),
        *_small_deltas(stage, min(runs, 2)),
    ]


def _in_2000_pieces(stage: Stage, runs: int) -> list[Figure]:
    """Warm servers by turns; the endpoint says the whole text again at the end, to everybody."""
    servers = stage.servers(ONE_MB_IN_2000, ["Perplexity", "aiohttp on the SDK", "ours"])

    def wall(server: McpChild, name: str) -> Samples:
        began = time.perf_counter()
        answer = server.request(*servers.found[name].call)
        taken = time.perf_counter() - began
        assert len(check(answer)) > 1_000_000, name
        return [taken * 1000]

    with ExitStack() as stack:
        running = {name: stack.enter_context(one.running()) for name, one in servers.found.items()}
        raw = {"raw httpx2": lambda: [stage.raw(ONE_MB_IN_2000)["wall"] * 1000]}
        ours = {name: partial(wall, server, name) for name, server in running.items()}
        taken = interleaved(runs, {**raw, **ours})
    return beside(
        "1 MB in 2,000 pieces, wall",
        "ms",
        taken,
        servers.missing,
        {"Perplexity": 0.4, "aiohttp on the SDK": None, "raw httpx2": None},
    )


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
        figure("10 MB in 100,000 pieces, wall", "ms", walls[10], "raw httpx2", raw, target=3.0),
        figure("10 MB, times the time of 1 MB", "×", growth, target=12, against="ours"),
        figure("10 MB, peak memory above idle", "MB", peak, target=40, against="ours"),
    ]


def _long(server: McpChild, model: str) -> tuple[float, int]:
    """Seconds of one call behind a first one, and the peak of memory above what it began with."""
    check(server.request(*ask(PIECES_16)))
    idle = server.reset_peak()
    began = time.perf_counter()
    check(server.request(*ask(model)))
    return time.perf_counter() - began, server.memory("VmHWM") - idle
