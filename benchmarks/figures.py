"""A measured figure, and how samples become one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

Samples = list[float]


@dataclass(frozen=True)
class Figure:
    """One row of the table: what we need, what the baseline needs, and what was aimed at.

    `target` bounds the ratio to the baseline, or with `against="ours"` our own median, or with
    `against="difference"` ours less the baseline.
    """

    name: str
    unit: str
    baseline: Samples
    ours: Samples
    target: float | None = None
    against: Literal["ratio", "ours", "difference"] = "ratio"
    note: str = ""
    baseline_name: str = field(default="raw")

    @property
    def ratio(self) -> float | None:
        """Ours to the baseline, by medians."""
        return median(self.ours) / median(self.baseline) if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self._compared() <= self.target

    def _compared(self) -> float:
        if self.against == "ratio" and self.ratio is not None:
            return self.ratio
        return median(self.ours) - (median(self.baseline) if self.against == "difference" else 0)

    def to_dict(self) -> dict[str, object]:
        """For the JSON file, with every sample."""
        return {
            "name": self.name,
            "unit": self.unit,
            "baseline_name": self.baseline_name,
            "baseline": self.baseline,
            "ours": self.ours,
            "ratio": self.ratio,
            "target": self.target,
            "against": self.against,
            "met": self.met,
            "note": self.note,
        }


def interleaved(runs: int, candidates: Mapping[str, Callable[[], Samples]]) -> dict[str, Samples]:
    """Samples of all candidates, taken in turn so that a noisy minute hits them all.

    Each round begins with another one, since what runs before a candidate may matter too.
    """
    names, taken = list(candidates), {name: Samples() for name in candidates}
    for number in range(runs):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken[name] += candidates[name]()
    return taken
