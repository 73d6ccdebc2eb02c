"""Who gets in: bad tokens of every kind, each refused with the right status, and the server serves on."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grok_mcp import bounds
from grok_mcp.serving.http.jwks import IssuerKeys, KeysUnavailableError
from grok_mcp.serving.http.token_lines import new_token
from tests.network.issuer import (
    AUDIENCE,
    EC,
    FOREIGN,
    KEY_SET,
    KEYS,
    LEAKED,
    METADATA,
    OPENID_METADATA,
    PUBLIC_PEM,
    RSA,
    WEAK,
    Issuer,
    published,
)
from tests.network.place import SCOPE, Place
from tests.network.server import exchange, in_process, wire

HOUR_S = 3600


def compact(*parts: bytes) -> str:
    """The parts as a JWT has them."""
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def unsigned(issuer: Issuer) -> str:
    payload = issuer.token().split(".")[1]
    return ".".join((compact(b'{"alg":"none","typ":"JWT"}'), payload, ""))


def signed_with_the_public_key(issuer: Issuer) -> str:
    """What a verifier accepts that takes the issuer's public key for a shared secret."""
    payload = issuer.token().split(".")[1]
    head = compact(b'{"alg":"HS256","kid":"rsa","typ":"JWT"}')
    signature = hmac.digest(PUBLIC_PEM, f"{head}.{payload}".encode(), hashlib.sha256)
    return f"{head}.{payload}.{compact(signature)}"


def changed(issuer: Issuer) -> str:
    """A good token whose subject somebody has changed."""
    head, payload, signature = issuer.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"sub": "alice"}
    return f"{head}.{compact(json.dumps(claims).encode())}.{signature}"


BAD_TOKENS: dict[str, Callable[[Issuer], str]] = {
    "of nobody": lambda issuer: new_token("mallory")[0],
    "huge": lambda issuer: "x" * 20_000,
    "not ASCII": lambda issuer: "\xe9" * 40,
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - HOUR_S),
    "expired for ever": lambda issuer: issuer.token(exp=-1),
    "without expiry": lambda issuer: issuer.token(exp=None),
    "with an expiry that is no number": lambda issuer: issuer.token(exp="never"),
    "with an infinite expiry": lambda issuer: issuer.token(exp=float("inf")),
    "not yet valid": lambda issuer: issuer.token(nbf=int(time.time()) + HOUR_S),
    "issued in the future": lambda issuer: issuer.token(iat=int(time.time()) + HOUR_S),
    "for another audience": lambda issuer: issuer.token(aud="https://other.example/mcp"),
    "without audience": lambda issuer: issuer.token(aud=None),
    "of another issuer": lambda issuer: issuer.token(iss="https://other.example"),
    "without issuer": lambda issuer: issuer.token(iss=None),
    "without subject": lambda issuer: issuer.token(sub=None),
    "with a subject that forges log lines": lambda issuer: issuer.token(sub="a\ngrok-mcp: ERROR"),
    "with a subject of the token file": lambda issuer: issuer.token(sub="alice"),
    "with alg none": unsigned,
    "signed with the public key as a secret": signed_with_the_public_key,
    "signed with a published secret": lambda issuer: issuer.token(
        "secret-secret-secret-secret-123", "HS256", "shared"
    ),
    "signed by another key": lambda issuer: issuer.token(FOREIGN),
    "signed by an encryption key": lambda issuer: issuer.token(FOREIGN, kid="for encryption"),
    "signed by a key whose private part is published": lambda issuer: issuer.token(LEAKED, kid="leaked"),
    "signed by a weak key": lambda issuer: issuer.token(WEAK, kid="weak"),
    "signed by a key of another type": lambda issuer: issuer.token(EC, "ES256", "rsa"),
    "signed by a key of a type that its algorithm has not": lambda issuer: issuer.token(kid="ec"),
    "signed by an algorithm that its key is not for": lambda issuer: issuer.token(
        algorithm="PS512", kid="for RS256"
    ),
    "changed": changed,
    "without signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "of an unknown key": lambda issuer: issuer.token(kid="unknown"),
    "without key id where there are several": lambda issuer: issuer.token(kid=None),
    "that brings its own key": lambda issuer: issuer.token(FOREIGN, header={"jwk": published(FOREIGN)}),
    "that names its own keys": lambda issuer: issuer.token(
        FOREIGN, header={"jku": "http://127.0.0.1:1/keys"}
    ),
    "that is to end a session": lambda issuer: issuer.token(header={"typ": "logout+jwt"}),
    "with a critical extension": lambda issuer: issuer.token(header={"crit": ["x"], "x": 1}),
    "with a header as deep as a well": lambda issuer: compact(b"[" * 9_000, b"{}", b""),
    "with a header that is a list": lambda issuer: compact(b"[]", b"{}", b""),
    "with two parts": lambda issuer: compact(b'{"alg":"RS256"}', b"{}"),
    "with five parts": lambda issuer: compact(b'{"alg":"RS256"}', b"", b"", b"", b""),
}


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")  # of the weak keys, while tokens are made
@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_a_bad_token_is_refused(kind: str, place: Place) -> None:
    token = BAD_TOKENS[kind](place.issuer)
    refused = place.send(wire({"Authorization": f"Bearer {token}"}))
    assert (refused.status, json.loads(refused.body)["error"]) == (401, "invalid_token")
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    place.still_serves()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", "Token {0}", "{0}"])
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/messages/?session_id=0", "/sse"])
def test_without_a_bearer_token_nothing_is_served(header: str | None, path: str, place: Place) -> None:
    given = header and header.format(place.tokens["alice"])
    sent = wire({"Authorization": given}, path=path, method="GET" if path == "/sse" else "POST")
    assert place.send(sent).status == 401
    assert place.send(wire(path=f"/mcp?access_token={place.tokens['alice']}")).status == 401
    place.still_serves()


