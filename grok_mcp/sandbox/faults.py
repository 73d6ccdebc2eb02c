"""Fault scripts: how a request is to go wrong, from a header or from behind the model's name."""

from collections import OrderedDict
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from grok_mcp.sandbox.errors import RefusalError

HEADER = "x-sandbox-fault"
MAX_SCRIPTS = 1024

BODIES = ("xai", "openai", "string", "text", "html", "empty", "fastapi")

GRAMMAR = """\
A fault script is a list of key=value pairs separated by ';' or ','.
status=N        answer with this status and an error body
body=SHAPE      of the error body: xai, openai, string, text, html, empty, fastapi
message=TEXT    of the error body, percent-encoded
retry-after=S   a Retry-After header
times=N         only the first N requests with this very script
delay=S         wait before the first byte
pace=S          seconds between two events
stall=N         send nothing more after N events
cut=N           break the connection after N events
end=N           end the body early, but cleanly, after N events
error=N         an error inside the stream after N events, which ends it
garbage=N       a line that is no JSON after N events
hang            accept the request and never answer
json            answer with a JSON body although a stream was asked for
error200        answer with status 200 and an error body
crlf nodone nousage noindex emptyfinish keepalive split
                streams with CRLF, without [DONE], without usage, without choice indexes,
                with finish_reason "", with a comment before each event, in tiny pieces
Without a stream, a body counts as two events, its halves."""


@dataclass(frozen=True)
class Fault:
    """A fault script that was read; the default is no fault."""

    status: int | None = None
    body: str = "xai"
    message: str = ""
    retry_after: float | None = None
    times: int | None = None
    delay: float = 0.0
    pace: float | None = None
    stall: int | None = None
    cut: int | None = None
    end: int | None = None
    error: int | None = None
    garbage: int | None = None
    hang: bool = False
    json: bool = False
    error200: bool = False
    crlf: bool = False
    nodone: bool = False
    nousage: bool = False
    noindex: bool = False
    emptyfinish: bool = False
    keepalive: bool = False
    split: bool = False

    @property
    def last_event(self) -> int | None:
        """After how many events the stream ends early, if it does."""
        ends = [n for n in (self.stall, self.cut, self.end, self.error) if n is not None]
        return min(ends, default=None)

    def bend(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """An event or a body with its wrong fields; None drops it."""
        if self.nousage and _drop_usage(event):
            return None
        for choice in event.get("choices", ()):
            if self.noindex:
                choice.pop("index")
            if self.emptyfinish and "finish_reason" in choice:
                choice["finish_reason"] = ""
        return event


def _drop_usage(event: dict[str, Any]) -> bool:
    """Remove the usage; true where nothing else is left of the event."""
    if event.get("response", {}).get("usage"):
        event["response"]["usage"] = None
    return event.pop("usage", None) is not None and event.get("choices") == []


def read_fault(script: str) -> Fault:
    """Read a fault script; a script that breaks the grammar is refused with the grammar."""
    values: dict[str, Any] = {}
    for pair in script.replace(",", ";").split(";"):
        if not pair.strip():
            continue
        key, _, value = pair.strip().partition("=")
        name = key.strip().lower().replace("-", "_")
        try:
            values[name] = _READERS[name](value.strip())
        except (KeyError, ValueError):
            message = f"Not understood in the fault script: {pair.strip()!r}\n{GRAMMAR}"
            raise RefusalError(400, message) from None
    return Fault(**values)


def _flag(value: str) -> bool:
    if value:
        raise ValueError("a flag takes no value")
    return True


def _count(value: str) -> int:
    return int(_seconds(value))


def _seconds(value: str) -> float:
    number = float(value)
    if not 0 <= number < 86_400:
        raise ValueError("out of range")
    return number


def _status(value: str) -> int:
    status = int(value)
    if not 400 <= status <= 599:
        raise ValueError("no error status")
    return status


def _body(value: str) -> str:
    if value not in BODIES:
        raise ValueError("no body shape")
    return value


_READERS: dict[str, Any] = {
    **{field.name: _flag for field in fields(Fault) if field.type is bool},
    **dict.fromkeys(("times", "stall", "cut", "end", "error", "garbage"), _count),
    **dict.fromkeys(("retry_after", "delay", "pace"), _seconds),
    "status": _status,
    "body": _body,
    "message": unquote,
}


class FaultBook:
    """Counts how often each script has run, so that `times` can end it."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, int] = OrderedDict()

    def take(self, script: str) -> Fault:
        """The fault for one more request with this script."""
        fault = read_fault(script)
        if fault.times is None:
            return fault
        runs = self._runs.pop(script, 0) + 1
        self._runs[script] = runs
        if len(self._runs) > MAX_SCRIPTS:
            self._runs.popitem(last=False)
        return fault if runs <= fault.times else Fault()
