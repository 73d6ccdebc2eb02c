"""Sets the OpenTelemetry SDK up where the standard variables ask for it and the extra `otel` is installed.

Called once by each process that serves, before its first call; `pipeline/telemetry.py` says what is
reported then. Nothing may write to stdout, which belongs to JSON-RPC: there are only OTLP, and the console
exporters on stderr.
"""

import logging
import os
import sys
import uuid
from importlib.metadata import entry_points
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from grok_mcp import __version__
from grok_mcp.pipeline import is_real

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "grok-mcp-server"
CLOSE_S = 2.0
SIGNALS = ("traces", "metrics")

_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_providers: "list[TracerProvider | MeterProvider]" = []

logger = logging.getLogger(__name__)


def configure_telemetry() -> None:
    """Set the SDK up where the environment asks for it; an error is logged and leaves telemetry off."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    wanted = {signal: [] if disabled else _wanted(signal) for signal in SIGNALS}
    if not any(wanted.values()):
        return
    if find_spec("opentelemetry.sdk") is None:
        logger.info("OTEL_ variables ask for telemetry, but grok-mcp-server[otel] is not installed")
        return
    try:
        _set_up({signal: [_exporter(signal, name) for name in names] for signal, names in wanted.items()})
    except Exception as error:
        logger.warning("telemetry is off: %s", error)


def close_telemetry() -> None:
    """Send what is still to be sent, for at most two seconds; for the orderly end of the process.

    The SDK's own way out would wait for a collector that is gone until the exporter's retries are over.
    """
    if _providers:
        worker = Thread(target=_shut_down, name="telemetry", daemon=True)
        worker.start()
        worker.join(CLOSE_S)


def _shut_down() -> None:
    while _providers:
        _providers.pop().shutdown()


def _wanted(signal: str) -> list[str]:
    """The exporters that the environment names for a signal; OTLP where it names only an address."""
    of_signal = signal.upper()
    names = os.environ.get(f"OTEL_{of_signal}_EXPORTER", "")
    if not names.strip():
        addresses = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{of_signal}_ENDPOINT")
        names = "otlp" if any(map(os.environ.get, addresses)) else ""
    return [name for name in names.lower().replace(",", " ").split() if name != "none"]


def _exporter(signal: str, name: str) -> Any:  # of one signal or the other: they have no common base
    if name not in ("otlp", "console"):
        raise ValueError(f"{name!r} in OTEL_{signal.upper()}_EXPORTER is not otlp, console or none")
    matches = entry_points(group=f"opentelemetry_{signal}_exporter", name=_entry_point(signal, name))
    if not matches:
        raise ValueError(f"no exporter of {signal} is installed for the protocol that OTEL_ variables name")
    make = next(iter(matches)).load()
    if name == "console":
        return make(out=sys.stderr, formatter=lambda record: f"{record.to_json(indent=None)}\n")
    return make()


def _entry_point(signal: str, name: str) -> str:
    if name == "console":
        return name
    variables = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next(filter(None, map(os.environ.get, variables)), "http/protobuf").strip()
    return _OTLP.get(protocol, protocol)


def _set_up(exporters: dict[str, list[Any]]) -> None:
    """Make the providers; one that somebody else has set up already is left alone."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(_resource())
    if exporters["traces"] and not is_real(trace.get_tracer_provider()):
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters["traces"]:
            tracers.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracers)
        _providers.append(tracers)
    if exporters["metrics"] and not is_real(metrics.get_meter_provider()):
        readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters["metrics"]]
        meters = MeterProvider(readers, resource, shutdown_on_exit=False)
        metrics.set_meter_provider(meters)
        _providers.append(meters)


def _resource() -> dict[str, str]:
    """What this process is, less what the environment says of it; the id keeps worker processes apart."""
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if os.environ.get("OTEL_SERVICE_NAME"):
        attributes += ",service.name="
    own = {
        "service.name": SERVICE,
        "service.version": __version__,
        "service.instance.id": str(uuid.uuid4()),
    }
    return {name: value for name, value in own.items() if f"{name}=" not in attributes}
