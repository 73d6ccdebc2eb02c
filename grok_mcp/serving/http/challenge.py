"""What callers without a good token are told: the challenge (RFC 6750), and who issues tokens (RFC 9728)."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.routes import cors_middleware
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from grok_mcp.settings import Settings

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_CACHED = {"Cache-Control": "public, max-age=3600"}


class TokenNeeded:
    """Lets callers in whose token is good and has the scopes; ours, because the SDK's calls no token a bad
    one.
    """

    def __init__(self, app: ASGIApp, scopes: Sequence[str] = (), metadata_url: str | None = None) -> None:
        self._app = app
        self._scopes = scopes
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        await (self._refusal(scope) or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if not isinstance(scope.get("user"), AuthenticatedUser):
            if _brings_token(scope):
                return self._challenge(401, "invalid_token", "The token is not valid here, or not any more.")
            return self._challenge(401, None, "Send a token: Authorization: Bearer and the token.")
        missing = [one for one in self._scopes if one not in scope["auth"].scopes]
        if missing:
            return self._challenge(403, "insufficient_scope", f"Required scope: {missing[0]}")
        return None

    def _challenge(self, status: int, error: str | None, description: str) -> Response:
        said = {"error": error, "error_description": description} if error else {}
        parameters = {
            **said,
            **({"scope": " ".join(self._scopes)} if self._scopes else {}),
            **({"resource_metadata": self._metadata_url} if self._metadata_url else {}),
        }
        listed = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
        challenge = f"Bearer {listed}".rstrip()
        body = said or {"message": description}
        return JSONResponse(body, status, {"WWW-Authenticate": challenge})


def _brings_token(scope: Scope) -> bool:
    """Whether there is a bearer token at all, good or bad."""
    scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def metadata_routes(settings: Settings) -> tuple[str | None, list[Route]]:
    """The address of the metadata of this resource, and what serves them, spelt as configured."""
    if not settings.oauth_issuer or not settings.public_url:
        return None, []
    document = {
        "resource": settings.public_url,
        "authorization_servers": [settings.oauth_issuer],
        **({"scopes_supported": list(settings.oauth_scopes)} if settings.oauth_scopes else {}),
        "bearer_methods_supported": ["header"],
    }

    async def describe(request: Request) -> Response:
        return JSONResponse(document, headers=_CACHED)

    parts = urlsplit(settings.public_url)
    path = _WELL_KNOWN + ("" if parts.path == "/" else parts.path)
    app = cors_middleware(describe, ["GET", "OPTIONS"])
    # Clients that got no challenge look below the resource's path, then without it.
    paths = dict.fromkeys((path, path.rstrip("/"), f"{path.rstrip('/')}/", _WELL_KNOWN))
    routes = [Route(one, endpoint=app, methods=["GET", "OPTIONS"]) for one in paths]
    return f"{parts.scheme}://{parts.netloc}{path}", routes
