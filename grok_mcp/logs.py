"""What goes to stderr: one line for each record, with the id of the call that it is about."""

import json
import logging
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from grok_mcp.errors import InternalError
from grok_mcp.messages import Call
from grok_mcp.settings import Settings
from grok_mcp.streams import escaped, tell_dropped, write_line

current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""The call that is being served in this context; its id stands in each line."""

FIELDS = "grok_mcp_fields"
"""Key of `extra` in a log call; its mapping is written field by field."""

_QUIET = {"httpx2": "WARNING", "httpcore2": "WARNING", "mcp": "WARNING", "sse_starlette": "WARNING"}
"""Libraries that log requests and headers below this level."""


def configure_logging(settings: Settings) -> None:
    """Send the records of this process to stderr, in the form that the settings want."""
    handler = _Stderr()
    handler.setFormatter(JsonLine() if settings.log_format == "json" else TextLine())
    tell_dropped(handler.dropped)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for library, level in _QUIET.items():
        logging.getLogger(library).setLevel(level)
    logging.getLogger("stamina").setLevel(logging.ERROR)  # a retry is reported as progress


def log_internal_error(logger: logging.Logger, what: str) -> InternalError:
    """Log the exception that is being handled with its traceback; returns what callers get instead."""
    reference = secrets.token_hex(4)
    logger.exception("%s failed, reference %s", what, reference)
    return InternalError(
        f"Internal error of this server (reference {reference}).",
        "Its log has the details; please report them.",
    )


def start_line(settings: Settings, message: str, fields: Mapping[str, Any]) -> str:
    """The line that a server begins with, in the form of its log; whatever level that has."""
    record = logging.LogRecord(__name__, logging.INFO, "", 0, message, (), None)
    setattr(record, FIELDS, fields)
    if settings.log_format == "json":
        return JsonLine().format(record)
    return escaped(f"grok-mcp-server: {message}{_pairs(record)}")


class _Stderr(logging.Handler):
    """Queues each line for stderr, and waits for nobody."""

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record."""
        try:
            write_line(self.format(record))
        except Exception:
            self.handleError(record)

    def dropped(self, number: int) -> str:
        """The line that tells of lines that were lost."""
        message = f"{number} log lines were dropped: stderr took no more"
        return self.format(logging.LogRecord(__name__, logging.WARNING, "", 0, message, (), None))


class TextLine(logging.Formatter):
    """`grok-mcp-server: LEVEL [id] message name=value …`; line ends and what steers a terminal as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        place = f"[{_request_id()}] " if _request_id() else ""
        return escaped(f"grok-mcp-server: {record.levelname} {place}{super().format(record)}{_pairs(record)}")


class JsonLine(logging.Formatter):
    """One JSON object: time, level, logger, message, request_id, and the fields of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _request_id(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        known = {name: value for name, value in line.items() if value is not None}
        return escaped(json.dumps(known, ensure_ascii=False, default=str))


def _request_id() -> str | None:
    call = current_call.get()
    return call.request_id if call else None


def _pairs(record: logging.LogRecord) -> str:
    return "".join(f" {name}={value}" for name, value in _fields(record).items())


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(record, FIELDS, {})
    return {name: value for name, value in fields.items() if value is not None}
