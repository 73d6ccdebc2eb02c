"""The Grok models that we know: abilities, effort values, prices and where retired ids lead.

Facts: docs.x.ai (models, pricing, the retirement of 2026-05-15), as read until 2026-11-29. An id that is not
here works just as well: nothing is refused or left out for it. To add a model, add a record, the newest
first, and its row in docs/models.md.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

EVERY_EFFORT = ("none", "low", "medium", "high", "xhigh")

NON_REASONING_ONLY = ("presence_penalty", "frequency_penalty", "stop")
"""Options that xAI's reasoning models answer with HTTP 400."""


LONG_CONTEXT_TOKENS = 200_000
"""From so many tokens of input on, a whole request is billed at twice the prices."""


class Model(NamedTuple):
    """One model. Prices are USD for a million tokens, for inputs below `LONG_CONTEXT_TOKENS`.

    `good_for` is what somebody would choose it for, in a few words. `efforts` are the values of
    `reasoning_effort` that are taken, the default first; `refused_efforts` those that were observed to be
    refused.
    """

    id: str
    context_window: int
    input_usd: Decimal
    cached_usd: Decimal
    output_usd: Decimal
    good_for: str
    efforts: tuple[str, ...] = ()
    refused_efforts: tuple[str, ...] = ()
    reasoning: bool = True
    images: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def refused_parameters(self) -> tuple[str, ...]:
        """The parameters that the endpoint is known to refuse in every value."""
        options = NON_REASONING_ONLY if self.reasoning else ()
        return (*options, "reasoning_effort") if self.refused_efforts == EVERY_EFFORT else options

    def refuses(self, parameter: str, value: object) -> bool:
        """Whether the endpoint is known to refuse this parameter with this value."""
        if parameter in NON_REASONING_ONLY:
            return self.reasoning
        return parameter == "reasoning_effort" and value in self.refused_efforts


def _usd(text: str) -> tuple[Decimal, Decimal, Decimal]:
    input_usd, cached_usd, output_usd = (Decimal(part) for part in text.split())
    return input_usd, cached_usd, output_usd


_MODELS = (
    Model(
        "grok-4.7",
        500_000,
        *_usd("2.00 0.50 6.00"),
        "hard questions, code and images; knows most, until May 2026",
        ("high", "low", "medium", "xhigh"),
        refused_efforts=("none",),
        aliases=("grok-4.7-latest",),
    ),
    Model(
        "grok-4.6",
        500_000,
        *_usd("2.00 0.50 6.00"),
        "as grok-4.7, one older; knows until February 2026; all that the US endpoint has",
        ("high", "low", "medium", "xhigh"),
        refused_efforts=("none",),
        aliases=("grok-4.6-latest",),
    ),
    Model(
        "grok-4.5",
        500_000,
        *_usd("2.00 0.30 6.00"),
        "hard questions in long conversations: of the three, its cached input costs least",
        ("high", "low", "medium", "xhigh"),
        refused_efforts=("none",),
        aliases=("grok-4.5-latest",),
    ),
    Model(
        "grok-4.3",
        1_000_000,
        *_usd("1.25 0.20 2.50"),
        "everyday questions and long documents for less; at once with effort none",
        ("low", "none", "medium", "high", "xhigh"),
        aliases=("grok-4.3-latest",),
    ),
    Model(
        "grok-4.20-0309-reasoning",
        1_000_000,
        *_usd("1.25 0.20 2.50"),
        "long documents that have to be thought about, without a choice of effort",
        refused_efforts=EVERY_EFFORT,
        aliases=(
            *("grok-4.20", "grok-4.20-0309", "grok-4.20-reasoning", "grok-4.20-reasoning-latest"),
            "grok-4.20-beta-0309-reasoning",
        ),
    ),
    Model(
        "grok-4.20-0309-non-reasoning",
        1_000_000,
        *_usd("1.25 0.20 2.50"),
        "answers at once, without a token of thought; takes stop and penalties",
        refused_efforts=EVERY_EFFORT,
        reasoning=False,
        aliases=(
            *("grok-4.20-non-reasoning", "grok-4.20-non-reasoning-latest"),
            "grok-4.20-beta-0309-non-reasoning",
        ),
    ),
    Model(
        "grok-4.20-multi-agent-0309",
        1_000_000,
        *_usd("1.25 0.20 2.50"),
        "research by 4 agents (low, medium) or 16 (high, xhigh), each of which is billed",
        ("low", "medium", "high", "xhigh"),
        aliases=(
            *("grok-4.20-multi-agent", "grok-4.20-multi-agent-latest"),
            "grok-4.20-multi-agent-beta-0309",
        ),
    ),
    Model(
        "grok-build-0.1",
        256_000,
        *_usd("1.00 0.20 2.00"),
        "code at the lowest price, in the smallest context",
        refused_efforts=EVERY_EFFORT,
    ),
)

MODELS: Mapping[str, Model] = {model.id: model for model in _MODELS}

RETIRED_ON = "2026-05-15"

RETIRED: Mapping[str, str] = {
    "grok-4-1-fast-reasoning": "grok-4.3",
    "grok-4-1-fast": "grok-4.3",
    "grok-4-fast-reasoning": "grok-4.3",
    "grok-4-fast": "grok-4.3",
    "grok-4-0709": "grok-4.3",
    "grok-4": "grok-4.3",
    "grok-4-latest": "grok-4.3",
    "grok-4-1-fast-non-reasoning": "grok-4.3",
    "grok-4-fast-non-reasoning": "grok-4.3",
    "grok-3": "grok-4.3",
    "grok-3-latest": "grok-4.3",
    "grok-3-fast": "grok-4.3",
    "grok-3-mini": "grok-4.3",
    "grok-3-mini-fast": "grok-4.3",
    "grok-code-fast-1": "grok-build-0.1",
    "grok-code-fast": "grok-build-0.1",
}
"""Ids that xAI retired, and the models that serve and bill them since.

Those that its notice does not name (grok-4, grok-3-mini and other short ones) go by the pattern of the
others.
"""

MOVING: Mapping[str, str] = {"grok-latest": "grok-4.6", "grok-build-latest": "grok-4.5"}
"""Names that xAI moves on to newer models, and where each was last seen: whichever answers is right."""

_BY_NAME = {name: model for model in _MODELS for name in (model.id, *model.aliases)}


def find_model(name: str) -> Model | None:
    """The model of an id or alias, with or without a vendor prefix such as `x-ai/`."""
    return _BY_NAME.get(name.rsplit("/", 1)[-1])


def newest(names: Iterable[str]) -> str | None:
    """The first of our models, the newest, that is among these ids and aliases; None where none is."""
    offered = [model.id for model in map(find_model, names) if model is not None]
    return next((id for id in MODELS if id in offered), None)


def similar(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known ids that look like this one, the likeliest first."""
    wanted = _bare(name)
    by_bare = {_bare(id): id for id in known}
    return [by_bare[match] for match in difflib.get_close_matches(wanted, by_bare, 3)]


def _bare(name: str) -> str:
    """An id without vendor prefix, in the spelling that a dash in place of the dot is closest to."""
    return re.sub(r"(?<=\d)-(?=\d)", ".", name.rsplit("/", 1)[-1].lower())
