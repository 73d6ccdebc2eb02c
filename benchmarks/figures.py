"""A measured figure, and how samples become one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, Self

Samples = list[float]


@dataclass(frozen=True)
class Spread:
    """What is kept of samples."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, samples: Samples) -> Self | None:
        """None where nothing was measured."""
        return cls(median(samples), min(samples), max(samples), len(samples)) if samples else None


@dataclass(frozen=True)
class Figure:
    """One row of the table: what we need, what the baseline needs, and what was aimed at.

    `target` bounds the ratio to the baseline, or with `against="ours"` our own median, or with
    `against="difference"` ours less the baseline; from below where more is better (`at_least`).
    `missing` says why there is no baseline.
    """

    name: str
    unit: str
    baseline_name: str
    baseline: Spread | None
    ours: Spread
    target: float | None = None
    against: Literal["ratio", "ours", "difference"] = "ratio"
    at_least: bool = False
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours to the baseline, by medians."""
        if (
            self.baseline is None or self.baseline.median <= 0
        ):  # what is added to a third may be less than nothing
            return None
        return self.ours.median / self.baseline.median

    @property
    def compared(self) -> float | None:
        """What the target bounds; None without a baseline that it needs."""
        if self.against == "ours":
            return self.ours.median
        if self.against == "ratio":
            return self.ratio
        return self.ours.median - self.baseline.median if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none, or nothing to compare with."""
        if self.target is None or self.compared is None:
            return None
        return self.compared >= self.target if self.at_least else self.compared <= self.target

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made of it."""
        baseline = Spread(**fields["baseline"]) if fields["baseline"] else None
        return cls(**{**fields, "baseline": baseline, "ours": Spread(**fields["ours"])})


def figure(
    name: str,
    unit: str,
    ours: Samples,
    baseline_name: str = "",
    baseline: Samples | None = None,
    *,
    target: float | None = None,
    against: Literal["ratio", "ours", "difference"] = "ratio",
    at_least: bool = False,
    missing: str = "",
) -> Figure:
    """A figure of these samples."""
    spread = Spread.of(ours)
    assert spread is not None
    return Figure(
        name, unit, baseline_name, Spread.of(baseline or []), spread, target, against, at_least, missing
    )


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


def beside(
    name: str,
    unit: str,
    taken: Mapping[str, Samples],
    missing: Mapping[str, str],
    baselines: Mapping[str, float | None],
    *,
    at_least: bool = False,
) -> list[Figure]:
    """Ours beside each of these baselines, with the target for the ratio to it."""
    return [
        figure(
            name,
            unit,
            taken["ours"],
            baseline,
            taken.get(baseline),
            target=target,
            at_least=at_least,
            missing=missing.get(baseline, ""),
        )
        for baseline, target in baselines.items()
    ]
