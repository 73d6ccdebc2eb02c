"""Checks of the way to the endpoint: its address, the proxy, DNS, TCP and TLS, one after the other."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from time import perf_counter
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from grok_mcp.addresses import is_loopback
from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.redaction import quote

STEP_S = 8.0

T = TypeVar("T")

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


async def check_way(url: str) -> list[Check]:
    """Findings up to the first fault; the last one is not `ok` where nothing can be asked."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return [wrong("base url", "the port is no number from 1 to 65535", "Correct XAI_BASE_URL.")]
    host = parts.hostname or ""
    checks = [_address(parts, host)]
    proxy = _proxy(parts.scheme, host)
    if proxy is not None:
        return [*checks, await _check_proxy(urlsplit(proxy), parts.scheme, host)]
    return [*checks, *await _connect(host, port or _PORTS[parts.scheme.lower()], parts.scheme.lower())]


def _address(parts: SplitResult, host: str) -> Check:
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.scheme.lower() == "http" and not is_loopback(host):
        fix = "Use https:// in XAI_BASE_URL, unless the network between is your own."
        return doubtful("base url", f"{shown} carries the key in clear text", fix)
    return fine("base url", shown)


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy that requests to the endpoint go through."""
    proxies = getproxies()
    if is_loopback(host) or proxy_bypass(host):
        return None
    return proxies.get(scheme.lower()) or proxies.get("all")


async def _check_proxy(proxy: SplitResult, scheme: str, host: str) -> Check:
    """Whether the proxy listens; its user and password are never shown."""
    variable = f"{scheme.upper()}_PROXY"
    fix = f"Correct {variable} (or the system's proxy), or name {host} in NO_PROXY."
    try:
        port = proxy.port or _PORTS[proxy.scheme.lower()]
    except (ValueError, KeyError):
        return wrong("proxy", f"{variable} is no address as in http://proxy.example:3128", fix)
    where = f"{proxy.hostname}:{port}"
    try:
        async with asyncio.timeout(STEP_S):
            _, writer = await asyncio.open_connection(proxy.hostname, port)
    except TimeoutError:
        return wrong("proxy", f"{where} does not answer within {STEP_S:g} s", fix)
    except OSError as error:
        return wrong("proxy", f"{where} can't be reached: {_said(error)}", fix)
    await _close(writer)
    return fine("proxy", f"requests go through {where}, which listens")


async def _connect(host: str, port: int, scheme: str) -> list[Check]:
    checks: list[Check] = []
    for step in (_resolve(host, port), _open(host, port), _shake_hands(host, port, scheme)):
        if checks and not checks[-1].ok:
            step.close()
        elif found := await step:
            checks.append(found)
    return checks


async def _resolve(host: str, port: int) -> Check | None:
    fix = "Correct the host in XAI_BASE_URL, or look at this machine's network and DNS."
    try:
        found = await _bounded(asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except TimeoutError:
        return wrong("dns", f"no answer about {host} within {STEP_S:g} s", fix)
    except (OSError, UnicodeError) as error:
        return wrong("dns", f"{host} is not known: {_said(error)}", fix)
    address = found[0][4][0]
    return fine("dns", f"{host} is {address}") if address != host else None


async def _open(host: str, port: int) -> Check:
    fix = (
        "Check host and port in XAI_BASE_URL, whether the endpoint runs, and whether a firewall is in the "
        "way; where a proxy is needed, set HTTPS_PROXY."
    )
    started = perf_counter()
    try:
        _, writer = await _bounded(asyncio.open_connection(host, port))
    except TimeoutError:
        return wrong("connect", f"{host}:{port} does not answer within {STEP_S:g} s", fix)
    except OSError as error:
        return wrong("connect", f"{host}:{port} can't be reached: {_said(error)}", fix)
    await _close(writer)
    return fine("connect", f"{host}:{port} in {1000 * (perf_counter() - started):.0f} ms")


async def _shake_hands(host: str, port: int, scheme: str) -> Check | None:
    if scheme != "https":
        return None
    context = httpx2.create_ssl_context()
    try:
        _, writer = await _bounded(asyncio.open_connection(host, port, ssl=context, server_hostname=host))
    except ssl.SSLCertVerificationError as error:
        return wrong(
            "tls",
            f"the certificate of {host} is not trusted: {quote(error.verify_message)}",
            "Where a proxy of your company or an authority of your own signs it, set SSL_CERT_FILE to a PEM "
            "file with that authority, also in the host's configuration. Else check the host name and this "
            "machine's clock.",
        )
    except (ssl.SSLError, TimeoutError, OSError) as error:
        fix = f"Check whether {host}:{port} speaks TLS: XAI_BASE_URL may have to begin with http://."
        return wrong("tls", f"no TLS with {host}:{port}: {_said(error)}", fix)
    told = writer.get_extra_info("ssl_object")
    await _close(writer)
    return fine("tls", f"{told.version() if told else 'TLS'}, certificate trusted")


async def _bounded(step: Awaitable[T]) -> T:
    async with asyncio.timeout(STEP_S):
        return await step


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, ssl.SSLError, TimeoutError):
        await _bounded(writer.wait_closed())


def _said(error: Exception) -> str:
    return quote(str(getattr(error, "strerror", None) or error) or type(error).__name__)
