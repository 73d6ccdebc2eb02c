"""The models that the sandbox serves, with their prices and abilities."""

from dataclasses import dataclass
from typing import Any

from grok_mcp.sandbox.errors import TEAM, RefusalError, refusal

LONG_CONTEXT_TOKENS = 200_000

_FOUR = ("low", "medium", "high", "xhigh")


@dataclass(frozen=True)
class Model:
    """A model; its prices are in ticks a token, which is USD per million times 10,000.

    `chat_only` is one that the responses dialect does not know yet, as new models were seen to be.
    """

    id: str
    input_price: int
    cached_price: int
    output_price: int
    context: int
    efforts: tuple[str, ...] = ()
    default_effort: str = "high"
    reasons: bool = True
    aliases: tuple[str, ...] = ()
    chat_only: bool = False


MODELS = (
    Model("grok-4.7", 20_000, 5_000, 60_000, 500_000, _FOUR, aliases=("grok-latest",)),
    Model("grok-4.6", 20_000, 5_000, 60_000, 500_000, _FOUR),
    Model("grok-4.5", 20_000, 3_000, 60_000, 500_000, _FOUR, aliases=("grok-4.5-latest",)),
    Model(
        "grok-4.3",
        12_500,
        2_000,
        25_000,
        1_000_000,
        ("none", *_FOUR),
        default_effort="low",
        aliases=("grok-4.3-latest", "grok-4", "grok-4-latest"),
    ),
    Model(
        "grok-4.20-0309-reasoning",
        12_500,
        2_000,
        25_000,
        1_000_000,
        aliases=("grok-4.20", "grok-4.20-reasoning"),
    ),
    Model(
        "grok-4.20-0309-non-reasoning",
        12_500,
        2_000,
        25_000,
        1_000_000,
        default_effort="none",
        reasons=False,
        aliases=("grok-4.20-non-reasoning",),
    ),
    Model(
        "grok-4.20-multi-agent-0309",
        12_500,
        2_000,
        25_000,
        1_000_000,
        _FOUR,
        aliases=("grok-4.20-multi-agent",),
    ),
    Model("grok-build-0.1", 10_000, 2_000, 20_000, 256_000),
    Model("grok-chat-preview", 20_000, 5_000, 60_000, 500_000, _FOUR, chat_only=True),
)

# retired on 2026-05-15: the target that serves them, and its effort
_RETIRED = {
    "grok-4-1-fast-reasoning": ("grok-4.3", "low"),
    "grok-4-fast-reasoning": ("grok-4.3", "low"),
    "grok-4-0709": ("grok-4.3", "low"),
    "grok-4-1-fast-non-reasoning": ("grok-4.3", "none"),
    "grok-4-fast-non-reasoning": ("grok-4.3", "none"),
    "grok-3": ("grok-4.3", "none"),
    "grok-code-fast-1": ("grok-build-0.1", ""),
}

_BY_NAME = {name: model for model in MODELS for name in (model.id, *model.aliases)}


def no_model(name: object) -> RefusalError:
    """The refusal of a model that is not served."""
    return refusal(404, f"The model {name} does not exist or your team {TEAM} does not have access to it.")


def find_model(name: object) -> tuple[Model, str]:
    """The model that serves a name, and its effort where the request names none."""
    asked = str(name or "").removeprefix("x-ai/").removesuffix(":online")
    target, effort = _RETIRED.get(asked, (asked, ""))
    model = _BY_NAME.get(target)
    if model is None:
        raise no_model(asked)
    return model, effort or model.default_effort


def choose_effort(model: Model, asked: object, default: str) -> str:
    """The effort to reason with; refuses what the model does not take."""
    if asked is None:
        return default
    if not model.efforts:
        raise RefusalError(400, f"Model {model.id} does not support parameter reasoningEffort.")
    if asked not in model.efforts:
        raise RefusalError(400, f"This model does not support 'reasoning_effort' value '{asked}'")
    return str(asked)


def refuse_parameters(model: Model, body: dict[str, Any]) -> None:
    """Refuse what reasoning models do not take."""
    if not model.reasons:
        return
    for name, shown in (
        ("presence_penalty", "presencePenalty"),
        ("frequency_penalty", "frequencyPenalty"),
        ("stop", "stop"),
    ):
        if body.get(name) is not None:
            raise RefusalError(400, f"Argument not supported on this model: {shown}")


def list_models(created: int) -> dict[str, Any]:
    """The body of GET /models."""
    data = [
        {
            "id": model.id,
            "object": "model",
            "created": created,
            "owned_by": "xai",
            **_prices(model),
        }
        for model in MODELS
    ]
    return {"object": "list", "data": data}


def list_language_models(created: int) -> dict[str, Any]:
    """The body of GET /language-models."""
    models = [
        {
            "id": model.id,
            "object": "model",
            "created": created,
            "owned_by": "xai",
            "version": "1.0.0",
            "fingerprint": "fp_7c31d0a9be",
            "aliases": list(model.aliases),
            "input_modalities": ["text", "image"],
            "output_modalities": ["text"],
            "search_price": 0,
            "context_length": model.context,
            "capabilities": {"reasoning_effort": list(model.efforts)},
            "default_reasoning_effort": model.default_effort,
            **_prices(model),
        }
        for model in MODELS
    ]
    return {"models": models}


def _prices(model: Model) -> dict[str, int]:
    return {
        "prompt_text_token_price": model.input_price,
        "cached_prompt_text_token_price": model.cached_price,
        "completion_text_token_price": model.output_price,
        "prompt_text_token_price_long_context": 2 * model.input_price,
        "cached_prompt_text_token_price_long_context": 2 * model.cached_price,
        "completion_text_token_price_long_context": 2 * model.output_price,
        "long_context_threshold": LONG_CONTEXT_TOKENS,
        "prompt_image_token_price": model.input_price,
        "image_price": 0,
    }
