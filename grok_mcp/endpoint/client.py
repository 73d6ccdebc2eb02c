"""Makes HTTP clients as the environment wants them: whom to trust, and which proxy to take.

What is wrong there is one ConfigurationError that names the variable, also for the keys of an OAuth issuer,
which are fetched by such a client too.
"""

import os
import re
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from grok_mcp import bounds
from grok_mcp.addresses import is_loopback
from grok_mcp.endpoint.network import Transport
from grok_mcp.endpoint.proxied import ProxiedTransport
from grok_mcp.errors import ConfigurationError
from grok_mcp.foreign import read_regular
from grok_mcp.redaction import quote

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_HASHED = re.compile(r"[0-9a-fA-F]{8}\.\d+")
"""The names by which OpenSSL finds certificates in a folder."""


def tls_context() -> ssl.SSLContext:
    """What a connection trusts: SSL_CERT_FILE or SSL_CERT_DIR, else the system's store.

    Raises ConfigurationError. Takes some ten milliseconds.
    """
    try:
        if file := os.environ.get("SSL_CERT_FILE"):
            read_regular(Path(file), bounds.CERTIFICATES_BYTES)
        elif folders := os.environ.get("SSL_CERT_DIR"):
            _look_into(folders.split(os.pathsep))
        return httpx2.create_ssl_context()
    except ssl.SSLError:
        raise _not_trusted("it is no PEM file with certificates") from None
    except OSError as error:
        raise _not_trusted(error.strerror or type(error).__name__) from None


def _look_into(folders: list[str]) -> None:
    """Raise OSError where no folder has certificates: OpenSSL would trust nobody, and not say why."""
    problem = OSError(0, "it has no certificates under the names that `openssl rehash` gives")
    for folder in folders:
        try:
            if any(map(_HASHED.fullmatch, os.listdir(folder))):
                return
        except OSError as error:
            problem = error
    raise problem


def _not_trusted(reason: str) -> ConfigurationError:
    variable, kind = (
        ("SSL_CERT_FILE", "PEM file") if os.environ.get("SSL_CERT_FILE") else ("SSL_CERT_DIR", "folder")
    )
    return ConfigurationError(
        f"{variable} can't be used: {reason[:1].lower()}{reason[1:]}.",
        f"Set it to a {kind} with the certificates to trust, or unset it.",
    )


def proxy_for(url: str) -> str | None:
    """The proxy on the way to that address, None for a direct way; raises ConfigurationError."""
    proxy = _named_proxy(url)
    return None if proxy is None or _is_exempt(url) else proxy


def _is_exempt(url: str) -> bool:
    """Whether NO_PROXY or the system says so, of the host or of the host with its port."""
    parts = urlsplit(url)
    names = (parts.hostname or "", parts.netloc.rpartition("@")[2])
    return any(proxy_bypass(name) for name in names)


def _named_proxy(url: str) -> str | None:
    """The proxy that the environment names for that address; raises ConfigurationError where it matters."""
    parts = urlsplit(url)
    proxies = getproxies()
    name = parts.scheme.lower() if proxies.get(parts.scheme.lower()) else "all"
    proxy = proxies.get(name)
    if not proxy or is_loopback(parts.hostname):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    problem = _proxy_problem(proxy)
    if problem is None:
        return proxy
    if _is_exempt(url):
        return None
    raise ConfigurationError(
        f"{_variable(name)} can't be used: {problem}.",
        f"Set it to an address like http://proxy.example:3128, or name {parts.hostname} in NO_PROXY.",
    )


def _proxy_problem(proxy: str) -> str | None:
    scheme = proxy.partition("://")[0].lower()
    if scheme and scheme not in _PROXY_SCHEMES:
        return f"{quote(scheme, limit=20)} is no kind of proxy that is known ({', '.join(_PROXY_SCHEMES)})"
    try:
        host = httpx2.Proxy(proxy).url.host
    except (ValueError, httpx2.InvalidURL):
        host = ""
    if not host:
        return "it is not the address of a proxy"
    if scheme.startswith("socks") and find_spec("socksio") is None:
        return "a SOCKS proxy needs the extra: pip install 'grok-mcp-server[socks]'"
    return None


def _variable(name: str) -> str:
    """The variable that names the proxy for that scheme."""
    wanted = f"{name}_proxy"
    present = [variable for variable in (wanted, wanted.upper()) if os.environ.get(variable)]
    return present[0] if present else "The system's proxy"


def open_client(url: str, tls: ssl.SSLContext, **options: Any) -> httpx2.AsyncClient:
    """A client for that address, which follows no redirects; raises ConfigurationError."""
    options |= {"verify": tls, "follow_redirects": False}
    _named_proxy(url)
    try:
        return httpx2.AsyncClient(trust_env=not is_loopback(urlsplit(url).hostname), **options)
    except (ImportError, ValueError, httpx2.InvalidURL):  # by a variable that does not matter here
        return httpx2.AsyncClient(trust_env=False, proxy=proxy_for(url), **options)


def open_transport(url: str, tls: ssl.SSLContext, *, idle_s: float) -> httpx2.AsyncBaseTransport:
    """What carries requests to that address: ours, or the HTTP library's through a proxy.

    Raises ConfigurationError.
    """
    proxy = proxy_for(url)
    if proxy is None:
        return Transport(tls, idle_s=idle_s)
    limits = httpx2.Limits(max_connections=None, keepalive_expiry=idle_s)
    return ProxiedTransport(lambda: httpx2.AsyncHTTPTransport(verify=tls, proxy=proxy, limits=limits))
