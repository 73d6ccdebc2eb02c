"""The signing keys of an OAuth issuer (JWKS, RFC 7517), fetched when needed and cached for a while."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import httpx2
import jwt

from grok_mcp import bounds
from grok_mcp.addresses import is_loopback
from grok_mcp.endpoint import open_client, tls_context
from grok_mcp.errors import ConfigurationError

CACHED_FOR_S = 600.0
USABLE_FOR_S = 3600.0
"""How long keys are good for while newer ones can't be had: a stolen one is taken away by its issuer."""
AGAIN_AFTER_S = 30.0
"""Between two fetches because of a key that is not known: else anyone could make us ask without end."""
AFTER_FAILURE_S = 5.0
MIN_RSA_BITS = 2048

_BY_TYPE = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384", "ES512"}),
    "OKP": frozenset({"EdDSA"}),
}
ALGORITHMS = frozenset[str]().union(*_BY_TYPE.values())
"""Signatures that only the issuer can make; `none` and shared secrets are not among them."""

_FAILURES = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    ConfigurationError,
    TimeoutError,
    ValueError,
    RecursionError,
)

logger = logging.getLogger(__name__)


class KeysUnavailableError(Exception):
    """The issuer's keys can't be fetched."""


class SigningKey(NamedTuple):
    """A public key, and the algorithms that a token signed by it may name."""

    key: Any
    algorithms: frozenset[str]


class IssuerKeys:
    """The keys of one issuer; `jwks_url` spares looking its metadata up."""

    def __init__(
        self,
        issuer: str,
        jwks_url: str | None,
        *,
        cached_for_s: float = CACHED_FOR_S,
        usable_for_s: float = USABLE_FOR_S,
        again_after_s: float = AGAIN_AFTER_S,
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._cached_for_s = cached_for_s
        self._usable_for_s = usable_for_s
        self._again_after_s = again_after_s
        self._keys: dict[str, SigningKey] = {}
        self._fetched = self._again_at = float("-inf")
        self._failed = False
        self._fetching = anyio.Lock()

    async def find(self, key_id: str | None) -> SigningKey | None:
        """The key of this id, or the only one where the token names none; None for an unknown one.

        Raises KeysUnavailableError where that is unknown.
        """
        known = self._known(key_id)
        if known and (self._age() < self._cached_for_s or self._fetching.locked()):
            return known  # nobody whose key is known waits for a fetch that somebody else has caused
        async with self._fetching:
            known = self._known(key_id)
            if (not known or self._age() >= self._cached_for_s) and time.monotonic() >= self._again_at:
                await self._fetch()
                known = self._known(key_id)
            if not known and self._failed:
                raise KeysUnavailableError(f"the keys of {self._issuer} can't be fetched")
            return known

    async def usable(self) -> bool:
        """Whether there are keys to check tokens with; fetches them where there are none."""
        if self._keys and self._age() < self._usable_for_s:
            return True
        async with self._fetching:
            if time.monotonic() >= self._again_at:
                await self._fetch()
            return not self._failed

    def _age(self) -> float:
        return time.monotonic() - self._fetched

    def _known(self, key_id: str | None) -> SigningKey | None:
        if self._age() >= self._usable_for_s:
            return None
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id or "")

    async def _fetch(self) -> None:
        try:
            with anyio.fail_after(bounds.KEYS_S):
                keys = dict(_usable((await self._document()).get("keys")))
            if not keys:
                raise ValueError("none of its keys is for signing tokens")
        except _FAILURES as error:
            reason = getattr(error, "text", None) or str(error) or type(error).__name__
            logger.error("the keys of %s can't be fetched: %s", self._issuer, reason)
            self._failed, self._again_at = True, time.monotonic() + AFTER_FAILURE_S
            return
        self._keys, self._failed, self._fetched = keys, False, time.monotonic()
        self._again_at = self._fetched + self._again_after_s

    async def _document(self) -> Mapping[str, Any]:
        tls = await anyio.to_thread.run_sync(tls_context)
        async with open_client(self._jwks_url or self._issuer, tls, timeout=bounds.KEYS_S) as client:
            return await _get(client, self._jwks_url or await self._discovered(client))

    async def _discovered(self, client: httpx2.AsyncClient) -> str:
        """The address of the keys, from the issuer's metadata (RFC 8414, or OpenID Connect Discovery)."""
        parts = urlsplit(self._issuer)
        path = parts.path.rstrip("/")
        for well_known in (
            f"/.well-known/oauth-authorization-server{path}",
            f"{path}/.well-known/openid-configuration",
        ):
            try:
                metadata = await _get(client, parts._replace(path=well_known).geturl())
            except (httpx2.HTTPStatusError, ValueError):
                continue
            jwks_uri = metadata.get("jwks_uri")
            if metadata.get("issuer") == self._issuer and isinstance(jwks_uri, str) and _is_safe(jwks_uri):
                return jwks_uri
        raise ValueError("its metadata names no keys; set GROK_MCP_OAUTH_JWKS_URL")


def _is_safe(url: str) -> bool:
    """Whether nobody on the way can put keys of his own in."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


async def _get(client: httpx2.AsyncClient, url: str) -> Mapping[str, Any]:
    body = b""
    async with client.stream("GET", url, headers={"Accept": "application/json"}) as response:
        response.raise_for_status()  # also for a redirect
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > bounds.KEYS_BYTES:
                raise ValueError(f"{url} is too long")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"{url} is not a JSON object")
    return document


def _usable(keys: Any) -> Iterator[tuple[str, SigningKey]]:
    """The keys of a set by their id; those that can't be used, or are for something else, are left out."""
    for raw in keys if isinstance(keys, list) else ():
        if not isinstance(raw, dict) or raw.get("use", "sig") != "sig" or "d" in raw:
            continue
        key_id, algorithms = raw.get("kid", ""), _BY_TYPE.get(str(raw.get("kty")), frozenset())
        if "alg" in raw:
            algorithms &= {str(raw["alg"])}
        if not algorithms or not isinstance(key_id, str):
            continue
        with suppress(jwt.PyJWTError, ValueError, TypeError, KeyError):
            key = jwt.PyJWK(raw).key
            if raw["kty"] != "RSA" or key.key_size >= MIN_RSA_BITS:
                yield key_id, SigningKey(key, algorithms)
