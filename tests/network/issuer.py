"""An OAuth issuer on loopback: its keys, what it publishes, and tokens good and bad."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "https://grok.example/mcp"
METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"
KEYS = "/keys"

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
WEAK = rsa.generate_private_key(65537, 1024)
"""Published, but too short to be trusted."""
LEAKED = rsa.generate_private_key(65537, 2048)
"""Published with its private part: anybody can sign by it."""
FOREIGN = rsa.generate_private_key(65537, 2048)
"""Of somebody else: in no published set."""

PUBLIC_PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def published(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, **fields: str) -> dict[str, Any]:
    """The public half of a key as a JWK."""
    made: dict[str, Any]
    if isinstance(key, rsa.RSAPrivateKey):
        made = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        made = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return made | fields


KEY_SET = {
    "keys": [
        published(RSA, kid="rsa", use="sig"),
        published(RSA, kid="for RS256", alg="RS256"),
        published(EC, kid="ec", alg="ES256"),
        published(WEAK, kid="weak"),
        published(FOREIGN, kid="for encryption", use="enc"),
        jwt.algorithms.RSAAlgorithm.to_jwk(LEAKED, as_dict=True) | {"kid": "leaked"},
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMw"},
        {"kty": "RSA", "kid": "broken", "n": 5},
        "no key at all",
    ]
}


class Issuer:
    """Listens on a free loopback port while the `with` block runs; `documents` is what it publishes.

    A document is a JSON value, or a status and headers; what is not there is a 404.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.documents: dict[str, Any] = {
            METADATA: {"issuer": self.url, "jwks_uri": self.url + KEYS},
            KEYS: KEY_SET,
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                found = issuer.documents.get(self.path, (404, {}))
                status, headers = found if isinstance(found, tuple) else (200, {})
                body = json.dumps(found).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token(
        self,
        key: Any = RSA,
        algorithm: str = "RS256",
        kid: str | None = "rsa",
        header: Mapping[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token that is good but for what is said here; a claim of None is left out."""
        now = int(time.time())
        good = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "carol",
            "client_id": "editor",
            "scope": "grok other",
            "iat": now,
            "exp": now + 600,
        }
        told = {name: value for name, value in (good | claims).items() if value is not None}
        headers = {"typ": "at+jwt", **({"kid": kid} if kid else {}), **(header or {})}
        return jwt.encode(told, key, algorithm=algorithm, headers=headers)
