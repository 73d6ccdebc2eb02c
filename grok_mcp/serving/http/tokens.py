"""Who may call over HTTP: holders of a token from the token file, or of a JWT of the OAuth issuer.

`app.py` puts these behind the SDK's bearer middleware. A caller's token is never logged and never sent on.
"""

import logging
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Any

import jwt
from mcp.server.auth.provider import AccessToken
from pydantic import AnyHttpUrl
from starlette.authentication import AuthenticationError

from grok_mcp import bounds
from grok_mcp.invocation import command
from grok_mcp.messages import GROUP, GROUPS
from grok_mcp.serving.http.jwks import ALGORITHMS, IssuerKeys, KeysUnavailableError, SigningKey
from grok_mcp.serving.http.token_lines import is_name, read_lines
from grok_mcp.settings import Settings

LEEWAY_S = 30
TOKEN_TYPES = ("at+jwt", "application/at+jwt", "jwt", None)
"""What an issuer calls access tokens (RFC 9068, and before it): others of its JWTs are for other purposes."""

_NEW_LINE = f"`{command('token', 'NAME', '--append', 'FILE')}` adds such a line"

logger = logging.getLogger(__name__)


def token_verifier(settings: Settings) -> "Callers | None":
    """What checks the callers' tokens; None where no authentication is set up."""
    file = TokenFile(settings.token_file.expanduser(), settings.oauth_scopes) if settings.token_file else None
    issuer = JwtVerifier(settings) if settings.oauth_issuer else None
    return Callers(file, issuer) if file or issuer else None


def token_file_problem(settings: Settings) -> str | None:
    """Why nobody could come in by the token file, as a line for whoever starts the server."""
    if settings.token_file is None:
        return None
    problem = TokenFile(settings.token_file.expanduser()).problem()
    return f"GROK_MCP_TOKEN_FILE: {settings.token_file} {problem}; {_NEW_LINE}" if problem else None


class Callers:
    """Those of the token file, then those of the issuer; a name that is in both belongs to the file's."""

    def __init__(self, file: "TokenFile | None", issuer: "JwtVerifier | None") -> None:
        self._file = file
        self._issuer = issuer

    async def problem(self) -> str | None:
        """Why nobody can come in at the moment, None where somebody can."""
        problem = self._file.problem() if self._file else None
        if self._issuer and (problem or self._file is None):
            problem = await self._issuer.problem()
            return problem and f"no token can be checked: {problem}"
        return problem and f"no token is valid: the token file {problem}"

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who holds this token; None for nobody."""
        if len(token) > bounds.TOKEN_CHARACTERS:
            return None
        if self._file and (holder := self._file.holder(token)):
            return holder
        holder = await self._issuer.verify_token(token) if self._issuer else None
        if holder and self._file and holder.subject in self._file.names:
            logger.warning("a token of the issuer was refused: its subject is a name in the token file")
            return None
        return holder


class TokenFile:
    """Lines of `name:sha256`, a group behind it or none; read again when the file changes, so that a token
    can be revoked.

    A name may have several lines: the old token and the new one, while its holder changes over.
    """

    def __init__(self, path: Path, scopes: tuple[str, ...] = ()) -> None:
        self._path = path
        self._scopes = list(scopes)
        self._read: tuple[int, ...] | None = None
        """Its state when it was read last; None where it can't be read, as the start says by itself."""
        self._unreadable = ""
        self._holders: dict[bytes, tuple[str, str]] = {}  # name and group by digest

    @property
    def names(self) -> frozenset[str]:
        """The callers who have a token here."""
        return frozenset(name for name, _ in self._holders.values())

    def holder(self, token: str) -> AccessToken | None:
        """Who holds this token. The time shows nothing: nobody can choose a token by its hash."""
        self._refresh()
        holder = self._holders.get(sha256(token.encode()).hexdigest().encode())
        if holder is None:
            return None
        name, group = holder
        return AccessToken(token=token, client_id=name, scopes=self._scopes, claims={GROUP: group})

    def problem(self) -> str | None:
        """Why it lets nobody in, in words that go after its name; None where it lets somebody in."""
        self._refresh()
        if self._read is None:
            return f"can't be read ({self._unreadable})"
        return None if self._holders else "holds no line of the form name:sha256"

    def _refresh(self) -> None:
        """Read the file where it has changed; nobody gets in by one that can't be read."""
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            if version == self._read:
                return
            if not S_ISREG(status.st_mode) or status.st_size > bounds.TOKEN_FILE_BYTES:
                raise ValueError("not a regular file of a megabyte at most")
            lines = list(read_lines(self._path.read_text(encoding="utf-8-sig")))
        except (OSError, ValueError) as error:
            self._unreadable = _reason(error)
            if self._read is not None:  # once, and not for each request
                logger.error("the token file is ignored, because it can't be read: %s", self._unreadable)
            self._holders, self._read = {}, None
            return
        self._read = version
        for line in lines:
            if not line.is_valid:
                logger.error("line %d of the token file is ignored: it is not name:sha256", line.number)
        self._holders = {line.digest: (line.name, line.group) for line in lines if line.name is not None}


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    return (isinstance(error, OSError) and error.strerror) or str(error)


