"""The models that the sandbox serves: the known ones, with what xAI refuses for them and its price lists."""

from decimal import Decimal

from grok_mcp.models import (
    EVERY_EFFORT,
    LONG_CONTEXT_TOKENS,
    MODELS,
    MOVING,
    NON_REASONING_ONLY,
    RETIRED,
    Model,
    find_model,
)
from grok_mcp.sandbox.errors import JSON, RefusalError, no_model

CREATED = 1_795_300_000

_TARGETS = {**RETIRED, **MOVING}


def serving_model(name: object) -> Model:
    """The model that serves a name."""
    requested = str(name or "").rsplit("/", 1)[-1]
    model = find_model(_TARGETS.get(requested, requested))
    if model is None:
        raise no_model(requested)
    return model


def default_effort(model: Model) -> str:
    """The effort of a request that names none."""
    return model.efforts[0] if model.efforts else "high" if model.reasoning else "none"


def choose_effort(model: Model, requested: object) -> str:
    """The effort to reason with; refuses what the model does not take."""
    if requested is None:
        return default_effort(model)
    if not model.efforts:
        raise RefusalError(400, f"Model {model.id} does not support parameter reasoningEffort.")
    if requested not in model.efforts:
        raise RefusalError(400, f"This model does not support 'reasoning_effort' value '{requested}'")
    return str(requested)


def refuse_parameters(model: Model, body: JSON) -> None:
    """Refuse what reasoning models do not take."""
    for name in NON_REASONING_ONLY:
        if model.reasoning and body.get(name) is not None:
            first, *rest = name.split("_")
            camel = first + "".join(map(str.title, rest))
            raise RefusalError(400, f"Argument not supported on this model: {camel}")


def ticks(usd: Decimal) -> int:
    """The price of a token, from USD for a million of them; 10,000,000,000 ticks are 1 USD."""
    return int(usd * 10_000)


def model_list() -> JSON:
    """The body of GET /models."""
    return {"object": "list", "data": [_entry(model) for model in MODELS.values()]}


def language_model_list() -> JSON:
    """The body of GET /language-models."""
    return {"models": [_entry(model) for model in MODELS.values()]}


def _entry(model: Model) -> JSON:
    names = ("prompt_text", "cached_prompt_text", "completion_text")
    prices = map(ticks, (model.input_usd, model.cached_usd, model.output_usd))
    short = {f"{name}_token_price": price for name, price in zip(names, prices, strict=True)}
    return {
        "id": model.id,
        "object": "model",
        "created": CREATED,
        "owned_by": "xai",
        "aliases": [*model.aliases, *(name for name, target in MOVING.items() if target == model.id)],
        "input_modalities": ["text", "image"],
        "context_length": model.context_window,
        "capabilities": {"reasoning_effort": sorted(model.efforts, key=EVERY_EFFORT.index)},
        "default_reasoning_effort": default_effort(model),
        **short,
        **{f"{name}_long_context": 2 * price for name, price in short.items()},
        "long_context_threshold": LONG_CONTEXT_TOKENS,
    }