@pytest.mark.parametrize("scope", ["other", "", None, 5, ["other"], {"grok": 1}, "GROK", "grok2"], ids=str)
def test_a_token_without_the_scope_is_told_which_it_needs(scope: Any, place: Place) -> None:
    refused = place.send(wire({"Authorization": f"Bearer {place.issuer.token(scope=scope)}"}))
    assert (refused.status, json.loads(refused.body)["error"]) == (403, "insufficient_scope")
    assert SCOPE in refused.headers["www-authenticate"]
    place.still_serves()


@pytest.mark.parametrize(
    "good",
    [
        {},
        {"algorithm": "PS512"},
        {"key": EC, "algorithm": "ES256", "kid": "ec"},
        {"aud": ["https://other.example", AUDIENCE]},
        {"aud": f"{AUDIENCE}/"},
        {"scope": None, "scp": ["grok"]},
        {"header": {"typ": "JWT"}},
        {"exp": int(time.time()) + 2 * HOUR_S, "nbf": int(time.time()) + 5},
    ],
    ids=["plain", "PS512", "ES256", "several audiences", "a slash", "scp", "typ", "soon valid"],
)
def test_a_good_token_of_the_issuer_gets_in(good: dict[str, Any], place: Place) -> None:
    token = place.issuer.token(**good)
    assert place.send(wire({"Authorization": f"Bearer {token}"})).status == 200


def test_clients_find_the_issuer_by_the_refusal(place: Place) -> None:
    refused = place.send(wire())
    challenge = refused.headers["www-authenticate"]
    at = challenge.partition('resource_metadata="')[2].partition('"')[0]
    assert at == "https://grok.example/.well-known/oauth-protected-resource/mcp"
    path = at.removeprefix("https://grok.example")
    found = json.loads(place.send(wire(method="GET", path=path)).body)
    assert found["resource"] == AUDIENCE
    assert found["scopes_supported"] == [SCOPE]
    assert [url.rstrip("/") for url in found["authorization_servers"]] == [place.issuer.url]


