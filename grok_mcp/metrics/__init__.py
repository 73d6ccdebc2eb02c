"""Metrics for Prometheus: counts what is reported, and says all of it to whoever scrapes.

Needs the extra `metrics`. Nothing of it is loaded on stdio, and where metrics are off.
`serving/http/metrics.py` says who may read them.
"""

from grok_mcp.metrics.processes import (
    FOLDER_VARIABLE as FOLDER_VARIABLE,
    folder_problem as folder_problem,
    shared_folder as shared_folder,
)
from grok_mcp.metrics.prometheus import Prometheus as Prometheus
from grok_mcp.metrics.text import CONTENT_TYPE as CONTENT_TYPE, Source as Source
