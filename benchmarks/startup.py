"""Cold start, idle memory and the size of the tool list, beside the bare SDK."""

import compileall
import json
import time

from benchmarks.child import ROOT, McpChild
from benchmarks.figures import Figure, Samples
from benchmarks.stage import Stage

_SERVERS = {
    "bare": ["-m", "benchmarks.bare_server"],
    "MCPServer": ["-m", "benchmarks.bare_mcpserver"],
    "ours": ["-m", "grok_mcp"],
}
_SETTLED_S = 0.5


def cold_start(stage: Stage, runs: int) -> list[Figure]:
    """Spawn to `tools/list` answered: seconds, and CPU seconds until then as `wait4` tells them.

    Byte code is written first, as an installer does; without it the SDK's would be cached and ours not.
    """
    for package in ("grok_mcp", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=2)
    walls: dict[str, Samples] = {name: [] for name in _SERVERS}
    cpus: dict[str, Samples] = {name: [] for name in _SERVERS}
    listed = b""
    for number in range(runs + 1):
        first = number % len(_SERVERS)
        names = list(_SERVERS)
        for name in names[first:] + names[:first]:
            with McpChild(_SERVERS[name], {"XAI_API_KEY": "x"}) as server:
                answer = server.open()
                wall = time.perf_counter() - server.began
                cpu = server.kill_and_count()
            listed = answer if name == "ours" else listed
            if number:  # the first round fills the caches
                walls[name].append(wall * 1000)
                cpus[name].append(cpu * 1000)
    tools = json.dumps(json.loads(listed)["result"]["tools"], separators=(",", ":"), ensure_ascii=False)
    return [
        Figure("cold start, wall", "ms", walls["bare"], walls["ours"], 1.0, baseline_name="bare"),
        Figure("cold start, CPU", "ms", cpus["bare"], cpus["ours"], 1.0, baseline_name="bare"),
        Figure("cold start, wall", "ms", walls["MCPServer"], walls["ours"], baseline_name="MCPServer"),
        Figure("tools/list, compact JSON", "bytes", [], [len(tools.encode())], 4096, "ours"),
    ]


def idle_memory(stage: Stage, runs: int) -> list[Figure]:
    """Resident memory half a second after `tools/list`."""
    sizes: dict[str, Samples] = {"bare": [], "ours": []}
    for _ in range(min(runs, 3)):
        for name, taken in sizes.items():
            with McpChild(_SERVERS[name], {"XAI_API_KEY": "x"}) as server:
                server.open()
                time.sleep(_SETTLED_S)
                taken.append(server.memory() / 1e6)
    return [Figure("memory, idle", "MB", sizes["bare"], sizes["ours"], 1.15, baseline_name="bare")]
