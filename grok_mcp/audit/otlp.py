"""Lines of the audit stream as log records for a collector, over OTLP; needs the extra `otel`.

The standard variables of OpenTelemetry say where it is. Records are sent in batches by a thread of the SDK,
so that a collector that is away holds no call up; what it has not taken by the end of the process is lost.
"""

import os
from importlib.metadata import entry_points
from threading import Thread
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from grok_mcp import __version__
from grok_mcp.audit.lines import fields_of
from grok_mcp.reports import CallReport

EVENT = "grok_mcp.call"
CLOSE_S = 2.0

_EXPORTERS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class Otlp:
    """A collector."""

    name = "the collector of OTEL_EXPORTER_OTLP_ENDPOINT"

    def __init__(self) -> None:
        own = {"service.version": __version__}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            own["service.name"] = "grok-mcp-server"
        self._provider = LoggerProvider(Resource.create(own), shutdown_on_exit=False)
        self._provider.add_log_record_processor(BatchLogRecordProcessor(_exporter()))
        self._logger = self._provider.get_logger("grok_mcp", __version__)

    def write(self, report: CallReport) -> None:
        """Hand one record to the thread that sends them."""
        known = {name: value for name, value in fields_of(report).items() if value is not None}
        self._logger.emit(
            LogRecord(
                timestamp=int(report.ended_at * 1e9),
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=f"{report.tool} {report.outcome}",
                attributes={f"grok_mcp.{name}": value for name, value in known.items()},
                event_name=EVENT,
            )
        )

    def check(self) -> None:
        """Whether the collector takes a record is not known in advance."""

    def close(self) -> None:
        """Send what is still to be sent, for at most two seconds."""
        worker = Thread(target=self._provider.shutdown, name="audit-otlp", daemon=True)
        worker.start()
        worker.join(CLOSE_S)


def _exporter() -> Any:  # of a class that an entry point names
    names = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next(filter(None, map(os.environ.get, names)), "http/protobuf").strip()
    found = entry_points(group="opentelemetry_logs_exporter", name=_EXPORTERS.get(protocol, protocol))
    if not found:
        raise OSError(f"no exporter of logs is installed for the protocol {protocol}")
    return next(iter(found)).load()()