class JwtVerifier:
    """Access tokens of one OAuth issuer (RFC 9068): signature, issuer, audience, expiry, subject."""

    def __init__(self, settings: Settings) -> None:
        assert settings.oauth_issuer is not None
        self._issuer = settings.oauth_issuer
        self._audiences = _audiences(settings)
        self._groups_claim = settings.oauth_groups_claim
        self._keys = IssuerKeys(self._issuer, settings.oauth_jwks_url)

    async def problem(self) -> str | None:
        """Why no token can be checked, None where they can be."""
        return None if await self._keys.usable() else "the keys of the issuer can't be fetched"

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who holds this token. Raises AuthenticationError where the issuer's keys can't be had."""
        try:
            algorithm, key_id = _read_header(token)
            key = await self._keys.find(key_id)
            if key is None or algorithm not in key.algorithms:
                raise jwt.InvalidKeyError
            return _access(token, self._claims(token, key, algorithm), self._groups_claim)
        except (jwt.PyJWTError, RecursionError) as error:
            logger.info("a bearer token was refused: %s", type(error).__name__)
            return None
        except KeysUnavailableError:
            raise AuthenticationError("Tokens can't be checked at the moment; try again.") from None

    def _claims(self, token: str, key: SigningKey, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audiences,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims


def _audiences(settings: Settings) -> list[str]:
    """What a token may be meant for: the resource as the metadata spell it, and as people do."""
    if settings.oauth_audience:
        return [settings.oauth_audience]
    url = settings.public_url or ""
    return [spelt + end for spelt in {url.rstrip("/"), str(AnyHttpUrl(url)).rstrip("/")} for end in ("", "/")]


def _read_header(token: str) -> tuple[str, str | None]:
    """The algorithm and the key that a token names; raises a PyJWTError for one that is not an access
    token.
    """
    header = jwt.get_unverified_header(token)
    kind, algorithm = header.get("typ"), header.get("alg")
    if (kind.lower() if isinstance(kind, str) else kind) not in TOKEN_TYPES:
        raise jwt.InvalidTokenError
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError
    return algorithm, header.get("kid")


def _access(token: str, claims: dict[str, Any], groups_claim: str) -> AccessToken:
    subject = claims["sub"]
    client = claims.get("client_id") or claims.get("azp") or subject
    if not is_name(subject) or not is_name(client):
        raise jwt.InvalidTokenError
    scopes = claims.get("scope") or claims.get("scp") or []
    if isinstance(scopes, str):
        scopes = scopes.split()
    return AccessToken(
        token=token,
        client_id=client,
        subject=subject,
        scopes=[scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else [],
        expires_at=int(claims["exp"]) + LEEWAY_S,
        claims={"iss": claims["iss"], GROUPS: _groups(claims, groups_claim)},
    )


def _groups(claims: dict[str, Any], name: str) -> list[str]:
    """The groups that a claim names, in its order: by its whole name, else by a path with dots."""
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for step in name.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return [group for group in listed[: bounds.CLAIM_GROUPS] if is_name(group)]
