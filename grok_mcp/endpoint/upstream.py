"""HTTP to the endpoint: opens a streamed request, maps every failure to our errors, closes it again.

It sees statuses and bytes, not what the JSON means.
"""

import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import httpx2
from pydantic_core import to_json

from grok_mcp import __version__, bounds, errors
from grok_mcp.addresses import is_loopback
from grok_mcp.endpoint.client import open_transport, tls_context
from grok_mcp.endpoint.error_bodies import read_error_body
from grok_mcp.endpoint.failures import Endpoint, classify, retry_after_s
from grok_mcp.endpoint.network import IDLE_S
from grok_mcp.endpoint.reply import Reply
from grok_mcp.messages import CallerKey
from grok_mcp.redaction import quote

logger = logging.getLogger(__name__)

_STREAMED = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_FOREIGN = (httpx2.TransportError, httpx2.InvalidURL, httpx2.DecodingError, httpx2.SSEError)
_REQUEST_IDS = ("x-request-id", "x-trace-id", "x-generation-id", "cf-ray")


class Timeouts(NamedTuple):
    """Seconds: for a connection, and for silence between two bytes."""

    connect_s: float
    idle_s: float

    @property
    def by_name(self) -> dict[str, float | None]:
        """The same as the HTTP library has them."""
        return {"connect": self.connect_s, "read": self.idle_s, "write": self.idle_s, "pool": None}


@lru_cache(maxsize=32)
def _parsed(url: str) -> httpx2.URL:
    return httpx2.URL(url)


OLD_SECRETS = bounds.KEYS + 8
"""Keys that were in use before, which no sentence shows either: calls may still be in flight with them."""


