"""What `grok://config` shows: the settings in effect, where each came from, and the gateway's facts.

No key and no password leaves here. Callers on the network see only what changes how their calls go: whose
server it is, where its files lie and who else may call it are none of their business.
"""

import platform
import re
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from grok_mcp import __version__
from grok_mcp.environment import origin_of
from grok_mcp.gateways import Gateway
from grok_mcp.pipeline.grok import Grok
from grok_mcp.redaction import mask_secrets
from grok_mcp.settings import Settings

FOR_EVERYONE = (
    *("model", "reasoning_effort", "dialect", "search_dialect", "timeout", "idle_timeout"),
    *("max_retries", "progress", "results", "wait", "max_result_chars", "max_body_bytes"),
    "budget_usd_per_day",
)
"""The settings that callers on the network see; a new one is hidden from them until it stands here."""

_MASK = "***"
_GATEWAY_FACTS = tuple(
    field.name for field in fields(Gateway) if field.name not in ("base_url", "hosts", "own_key")
)
_PACKAGES = ("mcp", "httpx2", "pydantic")


def configuration(grok: Grok, *, whole: bool) -> dict[str, Any]:
    """The document; `whole` for whoever runs this process, else for callers on the network."""
    settings, gateway = grok.settings, grok.gateway
    shown: dict[str, Any] = {
        "server": {"name": "grok-mcp-server", "version": __version__},
        "gateway": {"name": gateway.name, "title": gateway.title},
        "model": mask_secrets(grok.default_model),
    }
    if not whole:
        shown["settings"] = {name: _shown(getattr(settings, name)) for name in FOR_EVERYONE}
        shown["note"] = "Who runs this server sees more: grok-mcp on stdio, with the same settings."
        return shown
    shown["server"] |= {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    shown["gateway"] = _gateway(grok)
    shown["key"] = _key(settings, gateway)
    shown["settings"] = {
        name: {"value": _shown(getattr(settings, name)), "from": origin_of(name, settings)}
        for name in Settings.model_fields
    }
    return shown


def _gateway(grok: Grok) -> dict[str, Any]:
    """The record of the gateway in effect, and how it was found."""
    settings, gateway = grok.settings, grok.gateway
    found = "default"
    if settings.gateway:
        found = origin_of("gateway", settings)
    elif settings.base_url:
        found = f"the host of {origin_of('base_url', settings)}"
    address = settings.base_url or gateway.base_url
    return {
        "found_by": found,
        "address": _address(address) if address else "a free port of this machine, with the first call",
        **{name: _shown(getattr(gateway, name)) for name in _GATEWAY_FACTS},
    }


def _key(settings: Settings, gateway: Gateway) -> dict[str, Any]:
    """Whether there is a key and where it is from; nothing of the key."""
    if gateway.own_key is not None:
        return {"usable": True, "from": "the sandbox takes any"}
    if settings.key() is not None:
        return {"usable": True, "from": settings.key_variable()}
    return {"usable": False, "reason": settings.missing_key_reason()}


def _shown(value: Any) -> Any:
    """A value as JSON has it, without what may be secret."""
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return _address(text) if "://" in text else _MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _shown(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_shown(one) for one in value]
    if not isinstance(value, str):
        return value
    return _address(value) if "://" in value else mask_secrets(value)


def _address(text: str) -> str:
    """An address without user, password and the values of its query, any of which may be a secret."""
    try:
        parts = urlsplit(text.strip())
        host = parts.netloc.rpartition("@")
        netloc = f"{_MASK}@{host[2]}" if host[1] else host[2]
    except ValueError:
        return _MASK
    query = re.sub(r"=[^&]*", f"={_MASK}", parts.query) if "=" in parts.query else parts.query and _MASK
    return mask_secrets(parts._replace(netloc=netloc, query=query, fragment="").geturl())
