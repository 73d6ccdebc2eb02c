"""HTTP as browsers, proxies and strict clients speak it."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from grok_mcp.sandbox import SandboxServer
from grok_mcp.settings import Settings
from tests.network.issuer import AUDIENCE, Issuer
from tests.network.place import Place
from tests.network.server import INITIALIZE, Answer, exchange, in_process, modern, rpc, serving, wire

PAGE = "https://app.example.com"
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version,mcp-session-id,x-own",
}
OPENING = json.dumps(INITIALIZE).encode()
LEGACY = {"MCP-Protocol-Version": None, "Mcp-Method": None}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with SandboxServer(pace=0) as sandbox:
        with in_process(XAI_BASE_URL=sandbox.url, allowed_origins=PAGE) as url:
            yield url


def words(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",")}


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/sse", "/sse/", "/messages", "/messages/"])
@pytest.mark.parametrize("origin", [PAGE, "http://localhost:6274", "http://127.0.0.1", "http://[::1]:5173"])
def test_a_page_of_an_allowed_origin_may_ask_before_it_has_a_token(path: str, origin: str) -> None:
    with Issuer() as issuer:
        with in_process(oauth_issuer=issuer.url, public_url=AUDIENCE, allowed_origins=PAGE) as url:
            told = exchange(url, wire({"Origin": origin, **ASKED}, method="OPTIONS", path=path, body=b""))
            refused = exchange(
                url, wire({"Origin": origin}, path=path, method="GET" if "sse" in path else "POST")
            )
    assert told.status in (200, 204)
    assert told.headers["access-control-allow-origin"] == origin
    assert words(ASKED["Access-Control-Request-Headers"]) <= words(
        told.headers["access-control-allow-headers"]
    )
    assert {"get", "post", "delete"} <= words(told.headers["access-control-allow-methods"])
    assert "origin" in words(told.headers["vary"])
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, origin)
    assert "www-authenticate" in words(refused.headers["access-control-expose-headers"])


@pytest.mark.parametrize("path", ["/mcp", "/sse", "/messages/"])
def test_whoever_asks_for_options_without_an_origin_gets_none(path: str, url: str) -> None:
    assert exchange(url, wire(method="OPTIONS", path=path, body=b"")).status == 405


def test_a_page_can_open_a_session_and_read_its_id(url: str) -> None:
    opened = exchange(url, wire({"Origin": PAGE, **LEGACY}, body=OPENING))
    assert opened.status == 200 and opened.headers["mcp-session-id"]
    assert opened.headers["access-control-allow-origin"] == PAGE
    assert "mcp-session-id" in words(opened.headers["access-control-expose-headers"])


def test_a_page_of_the_web_may_reach_this_machine_where_it_is_allowed(url: str) -> None:
    asked = {"Origin": PAGE, **ASKED, "Access-Control-Request-Private-Network": "true"}
    told = exchange(url, wire(asked, method="OPTIONS", body=b""))
    assert (told.status, told.headers["access-control-allow-private-network"]) == (200, "true")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "https://app.example.com:8443"]
)
def test_a_page_of_another_origin_gets_nothing(origin: str, url: str) -> None:
    for refused in (
        exchange(url, wire({"Origin": origin, **ASKED}, method="OPTIONS", body=b"")),
        exchange(url, wire({"Origin": origin})),
        exchange(url, wire({"Origin": PAGE}, extra=[("Origin", origin)])),
    ):
        assert (refused.status, refused.headers.get("access-control-allow-origin")) == (403, None)
        assert "GROK_MCP_ALLOWED_ORIGINS" in refused.body


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {"Host": "LocalHost:8000"}, 200),
        ({}, {"Host": "[::1]"}, 200),
        ({}, {"Host": "localhost:x"}, 421),
        ({}, {"Host": "localhost:80@evil.example"}, 421),
        ({"allowed_hosts": "Team.Example:*"}, {"Host": "team.EXAMPLE:8443"}, 200),
        ({"allowed_hosts": "Team.Example:*"}, {"Host": "team.example"}, 200),
        ({"allowed_hosts": "TEAM.example"}, {"Host": "team.example"}, 200),
        ({"allowed_hosts": "team.example"}, {"Host": "team.example:1"}, 421),
        ({"public_url": "https://GROK.example/mcp"}, {"Host": "Grok.Example:443"}, 200),
        ({"host": "Box.Local"}, {"Host": "box.local:8000"}, 200),
        ({"allowed_origins": "https://App.Example.com/"}, {"Origin": PAGE}, 200),
        ({"allowed_origins": PAGE}, {"Origin": "HTTPS://APP.example.com"}, 200),
        ({"allowed_origins": f"{PAGE}:443"}, {"Origin": PAGE}, 200),
        ({"allowed_origins": "http://a.example:*/"}, {"Origin": "http://a.example:3000"}, 200),
        ({"allowed_origins": "http://a.example:*"}, {"Origin": "http://a.example"}, 200),
        ({"allowed_origins": "http://a.example:80"}, {"Origin": "http://a.example:8080"}, 403),
        ({"allowed_origins": PAGE}, {"Origin": "http://app.example.com"}, 403),
        ({"public_url": "https://Grok.Example/mcp/"}, {"Origin": "https://grok.example"}, 200),
        ({}, {"Origin": ""}, 200),
    ],
    ids=str,
)
def test_hosts_and_origins_are_compared_as_names(
    settings: dict[str, Any], headers: dict[str, str | None], status: int
) -> None:
    with in_process(**settings) as url:
        refused = exchange(url, wire(headers))
    assert refused.status == status
    if status == 421:
        assert "GROK_MCP_ALLOWED_HOSTS" in refused.body and "--allowed-hosts" in refused.body


def ask(url: str, headers: dict[str, str | None], *, era: str, token: int | None = None) -> Answer:
    """The response to a call, in the form that these headers ask for."""
    request = modern(2, "tools/call", token=token, name="ask_grok", arguments={"prompt": "Hi"})
    if era == "2026":
        body = json.dumps(request["json"]).encode()
        return exchange(url, wire({**request["headers"], **headers}, body=body))
    session = exchange(url, wire(LEGACY, body=OPENING)).headers["mcp-session-id"]
    call = rpc(2, "tools/call", name="ask_grok", arguments={"prompt": "Hi"}, _meta={"progressToken": token})
    return exchange(
        url, wire({**LEGACY, "Mcp-Session-Id": session, **headers}, body=json.dumps(call).encode())
    )


def answers(response: Answer) -> list[dict[str, Any]]:
    """The messages of a response of either form."""
    if response.headers["content-type"].startswith("application/json"):
        return [json.loads(response.body)]
    return [json.loads(line[5:]) for line in response.body.splitlines() if line.startswith("data:")]


@pytest.mark.parametrize("token", [None, 7], ids=["quiet", "with progress"])
@pytest.mark.parametrize("era", ["2025", "2026"])
@pytest.mark.parametrize(
    ("accept", "forms"),
    [
        (None, {"application/json", "text/event-stream"}),
        ("*/*", {"application/json", "text/event-stream"}),
        ("", {"application/json", "text/event-stream"}),
        ("application/json", {"application/json"}),
        ("APPLICATION/JSON; q=0.5", {"application/json"}),
        ("application/*", {"application/json"}),
        ("application/json, text/event-stream;q=0", {"application/json"}),
        ("text/event-stream", {"text/event-stream"}),
        ("Text/Event-Stream", {"text/event-stream"}),
        ("text/*", {"text/event-stream"}),
        ("application/json;q=0.9, text/event-stream", {"application/json", "text/event-stream"}),
    ],
)
def test_an_answer_has_a_form_that_its_client_takes(
    accept: str | None, forms: set[str], era: str, token: int | None, url: str
) -> None:
    response = ask(url, {"Accept": accept}, era=era, token=token)
    assert response.status == 200
    assert response.headers["content-type"].partition(";")[0] in forms
    answer = answers(response)[-1]
    assert answer["id"] == 2 and "Sandbox answer" in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("accept", ["text/html", "application/xml, image/*", "application/json;q=0"])
def test_who_takes_neither_form_is_told(accept: str, url: str) -> None:
    assert exchange(url, wire({"Accept": accept})).status == 406


def test_several_accept_headers_are_one(url: str) -> None:
    both = [("Accept", "text/event-stream"), ("Accept", "application/json")]
    assert exchange(url, wire({"Accept": None, **LEGACY}, body=OPENING, extra=both)).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "application/json",
        "APPLICATION/JSON",
        "Application/Json; Charset=UTF-8",
        "application/json;charset=utf-8",
        "application/json ; a=b",
    ],
)
@pytest.mark.parametrize("era", ["2025", "2026"])
def test_a_content_type_may_be_in_any_case_and_have_parameters(name: str, era: str, url: str) -> None:
    assert ask(url, {"Content-Type": name}, era=era).status == 200


@pytest.mark.parametrize(
    "name", ["text/json", "application/jsonp", "application/x-json", "json", "text/plain; application/json"]
)
def test_any_other_content_type_is_refused(name: str, url: str) -> None:
    assert exchange(url, wire({"Content-Type": name})).status in (400, 415)
    assert exchange(url, wire({"Content-Type": name, **LEGACY}, body=OPENING)).status in (400, 415)


def sent_to(url: str, path: str = "/sse", **headers: str) -> str:
    """Where a client of SSE is told to send its messages."""
    with httpx2.stream("GET", f"{url}{path}", headers=headers) as events:
        assert events.status_code == 200
        lines = events.iter_lines()
        assert next(lines) == "event: endpoint"
        return re.sub("[0-9a-f]{32}", "ID", next(lines).removeprefix("data: "))


def mounted(app: ASGIApp) -> ASGIApp:
    """Below a path of another application."""
    return Starlette(routes=[Mount("/inner", app)], lifespan=lambda outer: app.router.lifespan_context(app))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("settings", "path", "headers", "address"),
    [
        ({}, "/sse", {}, "/messages/"),
        ({}, "/sse/", {}, "/messages/"),
        ({"public_url": "https://grok.example/mcp"}, "/sse", {}, "/messages/"),
        ({"public_url": "https://grok.example/grok/mcp"}, "/sse", {}, "/grok/messages/"),
        ({"public_url": "https://grok.example/grok/mcp/"}, "/grok/sse", {}, "/grok/messages/"),
        ({"public_url": "https://grok.example/a/b/mcp"}, "/a/b/sse/", {}, "/a/b/messages/"),
        ({}, "/sse", {"X-Forwarded-Prefix": "/grok"}, "/grok/messages/"),
        ({}, "/sse", {"X-Forwarded-Prefix": "/a/b/"}, "/a/b/messages/"),
        ({}, "/sse", {"X-Forwarded-Prefix": "//evil.example"}, "/messages/"),
        ({}, "/sse", {"X-Forwarded-Prefix": "https://evil.example"}, "/messages/"),
        ({}, "/sse", {"X-Forwarded-Prefix": "/a?b"}, "/messages/"),
    ],
    ids=str,
)
def test_behind_a_prefix_clients_of_sse_are_sent_to_where_the_proxy_is(
    settings: dict[str, Any], path: str, headers: dict[str, str], address: str
) -> None:
    with in_process(**settings) as url:
        assert sent_to(url, path, **headers) == f"{address}?session_id=ID"
        if settings:
            assert exchange(url, wire(path=f"{address}?session_id={'0' * 32}")).status == 404
            assert exchange(url, wire(path=address.replace("messages/", "mcp"))).status == 200


def test_below_a_path_of_another_application_as_well() -> None:
    with in_process(mounted) as url:
        assert sent_to(url, "/inner/sse") == "/inner/messages/?session_id=ID"
        assert sent_to(url, "/inner/sse", **{"X-Forwarded-Prefix": "/outer"}).startswith(
            "/outer/inner/messages/"
        )


def test_messages_are_taken_with_and_without_a_slash_and_by_either_form_of_the_session(url: str) -> None:
    with httpx2.Client(base_url=url) as http, http.stream("GET", "/sse/") as events:
        lines = events.iter_lines()
        path = next(line for line in lines if line.startswith("data: "))[6:]
        for form in (path, path.replace("messages/", "messages")):
            assert http.post(form, json=INITIALIZE).status_code == 202
    for form in ("/messages", "/messages/"):
        for session, status in (("0" * 32, (404, 307)), ("x", (400,)), ("", (400,))):
            assert exchange(url, wire(path=f"{form}?session_id={session}")).status in status


@pytest.mark.parametrize("given", [None, "Basic YTpi", "Bearer", "Bearer ", "Token abc"])
def test_where_no_token_came_none_is_called_invalid(given: str | None, place: Place) -> None:
    refused = place.send(wire({"Authorization": given}))
    challenge = refused.headers["www-authenticate"]
    assert refused.status == 401 and challenge.startswith("Bearer ")
    assert "error" not in challenge and "invalid" not in refused.body
    assert 'scope="grok"' in challenge and "resource_metadata=" in challenge


def test_a_bad_token_is_called_invalid(place: Place) -> None:
    refused = place.send(wire({"Authorization": "Bearer abc"}))
    assert (refused.status, json.loads(refused.body)["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_without_issuer_and_scopes_the_challenge_is_its_scheme(tmp_path: Any) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"a:{'0' * 64}\n")
    with in_process(token_file=file) as url:
        assert exchange(url, wire()).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://grok.example/mcp", "/mcp"),
        ("https://grok.example/mcp/", "/mcp/"),
        ("https://Grok.Example/mcp", "/mcp"),
        ("https://grok.example:443/mcp", "/mcp"),
        ("https://grok.example", ""),
        ("https://grok.example/", ""),
        ("https://grok.example/a/mcp", "/a/mcp"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_issuer_and_resource_are_spelt_as_configured(resource: str, path: str, slash: str) -> None:
    with Issuer() as issuer:
        with in_process(oauth_issuer=issuer.url + slash, public_url=resource) as url:
            challenge = exchange(url, wire()).headers["www-authenticate"]
            found = httpx2.get(f"{url}/.well-known/oauth-protected-resource{path}").json()
            root = httpx2.get(f"{url}/.well-known/oauth-protected-resource").json()
    assert found == root
    assert (found["resource"], found["authorization_servers"]) == (resource, [issuer.url + slash])
    at = resource.removesuffix(path or "/") + "/.well-known/oauth-protected-resource" + path
    assert f'resource_metadata="{at}"' in challenge


def test_an_idle_connection_is_kept_as_long_as_is_set() -> None:
    assert Settings().keep_alive == 75
    with SandboxServer(pace=0) as sandbox, serving(sandbox.url, "--keep-alive", "1") as server:
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while piece := connection.recv(65536):
                received += piece
    assert received.startswith(b"HTTP/1.1 200")


def test_a_short_response_is_one_packet(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        for _ in range(20):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536).endswith(b'{"status":"ok"}')
