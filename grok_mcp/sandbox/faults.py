"""Fault scripts: how a request is to go wrong, from a header or from behind the model's name.

The words are rows: those of the whole exchange and of its bytes here, those of single refusals in
`decisions.py`, those of the reply's content in `bends.py`. All rows together are the grammar.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from grok_mcp.sandbox.bends import BENDS
from grok_mcp.sandbox.decisions import REFUSALS, TWISTS
from grok_mcp.sandbox.errors import BODIES, refusal

HEADER = "x-sandbox-fault"
MAX_SCRIPTS = 1024


@dataclass(frozen=True)
class Fault:
    """A fault script that was read; the default is no fault.

    `bends` and `decisions` hold the words of those tables, each with its value.
    """

    status: int | None = None
    body: str = "xai"
    message: str = ""
    retry_after: float | None = None
    times: int | None = None
    delay: float = 0.0
    pace: float | None = None
    stall: int | None = None
    cut: int | None = None
    reset: int | None = None
    end: int | None = None
    error: int | None = None
    garbage: int | None = None
    hang: bool = False
    json: bool = False
    error200: bool = False
    crlf: bool = False
    cr: bool = False
    bom: bool = False
    multiline: bool = False
    eventlines: bool = False
    noblank: bool = False
    nodone: bool = False
    notype: bool = False
    keepalive: bool = False
    split: bool = False
    bends: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)

    @property
    def last_event(self) -> int | None:
        """After how many events the stream ends early, if it does."""
        ends = (self.stall, self.cut, self.reset, self.end, self.error)
        return min((n for n in ends if n is not None), default=None)


class Word(NamedTuple):
    """What a word of the script takes and does, and where in a `Fault` it is kept."""

    takes: str
    says: str
    read: Callable[[str], Any]
    kept_in: str = ""


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


def _name(value: str) -> str:
    if not value:
        raise ValueError("no name")
    return value


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in choices:
            raise ValueError("not one of those")
        return value

    return read


def _row(row: Any, kept_in: str) -> Word:
    """A row of another table; what it takes says how that is read."""
    takes = getattr(row, "takes", "")
    readers: dict[str, Callable[[str], Any]] = {"": _flag, "N": _count, "NAME": _name}
    return Word(takes, row.says, readers.get(takes) or _one_of(tuple(takes.split("|"))), kept_in)


_SECTIONS: dict[str, dict[str, Word]] = {
    "The exchange": {
        "status": Word("N", "answer with this status and an error body", _status),
        "error200": Word("", "answer with status 200 and an error body", _flag),
        "body": Word("SHAPE", f"of errors: {', '.join(BODIES)}", _one_of(BODIES)),
        "message": Word("TEXT", "of errors, percent-encoded", unquote),
        "retry-after": Word("S", "a Retry-After header", _seconds),
        "times": Word("N", "only the first N requests with this very script", _count),
        "delay": Word("S", "wait before the first byte", _seconds),
        "pace": Word("S", "seconds between two events", _seconds),
        "hang": Word("", "accept the request and never answer", _flag),
        "stall": Word("N", "send nothing more after N events", _count),
        "cut": Word("N", "break the connection off after N events", _count),
        "reset": Word("N", "the same with a TCP reset", _count),
        "end": Word("N", "end the body early, but cleanly, after N events", _count),
        "error": Word("N", "an error inside the stream after N events, which ends it", _count),
        "garbage": Word("N", "a line that is no JSON after N events", _count),
        "json": Word("", "a JSON body although a stream was asked for", _flag),
    },
    "The bytes": {
        "crlf": Word("", "lines end with CRLF", _flag),
        "cr": Word("", "lines end with CR", _flag),
        "bom": Word("", "a byte order mark first", _flag),
        "multiline": Word("", "several data lines for each event", _flag),
        "eventlines": Word("", "lines `event:` and `id:` for each event", _flag),
        "noblank": Word("", "no blank line behind the last event", _flag),
        "nodone": Word("", "no [DONE]", _flag),
        "notype": Word("", "no Content-Type", _flag),
        "keepalive": Word("", "a comment before each event", _flag),
        "split": Word("", "tiny pieces", _flag),
    },
    "Refused": {row.name: _row(row, "decisions") for row in REFUSALS},
    "The answer": {row.name: _row(row, "decisions") for row in TWISTS},
    **{name: {bend.name: _row(bend, "bends") for bend in group} for name, group in BENDS.items()},
}

WORDS: Mapping[str, Word] = {name: word for section in _SECTIONS.values() for name, word in section.items()}


def _grammar() -> str:
    lines = ["A fault script is a list of key=value pairs separated by ';' or ','."]
    for title, section in _SECTIONS.items():
        lines.append(f"{title}:")
        for name, word in section.items():
            sign = f"{name}={word.takes}" if word.takes else name
            lines.append(f"  {sign:<20} {word.says}")
    return "\n".join([*lines, "Without a stream, a body counts as two events, its halves."])


GRAMMAR = _grammar()


def read_fault(script: str) -> Fault:
    """Read a fault script; a script that breaks the grammar is refused with the grammar."""
    values: dict[str, Any] = {}
    for pair in script.replace(",", ";").split(";"):
        if not pair.strip():
            continue
        key, _, value = pair.strip().partition("=")
        name = key.strip().lower().replace("_", "-")
        try:
            word = WORDS[name]
            read = word.read(value.strip())
        except (KeyError, ValueError):
            raise refusal(400, f"Not understood in the fault script: {pair.strip()!r}\n{GRAMMAR}") from None
        if word.kept_in:
            values.setdefault(word.kept_in, {})[name] = str(read) if word.takes else ""
        else:
            values[name.replace("-", "_")] = read
    return Fault(**values)


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
