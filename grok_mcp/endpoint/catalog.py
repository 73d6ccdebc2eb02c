"""Which models the endpoint offers: its own list where it has one, merged with what `models.py` knows.

Shapes of the lists: docs.x.ai (`/models`, `/language-models`); the other endpoints send OpenAI's, of which
only ids and context lengths are read. A price there is an integer: 10,000 times USD per million tokens.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import anyio

from grok_mcp import bounds
from grok_mcp.errors import GrokError, UpstreamTimeoutError
from grok_mcp.foreign import integer, mapping, mappings, text_of
from grok_mcp.gateways import Gateway
from grok_mcp.models import (
    LONG_CONTEXT_TOKENS,
    MODELS,
    RETIRED,
    RETIRED_ON,
    Model,
    find_model,
    newest,
    similar,
)
from grok_mcp.redaction import one_line

LISTED_FOR_S = 3600.0
FAILED_FOR_S = 60.0
LISTED_WITHIN_S = 2.0
"""How long `names` waits for the endpoint's list: somebody is typing."""

PRICE_UNIT = 10_000

_LIVE_PRICES = {
    "input_usd_per_million": "prompt_text_token_price",
    "cached_usd_per_million": "cached_prompt_text_token_price",
    "output_usd_per_million": "completion_text_token_price",
    "long_context_input_usd_per_million": "prompt_text_token_price_long_context",
    "long_context_output_usd_per_million": "completion_text_token_price_long_context",
}

Fetch = Callable[[str], Awaitable[Any]]
"""GET of one path below the base URL, as decoded JSON; raises GrokError."""


class Catalog:
    """The models of one endpoint, fetched at most once an hour, and which of them is the default."""

    def __init__(self, gateway: Gateway, fetch: Fetch, model: str | None = None) -> None:
        self._gateway = gateway
        self._fetch = fetch
        self._configured = model
        self._newest: str | None = None
        """Of the endpoint's own list, as far as we know its models."""
        self._live: Mapping[str, Mapping[str, Any]] = {}
        self._failure = ""
        self._fresh_until = 0.0
        self._hurried_until = 0.0
        self._asking = anyio.Lock()

    @property
    def default_model(self) -> str:
        """The model for calls that name none: that of the settings, else of the endpoint's list where that
        decides and has been read, else of the gateway.
        """
        listed = self._newest if self._gateway.lists_default else None
        return self._configured or listed or self._gateway.default_model

    async def settle_default(self) -> None:
        """Read the list where it decides, before a call that names no model; waits for a moment only."""
        if self._gateway.lists_default and self._configured is None:
            await self._refresh_soon()

    async def published(self, within_s: float | None = None) -> dict[str, Any]:
        """What `grok://models` shows; `source` says whose list it is. Waits `within_s` seconds for the list,
        None for as long as it may take.
        """
        with anyio.move_on_after(within_s) as wait:
            await self._refresh()
        if wait.cancelled_caught:
            self._failure = f"it did not come within {within_s:g} s."
        entries = [_entry(name, self._gateway, self._live.get(name, {})) for name in self._names()]
        document: dict[str, Any] = {
            "gateway": self._gateway.name,
            "default_model": self.default_model,
            "source": "endpoint" if self._live else "built-in",
            "models": entries,
        }
        if self._failure:
            document["note"] = f"The endpoint gave no list: {self._failure}"
        if self._gateway.serves_xai_models:
            document["retired"] = [{"id": name, "served_by": target} for name, target in RETIRED.items()]
        return document

    async def names(self) -> list[str]:
        """Ids to choose from; those that are known, where the endpoint does not list its own soon."""
        await self._refresh_soon()
        return list(self._names())

    async def _refresh_soon(self) -> None:
        """Wait a moment for the list; one that did not come in it is not waited for again for a minute."""
        if time.monotonic() >= self._hurried_until:
            with anyio.move_on_after(LISTED_WITHIN_S) as wait:
                await self._refresh()
            if wait.cancelled_caught:
                self._hurried_until = time.monotonic() + FAILED_FOR_S

    async def offers(self, model: str) -> bool:
        """Whether the endpoint's own list names this model."""
        await self._refresh()
        return model in self._live

    def advice(self, model: str) -> str:
        """What to ask for in place of a model that this endpoint does not have; empty for no idea."""
        if self._gateway.serves_xai_models and model in RETIRED:
            served = list(self._names())
            instead = RETIRED[model] if RETIRED[model] in served else served[0]
            return f"It was retired on {RETIRED_ON}: use {instead}. "
        close = ", ".join(similar(model, self._names()))
        return f"Did you mean {close}? " if close else ""

    def _names(self) -> Iterable[str]:
        return self._live or self._gateway.models or MODELS

    async def _refresh(self) -> None:
        async with self._asking:
            if time.monotonic() < self._fresh_until:
                return
            live: Mapping[str, Mapping[str, Any]] = {}
            failure = ""
            for path in self._gateway.model_lists:
                try:
                    live = _read_list(await self._fetch(path))
                except GrokError as error:
                    failure = error.message
                    if isinstance(error, UpstreamTimeoutError):
                        break  # the other list would take as long
                if live:
                    failure = ""
                    break
            self._live, self._failure = live, failure
            self._newest = newest(live) or self._newest  # a list that fails later changes nothing
            self._fresh_until = time.monotonic() + (LISTED_FOR_S if self._live else FAILED_FOR_S)


