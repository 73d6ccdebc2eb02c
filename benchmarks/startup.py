"""Cold start, the first call after it, idle memory and the size of the tool list."""

import compileall
import json
import time
from functools import partial

from benchmarks.child import ROOT, McpChild, check
from benchmarks.figures import Figure, Samples, beside, figure, interleaved
from benchmarks.stage import PIECES_16, Server, Stage

_SETTLED_S = 4.0
"""Long after a server that answers from data has loaded the rest."""


def cold_start(stage: Stage, runs: int) -> list[Figure]:
    """Spawn to `tools/list` answered, and to the answer of a first call right after it.

    CPU is what the process and those below it have used by then. Byte code is written first, as an installer
    does; without it the SDK's would be cached and ours not.
    """
    for package in ("grok_mcp", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=2)
    names = ["bare SDK", "SDK relay", "aiohttp on the SDK", "Perplexity", "Rust", "ours"]
    servers = stage.servers(PIECES_16, names)
    cpus: dict[str, Samples] = {name: [] for name in servers.found}
    calls: dict[str, Samples] = {name: [] for name in servers.found}
    listed = b""

    def start(name: str, server: Server) -> Samples:
        nonlocal listed
        with McpChild(server.command, server.environ) as child:
            answer = child.open()
            wall, cpu = time.perf_counter() - child.began, child.cpu()
            check(child.request(*server.call))
            called = time.perf_counter() - child.began
            child.kill()
        listed = answer if name == "ours" else listed
        cpus[name].append(cpu * 1000)
        calls[name].append(called * 1000)
        return [wall * 1000]

    candidates = {name: partial(start, name, server) for name, server in servers.found.items()}
    interleaved(1, candidates)  # fills the caches
    for taken in (*cpus.values(), *calls.values()):
        taken.clear()
    walls = interleaved(runs, candidates)
    tools = json.dumps(json.loads(listed)["result"]["tools"], separators=(",", ":"), ensure_ascii=False)
    missing = servers.missing
    return [
        *beside(
            "start to tools/list, CPU",
            "ms",
            cpus,
            missing,
            {"bare SDK": 0.06, "Rust": None, "Perplexity": None},
        ),
        *beside(
            "start to tools/list, wall",
            "ms",
            walls,
            missing,
            {"bare SDK": 0.06, "Rust": None, "Perplexity": None},
        ),
        *beside(
            "start to the first call's answer, wall",
            "ms",
            calls,
            missing,
            {"SDK relay": 1.0, "aiohttp on the SDK": None, "Rust": None, "Perplexity": None},
        ),
        figure("tools/list, compact JSON", "bytes", [len(tools.encode())], target=6144, against="ours"),
    ]


def idle_memory(stage: Stage, runs: int) -> list[Figure]:
    """Resident memory some seconds after `tools/list`, when all is loaded."""
    servers = stage.servers(PIECES_16, ["bare SDK", "Perplexity", "Rust", "ours"])

    def idle(server: Server) -> Samples:
        with McpChild(server.command, server.environ) as child:
            child.open()
            time.sleep(_SETTLED_S)
            return [child.memory() / 1e6]

    candidates = {name: partial(idle, server) for name, server in servers.found.items()}
    taken = interleaved(min(runs, 3), candidates)
    baselines = {"bare SDK": 1.1, "Perplexity": None, "Rust": None}
    return beside("memory, idle", "MB", taken, servers.missing, baselines)
