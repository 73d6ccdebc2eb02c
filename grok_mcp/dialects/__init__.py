"""The wire formats that endpoints speak: pure functions from a request to a body and from bytes to events.

A dialect is a module with `PATH` and `build_body(request, gateway)`, and a `parse(payload)` for its replies.
To add one, add a module and its entry here, its name to `dialect` in `settings.py`, its path to
`_ENDPOINT_PATHS` in `gateways.py`, and a branch to `parse` if its replies have a new shape.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from grok_mcp.dialects import chat_completions, responses, responses_events
from grok_mcp.dialects.responses import CODE_OUTPUTS as CODE_OUTPUTS
from grok_mcp.events import Event
from grok_mcp.gateways import Gateway
from grok_mcp.messages import ChatRequest


class Dialect(NamedTuple):
    """How one wire format asks; replies are read by `parse`."""

    name: str
    path: str
    build_body: Callable[[ChatRequest, Gateway], dict[str, Any]]


DIALECTS: Mapping[str, Dialect] = {
    "responses": Dialect("responses", responses.PATH, responses.build_body),
    "chat_completions": Dialect("chat_completions", chat_completions.PATH, chat_completions.build_body),
}


def parse(payload: Mapping[str, Any], known_model: str = "") -> Iterable[Event]:
    """The events in one payload, whichever dialect it is written in.

    An endpoint that answers in the other dialect than that of the request is still understood.
    """
    if "choices" not in payload and ("type" in payload or "output" in payload or "response" in payload):
        return responses_events.parse(payload)
    return chat_completions.parse(payload, known_model)
