"""By which names this server may be addressed, and whose pages may call it: Host, Origin and CORS.

Ours and not the SDK's, whose check tells capitals apart and does not say what would allow a name.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from grok_mcp.addresses import is_wildcard
from grok_mcp.redaction import quote
from grok_mcp.settings import Settings

PREFLIGHT_S = 600
"""How long a browser need not ask again."""
EXPOSED = ("Mcp-Session-Id", "WWW-Authenticate", "Retry-After")
"""What pages may read of a response beyond its body."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PORTS = {"http": 80, "https": 443}
_ANY_PORT = ":*"


class Allowed:
    """Hosts or origins, compared without case; `name:*` is one with any port or none."""

    def __init__(self, entries: Iterable[str]) -> None:
        plain = [_plain(entry) for entry in entries]
        self._exact = frozenset(plain)
        self._any_port = frozenset(
            entry.removesuffix(_ANY_PORT) for entry in plain if entry.endswith(_ANY_PORT)
        )

    def __contains__(self, value: str) -> bool:
        value = _plain(value)
        name, _, port = value.rpartition(":")
        return (
            value in self._exact
            or value in self._any_port
            or (port.isascii() and port.isdigit() and name in self._any_port)
        )


def _plain(value: str) -> str:
    """As browsers spell it: small letters, no slash at the end, no port that goes without saying."""
    value = value.lower().rstrip("/")
    scheme, separator, _ = value.partition("://")
    return value.removesuffix(f":{_PORTS.get(scheme)}") if separator else value


def allowed_hosts(settings: Settings) -> Allowed:
    """Loopback, the address listened at, the public one, and those of the settings."""
    hosts = [f"{name}:*" for name in _LOOPBACK_NAMES]
    if not is_wildcard(settings.host):
        hosts.append(f"{_in_brackets(settings.host)}:*")
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        named, usual = _in_brackets(parts.hostname or ""), _PORTS[parts.scheme]
        hosts.append(f"{named}:{parts.port or usual}")
        if (parts.port or usual) == usual:
            hosts.append(named)
    return Allowed([*hosts, *settings.allowed_hosts])


def allowed_origins(settings: Settings) -> Allowed:
    """Pages of this machine, of the public address, and of the settings."""
    origins = [f"http://{name}:*" for name in _LOOPBACK_NAMES]
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        port = f":{parts.port}" if parts.port else ""
        origins.append(f"{parts.scheme}://{_in_brackets(parts.hostname or '')}{port}")
    return Allowed([*origins, *settings.allowed_origins])


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class OwnNames:
    """Refuses other hosts and origins, and answers browsers that ask first (CORS), before any token."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._hosts = allowed_hosts(settings)
        self._origins = allowed_origins(settings)
        self._app = CORSMiddleware(
            app,
            allow_origin_regex=".*",  # of those that get so far
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421 or 403."""
        await (self._refusal(Headers(scope=scope)) or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse(
                f"Invalid Host header: {quote(host) or 'there is none'}. Whoever runs this server can allow "
                "it: GROK_MCP_ALLOWED_HOSTS (or --allowed-hosts) takes further hosts, GROK_MCP_PUBLIC_URL "
                "its own address.\n",
                421,
            )
        for origin in filter(None, headers.getlist("origin")):
            if origin not in self._origins:
                return PlainTextResponse(
                    f"Invalid Origin header: {quote(origin)}. Whoever runs this server can allow it: "
                    "GROK_MCP_ALLOWED_ORIGINS (or --allowed-origins) takes further origins.\n",
                    403,
                )
        return None
