"""What was measured for each release: one JSON file a version, with machine and versions of libraries.

A run with `--only` replaces the groups that it measured. Ratios are made within a group, so groups may come
from several runs; each says when it was measured, and how busy the machine was before.
"""

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import grok_mcp
from benchmarks import peers
from benchmarks.figures import Figure

FOLDER = Path(__file__).parent / "history"
_LIBRARIES = ("mcp", "httpx2", "anyio", "pydantic", "uvloop", "starlette", "uvicorn")


class Release(NamedTuple):
    """The figures of one version, and where they were measured."""

    version: str
    machine: str
    figures: list[Figure]


class Run(NamedTuple):
    """What was measured at a time; `load` is the load average of the machine before."""

    groups: Mapping[str, list[Figure]]
    rounds: int
    load: float


def document(run: Run, known: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a file: what is known already, and these groups."""
    measured = {
        name: {
            "measured": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
            "rounds": run.rounds,
            "load_before": round(run.load, 1),
            "figures": [asdict(figure) for figure in figures],
        }
        for name, figures in run.groups.items()
    }
    return {
        "version": grok_mcp.__version__,
        "machine": {
            "processor": _processor(),
            "processors": len(os.sched_getaffinity(0)),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "libraries": {name: version(name) for name in _LIBRARIES},
        "peers": peers.NPM | peers.PYPI,
        "groups": {**known.get("groups", {}), **measured},
    }


def save(run: Run) -> Path:
    """Write them into the file of the present version."""
    path = FOLDER / f"{grok_mcp.__version__}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(document(run, known), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def releases() -> list[Release]:
    """All of them, the newest last."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json"))
    return [
        Release(one["version"], describe(one), list(_figures_of(one)))
        for one in sorted(read, key=lambda one: [int(part) for part in re.findall(r"\d+", one["version"])])
    ]


def describe(one: Mapping[str, Any]) -> str:
    """Machine, date and versions in one line."""
    machine = one["machine"]
    groups = one["groups"].values()
    dates = sorted({group["measured"][:10] for group in groups})
    loads = sorted({group["load_before"] for group in groups})
    parts = [
        " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        f"{machine['processors']} processors ({machine['processor']})",
        f"load average {' to '.join(map(str, dict.fromkeys((loads[0], loads[-1]))))} before",
        f"Python {machine['python']}",
        *(f"{name} {number}" for name, number in {**one["libraries"], **one["peers"]}.items()),
    ]
    return ", ".join(parts)


def _figures_of(one: Mapping[str, Any]) -> Iterator[Figure]:
    for group in one["groups"].values():
        yield from map(Figure.from_dict, group["figures"])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()
