"""What a scraper of metrics sees, and what of it has changed since."""

import time
from collections.abc import Mapping
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-of-the-scraper"
Series = dict[str, float]


def scraped(url: str, token: str | None = TOKEN) -> Series:
    """All series by name and labels, as in `name{label="value"}`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = httpx2.get(f"{url}/metrics", headers=headers, timeout=60)
    assert response.status_code == 200, response.text
    return parsed(response.text)


def parsed(text: str) -> Series:
    return {
        named(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def named(name: str, labels: Mapping[str, Any]) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}" if pairs else name


def changes(before: Series, after: Series) -> Series:
    """By how much counters have grown: of calls, of what they used, of what clients asked of tools."""
    return {
        name: round(value - before.get(name, 0), 6)
        for name, value in after.items()
        if value != before.get(name, 0) and _counts(name)
    }


def _counts(name: str) -> bool:
    family = name.partition("{")[0]
    if family == "mcp_server_operation_duration_seconds_count":
        return 'mcp_method_name="tools/call"' in name
    other = family.startswith(("grok_mcp_event", "grok_mcp_budget"))
    return family.endswith(("_total", "_count")) and not other


def until(url: str, before: Series, expected: Series) -> tuple[Series, Series]:
    """The changes, once they are those, and all: a scrape is a moment old, and a call ends when it ends."""
    deadline = time.monotonic() + 10
    while True:
        after = scraped(url)
        found = changes(before, after)
        if found == expected or time.monotonic() > deadline:
            return found, after
        time.sleep(0.05)
