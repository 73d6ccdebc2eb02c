"""Measures the server beside peers, the bare SDK and bare HTTP clients, and prints one table."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import history, page
from benchmarks.crowd import calls_at_once
from benchmarks.figures import Figure
from benchmarks.fleet import fleet
from benchmarks.history import Run
from benchmarks.latency import first_note, in_flight, instant_call
from benchmarks.network import over_http
from benchmarks.stage import Stage, stage
from benchmarks.startup import cold_start, idle_memory
from benchmarks.streaming import cpu_per_piece, long_answer
from benchmarks.table import table_of

DEFAULT_RUNS = 7
MAX_RUNS = 50

MEASUREMENTS: Mapping[str, Callable[[Stage, int], list[Figure]]] = {
    "start": cold_start,
    "memory": idle_memory,
    "instant": instant_call,
    "flight": in_flight,
    "note": first_note,
    "pieces": cpu_per_piece,
    "long": long_answer,
    "crowd": calls_at_once,
    "network": over_http,
}


LARGE: Mapping[str, Callable[[Stage, int], list[Figure]]] = {"fleet": fleet}
"""Those that run only where they are named: they take minutes, and need nginx, Redis and PostgreSQL."""


def main() -> None:
    """Measure what was asked for; the exit status is 0 whether or not targets are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="rounds of each (default %(default)s)")
    parser.add_argument(
        "--only", action="append", choices=[*MEASUREMENTS, *LARGE], help="one of them; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument(
        "--save",
        action="store_true",
        help="also write them to benchmarks/history, and from there docs/performance.md and its plot",
    )
    options = parser.parse_args()
    runs = max(1, min(options.runs, MAX_RUNS))
    groups: dict[str, list[Figure]] = {}
    run = Run(groups, runs, os.getloadavg()[0])
    with stage() as running:
        for name in options.only or MEASUREMENTS:
            began = time.perf_counter()
            groups[name] = {**MEASUREMENTS, **LARGE}[name](running, runs)
            sys.stderr.write(f"{name}: {time.perf_counter() - began:.0f} s\n")
    document = history.document(run, {})
    print(f"\n{history.describe(document)}; median (least to most)\n")
    print(table_of((figure for group in groups.values() for figure in group), padded=True), end="")
    if options.json:
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    if options.save:
        print(f"\nwritten: {history.save(run)}")
        page.write()


if __name__ == "__main__":
    main()
