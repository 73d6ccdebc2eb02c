"""Which Host and Origin headers a request may carry: the lists against DNS rebinding."""

from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings

from grok_mcp.addresses import is_wildcard
from grok_mcp.settings import Settings

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PORTS = {"http": 80, "https": 443}


def transport_security(settings: Settings) -> TransportSecuritySettings:
    """What is allowed: loopback, the address listened at, the public one, and the settings'."""
    hosts = [entry for name in _LOOPBACK_NAMES for entry in (name, f"{name}:*")]
    origins = [entry for name in _LOOPBACK_NAMES for entry in (f"http://{name}", f"http://{name}:*")]
    if not is_wildcard(settings.host):
        named = _in_brackets(settings.host)
        hosts += [named, f"{named}:*"]
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        named = _in_brackets(parts.hostname or "")  # as clients spell it: in small letters
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
        hosts.append(f"{named}:{port}")
        if port == usual:
            hosts.append(named)
        origins.append(f"{parts.scheme}://{named}" if port == usual else f"{parts.scheme}://{named}:{port}")
    return TransportSecuritySettings(
        allowed_hosts=[*hosts, *settings.allowed_hosts],
        allowed_origins=[*origins, *settings.allowed_origins],
    )


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host
