"""How fast models have answered lately, from the calls in a ledger, for `grok-mcp-server models` and `grok://models`."""

import time
from collections import defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

from grok_mcp.accounting.reading import Reading, Which
from grok_mcp.models import find_model

DAYS = 30
LEAST_CALLS = 3
"""Of fewer calls a median says nothing."""
_NEWEST = 20_000
"""Calls that are looked at: a median of more says the same."""


class Speed(NamedTuple):
    """Medians over some calls: seconds of a whole call, and tokens of output for each of its seconds."""

    calls: int
    median_s: float
    output_tokens_per_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON values by the published names, without what is unknown."""
        rate = self.output_tokens_per_s
        published = {"calls": self.calls, "median_s": round(self.median_s, 3)}
        return published if rate is None else {**published, "output_tokens_per_s": round(rate, 1)}


def read_speeds(ledger: Reading, *, caller: str | None = None, sandbox: bool = False) -> dict[str, Speed]:
    """The speed of each model by its id, over the calls of the last 30 days that ended well.

    A model with fewer than three such calls has none. `caller` None means all callers.
    """
    rows = ledger.speeds(_NEWEST, Which(time.time() - DAYS * 86_400, caller, sandbox))
    calls = defaultdict[str, list[tuple[float, int | None]]](list)
    for name, duration_s, tokens in rows:
        calls[_bare(name)].append((duration_s, tokens))
    return {name: _speed(seen) for name, seen in calls.items() if len(seen) >= LEAST_CALLS}


def _speed(calls: list[tuple[float, int | None]]) -> Speed:
    rates = [tokens / duration_s for duration_s, tokens in calls if tokens]
    return Speed(len(calls), median(duration_s for duration_s, _ in calls), median(rates) if rates else None)


def _bare(name: str) -> str:
    """The id of a model under any of its names."""
    model = find_model(name)
    return model.id if model else name.rsplit("/", 1)[-1]


def add_speeds(document: Mapping[str, Any], speeds: Mapping[str, Speed]) -> None:
    """Put its speed beside each model of what `grok://models` shows."""
    for entry in document["models"]:
        speed = speeds.get(_bare(entry["id"]))
        if speed is not None:
            entry["speed"] = speed.to_dict()