class Upstream:
    """One endpoint with its key; shared by all calls of the process, connects when first used."""

    def __init__(
        self, endpoint: Endpoint, key: str | None, timeouts: Timeouts, *, idle_s: float = IDLE_S
    ) -> None:
        self.endpoint = endpoint
        self.key = key
        self._own = {"User-Agent": f"grok-mcp-server/{__version__}", "Accept-Encoding": "gzip, deflate"}
        self._authorize()
        self._timeouts = timeouts
        self._idle_s = idle_s
        self._transport: httpx2.AsyncBaseTransport | None = None

    def use_key(self, key: str | None, variable: str | None = None) -> None:
        """Send this key, of that variable, with the requests to come; those in flight go on with theirs."""
        self.key = key
        self._authorize()
        if key and key not in self.endpoint.secrets:
            secrets = (key, *self.endpoint.secrets)[: OLD_SECRETS + 1]
            variable = variable or self.endpoint.key_variable
            self.endpoint = self.endpoint._replace(secrets=secrets, key_variable=variable)

    def endpoint_for(self, own: CallerKey | None) -> Endpoint:
        """Whom errors speak of, and by which key: a caller's own one is a secret too."""
        if own is None:
            return self.endpoint
        secrets = (own.value, *self.endpoint.secrets)
        return self.endpoint._replace(secrets=secrets, key_variable=own.source)

    def _authorize(self) -> None:
        others = {name: value for name, value in self._own.items() if name != "Authorization"}
        self._own = others | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    @asynccontextmanager
    async def stream(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], own: CallerKey | None = None
    ) -> AsyncIterator[Reply]:
        """POST a body, with a caller's own key or with ours, and hand out the reply while it comes.

        Raises a GrokError for every failure.
        """
        async with self._sent("POST", url, _STREAMED | dict(headers), _dumped(body), own) as response:
            yield Reply(response)

    async def get(self, url: str) -> Any:
        """GET a JSON document, None where it is none. Raises a GrokError for every failure."""
        body = bytearray()
        with anyio.move_on_after(bounds.DOCUMENT_S):
            async with self._sent("GET", url, {"Accept": "application/json"}) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > bounds.DOCUMENT_BYTES:
                        return None
            try:
                return json.loads(body)
            except (ValueError, RecursionError):
                return None
        raise errors.UpstreamTimeoutError(
            f"{self.endpoint.title} did not answer within {bounds.DOCUMENT_S:g} s.", "Try again in a moment."
        )

    @asynccontextmanager
    async def _sent(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        own: CallerKey | None = None,
    ) -> AsyncIterator[httpx2.Response]:
        """The response to one request, refused statuses raised; closed at the end."""
        if own is not None:
            headers = {**headers, "Authorization": f"Bearer {own.value}"}
        endpoint = self.endpoint_for(own)
        try:
            request = httpx2.Request(
                method,
                _parsed(url),
                content=content,
                headers=self._own | dict(headers),
                extensions={"timeout": self._timeouts.by_name},
            )
            if request.url.userinfo and own is None:  # sent as the HTTP library's client does it
                login = httpx2.BasicAuth(request.url.username, request.url.password)
                request = next(login.auth_flow(request))
            response = await self._transport_to(url).handle_async_request(request)
            try:
                if response.status_code >= 300:
                    raise await self._refused(response, endpoint)
                yield response
            finally:
                await response.aclose()
        except _FOREIGN as error:
            raise self._mapped(error, url, endpoint) from None

    def _transport_to(self, url: str) -> httpx2.AsyncBaseTransport:
        """The one transport, made for the first address that is asked for."""
        if self._transport is None:
            parts = urlsplit(url)
            # Plain HTTP to this machine never uses it: an empty trust store spares reading the system's.
            unused = is_loopback(parts.hostname) and parts.scheme == "http"
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if unused else tls_context()
            self._transport = open_transport(url, tls, idle_s=self._idle_s)
        return self._transport

    def warm(self, url: str) -> None:
        """Make the transport, whose TLS context takes a moment, before a call needs it; for a thread."""
        try:
            self._transport_to(url)
        except errors.ConfigurationError as error:  # each call will say so
            logger.warning("%s %s", error.message, error.advice)

    async def aclose(self) -> None:
        """Close all connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _refused(self, response: httpx2.Response, endpoint: Endpoint) -> errors.GrokError:
        body = bytearray()
        with suppress(httpx2.HTTPError):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) >= bounds.ERROR_BYTES:
                    break
        headers = response.headers
        return classify(
            read_error_body(bytes(body[: bounds.ERROR_BYTES])),
            endpoint,
            status=response.status_code,
            retry_after_s=retry_after_s(headers.get("retry-after")),
            request_id=next(filter(None, map(headers.get, _REQUEST_IDS)), None),
        )

    def _mapped(self, error: Exception, url: str, endpoint: Endpoint) -> errors.GrokError:
        """Our error for what the HTTP library has raised; the one place that knows."""
        if isinstance(error, httpx2.ReadTimeout):
            return errors.UpstreamTimeoutError(
                f"{endpoint.title} was silent for {self._timeouts.idle_s:g} s.",
                "Raise GROK_MCP_IDLE_TIMEOUT if this model thinks for longer, or ask for less.",
            )
        if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
            return errors.ConfigurationError(
                f"The request to {endpoint.mention} can't be made: {_reason(error, endpoint)}.",
                "Check the base URL and the key for stray characters.",
            )
        if isinstance(error, (httpx2.DecodingError, httpx2.SSEError)):
            return errors.UpstreamError(
                f"{endpoint.title} sent something that can't be read: {_reason(error, endpoint)}.",
                "A retry is unlikely to help.",
            )
        host = urlsplit(url).netloc.rpartition("@")[2]
        return errors.UpstreamConnectionError(
            f"The connection to {endpoint.mention} ({host}) failed: {_reason(error, endpoint)}.",
            "Check the network and the base URL, then try again.",
        )


def _reason(error: Exception, endpoint: Endpoint) -> str:
    """Why, in words: ours for what happened, and those of the system or the peer, if there are any."""
    happened = next((words for kind, words in _HAPPENED.items() if isinstance(error, kind)), "")
    told = quote(str(error).rstrip(". "), endpoint.secrets)
    return f"{happened} ({told})" if happened and told else happened or told or "no reason was given"


def _dumped(body: Mapping[str, Any]) -> bytes:
    """A body as JSON; lone surrogates and great depth are left to the slower serialiser."""
    try:
        return to_json(body)
    except ValueError:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


_HAPPENED: Mapping[type[Exception], str] = {
    httpx2.ConnectTimeout: "it took too long to connect",
    httpx2.WriteTimeout: "the request was not taken in time",
    httpx2.ConnectError: "it could not be made",
    httpx2.ProxyError: "the proxy refused it",
    httpx2.WriteError: "it was lost while the request went out",
    httpx2.ReadError: "it was lost before the answer was complete",
    httpx2.RemoteProtocolError: "it was closed before the answer was complete",
}
"""What the HTTP library's errors mean for a connection; their names say nothing to a user."""
