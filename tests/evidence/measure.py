"""Plays the cases and counts: for each class how much of what was said is so, and how much of what is so was
said.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.evidence.changes import Case, Truth, cases
from tests.gateways.table import Json
from tests.support.endpoint import Endpoint, Reply, Request
from tests.support.host import host_on

CLASSES = ("cited", "met_only", "unseen", "no_source", "two_numbers", "span_outside")
_OTHER_NOTES = (
    "The answer is incomplete",
    "The answer was cut",
    "The endpoint reported no search",
    "The model ",
)
"""Notes of changed answers that are not about their sources."""


@dataclass
class Count:
    """What was said of one class: `right` of what was `said` and of what there `is`, in so many cases."""

    cases: int = 0
    said: int = 0
    real: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        return self.right / self.said if self.said else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.real if self.real else 1.0


@dataclass
class Measured:
    """All counts, what was wrong, and how often sound answers got a note."""

    counts: Mapping[str, Count] = field(default_factory=lambda: {name: Count() for name in CLASSES})
    wrong: list[str] = field(default_factory=list)
    cases: int = 0
    sound: int = 0
    sound_with_note: int = 0
    unsound_without_note: int = 0
    seconds: float = 0.0

    def table(self) -> str:
        """The counts as Markdown."""
        lines = ["| class | cases | sources | precision | recall |", "|---|---|---|---|---|"]
        for name, count in self.counts.items():
            figures = f"{count.precision:.3f} | {count.recall:.3f}"
            lines.append(f"| `{name}` | {count.cases:,} | {count.real:,} | {figures} |")
        return "\n".join(lines)

    def sentence(self) -> str:
        """What the notes were like."""
        return (
            f"{self.cases:,} answers; of {self.sound:,} sound ones {self.sound_with_note} got a note, "
            f"of {self.cases - self.sound:,} others {self.unsound_without_note} got none."
        )


async def measure(chosen: Iterable[Case] | None = None) -> Measured:
    """Play all cases, each as a call of a host."""
    started = time.perf_counter()
    measured, by_gateway = Measured(), dict[str, list[Case]]()
    for case in cases() if chosen is None else chosen:
        by_gateway.setdefault(case.gateway, []).append(case)
    for gateway, several in by_gateway.items():
        await _play(gateway, several, measured)
    measured.seconds = time.perf_counter() - started
    return measured


async def _play(gateway: str, several: list[Case], measured: Measured) -> None:
    now: list[Reply] = []

    def reply(request: Request) -> Reply:
        return now[-1]

    settings: dict[str, Any] = {"results": "structured", "max_retries": 0, "max_result_chars": 0}
    async with Endpoint(choose=reply) as endpoint, host_on(endpoint, gateway=gateway, **settings) as host:
        for case in several:
            now[:] = [case.reply]
            tool = "grok_structured" if "schema" in case.asked else "grok_search"
            result = await host.call(
                tool, **{"query": "Well?"} | case.asked if tool == "grok_search" else case.asked
            )
            assert not result.raw.is_error, f"{case}: {result.text}"
            score(case, result.structured, measured)


def score(case: Case, answer: Json, measured: Measured) -> None:
    """Count what one answer says."""
    measured.cases += 1
    said, real = _by_class(_said(answer)), _by_class(case.truth)
    for name, count in measured.counts.items():
        count.cases += bool(real[name])
        count.said += len(said[name])
        count.real += len(real[name])
        count.right += len(said[name] & real[name])
        if said[name] != real[name]:
            more, less = sorted(said[name] - real[name]), sorted(real[name] - said[name])
            measured.wrong.append(f"{case.change} ({case.scene}, {case.form}), {name}: +{more} -{less}")
    notes = [note for note in answer.get("warnings", ()) if not note.startswith(_OTHER_NOTES)]
    measured.sound += case.truth.is_sound
    if case.truth.is_sound and notes:
        measured.sound_with_note += 1
        measured.wrong.append(f"{case.change} ({case.scene}, {case.form}): a note, {notes}")
    if not case.truth.is_sound and len(notes) != 1:
        measured.unsound_without_note += 1
        measured.wrong.append(f"{case.change} ({case.scene}, {case.form}): {len(notes)} notes, {notes}")


def _said(answer: Json) -> Truth:
    """What an answer says, by addresses."""
    urls = {cited["index"]: cited["url"] for cited in answer.get("citations", ())}
    evidence = answer.get("evidence", {"cited": [], "met_only": [], "unseen": [], "broken": []})
    broken = {
        (urls[one["marker"]] if one["why"] == "span_outside" else str(one["marker"]), one["why"])
        for one in evidence["broken"]
    }
    cited, met_only, unseen = (
        {urls[number] for number in evidence[name]} for name in ("cited", "met_only", "unseen")
    )
    return Truth(cited, met_only, unseen, broken)


def _by_class(truth: Truth) -> dict[str, set[str]]:
    named = {"cited": truth.cited, "met_only": truth.met_only, "unseen": truth.unseen}
    return named | {name: {who for who, why in truth.broken if why == name} for name in CLASSES[3:]}
