"""The request that everybody makes of the endpoint; apart, as the baselines pay for what they import."""

from typing import Any, Literal

Dialect = Literal["responses", "chat_completions"]

DIALECT: Dialect = "responses"
PATHS: dict[Dialect, str] = {"chat_completions": "/v1/chat/completions", "responses": "/v1/responses"}
PROMPT = "Which of the two is the better one, and why?"


def body(model: str, dialect: Dialect) -> dict[str, Any]:
    """The request that our server makes of a call of `ask_grok`."""
    if dialect == "responses":
        return {
            "model": model,
            "input": [{"role": "user", "content": PROMPT}],
            "stream": True,
            "store": False,
        }
    return {
        "model": model,
        "messages": [{"role": "user", "content": PROMPT}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
