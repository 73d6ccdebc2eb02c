"""Checks of the connection to the endpoint: its address, the proxy, DNS, TCP and TLS, in this order."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from time import perf_counter
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from grok_mcp.addresses import is_loopback
from grok_mcp.doctor.findings import Check, doubtful, fine, wrong
from grok_mcp.endpoint import proxy_for, tls_context
from grok_mcp.errors import ConfigurationError
from grok_mcp.redaction import quote

STEP_S = 8.0

T = TypeVar("T")

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


async def check_way(url: str) -> list[Check]:
    """Findings up to the first error; the last one is not `ok` if the endpoint cannot be reached."""
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    try:
        port = parts.port or _PORTS[scheme]
    except ValueError:
        return [wrong("base url", "the port is not a number from 1 to 65535", "Correct XAI_BASE_URL.")]
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    checks = [fine("base url", address)]
    if scheme == "http" and not is_loopback(host):
        fix = "Use https:// in XAI_BASE_URL, unless the network in between is yours."
        checks = [doubtful("base url", f"{address} carries the key in clear text", fix)]
    if scheme == "https" and (trust := check_trust(needed=True)):
        return [*checks, *trust]
    try:
        proxy = proxy_for(url)
    except ConfigurationError as error:
        return [*checks, wrong("proxy", error.message, error.advice)]
    if proxy is not None:
        return [*checks, await _check_proxy(urlsplit(proxy), scheme, host)]
    for step in (_resolve, _connect, _shake_hands) if scheme == "https" else (_resolve, _connect):
        if check := await step(host, port):
            checks.append(check)
            if not check.ok:
                break
    return checks


def check_trust(*, needed: bool) -> list[Check]:
    """What is wrong with the certificates that the environment names, if anything."""
    try:
        tls_context()
    except ConfigurationError as error:
        return [(wrong if needed else doubtful)("tls", error.message, error.advice)]
    return []


async def _check_proxy(proxy: SplitResult, scheme: str, host: str) -> Check:
    """Whether the proxy listens; its user and password are never shown."""
    variable = f"{scheme.upper()}_PROXY"
    fix = f"Correct {variable} (or the system's proxy), or name {host} in NO_PROXY."
    port = proxy.port or _PORTS[proxy.scheme.lower()]
    if error := await _reach(proxy.hostname or "", port):
        return wrong("proxy", error, fix)
    return fine("proxy", f"requests go through {proxy.hostname}:{port}, which listens")


async def _reach(host: str, port: int) -> str | None:
    """Why no connection can be made; None where it can."""
    try:
        _, writer = await _bounded(asyncio.open_connection(host, port))
    except TimeoutError:
        return f"{host}:{port} does not answer within {STEP_S:g} s"
    except OSError as error:
        return f"{host}:{port} can't be reached: {_reason(error)}"
    await _close(writer)
    return None


async def _resolve(host: str, port: int) -> Check | None:
    fix = "Correct the host in XAI_BASE_URL, or check this machine's network and DNS."
    try:
        loop = asyncio.get_running_loop()
        addresses = await _bounded(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except TimeoutError:
        return wrong("dns", f"DNS gave no answer about {host} within {STEP_S:g} s", fix)
    except (OSError, UnicodeError) as error:
        return wrong("dns", f"{host} is not known: {_reason(error)}", fix)
    address = addresses[0][4][0]
    return fine("dns", f"{host} is {address}") if address != host else None


async def _connect(host: str, port: int) -> Check:
    started = perf_counter()
    if error := await _reach(host, port):
        fix = (
            "Check host and port in XAI_BASE_URL, whether the endpoint runs, and whether a firewall is in "
            "the way; where a proxy is needed, set HTTPS_PROXY."
        )
        return wrong("connect", error, fix)
    return fine("connect", f"{host}:{port} in {1000 * (perf_counter() - started):.0f} ms")


async def _shake_hands(host: str, port: int) -> Check:
    context = tls_context()
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
        return wrong("tls", f"no TLS with {host}:{port}: {_reason(error)}", fix)
    version = writer.get_extra_info("ssl_object").version()
    await _close(writer)
    return fine("tls", f"{version}, certificate trusted")


async def _bounded(step: Awaitable[T]) -> T:
    async with asyncio.timeout(STEP_S):
        return await step


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, ssl.SSLError, TimeoutError):
        await _bounded(writer.wait_closed())


def _reason(error: Exception) -> str:
    return quote(str(getattr(error, "strerror", None) or error) or type(error).__name__)
