"""What an operator has the endpoint decline, as both dialects send it (docs.x.ai, custom moderation)."""

from typing import Any

from grok_mcp.messages import ChatRequest


def guidelines(request: ChatRequest) -> list[dict[str, Any]] | None:
    """The field `guidelines` of a body; None for none."""
    policies = [
        {"type": "policy", "category": category, "behavior": "decline"} for category in request.guidelines
    ]
    return policies or None