def allowed(url: str, token: str) -> int:
    """The status of a request with this token."""
    return exchange(url, wire({"Authorization": f"Bearer {token}"})).status


def test_a_token_is_out_as_soon_as_its_line_is(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    (old, old_line), (new, new_line) = new_token("alice"), new_token("alice")
    file.write_text(f"{old_line}\n\n# who may call\nnot a line\n", encoding="utf-8-sig")
    with in_process(token_file=file) as url:
        assert (allowed(url, old), allowed(url, new)) == (200, 401)
        file.write_text(f"{old_line}\n{new_line}\n")
        assert (allowed(url, old), allowed(url, new)) == (200, 200), "a name may have two tokens for a while"
        beside = tmp_path / "beside"
        beside.write_text(f"{new_line}\n{new_line}\n")  # of the same length
        beside.replace(file)
        assert (allowed(url, old), allowed(url, new)) == (401, 200)
        file.unlink()
        assert allowed(url, new) == 401
        file.write_text(f"{new_line}\n")
        assert allowed(url, new) == 200


@pytest.mark.parametrize("differs", [0, -1], ids=["in its first digit", "in its last digit"])
def test_a_token_is_refused_whose_hash_is_like_a_known_one_but_for_one_digit(
    differs: int, tmp_path: Path
) -> None:
    token, line = new_token("alice")
    name, _, known = line.partition(":")
    digits = list(known)
    digits[differs] = "0" if digits[differs] != "0" else "1"
    file = tmp_path / "tokens"
    file.write_text(f"{name}:{''.join(digits)}\n")
    with in_process(token_file=file) as url:
        assert allowed(url, token) == 401
        file.write_text(f"{line}\n# so that it has another length\n")
        assert allowed(url, token) == 200


@contextmanager
def guarded_by(issuer: Issuer, **settings: Any) -> Iterator[str]:
    with in_process(oauth_issuer=issuer.url, public_url=AUDIENCE, **settings) as url:
        yield url


@pytest.mark.parametrize(
    "metadata",
    [
        {METADATA: "good"},
        {OPENID_METADATA: "good"},
        {METADATA: {"issuer": "http://other.example"}, OPENID_METADATA: "good"},
        {METADATA: (302, {"Location": "/elsewhere"}), OPENID_METADATA: "good"},
    ],
    ids=["OAuth", "OpenID", "of another issuer first", "redirected first"],
)
def test_the_keys_are_found_by_either_metadata(metadata: dict[str, Any]) -> None:
    with Issuer() as issuer:
        good = issuer.documents.pop(METADATA)
        issuer.documents |= {path: good if told == "good" else told for path, told in metadata.items()}
        with guarded_by(issuer) as url:
            assert allowed(url, issuer.token()) == 200


NO_KEYS: dict[str, Callable[[Issuer], dict[str, Any]]] = {
    "down": lambda issuer: {KEYS: (503, {})},
    "redirected": lambda issuer: {KEYS: (302, {"Location": "/elsewhere"})},
    "no object": lambda issuer: {KEYS: ["no", "object"]},
    "empty": lambda issuer: {KEYS: {"keys": []}},
    "too long": lambda issuer: {KEYS: {"keys": [*KEY_SET["keys"], "x" * 600_000]}},
    "without metadata": lambda issuer: {METADATA: (404, {})},
    "of another issuer": lambda issuer: {METADATA: {"issuer": "x", "jwks_uri": issuer.url + KEYS}},
    "in the clear": lambda issuer: {
        # an address of this machine that does not look like one
        METADATA: {"issuer": issuer.url, "jwks_uri": issuer.url.replace("127.0.0.1", "127.1") + KEYS}
    },
    "without address": lambda issuer: {METADATA: {"issuer": issuer.url, "jwks_uri": 5}},
}


@pytest.mark.parametrize("kind", NO_KEYS)
def test_where_the_keys_can_t_be_had_the_answer_is_to_come_again(kind: str) -> None:
    with Issuer() as issuer:
        issuer.documents |= {"/elsewhere": KEY_SET, **NO_KEYS[kind](issuer)}
        with guarded_by(issuer) as url:
            refused = exchange(url, wire({"Authorization": f"Bearer {issuer.token()}"}))
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            assert issuer.url not in refused.body
            asked = len(issuer.requests)
            assert allowed(url, issuer.token()) == 503
            assert allowed(url, issuer.token(kid="unknown")) == 503
            assert len(issuer.requests) == asked, "whoever sends tokens can't make us ask without end"
            assert allowed(url, "no JWT at all") == 401
            assert exchange(url, wire(method="GET", path="/healthz")).status == 200


def test_an_unknown_key_does_not_make_us_ask_the_issuer_again_and_again() -> None:
    with Issuer() as issuer, guarded_by(issuer) as url:
        assert allowed(url, issuer.token()) == 200
        asked = len(issuer.requests)
        assert {allowed(url, issuer.token(kid=f"unknown {number}")) for number in range(5)} == {401}
        issuer.documents[KEYS] = (503, {})
        assert allowed(url, issuer.token()) == 200, "the keys are kept"
        assert len(issuer.requests) == asked


def test_a_public_url_without_a_path_is_an_audience_however_it_is_spelt() -> None:
    with Issuer() as issuer:
        with in_process(oauth_issuer=issuer.url, public_url="https://grok.example") as url:
            metadata = httpx2.get(f"{url}/.well-known/oauth-protected-resource").json()
            for audience in (metadata["resource"], "https://grok.example", "https://grok.example/"):
                assert allowed(url, issuer.token(aud=audience)) == 200
            assert allowed(url, issuer.token(aud="https://grok.example.evil")) == 401


def test_an_audience_of_the_settings_is_the_only_one() -> None:
    with Issuer() as issuer, guarded_by(issuer, oauth_audience="api://grok") as url:
        assert allowed(url, issuer.token(aud="api://grok")) == 200
        assert allowed(url, issuer.token()) == 401


def test_the_address_of_the_keys_can_be_set() -> None:
    with Issuer() as issuer:
        issuer.documents = {"/elsewhere": {"keys": [published(FOREIGN, kid="only")]}}
        with guarded_by(issuer, oauth_jwks_url=f"{issuer.url}/elsewhere") as url:
            assert allowed(url, issuer.token(FOREIGN, kid=None)) == 200, "the only key needs no name"
            assert allowed(url, issuer.token(kid=None)) == 401


def test_headers_that_never_end_are_not_waited_for(place: Place) -> None:
    """Here, at the end of the folder, because the connection was opened with the first test."""
    place.slow.wait()
    assert place.slow.lasted_s is not None
    assert bounds.HEADERS_S - 1 < place.slow.lasted_s < bounds.HEADERS_S + 5
    place.still_serves()


@pytest.mark.anyio
async def test_keys_are_asked_for_again_and_an_old_key_is_good_for_a_while_only() -> None:
    with Issuer() as issuer:
        issuer.documents[KEYS] = {"keys": [published(RSA, kid="old")]}
        url = issuer.url + KEYS
        eager = IssuerKeys(issuer.url, url, cached_for_s=0, again_after_s=0)
        lazy = IssuerKeys(issuer.url, url, again_after_s=0)
        forgetful = IssuerKeys(issuer.url, url, cached_for_s=0, usable_for_s=0, again_after_s=0)
        assert await eager.find("old") and await lazy.find("old")
        assert await forgetful.find("old") is None
        issuer.documents[KEYS] = {"keys": [published(EC, kid="new")]}
        assert await lazy.find("old"), "still kept"
        assert await eager.find("old") is None, "taken away by its issuer"
        assert await eager.find("new") and await lazy.find("new")
        issuer.documents[KEYS] = (503, {})
        assert await eager.find("new"), "good for a while"
        with pytest.raises(KeysUnavailableError):
            await forgetful.find("new")