def _read_list(payload: Any) -> dict[str, Mapping[str, Any]]:
    """The models in a list, by id; where some are Grok's, the others are left out."""
    listed = mappings(mapping(payload).get("data")) or mappings(mapping(payload).get("models"))
    named = ((text_of(model.get("id")), model) for model in listed)
    known = {one_line(name): model for name, model in named if 0 < len(name) <= bounds.MODEL_CHARACTERS}
    chosen = {name: model for name, model in known.items() if "grok" in name.lower()} or known
    return dict(islice(chosen.items(), bounds.MODELS))


def _entry(name: str, gateway: Gateway, live: Mapping[str, Any]) -> dict[str, Any]:
    """One model: what the endpoint says of it before what is known of it."""
    model = find_model(name)
    entry = {
        "id": name,
        **(_known(model, gateway) if model else {}),
        **_reported(live),
    }
    return {field: value for field, value in entry.items() if value not in (None, [], ())}


def _known(model: Model, gateway: Gateway) -> dict[str, Any]:
    """What we know of a model; its prices are xAI's, and say nothing about other endpoints."""
    factor = gateway.price_factor
    prices = {
        "input_usd_per_million": float(model.input_usd * factor),
        "cached_usd_per_million": float(model.cached_usd * factor),
        "output_usd_per_million": float(model.output_usd * factor),
        "long_context_input_usd_per_million": float(2 * model.input_usd * factor),
        "long_context_output_usd_per_million": float(2 * model.output_usd * factor),
        "long_context_threshold": LONG_CONTEXT_TOKENS,
    }
    return {
        "aliases": list(model.aliases),
        "good_for": model.good_for,
        "context_window": model.context_window,
        **(prices if gateway.serves_xai_models else {}),
        "reasoning": model.reasoning,
        "reasoning_efforts": list(model.efforts),
        "default_reasoning_effort": model.efforts[0] if model.efforts else None,
        "refused_parameters": list(model.refused_parameters),
        "image_input": model.images,
    }


def _reported(live: Mapping[str, Any]) -> dict[str, Any]:
    """What the endpoint's own list says of a model, under our names."""
    capabilities = mapping(live.get("capabilities"))
    efforts = capabilities.get("reasoning_effort")
    default = capabilities.get("default_reasoning_effort") or live.get("default_reasoning_effort")
    modalities = live.get("input_modalities")
    reported: dict[str, Any] = {
        ours: integer(live.get(theirs), 0) / PRICE_UNIT or None for ours, theirs in _LIVE_PRICES.items()
    }
    reported |= {
        "aliases": _texts(live.get("aliases")),
        "context_window": integer(live.get("context_length"), 0) or None,
        "long_context_threshold": integer(live.get("long_context_threshold"), 0) or None,
        "reasoning_efforts": _texts(efforts),
        "default_reasoning_effort": one_line(text_of(default)) or None,
        "image_input": "image" in modalities if isinstance(modalities, list) else None,
    }
    return {name: value for name, value in reported.items() if value not in (None, [])}


def _texts(value: Any) -> list[str]:
    return [one_line(one) for one in value if isinstance(one, str)] if isinstance(value, list) else []
