"""What the endpoint has counted for the tool call of this context, known also where the call is cancelled.

`grok.py` notes each turn; `accounts.py` reads it when the call has ended without an answer.
"""

from contextvars import ContextVar

from grok_mcp.usage import Usage


class Meter:
    """The turns of one tool call so far. `usage` is None while the endpoint has counted nothing."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.model = ""
        self.sent = False
        """Whether any request went out."""
        self.has_content = False
        """Whether anything of an answer has come."""


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


def start() -> Meter:
    """A fresh meter for the tool call that begins in this context."""
    meter = Meter()
    _meter.set(meter)
    return meter


def note(usage: Usage | None, model: str, *, sent: bool, has_content: bool) -> None:
    """Add one turn up that has ended, however it did."""
    meter = _meter.get()
    if meter is None:
        return
    if usage is not None:
        meter.usage = usage if meter.usage is None else meter.usage + usage
    meter.model = model or meter.model
    meter.sent |= sent
    meter.has_content |= has_content
