"""The command line: runs the measurements in turn and prints one table."""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import version
from pathlib import Path

from benchmarks.crowd import calls_at_once
from benchmarks.figures import Figure
from benchmarks.latency import first_note, instant_call
from benchmarks.network import over_http
from benchmarks.stage import Stage, stage
from benchmarks.startup import cold_start, idle_memory
from benchmarks.streaming import cpu_per_token, long_answer
from benchmarks.table import print_table

DEFAULT_RUNS = 7
MAX_RUNS = 50
PACKAGES = ("mcp", "httpx2", "anyio", "pydantic")

MEASUREMENTS: Mapping[str, Callable[[Stage, int], list[Figure]]] = {
    "start": cold_start,
    "memory": idle_memory,
    "instant": instant_call,
    "note": first_note,
    "tokens": cpu_per_token,
    "long": long_answer,
    "crowd": calls_at_once,
    "network": over_http,
}


def main() -> None:
    """Measure what was asked for; the exit status is 0 whether or not targets are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="rounds of each (default %(default)s)")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="one of them; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    options = parser.parse_args()
    runs = max(1, min(options.runs, MAX_RUNS))
    figures: list[Figure] = []
    with stage() as running:
        for name in options.only or MEASUREMENTS:
            began = time.perf_counter()
            figures += MEASUREMENTS[name](running, runs)
            sys.stderr.write(f"{name}: {time.perf_counter() - began:.0f} s\n")
    print_table(figures, machine())
    if options.json:
        document = {"machine": machine(), "figures": [figure.to_dict() for figure in figures]}
        options.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


def machine() -> str:
    """Date, interpreter and versions in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{date.today()}, Python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    main()
