"""What each call has cost, for LiteLLM: its proxy then counts it for the key, user and team that called.

Put this file beside LiteLLM's `config.yaml` and name it there:

    litellm_settings:
      callbacks: litellm_cost.grok_cost

The interface is LiteLLM's hook after an MCP call, as its version 1.110 has it. The result with our `_meta` is
in `kwargs["original_response"]`; the cost belongs into `hidden_params.response_cost`, in US dollars.
"""

from collections import OrderedDict
from typing import Any

from litellm.integrations.custom_logger import CustomLogger

ANSWERS = 10_000
"""Long answers that are remembered, so that none counts twice: each page of one names what all has cost."""


class GrokCost(CustomLogger):  # type: ignore[misc]
    """Reads `usage.cost_usd` from results of this server; those of other servers stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self._counted: OrderedDict[str, None] = OrderedDict()

    async def async_post_mcp_tool_call_hook(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> Any:
        """Set the cost of a call, 0 for a further page of an answer that has been counted."""
        meta = getattr(kwargs.get("original_response"), "meta", None) or {}
        answer = meta.get("grok-mcp/answer") or meta.get("grok-mcp/error")
        if not isinstance(answer, dict):
            return response_obj
        usage = answer.get("usage") or {}
        cost = usage.get("cost_usd") or 0.0
        name = answer.get("answer_id")
        if name and cost:
            if name in self._counted:
                cost = 0.0
            self._counted[name] = None
            if len(self._counted) > ANSWERS:
                self._counted.popitem(last=False)
        response_obj.hidden_params.response_cost = float(cost)
        return response_obj


grok_cost = GrokCost()
