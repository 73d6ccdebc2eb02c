"""Which models a list of a limits file allows.

Ids and aliases of one model are the same, and so is a retired id and the model that serves it at xAI. A name
that moves on to newer models stands for itself: where it leads is known to xAI only.
"""

from collections.abc import Sequence

from grok_mcp.gateways import Gateway
from grok_mcp.models import RETIRED, find_model

VENDORS = ("", "x-ai/", "xai/")
"""What gateways write before an id of xAI; behind any other prefix stands somebody else's model."""


def model_id(name: str, gateway: Gateway) -> str:
    """The one id that stands for all names of a model."""
    vendor, slash, bare = name.strip().rpartition("/")
    if vendor + slash not in VENDORS:
        return name
    served = RETIRED.get(bare, bare) if gateway.serves_xai_models else bare
    known = find_model(served)
    return known.id if known is not None else bare


def allowed_models(
    own: Sequence[str] | None, groups: Sequence[str] | None, gateway: Gateway
) -> list[str] | None:
    """The models that both lists allow, in the order of the first that there is; None for all."""
    if own is None or groups is None:
        both = own if own is not None else groups
        return None if both is None else list(both)
    among = {model_id(name, gateway) for name in groups}
    return [name for name in own if model_id(name, gateway) in among]
