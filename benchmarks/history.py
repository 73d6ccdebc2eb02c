"""What was measured for each release: one JSON file a version, with machine and versions of libraries.

A run with `--only` replaces the groups that it measured. Ratios are made within a group, so groups may come
from several runs; each says when it was measured, and how busy the machine was by then.
"""

import json
import os
import platform
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


def document(groups: Mapping[str, list[Figure]], runs: int, known: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of a file: what is known already, and these groups."""
    measured = {
        name: {
            "measured": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
            "runs": runs,
            "load_average": round(os.getloadavg()[0], 1),
            "figures": [asdict(figure) for figure in figures],
        }
        for name, figures in groups.items()
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


def save(groups: Mapping[str, list[Figure]], runs: int) -> Path:
    """Write them into the file of the present version."""
    path = FOLDER / f"{grok_mcp.__version__}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(document(groups, runs, known), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def releases() -> list[Release]:
    """All of them, the newest last."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json"))
    return [
        Release(one["version"], describe(one), list(_figures_of(one)))
        for one in sorted(read, key=lambda one: [int(part) for part in one["version"].split(".")[:3]])
    ]


def describe(one: Mapping[str, Any]) -> str:
    """Machine, date and versions in one line."""
    machine = one["machine"]
    dates = sorted({group["measured"][:10] for group in one["groups"].values()})
    parts = [
        " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        f"{machine['processors']} processors ({machine['processor']})",
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
